"""One operation in forward mode: compute the value, then push every tangent through the kernel.

Tangents are kept per seed. Where the kernel is linear in a freshly seeded variable, the directions move to its result (a site). At a
result with one element the kernel's local Jacobian is a single row, so the row is computed once and contracts the
tangents of all directions; there the directions of sites are collected into those of their variables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from diffcore import anomaly
from diffcore.aliasing import changes, check_saved
from diffcore.arrays import is_float, is_mutable
from diffcore.kernels.broadcast import fill
from diffcore.kernels.families import times
from diffcore.kernels.indexing import scatter_index
from diffcore.kernels.record import Call, Kernel
from diffcore.ledger import label, state
from diffcore.modes import Mode
from diffcore.ops import permute
from diffcore.seeds import ones_of
from diffcore.structured import mixes_elements, mixes_examples
from diffcore.watch import watch
from dualdiff.forms import IDENTITY, Aside, Diagonal, Form, array_of, contract, dense
from dualdiff.seeding import Elements, Features, Seed, Site, Spread, Variable, features_of

Tangents = dict[Seed, Form]


mode = Mode()
"""Whether tangents are carried in this thread; see `no_grad`."""


def record(
    kernel: Kernel, primals: list[Any], carried: list[Tangents | None], mask: int, out: Any, aux: Any, params: dict[str, Any]
) -> Tangents | None:
    """The tangents of `out = kernel(*primals)` from those of its operands; `None` for a constant."""
    if kernel.pushforward is None or not mode.enabled or not is_float(out.dtype):
        return None
    call = Call(kernel, primals, out, params, tuple([getattr(x, "shape", ()) for x in primals]), out.shape, aux)
    outer = state.phase, state.kernel
    state.phase, state.kernel = "tangent", kernel.name
    try:
        made = push(call, [tangents or {} for tangents in carried])
        if watch.count:
            anomaly.check_tangents(kernel, _arrays(carried), _arrays([made]))
        return made or None
    finally:
        state.phase, state.kernel = outer


def _arrays(carried: Sequence[Tangents | None]) -> list[Any]:
    return [array_of(form) for tangents in carried for form in (tangents or {}).values()]


def push(call: Call, carried: list[Tangents]) -> Tangents:
    """The tangents of `call.out` from those of its operands, per seed."""
    result: Tangents = {}
    if call.kernel.keeps_order:
        result, carried = _still_fresh(carried[0])
    groups = _by_seed(call, carried, result)
    contracts = math.prod(call.shape) == 1 and call.kernel.pullback is not None
    if contracts and any(math.prod(call.shapes[i]) > 1 for forms in groups.values() for i in forms):
        alone: dict[Seed, dict[int, Form]] = {s: f for s, f in groups.items() if s.lead == 0 or isinstance(s, Features | Elements)}
        _contract_all(call, {s: f for s, f in groups.items() if s not in alone}, result)
        groups = alone
    for seed, forms in groups.items():
        axis = _axis_of_examples(call, forms) if seed.examples else 0
        if axis is None:
            if isinstance(seed, Features):
                raise mixes_examples(call.kernel)
            for variable, forms_of_variable in _expanded(call, seed, forms).items():
                made = _push_one(call, variable, forms_of_variable)
                if isinstance(result.get(variable), Diagonal):
                    result[variable] = dense(result[variable], variable, call.out, call.shape)
                _add(result, variable, made)
        elif axis or any(isinstance(form, Aside) for form in forms.values()):
            given = {i: form.tangent if isinstance(form, Aside) else form for i, form in forms.items()}
            made = _push_one(call, seed, given)
            _add(result, seed, made if made is None or not axis else Aside(made, axis))
        elif type(seed) is Variable and _is_spread(call, forms) and Spread(seed) not in groups:
            made = _push_diagonal(call, forms)
            _add(result, Spread(seed), made if made is None or made.scale is None else Diagonal(fill(made.scale, call.shape, 0)))
        else:
            made = _push_one(call, seed, forms)
            _add(result, seed, made if seed not in result or not isinstance(made, Diagonal) else dense(made, seed, call.out, call.shape))
    if watch.count and state.ledger is not None:
        for form in result.values():
            label(array_of(form), "tangent")
    return result


def _axis_of_examples(call: Call, forms: dict[int, Form]) -> int | None:
    """The axis of the result that the examples of a site come to lie along; `None` where the kernel mixes them, or two orders meet."""
    found = None
    for i, form in forms.items():
        axis = form.axis if isinstance(form, Aside) else 0
        after = call.kernel.axis_after(axis, i, call.shapes, call.shape, call.params)
        if after is None or found is not None and after != found:
            return None
        found = after
    return found


def _still_fresh(tangents: Tangents) -> tuple[Tangents, list[Tangents]]:
    """Tangents of a reshape's or cast's operand: variables that stay as fresh as they were, and the rest.

    Whether a run carries a variable's own directions is asked where they are used, so that all runs meet the same sites.
    """
    fresh: Tangents = {seed: form for seed, form in tangents.items() if form is IDENTITY and type(seed) is Variable}
    return fresh, [{seed: form for seed, form in tangents.items() if seed not in fresh}]


def _by_seed(call: Call, carried: list[Tangents], result: Tangents) -> dict[Seed, dict[int, Form]]:
    """Tangents grouped by seed, {operand position: form}; fresh variables at a site are replaced by the site's own seed in `result`."""
    groups: dict[Seed, dict[int, Form]] = {}
    targets: list[tuple[int, Variable]] = []
    for i, tangents in enumerate(carried):
        for seed, form in tangents.items():
            if form is IDENTITY and type(seed) is Variable and i in call.kernel.sites and _may_be_site(call, i):
                targets.append((i, seed))
            else:
                groups.setdefault(seed, {})[i] = form
    if targets and not _plant(call, targets, result):
        for i, seed in targets:
            groups.setdefault(seed, {})[i] = IDENTITY
    return {seed: forms for seed, forms in groups.items() if not isinstance(seed, Variable) or seed.is_active()}


