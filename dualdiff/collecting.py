"""Where tangents end: contracted at results with one element, collected from sites, and given out by variable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from diffcore.aliasing import buffer_of
from diffcore.arrays import is_mutable
from diffcore.kernels.indexing import scatter_index
from diffcore.kernels.record import Call
from diffcore.ledger import state
from diffcore.seeds import ones_of
from dualdiff.blocks import whole
from dualdiff.forms import GIVEN, Aside, Diagonal, Form, Groups, Rows, Tangents, contract, dense
from dualdiff.seeding import ABSENT, Directions, Family, Seed, Site, Spread, Variable
from dualdiff.sites import collect, expand

ONE: Any = object()
"""The cotangent 1 of a tensor with one element."""


def contract_all(call: Call, groups: Groups, result: Tangents) -> None:
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
        result[own] = Rows((GIVEN,) if type(own) is Directions else (own,), value if own not in result else result[own].array + value)


def _contract(seed: Seed, form: Form, row: Any, shape: tuple[int, ...], found: dict[Any, Any]) -> None:
    """Add the derivative of `<row, x>` to what is `found`, by seed: `[batch, k]` for sites whose examples share directions, else `[k]`."""
    if type(seed) is Family:
        all_of_them, start = contract(form, seed, row, shape), 0
        for member in form.members:
            part = all_of_them if len(form.members) == 1 else all_of_them[..., start : start + member.count]
            _add(found, member, part)
            start += member.count
    elif type(seed) is Directions or seed.is_active():  # type: ignore[attr-defined]
        _add(found, seed, contract(form, seed, row, shape))


def _add(found: dict[Any, Any], seed: Any, part: Any) -> None:
    if type(seed) is Spread:
        seed, part = seed.variable, part.sum(axis=0)
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
    if state.ledger is None:
        return _by_variable(tangents, primal, cotangent)
    with state.ledger.phase("tangent"):
        return _by_variable(tangents, primal, cotangent)


def _by_variable(tangents: Tangents, primal: Any, cotangent: Any) -> dict[Variable, Any]:
    result: dict[Variable, Any] = {}
    found: dict[Any, Any] = {}
    shape = primal.shape

    def add(variable: Variable, value: Any) -> None:
        result[variable] = value if variable not in result else result[variable] + value

    for seed, form in tangents.items():
        if type(seed) is Directions or seed is ABSENT:
            continue
        if type(seed) is Variable and type(form) is Rows and cotangent is not None:  # one element, collected already
            factor = form.scale if cotangent is ONE else cotangent if form.scale is None else cotangent * form.scale
            values = form.array.reshape(-1)
            add(seed, values if factor is None else values * factor)
        elif cotangent is not None:
            _contract(seed, form, ones_of(primal) if cotangent is ONE else cotangent, shape, found)
        else:
            members, axis = (form.members, seed.axis) if type(seed) is Family else ((seed,), 0)
            for variable, tangent in expanded(members, form, axis, primal, shape).items():
                add(variable, tangent)
    if found:
        for variable, gradient in _collected(found):
            add(variable, gradient.reshape(-1))
    return result


def expanded(members: tuple[Any, ...], form: Form, axis: int, primal: Any, shape: tuple[int, ...]) -> dict[Variable, Any]:
    """Tangents of a tensor (`primal`, of `shape`) in the directions of `members` as dense ones of the variables behind them."""
    found: dict[Variable, Any] = {}
    start = 0
    for seed in members:
        if seed.is_active():
            alone = len(members) == 1
            part = form if alone or type(form) is Diagonal else form.part(start, start + seed.count)
            if type(seed) is Site:
                own = expand(seed, part, axis, shape)
            else:
                own = [(seed.variable if type(seed) is Spread else seed, dense(part, seed, primal, shape))]
            for variable, tangent in own:
                found[variable] = tangent if variable not in found else found[variable] + tangent
        start += seed.count
    return found


def split(seed: Seed, form: Form, primal: Any) -> list[tuple[Any, Any]]:
    """A form by the seeds that its directions belong to, dense ones as arrays, moved ones in an `Aside`."""
    if seed is ABSENT:
        return []
    if type(seed) is Family:
        array, start, found = whole(form, tuple(primal.shape)), 0, []
        for member in form.members:
            part = array if len(form.members) == 1 else array[start : start + member.count]
            found.append((member, Aside(part, seed.axis) if seed.axis else part))
            start += member.count
        return found
    return [(seed, form.dense() if type(form) is Rows else form)]


def placed(variable: Variable, block: Any, shape: tuple[int, ...]) -> Any:
    """A block `[k, *shape]` of the variable's window, as `[n, *shape]` with zeros elsewhere."""
    if block.shape[0] == variable.elements:
        return block
    return scatter_index(block, index=(variable.rows,), shape=(variable.elements, *shape))


def added(total: Any, variable: Variable, part: Any, shape: tuple[int, ...], taken: set[int]) -> Any:
    """`total` `[n, *shape]` with what one run found of the derivative by a variable, all of it or that of its window; in place where that
    can be. It is in memory of its own, which none of those `taken` have.
    """
    if total is None and part.shape[0] == variable.elements:
        return owned(part, taken)
    if not is_mutable(part) or total is not None and not is_mutable(total):
        part = placed(variable, part, shape)
        return part if total is None else total + part
    if total is None:
        total = np.zeros_like(part, shape=(variable.elements, *shape), order="C")
    place = total if part.shape[0] == variable.elements else total[variable.rows]
    place += part
    return total


def owned(gradient: Any, taken: set[int]) -> Any:
    """`gradient` in memory that is neither that of another one (of those `taken`) nor part of something larger."""
    if not is_mutable(gradient):
        return gradient
    buffer = buffer_of(gradient)
    whole = buffer.nbytes == gradient.nbytes and (not isinstance(gradient, np.ndarray) or gradient.flags.writeable)
    is_part = gradient.base is not None and not whole
    if is_part or id(buffer) in taken:
        gradient = gradient.copy()
        buffer = buffer_of(gradient)
    taken.add(id(buffer))
    return gradient
