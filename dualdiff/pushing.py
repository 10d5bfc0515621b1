"""One operation in forward mode: compute the value, then push every tangent through the kernel.

A seed whose tangent is still a diagonal or an outer product is pushed by itself, which costs next to nothing. All others are one block
per family. Where the kernel is linear in a freshly seeded variable, the directions move to its result (a site). At a
result with one element the kernel's local Jacobian is a single row, so the row is computed once and contracts the
tangents of all directions; there the directions of sites are collected into those of their variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from diffcore import anomaly
from diffcore.arrays import is_float, is_mutable
from diffcore.kernels.families import times
from diffcore.kernels.indexing import scatter_index
from diffcore.kernels.record import Call, Kernel, Separable
from diffcore.ledger import label, state
from diffcore.modes import Mode
from diffcore.seeds import ones_of
from diffcore.watch import watch
from dualdiff.blocks import Part, diagonal_through_matrix, in_dtype, pushed, whole
from dualdiff.forms import IDENTITY, Aside, Diagonal, Form, Outer, Rows, arrays_in, contract, dense, joined, together
from dualdiff.seeding import FACTORED, OWN, Directions, Family, Seed, Site, Variable, shared
from dualdiff.sites import collect, expand, may_be_site, merged, planted

Tangents = dict[Seed, Form]
"""By seed a `Diagonal`, by family an `Outer` or `Rows`, by directions given from outside an array or `Rows`.

At a tensor with one element, by variable the `Rows` of all its directions.
"""


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
        made = push(call, carried)
        if watch.count:
            anomaly.check_tangents(kernel, _arrays(carried), _arrays([made]))
        return made or None
    finally:
        state.phase, state.kernel = outer


def _arrays(carried: Sequence[Tangents | None]) -> list[Any]:
    return [array for tangents in carried for form in (tangents or {}).values() for array in arrays_in(form)]


class _Given:
    """Stands for directions given from outside as the only member of their block."""

    count, order = 0, 0


_GIVEN = _Given()

ONE: Any = object()
"""The cotangent 1 of a tensor with one element."""

Groups = dict[Seed, dict[int, Form]]
"""Forms by seed or family, then by operand."""


def push(call: Call, carried: Sequence[Tangents | None]) -> Tangents:
    """The tangents of `call.out` from those of its operands."""
    result: Tangents = {}
    groups = _grouped(call, carried, result)
    if groups:
        kernel, shape = call.kernel, call.shape
        if math.prod(shape) == 1 and kernel.pullback is not None and _shrinks(call, groups):
            alone = {seed: forms for seed, forms in groups.items() if seed.lead == 0}
            _contract_all(call, {seed: forms for seed, forms in groups.items() if seed.lead}, result)
            for seed, forms in alone.items():
                _push_given(call, seed, forms, result)
        elif kernel.partials and all(call.shapes[i] == shape for forms in groups.values() for i in forms):
            _push_elementwise(call, groups, result)
        else:
            _push_all(call, groups, result)
    if watch.count and state.ledger is not None:
        for form in result.values():
            for array in arrays_in(form):
                label(array, "tangent")
    return result


def _shrinks(call: Call, groups: Groups) -> bool:
    return any(math.prod(call.shapes[i]) > 1 for forms in groups.values() for i in forms)


def _grouped(call: Call, carried: Sequence[Tangents | None], result: Tangents) -> Groups:
    """Tangents grouped by seed, {operand position: form}; fresh variables at a site are replaced by the site's own seed in `result`."""
    groups: Groups = {}
    targets: list[tuple[int, Variable]] = []
    kernel = call.kernel
    for i, tangents in enumerate(carried):
        if tangents is None:
            continue
        for seed, form in tangents.items():
            if form is IDENTITY and type(seed) is Variable:
                # Whether a run carries a variable's own directions is asked where they are used, so that all runs meet the same sites.
                if kernel.keeps_order:
                    result[seed] = form
                    continue
                if i in kernel.sites and may_be_site(call, i):
                    targets.append((i, seed))
                    continue
                if not seed.is_active():
                    continue
            elif type(seed) is Directions and seed.lead and type(form) is not Rows:
                form = Rows((_GIVEN,), form)
            if seed in groups:
                groups[seed][i] = form
            else:
                groups[seed] = {i: form}
    if targets:
        is_site, site = planted(call, targets)
        if site is not None:
            result[site] = IDENTITY
        elif not is_site:
            for i, variable in targets:
                if variable.is_active():
                    groups.setdefault(variable, {})[i] = IDENTITY
    return groups


# elementwise, on operands of the result's shape