def _may_be_site(call: Call, operand: int) -> bool:
    """Elementwise kernels are sites for operands that they broadcast; products for their right factor."""
    return not call.kernel.partials or call.shapes[operand] != call.shape


def _plant(call: Call, targets: list[tuple[int, Variable]], result: Tangents) -> bool:
    """Seed the result of `call` in place of its variables, if that is preferred."""
    size, examples = features_of(call.shape)
    elements = sum(math.prod(variable.shape) for _, variable in targets)
    seeding = targets[0][1].seeding
    if math.prod(call.shape) == 1 or not seeding.prefers_site(size, elements) or call.kernel.partials and size > elements:
        return False
    window = seeding.next_site(size)
    if window is not None:
        result[Site(call, targets, window, size, examples)] = IDENTITY
    return True


def _is_spread(call: Call, forms: dict[int, Form]) -> bool:
    """Whether diagonals meet an elementwise kernel that broadcasts them to as many rows as its result has."""
    if not call.kernel.partials or len(call.shape) < 2 or call.shape[0] == 1:
        return False
    return all(isinstance(form, Diagonal) and call.shapes[i] == call.shape[1:] for i, form in forms.items())


def _push_one(call: Call, seed: Seed, forms: dict[int, Form]) -> Form | None:
    """Push the tangents of one seed through the kernel, in the cheapest form that the kernel keeps."""
    kernel = call.kernel
    diagonal = [i for i, form in forms.items() if isinstance(form, Diagonal)]
    if diagonal and len(diagonal) == len(forms):
        if kernel.partials and all(call.shapes[i] == call.shape for i in forms):
            return _push_diagonal(call, forms)
        if kernel.keeps_order and (not seed.examples or call.shape[:1] == call.shapes[0][:1]):
            scale = forms[0].scale
            return Diagonal() if scale is None else Diagonal(kernel.pushforward(call, (scale,)))  # type: ignore[misc]
        if isinstance(seed, Elements):
            raise mixes_elements(kernel)
    total = None
    rest: list[Any] = [None] * len(call.shapes)
    for i, form in forms.items():
        pushed = None
        if isinstance(form, Diagonal) and kernel.diagonal is not None:
            pushed = kernel.diagonal(call, i, form.scale, seed.rows, seed.examples)  # type: ignore[attr-defined]
        if pushed is None:
            rest[i] = dense(form, seed, call.primals[i], call.shapes[i])
        else:
            total = pushed if total is None else total + pushed
    if any(t is not None for t in rest):
        pushed = kernel.pushforward(call, tuple(rest))  # type: ignore[misc]
        total = pushed if total is None or pushed is None else total + pushed
    if total is not None:
        total = _in_dtype(total, call.out)
    return total


