"""Kernels that are not elementwise: each keeps the forms of tangents that it can, and pushes all others as blocks."""

from __future__ import annotations

from typing import Any

from diffcore.kernels.broadcast import fill
from diffcore.kernels.placed import Placed
from diffcore.kernels.record import Call, Separable
from diffcore.structured import mixes_elements
from dualdiff.blocks import Part, diagonal_through_matrix, in_dtype, pushed
from dualdiff.collecting import expanded
from dualdiff.forms import IDENTITY, Diagonal, Form, Groups, Outer, Rows, Tangents, cast, joined, together
from dualdiff.recalling import is_recalling, recalled_diagonal
from dualdiff.scaling import meets, note_absent, push_given, scaled_form, sum_of_diagonals
from dualdiff.seeding import APART, FACTORED, OWN, Directions, Elements, Family, Features, Seed, Site, Spread, Variable, family_of, shared
from dualdiff.sites import merged


def push_all(call: Call, groups: Groups, result: Tangents) -> None:
    """Push diagonals and factors as such where the kernel keeps them, and everything else as blocks."""
    work = _Work()
    for seed, forms in groups.items():
        if seed.lead == 0:
            push_given(call, seed, forms, result)
        elif seed is FACTORED:
            _push_factors(call, forms, len(groups) > 1 and meets(seed, forms, groups), work)
        elif type(seed) is Family or type(seed) is Directions:
            _push_block(call, seed, forms, work)
        else:
            _push_seed(call, seed, forms, len(groups) > 1 and meets(seed, forms, groups), result, work)
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


def _push_block(call: Call, seed: Seed, forms: dict[int, Form], work: _Work) -> None:
    kernel = call.kernel
    for i, form in forms.items():
        family: Seed = seed
        if seed.examples and seed is not APART:
            axis = seed.axis  # type: ignore[attr-defined]
            after = kernel.axis_after(axis, i, call.shapes, call.shape, call.params)
            if after is None:
                _add_expanded(call, i, form.members, form, axis, work)
                continue
            family = shared(after)
        if kernel.moves and getattr(form.scale, "shape", None) in ((), call.shapes[i]) and len(forms) == 1:
            array = kernel.pushforward(call, (form.array,))  # type: ignore[misc]
            scale = kernel.pushforward(call, (form.scale,)) if form.scale.shape == call.shapes[i] else form.scale  # type: ignore[misc]
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
                scale = kernel.pushforward(call, (form.scale,)) if getattr(form.scale, "shape", ()) else form.scale  # type: ignore[misc]
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
    if type(seed) is Variable and not meets and _is_spread(call, forms):
        _spread(call, seed, forms, result)
        return
    for i, form in forms.items():
        shape = call.shapes[i]
        if type(form) is Rows:  # of a variable, at a tensor with one element
            work.add(OWN, Part(i, form.members, form))
            continue
        if single and kernel.keeps_order and (not seed.examples or call.shape[:1] == shape[:1]):
            result[seed] = _in_order(call, form)
            continue
        if isinstance(seed, Elements):
            raise mixes_elements(kernel)
        if single and type(seed) is Site:
            merges, site = merged(call, i, seed, form.scale)
            if site is not None:
                result[site] = IDENTITY
            if merges:
                continue
        if not seed.is_active():
            note_absent(seed, result)
            continue
        made = _through(call, i, form, seed)
        family = family_of(seed)
        if type(made) is Outer:
            if single and not isinstance(seed, Features):
                work.factors.append(made)
                continue
            made = made.array(shape[0])
        if made is not None:
            work.add(family, Part(None, (seed,), made))
            continue
        if family.examples and family is not APART:
            after = kernel.axis_after(0, i, call.shapes, call.shape, call.params)
            if after is None:
                _add_expanded(call, i, (seed,), form, 0, work)
                continue
            family = shared(after)
        work.diagonals.setdefault((family, i), []).append((seed, form.scale))


def _in_order(call: Call, form: Form) -> Form:
    """A diagonal or factors through a kernel that keeps the elements in order, and the examples."""
    push = call.kernel.pushforward
    scale = push(call, (form.scale,)) if getattr(form.scale, "shape", ()) else form.scale  # type: ignore[misc]
    if type(form) is Diagonal:
        return Diagonal(scale)
    right = form.right.reshape((form.right.shape[0], *call.shape[1:]))
    made = Outer(form.members, form.left, right, scale)
    return made if right.dtype == call.out.dtype else cast(made, call.out.dtype)


def _through(call: Call, operand: int, form: Diagonal, seed: Any) -> Any:
    """A diagonal through a kernel that has a short cut for it: an `Outer`, or an array; else `None`."""
    if call.kernel.matrix is None and call.kernel.diagonal is None:
        return None
    if is_recalling():
        return recalled_diagonal(call, operand, form, seed, lambda: _shortened(call, operand, form, seed))
    return _shortened(call, operand, form, seed)


def _shortened(call: Call, operand: int, form: Diagonal, seed: Any) -> Any:
    """`_through`, done."""
    kernel, shape = call.kernel, call.shapes[operand]
    if kernel.matrix is not None:
        matrix = kernel.matrix(call, operand)
        if matrix is not None:
            made = diagonal_through_matrix(matrix, form.scale, shape, seed.rows, seed.examples)
            if type(made) is not Outer:
                return in_dtype(made, call.out)
            made.members = (seed,)
            return made if made.right.dtype == call.out.dtype else cast(made, call.out.dtype)
    if kernel.diagonal is None:
        return None
    made = kernel.diagonal(call, operand, form.scale, seed.rows, seed.examples)
    if type(made) is Separable:
        made = Outer((seed,), *made)
        if not seed.examples:
            made = made.array(shape[0])
    if type(made) is Placed:
        return made._replace(values=in_dtype(made.values, call.out))
    return made if made is None or type(made) is Outer else in_dtype(made, call.out)


def _add_expanded(call: Call, operand: int, members: tuple[Any, ...], form: Form, axis: int, work: _Work) -> None:
    """Tangents of sites about to meet a kernel that mixes examples, as tangents in the directions of their variables."""
    for variable, tangent in expanded(members, form, axis, call.primals[operand], call.shapes[operand]).items():
        work.add(OWN, Part(operand, (variable,), tangent))


def _is_spread(call: Call, forms: dict[int, Form]) -> bool:
    """Whether diagonals meet an elementwise kernel that broadcasts them to as many rows as its result has."""
    if not call.kernel.partials or len(call.shape) < 2 or call.shape[0] == 1:
        return False
    return all(type(form) is Diagonal and call.shapes[i] == call.shape[1:] for i, form in forms.items())


def _spread(call: Call, seed: Variable, forms: dict[int, Form], result: Tangents) -> None:
    """The diagonal of a variable whose elements are broadcast to rows is one of each row."""
    if not seed.is_active():
        return
    found = []
    for i, form in forms.items():
        rule = call.kernel.partials[i]
        if rule is not None:
            scaled = scaled_form(form, rule(call) if callable(rule) else rule, call)
            found.append(scaled if scaled.scale is None else Diagonal(fill(scaled.scale, call.shape, 0)))
    if found:
        own = Spread(seed)
        result[own] = sum_of_diagonals(found if own not in result else [result[own], *found], call)