def _push_elementwise(call: Call, groups: Groups, result: Tangents) -> None:
    """The partial derivatives are worked out once, and multiply what scales the tangents."""
    rules, known = call.kernel.partials, dict[int, Any]()
    joint: list[tuple[Seed, dict[int, Form]]] = []
    for seed, forms in groups.items():
        scaled: dict[int, Form] = {}
        for i, form in forms.items():
            if rules[i] is None:
                continue
            if i not in known:
                rule = rules[i]
                known[i] = rule(call) if callable(rule) else rule
            scaled[i] = _scaled(form, known[i], call)
        if not scaled:
            continue
        first, *others = scaled.values()
        if seed.lead == 0:
            result[seed] = sum(others, first)
            continue
        if not others and not (len(groups) > 1 and len(call.shapes) > 1):
            result[seed] = first
        elif _meets(seed, scaled, groups):
            joint.append((seed, scaled))
        elif type(first) is Diagonal and all(type(form) is Diagonal for form in others):
            result[seed] = _sum_of_diagonals(list(scaled.values()), call)
        elif all(_same_base(first, other) for other in others):
            result[seed] = first if not others else first.scaled(_total([form.scale for form in scaled.values()], call))
        else:
            joint.append((seed, scaled))
    if joint:
        parts = _parts_of(call, joint)
        for family, own in parts.items():
            if family in result:
                own.append(Part(None, result[family].members, result[family]))
            made = pushed(call, own)
            if made is not None:
                result[family] = made


def _same_base(first: Form, other: Form) -> bool:
    return type(first) in (Rows, Outer) and first.same_base(other)


def _meets(seed: Seed, own: dict[int, Form], groups: Groups) -> bool:
    """Whether other operands have directions of the seed in another form, a dearer one."""
    if type(seed) is Family and seed is not FACTORED:
        return False
    for other, forms in groups.items():
        if other is not seed and type(other) is Family:
            for form in forms.values():
                if seed is FACTORED:
                    if any(not set(mine.members).isdisjoint(form.members) for mine in own.values()):
                        return True
                elif seed in form.members:
                    return True
    return False


def _parts_of(call: Call, joint: list[tuple[Seed, dict[int, Form]]]) -> dict[Seed, list[Part]]:
    """Forms of the result, scaled already, as parts of the blocks of their families."""
    parts: dict[Seed, list[Part]] = {}
    diagonals: dict[tuple[Seed, int], list[tuple[Any, Any]]] = {}
    scalar = math.prod(call.shape) == 1
    for seed, forms in joint:
        for i, form in forms.items():
            if type(form) is not Diagonal:
                family = shared(0) if seed is FACTORED else OWN if type(seed) is Variable and not scalar else seed
                parts.setdefault(family, []).append(Part(None, form.members, form))
            elif seed.is_active():  # type: ignore[attr-defined]
                family = seed if scalar and type(seed) is Variable else _family_of(seed)
                diagonals.setdefault((family, i), []).append((seed, form.scale))
    for (family, i), own in diagonals.items():
        for members, array in together(own, call.primals[i], call.shape):
            parts.setdefault(family, []).append(Part(None, members, array))
    return parts


def _family_of(seed: Seed) -> Family:
    return shared(0) if seed.examples else OWN


def _scaled(form: Form, partial: Any, call: Call) -> Form:
    """A form after multiplication by a partial derivative."""
    if type(form) is Diagonal:
        scale = _product(form.scale, partial, call, whole=True)
        return form if scale is form.scale else Diagonal(scale)
    if type(form) is Rows or type(form) is Outer:
        if arrays_in(form)[0].dtype != call.out.dtype:
            form = _cast(form, call.out.dtype)
        scale = _product(form.scale, partial, call, whole=False)
        return form if scale is form.scale else form.scaled(scale)
    return in_dtype(times(form, partial), call.out)


def _cast(form: Form, dtype: Any) -> Form:
    scale = form.scale.astype(dtype) if hasattr(form.scale, "dtype") else form.scale
    if type(form) is Rows:
        return Rows(form.members, form.array.astype(dtype), scale)
    return Outer(form.members, None if form.left is None else form.left.astype(dtype), form.right.astype(dtype), scale)