def _in_dtype(tangent: Any, out: Any) -> Any:
    """A tangent in the dtype of the result; a rule may have met operands of another."""
    return tangent if tangent.dtype == out.dtype else tangent.astype(out.dtype)


def _push_diagonal(call: Call, forms: dict[int, Form]) -> Form | None:
    """Elementwise on diagonals: scale times partial, summed over the operands."""
    terms = [_scaled(form.scale, call.kernel.partials[i], call) for i, form in forms.items() if call.kernel.partials[i] is not None]
    if not terms:
        return None
    if len(terms) == 1:
        return Diagonal(terms[0] if terms[0] is None else _in_dtype(terms[0], call.out))
    total = ones_of(call.out) if terms[0] is None else terms[0]
    for term in terms[1:]:
        total = total + (1 if term is None else term)
    return Diagonal(_in_dtype(total, call.out))


def _scaled(scale: Any, rule: Any, call: Call) -> Any:
    """`scale * partial`, where `None` stands for ones."""
    partial = rule(call) if callable(rule) else rule
    if scale is not None:
        return times(scale, partial)
    if type(partial) is int and partial == 1:
        return None
    whole = hasattr(partial, "dtype") and partial.dtype == call.out.dtype and tuple(partial.shape) == call.shape
    if not whole:
        return times(ones_of(call.out), partial)
    if is_mutable(partial) and any(partial is x for x in (call.out, *call.primals)):
        return partial.copy()  # the tensor may be changed in place, its tangent never
    return partial


def _add(result: Tangents, seed: Seed, form: Form | None) -> None:
    """Add a tangent to those of `seed`; only equal forms are ever added, because a seed is pushed once per operation."""
    if form is None:
        return
    before = result.get(seed)
    result[seed] = form if before is None else before + form


def _contract_all(call: Call, groups: dict[Seed, dict[int, Form]], result: Tangents) -> None:
    """At a result with one element: the kernel's gradient row against every tangent."""
    if not groups:
        return
    needs = tuple(any(i in forms for forms in groups.values()) for i in range(len(call.shapes)))
    rows = call.kernel.pullback(call, ones_of(call.out), needs)  # type: ignore[misc]
    for seed, forms in groups.items():
        total = None
        for i, form in forms.items():
            if rows[i] is not None:
                part = _contracted(form, seed, rows[i], call.shapes[i])
                total = part if total is None else total + part
        if total is None:
            continue
        if isinstance(seed, Site):
            for variable, gradient in collect(seed, total):
                _add(result, variable, gradient.reshape((-1, *call.shape)))
        else:
            _add(result, _own(seed), total.reshape((-1, *call.shape)))


def _own(seed: Seed) -> Seed:
    """The seed whose directions these are."""
    return seed.variable if isinstance(seed, Spread) else seed


def _contracted(form: Form, seed: Seed, row: Any, shape: tuple[int, ...]) -> Any:
    """`contract`, with the rows of a `Spread` added up."""
    total = contract(form, seed, row, shape)
    return total.sum(axis=0) if isinstance(seed, Spread) else total


def collect(site: Site, derivative: Any) -> list[tuple[Variable, Any]]:
    """A derivative with respect to the result of the site's kernel, `[batch, k]` or `[k]`, as that with respect to its variables.

    One adjoint of the site's own kernel; the result per variable has the variable's shape.
    """
    check_site(site)
    start, stop = site.window
    if stop - start != site.size:
        derivative = _padded(derivative, site)
    cotangent = derivative.reshape(site.call.shape)
    wanted = [i for i, _ in site.targets]
    needs = tuple(i in wanted for i in range(len(site.call.shapes)))
    gradients = site.call.kernel.pullback(site.call, cotangent, needs)  # type: ignore[misc]
    return [(variable.whole, gradients[i]) for i, variable in site.targets]


def check_site(site: Site) -> None:
    """Raise `GradientError` if what the adjoints of the site's variables read has been changed in place since the site was planted."""
    if site.time < changes.latest:
        kernel = site.call.kernel
        check_saved(site.call, site.time, frozenset[str]().union(*(kernel.keeps[i] for i, _ in site.targets)))


def _padded(derivative: Any, site: Site) -> Any:
    """A derivative of the site's window, with zeros for its other directions."""
    shape = (*derivative.shape[:-1], site.size)
    index = (*(slice(None),) * (len(shape) - 1), site.rows)
    return scatter_index(derivative, index=index, shape=shape)


