"""Sites: where directions are planted on the result of a kernel, and how their derivative becomes that of the variables behind them.

Collecting takes the adjoint of the site's own kernel. Expanding takes its textbook tangents `P`, and turns tangents `t` of the site into
those of its variables: `T[j, b, ...] = sum over f of P[j, b, f] t[f, b, ...]`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from diffcore.aliasing import changes, check_saved
from diffcore.kernels.families import times
from diffcore.kernels.indexing import scatter_index
from diffcore.kernels.placed import Placed
from diffcore.kernels.record import Call
from diffcore.ledger import did
from diffcore.ops import permute
from dualdiff.forms import Diagonal, Form, dense, in_front, in_place
from dualdiff.recalling import is_recalling, recalled_expansion
from dualdiff.seeding import Site, Variable, Window


def features_of(shape: tuple[int, ...]) -> tuple[int, bool]:
    """Number of directions a site on a result of `shape` needs, and whether examples share them."""
    if len(shape) > 1 and shape[0] > 1:
        return math.prod(shape[1:]), True
    return math.prod(shape), False


def may_be_site(call: Call, operand: int) -> bool:
    """Elementwise kernels are sites for operands that they broadcast; products for their right factor."""
    return not call.kernel.partials or call.shapes[operand] != call.shape


def planted(call: Call, targets: list[tuple[int, Variable]]) -> tuple[bool, Site | None]:
    """Whether the result of `call` is to be seeded in place of its variables, and the site where this run carries it."""
    size, examples = features_of(call.shape)
    seeding = targets[0][1].seeding
    if math.prod(call.shape) == 1 or call.kernel.partials and size > sum([variable.elements for _, variable in targets]):
        return False, None
    if not seeding.prefers_site(size, [variable for _, variable in targets]):
        return False, None
    key = seeding.next_site()
    seeding.meet(key, size)
    window = seeding.window(key, size)
    if window is None:
        return True, None
    did("site", call.kernel.name)
    return True, Site(_kept(call, [i for i, _ in targets]), targets, None, seeding, key, window, size, examples)


def merged(call: Call, operand: int, site: Site, scale: Any) -> tuple[bool, Site | None]:
    """Whether directions that touch one element of an operand each merge in the result of `call`, and the site that then stands for them.

    `scale` is that of the diagonal. The site is missing where this run does not carry it.
    """
    shape = call.shape
    size = math.prod(shape[1:]) if site.examples else math.prod(shape)
    if operand or not 0 < size <= site.size or not call.kernel.merges(0, call.shapes, shape, call.params):
        return False, None
    if site.examples and call.kernel.axis_after(0, 0, call.shapes, shape, call.params) != 0:
        return False, None
    key, seeding = (*site.key, site.children), site.seeding
    site.children += 1
    seeding.meet(key, size)
    seeding.merged[key] = site.key
    window = seeding.window(key, size)
    if window is None:
        return True, None
    did("site", call.kernel.name)
    return True, Site(_kept(call, [0]), [], (site, scale), seeding, key, window, size, site.examples)


def _kept(call: Call, operands: list[int]) -> Call:
    """`call` with what the adjoints of these operands read (and the operands themselves), so that nothing else is kept alive."""
    kernel = call.kernel
    plan = kernel.plan(sum(1 << i for i in operands), len(call.shapes))
    primals = [None if i in plan.drop and i not in operands else x for i, x in enumerate(call.primals)]
    aux = call.aux
    if plan.keep_aux is not None:
        aux = tuple(x if keep else None for x, keep in zip(aux, plan.keep_aux, strict=True))
    return Call(kernel, primals, call.out if plan.keep_out else None, call.params, call.shapes, call.shape, aux)


def collect(derivatives: dict[Site, Any]) -> Iterator[tuple[Variable, Any]]:
    """Derivatives with respect to the results of the sites' kernels, `[batch, k]` or `[k]`, as those with respect to their variables.

    One adjoint of each site's own kernel; what it gives a variable has the variable's shape. A variable may come more than once.
    """
    cotangents: dict[Site, Any] = {}
    merged = []
    for site, derivative in derivatives.items():
        if site.count != site.size:
            derivative = _padded(derivative, site.window, site.size)
        cotangents[site] = derivative.reshape(site.call.shape)
        if site.merged is not None:
            merged.append(site)
    while merged:  # the latest first, so that each has all that comes to it
        merged.sort(key=_order)
        site = merged.pop()
        before, scale = site.merged  # type: ignore[misc]
        known = before in cotangents
        cotangents[before] = _pulled_back(site, scale, cotangents.pop(site), cotangents.get(before))
        if before.merged is not None and not known:
            merged.append(before)
    for site, cotangent in cotangents.items():
        check_site(site)
        call = site.call
        wanted = [i for i, _ in site.targets]
        gradients = call.kernel.pullback(call, cotangent, tuple([i in wanted for i in range(len(call.shapes))]))  # type: ignore[misc]
        for i, variable in site.targets:
            yield variable.whole, gradients[i]


def _order(site: Site) -> int:
    return site.order


def _pulled_back(site: Site, scale: Any, cotangent: Any, total: Any) -> Any:
    """The cotangent of a site that stands for another, as that of the other, added to its `total`, which is ours to change."""
    check_site(site)
    call, before = site.call, site.merged[0]  # type: ignore[index]
    accumulate = call.kernel.accumulate
    if total is not None and accumulate is not None and scale is None:
        return accumulate(call, cotangent, total.reshape(call.shapes[0])).reshape(before.call.shape)
    (found,) = call.kernel.pullback(call, cotangent, (True,))  # type: ignore[misc]
    found = (found if scale is None else times(found, scale)).reshape(before.call.shape)
    return found if total is None else total + found


def check_site(site: Site) -> None:
    """Raise `GradientError` if what the adjoints of the site's variables read has been changed in place since the site was planted."""
    if site.order < changes.latest:
        kernel = site.call.kernel
        operands = [0] if site.merged is not None else [i for i, _ in site.targets]
        check_saved(site.call, site.order, frozenset[str]().union(*(kernel.keeps[i] for i in operands)))