def _product(scale: Any, partial: Any, call: Call, *, whole: bool) -> Any:
    """`scale * partial`, where `None` stands for ones, in the dtype of the result; with `whole` an array unless it is `None`."""
    if scale is None or not hasattr(scale, "dtype"):
        if isinstance(partial, int | float):
            made = partial if scale is None else scale * partial
            if made == 1:
                return None
            return times(ones_of(call.out), made) if whole else made
        if hasattr(partial, "dtype") and partial.dtype == call.out.dtype and tuple(partial.shape) == call.shape:
            if scale is None:
                if is_mutable(partial) and any(partial is x for x in (call.out, *call.primals)):
                    return partial.copy()  # the tensor may be changed in place, its tangent never
                return partial
            return partial * scale
        made = times(ones_of(call.out), partial)
        return in_dtype(made if scale is None else made * scale, call.out)
    return in_dtype(times(scale, partial), call.out)


def _sum_of_diagonals(forms: list[Form], call: Call) -> Diagonal:
    if len(forms) == 1:
        return forms[0]
    total = ones_of(call.out) if forms[0].scale is None else forms[0].scale
    for form in forms[1:]:
        total = total + (1 if form.scale is None else form.scale)
    return Diagonal(in_dtype(total, call.out))


def _total(scales: list[Any], call: Call) -> Any:
    """The sum of what scales the same tangents."""
    total = 1 if scales[0] is None else scales[0]
    for scale in scales[1:]:
        total = total + (1 if scale is None else scale)
    if hasattr(total, "dtype"):
        return in_dtype(total, call.out)
    return None if total == 1 else total


# every other kernel


def _push_all(call: Call, groups: Groups, result: Tangents) -> None:
    """Push diagonals and factors as such where the kernel keeps them, and everything else as blocks."""
    work = _Work()
    for seed, forms in groups.items():
        if seed.lead == 0:
            _push_given(call, seed, forms, result)
        elif seed is FACTORED:
            _push_factors(call, forms, len(groups) > 1 and _meets(seed, forms, groups), work)
        elif type(seed) is Family or type(seed) is Directions:
            _push_block(call, seed, forms, work)
        else:
            _push_seed(call, seed, forms, len(groups) > 1 and _meets(seed, forms, groups), result, work)
    for (family, i), own in work.diagonals.items():
        for members, array in together(own, call.primals[i], call.shapes[i]):
            work.add(family, Part(i, members, array))
    if work.factors:
        kept = [form for form in work.factors if form.scale is None]
        if len(work.factors) == 1:
            result[FACTORED] = work.factors[0]
        else:
            if kept:
                result[FACTORED] = joined(kept, call.shape[0])
            for form in work.factors:
                if form.scale is not None:
                    work.add(shared(0), Part(None, form.members, form))
    for family, parts in work.parts.items():
        made = pushed(call, parts)
        if made is not None:
            result[family] = made


class _Work:
    """What is to be pushed: parts of blocks by family, diagonals of one operand that will be parts, and factors of the result."""

    __slots__ = ("diagonals", "factors", "parts")

    def __init__(self) -> None:
        self.parts: dict[Seed, list[Part]] = {}
        self.diagonals: dict[tuple[Seed, int], list[tuple[Any, Any]]] = {}
        self.factors: list[Outer] = []

    def add(self, family: Seed, part: Part) -> None:
        self.parts.setdefault(family, []).append(part)


def _push_given(call: Call, seed: Seed, forms: dict[int, Form], result: Tangents) -> None:
    """Push a single direction."""
    tangents = [forms.get(i) for i in range(len(call.shapes))]
    made = call.kernel.pushforward(call, tuple(tangents))  # type: ignore[misc]
    if made is not None:
        result[seed] = in_dtype(made, call.out)


def _push_block(call: Call, seed: Seed, forms: dict[int, Form], work: _Work) -> None:
    kernel = call.kernel
    for i, form in forms.items():
        family: Seed = seed
        if seed.examples:
            axis = seed.axis  # type: ignore[attr-defined]
            after = kernel.axis_after(axis, i, call.shapes, call.shape, call.params)
            if after is None:
                _add_expanded(call, i, form.members, form, axis, work)
                continue
            family = shared(after)
        if kernel.moves and hasattr(form.scale, "shape") and len(forms) == 1:
            array, scale = (kernel.pushforward(call, (x,)) for x in (form.array, form.scale))  # type: ignore[misc]
            work.add(family, Part(None, form.members, Rows(form.members, array, scale)))
        else:
            work.add(family, Part(i, form.members, form))