def _expanded(call: Call, seed: Seed, forms: dict[int, Form]) -> dict[Seed, dict[int, Form]]:
    """Tangents of a site about to meet a kernel that mixes examples, as tangents in the directions of its variables.

    `T[j, b, ...] = sum over f of P[j, b, f] t[f, b, ...]`, where `P` is what the textbook's seeding would have at the site.
    """
    if isinstance(seed, Spread):
        return {seed.variable: {i: _unspread(form, seed, call.primals[i], call.shapes[i]) for i, form in forms.items()}}
    assert isinstance(seed, Site)
    result: dict[Seed, dict[int, Form]] = {}
    for i, form in forms.items():
        for variable, tangent in expand(seed, form, call.primals[i], call.shapes[i]):
            before = result.setdefault(variable, {}).get(i)
            result[variable][i] = tangent if before is None else before + tangent
    return result


def _unspread(form: Form, seed: Spread, primal: Any, shape: tuple[int, ...]) -> Any:
    """A tangent of a broadcast variable as a dense one of the variable."""
    return form.tangent if isinstance(form, Aside) else dense(form, seed, primal, shape)


def expand(site: Site, form: Form, primal: Any, shape: tuple[int, ...]) -> list[tuple[Variable, Any]]:
    """A site's tangent of a tensor (`primal`, of `shape`) as dense tangents `[n, *shape]` of the site's variables."""
    check_site(site)
    if isinstance(form, Aside):
        ahead = form.in_front(form.tangent)
        return [(whole, form.in_place(t)) for whole, t in expand(site, ahead, primal, tuple(ahead.shape[1:]))]
    t = dense(form, site, primal, shape)
    k, expanded = t.shape[0], []
    for i, variable in site.targets:
        whole = variable.whole
        if whole.seeding.sizes is not None:
            whole.seeding.note(whole.key, math.prod(whole.shape))
        p = _push_one(site.call, whole, {i: IDENTITY})
        n = p.shape[0]  # type: ignore[union-attr]
        if site.examples:
            batch = shape[0]
            p = p.reshape((n, batch, site.size))[:, :, site.rows]  # type: ignore[union-attr]
            mixed = permute(p, (1, 0, 2)) @ permute(t.reshape((k, batch, math.prod(shape[1:]))), (1, 0, 2))
            tangent = permute(mixed, (1, 0, 2)).reshape((n, *shape))
        else:
            p = p.reshape((n, site.size))[:, site.rows]  # type: ignore[union-attr]
            tangent = (p @ t.reshape((k, math.prod(shape)))).reshape((n, *shape))
        expanded.append((whole, tangent))
    return expanded


def by_variable(tangents: Tangents, primal: Any, *, cotangent: Any = None) -> dict[Variable, Any]:
    """The derivative of a tensor (`primal`) with respect to each variable it depends on, sites collected.

    Dense `[n_window, *shape]` per variable seed; with a `cotangent` of the tensor's shape, the derivative of `<cotangent, x>`, `[n]`.
    """
    shape = tuple(primal.shape)
    result: dict[Variable, Any] = {}

    def add(variable: Variable, value: Any) -> None:
        result[variable] = value if variable not in result else result[variable] + value

    for seed, form in tangents.items():
        if isinstance(seed, Variable) and seed.is_active():
            add(seed, dense(form, seed, primal, shape) if cotangent is None else contract(form, seed, cotangent, shape))
        elif isinstance(seed, Spread):
            value = _unspread(form, seed, primal, shape) if cotangent is None else _contracted(form, seed, cotangent, shape)
            add(seed.variable, value)
        elif isinstance(seed, Site) and cotangent is None:
            for variable, tangent in expand(seed, form, primal, shape):
                add(variable, tangent)
        elif isinstance(seed, Site):
            for variable, gradient in collect(seed, contract(form, seed, cotangent, shape)):
                add(variable, gradient.reshape(-1))
    return result


def placed(variable: Variable, block: Any, shape: tuple[int, ...]) -> Any:
    """A block `[k, *shape]` of the variable's window, as `[n, *shape]` with zeros elsewhere."""
    n = math.prod(variable.shape)
    if block.shape[0] == n:
        return block
    return scatter_index(block, index=(variable.rows,), shape=(n, *shape))