def _padded(derivative: Any, window: Window, size: int) -> Any:
    """A derivative of a window, with zeros for the other directions."""
    shape = (*derivative.shape[:-1], size)
    index = (*(slice(None),) * (len(shape) - 1), slice(*window))
    return scatter_index(derivative, index=index, shape=shape)


def expand(site: Site, form: Form, axis: int, shape: tuple[int, ...]) -> list[tuple[Variable, Any]]:
    """A site's tangent of a tensor of `shape` as dense tangents `[n, *shape]` of its variables; its examples lie along `axis`."""
    variables = _behind(site)
    if is_recalling():
        tangents = recalled_expansion(site, form, axis, shape, lambda: _expanded(site, form, axis, shape))
    else:
        tangents = _expanded(site, form, axis, shape)
    return list(zip(variables, tangents, strict=True))


def _behind(site: Site) -> list[Variable]:
    """The variables behind a site, whose directions are carried as they are from here on."""
    check_site(site)
    if site.merged is not None:
        return _behind(site.merged[0])
    variables = [variable.whole for _, variable in site.targets]
    for whole in variables:
        if whole.seeding.sizes is not None:
            whole.seeding.note(whole.key, whole.elements)
            whole.seeding.expanded.add(whole.key)
    return variables


def _expanded(site: Site, form: Form, axis: int, shape: tuple[int, ...]) -> list[Any]:
    """`expand`, the tangents alone."""
    if not isinstance(form, Diagonal):
        t = in_front(dense(form, site, None, shape), axis, 1)
        k, *ahead = t.shape
    expanded = []
    for p in _textbook(site):
        n = p.shape[0]
        if isinstance(form, Diagonal):
            p = p.reshape((n, *shape))
            tangent = p if form.scale is None else times(p, form.scale)
            if site.count != site.size:
                tangent = _windowed(tangent, site, shape)
        elif site.examples:
            p = p.reshape((n, ahead[0], site.size))[:, :, site.rows]
            mixed = permute(p, (1, 0, 2)) @ permute(t.reshape((k, ahead[0], math.prod(ahead[1:]))), (1, 0, 2))
            tangent = in_place(permute(mixed, (1, 0, 2)).reshape((n, *ahead)), axis, 1)
        else:
            p = p.reshape((n, site.size))[:, site.rows]
            tangent = (p @ t.reshape((k, math.prod(shape)))).reshape((n, *shape))
        expanded.append(tangent)
    return expanded


def _windowed(tangent: Any, site: Site, shape: tuple[int, ...]) -> Any:
    """`tangent` `[n, *shape]` with zeros at features that are not in the site's window."""
    n = tangent.shape[0]
    flat = (n, shape[0], site.size) if site.examples else (n, site.size)
    index = (*(slice(None),) * (len(flat) - 1), site.rows)
    return scatter_index(tangent.reshape(flat)[index], index=index, shape=flat).reshape((n, *shape))


def _textbook(site: Site) -> Iterator[Any]:
    """The tangents of the site's tensor in the directions of each of its variables, dense, `[n, *shape]`."""
    call = site.call
    if site.merged is not None:
        before, scale = site.merged
        for p in _textbook(before):
            p = p.reshape((p.shape[0], *call.shapes[0]))
            yield call.kernel.pushforward(call, (p if scale is None else times(p, scale),))  # type: ignore[misc]
        return
    for i, variable in site.targets:
        kernel, whole, t = call.kernel, variable.whole, None
        if kernel.diagonal is not None:
            t = kernel.diagonal(call, i, None, whole.rows, False)
            t = t.array() if type(t) is Placed else t
        if t is None:
            tangents: list[Any] = [None] * len(call.shapes)
            tangents[i] = dense(Diagonal(), whole, call.primals[i], call.shapes[i])
            t = kernel.pushforward(call, tuple(tangents))  # type: ignore[misc]
        yield t