def _push_factors(call: Call, forms: dict[int, Form], meets: bool, work: _Work) -> None:
    """Factors stay so where the kernel does the same to what all examples share."""
    kernel = call.kernel
    for i, form in forms.items():
        after = kernel.axis_after(0, i, call.shapes, call.shape, call.params)
        if after is None:
            _add_expanded(call, i, form.members, form, 0, work)
            continue
        if after == 0 and len(forms) == 1 and not meets:
            if kernel.keeps_order:
                work.factors.append(_in_order(call, form))
                continue
            if kernel.uniform(call.params) and (kernel.moves or form.scale is None):
                scale = kernel.pushforward(call, (form.scale,)) if hasattr(form.scale, "shape") else form.scale  # type: ignore[misc]
                work.factors.append(Outer(form.members, form.left, kernel(form.right, **call.params), scale))
                continue
            matrix = kernel.matrix(call, i) if kernel.matrix is not None and form.scale is None else None
            if matrix is not None:
                work.factors.append(Outer(form.members, form.left, form.right @ matrix))
                continue
        work.add(shared(after), Part(i, form.members, form))


def _push_seed(call: Call, seed: Any, forms: dict[int, Form], meets: bool, result: Tangents, work: _Work) -> None:
    """A seed whose tangent is a diagonal: kept so where that can be."""
    kernel, single = call.kernel, len(forms) == 1 and not meets
    for i, form in forms.items():
        shape = call.shapes[i]
        if type(form) is Rows:  # of a variable, at a tensor with one element
            work.add(OWN, Part(i, form.members, form))
            continue
        if single and kernel.keeps_order and (not seed.examples or call.shape[:1] == shape[:1]):
            result[seed] = _in_order(call, form)
            continue
        if single and type(seed) is Site:
            merges, site = merged(call, i, seed, form.scale)
            if site is not None:
                result[site] = IDENTITY
            if merges:
                continue
        if not seed.is_active():
            continue
        made = _through(call, i, form, seed)
        if type(made) is Outer and single:
            work.factors.append(made)
            continue
        family = _family_of(seed)
        if made is not None:
            work.add(family, Part(None, (seed,), made))
            continue
        if seed.examples:
            after = kernel.axis_after(0, i, call.shapes, call.shape, call.params)
            if after is None:
                _add_expanded(call, i, (seed,), form, 0, work)
                continue
            family = shared(after)
        work.diagonals.setdefault((family, i), []).append((seed, form.scale))


def _in_order(call: Call, form: Form) -> Form:
    """A diagonal or factors through a kernel that keeps the elements in order, and the examples."""
    push = call.kernel.pushforward
    scale = push(call, (form.scale,)) if hasattr(form.scale, "shape") else form.scale  # type: ignore[misc]
    if type(form) is Diagonal:
        return Diagonal(scale)
    right = form.right.reshape((form.right.shape[0], *call.shape[1:]))
    made = Outer(form.members, form.left, right, scale)
    return made if right.dtype == call.out.dtype else _cast(made, call.out.dtype)


def _through(call: Call, operand: int, form: Diagonal, seed: Any) -> Any:
    """A diagonal through a kernel that has a short cut for it: an `Outer`, or an array; else `None`."""
    kernel, shape = call.kernel, call.shapes[operand]
    if kernel.matrix is not None:
        matrix = kernel.matrix(call, operand)
        if matrix is not None:
            made = diagonal_through_matrix(matrix, form.scale, shape, seed.rows, seed.examples)
            if type(made) is not Outer:
                return in_dtype(made, call.out)
            made.members = (seed,)
            return made if made.right.dtype == call.out.dtype else _cast(made, call.out.dtype)
    if kernel.diagonal is None:
        return None
    made = kernel.diagonal(call, operand, form.scale, seed.rows, seed.examples)
    if type(made) is Separable:
        made = Outer((seed,), *made)
        if not seed.examples:
            made = made.array(shape[0])
    return made if made is None or type(made) is Outer else in_dtype(made, call.out)


def _add_expanded(call: Call, operand: int, members: tuple[Any, ...], form: Form, axis: int, work: _Work) -> None:
    """Tangents of sites about to meet a kernel that mixes examples, as tangents in the directions of their variables."""
    for variable, tangent in _expanded(members, form, axis, call.shapes[operand]).items():
        work.add(OWN, Part(operand, (variable,), tangent))


def _expanded(members: tuple[Any, ...], form: Form, axis: int, shape: tuple[int, ...]) -> dict[Variable, Any]:
    found: dict[Variable, Any] = {}
    start = 0
    for site in members:
        if site.is_active():
            part = form if type(form) is Diagonal or len(members) == 1 else form.part(start, start + site.count)
            for variable, tangent in expand(site, part, axis, shape):
                found[variable] = tangent if variable not in found else found[variable] + tangent
        start += site.count
    return found


# results with one element, and the end


def _contract_all(call: Call, groups: Groups, result: Tangents) -> None:
    """At a result with one element: the kernel's gradient row against every tangent."""
    needs = tuple([any(i in forms for forms in groups.values()) for i in range(len(call.shapes))])
    rows = call.kernel.pullback(call, ones_of(call.out), needs)  # type: ignore[misc]
    found: dict[Any, Any] = {}
    for seed, forms in groups.items():
        for i, form in forms.items():
            if rows[i] is not None:
                _contract(seed, form, rows[i], call.shapes[i], found)
    shape, dtype = (-1, *call.shape), call.out.dtype
    for own, value in _collected(found):
        value = value.reshape(shape)
        if value.dtype != dtype:
            value = value.astype(dtype)
        result[own] = Rows((_GIVEN,) if type(own) is Directions else (own,), value if own not in result else result[own].array + value)


def _contract(seed: Seed, form: Form, row: Any, shape: tuple[int, ...], found: dict[Any, Any]) -> None:
    """Add the derivative of `<row, x>` to what is `found`, by seed: `[batch, k]` for sites whose examples share directions, else `[k]`."""
    if type(seed) is Family:
        all_of_them, start = contract(form, seed, row, shape), 0
        for member in form.members:
            part = all_of_them if len(form.members) == 1 else all_of_them[..., start : start + member.count]
            found[member] = part if member not in found else found[member] + part
            start += member.count
    elif type(seed) is Directions or seed.is_active():  # type: ignore[attr-defined]
        part = contract(form, seed, row, shape)
        found[seed] = part if seed not in found else found[seed] + part


def _collected(found: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """What was found, with that of sites collected into their variables."""
    sites = {seed: derivative for seed, derivative in found.items() if type(seed) is Site}
    if len(sites) < len(found):
        yield from [(seed, derivative) for seed, derivative in found.items() if seed not in sites]
    if sites:
        yield from collect(sites)


def by_variable(tangents: Tangents, primal: Any, *, cotangent: Any = None) -> dict[Variable, Any]:
    """The derivative of a tensor (`primal`) with respect to each variable it depends on, sites collected.

    Dense `[n_window, *shape]` per variable seed; with a `cotangent` of the tensor's shape (or `ONE`), the derivative of
    `<cotangent, x>`, `[n]`.
    """
    result: dict[Variable, Any] = {}
    found: dict[Any, Any] = {}
    shape = primal.shape

    def add(variable: Variable, value: Any) -> None:
        result[variable] = value if variable not in result else result[variable] + value

    for seed, form in tangents.items():
        if type(seed) is Directions:
            continue
        if type(seed) is Variable and type(form) is Rows and cotangent is not None:  # one element, collected already
            factor = form.scale if cotangent is ONE else cotangent if form.scale is None else cotangent * form.scale
            values = form.array.reshape(-1)
            add(seed, values if factor is None else values * factor)
        elif cotangent is not None:
            _contract(seed, form, ones_of(primal) if cotangent is ONE else cotangent, shape, found)
        elif seed.examples:
            members, axis = (form.members, seed.axis) if type(seed) is Family else ((seed,), 0)
            for variable, tangent in _expanded(members, form, axis, shape).items():
                add(variable, tangent)
        else:
            for own, tangent in split(seed, form, primal):
                if type(own) is Site:
                    for variable, of_variable in expand(own, tangent, 0, shape):
                        add(variable, of_variable)
                else:
                    add(own, tangent)
    if found:
        for variable, gradient in _collected(found):
            add(variable, gradient.reshape(-1))
    return result


def split(seed: Seed, form: Form, primal: Any) -> list[tuple[Any, Any]]:
    """A form by the seeds that its directions belong to, dense ones as arrays, moved ones in an `Aside`."""
    if type(seed) is Family:
        array, start, found = whole(form, tuple(primal.shape)), 0, []
        for member in form.members:
            part = array if len(form.members) == 1 else array[start : start + member.count]
            found.append((member, Aside(part, seed.axis) if seed.axis else part))
            start += member.count
        return found
    if type(form) is Rows:
        return [(seed, form.dense())]
    if type(form) is Diagonal:
        return [(seed, dense(form, seed, primal, tuple(primal.shape)))] if seed.is_active() else []  # type: ignore[attr-defined]
    return [(seed, form)]


def placed(variable: Variable, block: Any, shape: tuple[int, ...]) -> Any:
    """A block `[k, *shape]` of the variable's window, as `[n, *shape]` with zeros elsewhere."""
    if block.shape[0] == variable.elements:
        return block
    return scatter_index(block, index=(variable.rows,), shape=(variable.elements, *shape))
