"""Dense tangents: the directions of many seeds as one block, so that one product or one pass of arithmetic serves all of them.

The result's block is made at its full size; what each operand's directions give is computed into the rows reserved for it. Where a
tangent is kept as factors (`Outer`, or a pending scale), the factors are multiplied a tile of directions at a time, small enough to
stay in the processor's cache, and the tile goes into the kernel at once. That is done on numpy, and on abstract arrays, which stand for
it; a compiler does it by itself, and tensors of an outer transform are recorded whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.families import times
from diffcore.kernels.placed import Placed
from diffcore.kernels.record import Call
from diffcore.ledger import spans
from diffcore.seeds import concatenate, divided_of, one_hot_of, zeros_of
from dualdiff.forms import Form, Outer, Rows, arrays_in
from dualdiff.recalling import is_recalling, recalled_block
from dualdiff.seeding import Seed

TILE = 1 << 19
"""Bytes of a tile, about half of a second-level cache."""
LEAST = 8
"""Directions that a tile has at least, so that what a rule computes besides is done for several at once."""

# Blocks come and go by the megabyte at every operation. The C library's allocator gives such memory back to the system at once, and the
# system hands out zeroed pages for the next block, which takes longer than the arithmetic on it. From the first large buffer that is
# freed (this one is never touched) glibc learns to keep blocks up to this size; other allocators do not mind.
del (_large := [np.empty((1 << 25) - (1 << 16), np.uint8)])[:]


class Part:
    """What one operand (`None`: the result itself) has in the directions of `members`."""

    __slots__ = ("form", "members", "operand")

    def __init__(self, operand: int | None, members: tuple[Any, ...], form: Form) -> None:
        self.operand = operand
        self.members = members
        self.form = form


def pushed(call: Call, parts: list[Part]) -> Rows | None:
    """The block of the result from those of the operands; `None` where it is zero."""
    first = parts[0]
    if len(parts) == 1:
        if first.operand is None:
            return first.form if type(first.form) is Rows else Rows(first.members, whole(first.form, call.shape))
        array = _pushed(call, {first.operand: first.form}, _length(first.form), None)
        return None if array is None else Rows(first.members, array)
    if all(part.members == first.members for part in parts):
        array = _segment(call, parts, _Segment(0, _length(first.form), dict.fromkeys(range(len(parts)), 0)), None)
        return None if array is None else Rows(first.members, array)
    members = _united([part.members for part in parts])
    segments = _segments(parts, members)
    count = segments[-1].stop
    if all(_is_ours(call, {0: part.form}) for part in parts):
        out = _empty(call, count)
        for segment in segments:
            _segment(call, parts, segment, out[segment.start : segment.stop])
        return Rows(members, out)
    if len(segments) > len(parts) or len(segments) > 4:  # fewer, larger operations for a compiler
        padded = [Part(part.operand, members, _padded(call, part, segments, i)) for i, part in enumerate(parts)]
        array = _segment(call, padded, _Segment(0, count, dict.fromkeys(range(len(parts)), 0)), None)
        return None if array is None else Rows(members, array)
    found = [_segment(call, parts, segment, None) for segment in segments]
    like = next((array for array in found if array is not None), None)
    if like is None:
        return None
    shapes = [(segment.stop - segment.start, *call.shape) for segment in segments]
    return Rows(members, concatenate([zeros_of(like, s) if a is None else a for a, s in zip(found, shapes, strict=True)]))


def _padded(call: Call, part: Part, segments: list[_Segment], number: int) -> Any:
    """A part with zeros for the rows of all segments that it has nothing for."""
    shape = call.shape if part.operand is None else call.shapes[part.operand]
    array = whole(part.form, shape)
    pieces: list[tuple[Any, int, int]] = []
    for segment in segments:
        n, row = segment.stop - segment.start, segment.rows.get(number)
        if pieces and (pieces[-1][0] is None) == (row is None) and (row is None or row == pieces[-1][2]):
            pieces[-1] = pieces[-1][0], pieces[-1][1], pieces[-1][2] + n
        else:
            pieces.append((None, 0, n) if row is None else (row, row, row + n))
    blocks = [zeros_of(array, (stop, *shape)) if row is None else array[start:stop] for row, start, stop in pieces]
    return blocks[0] if len(blocks) == 1 else concatenate(blocks)


def _length(form: Form) -> int:
    """How many directions a form has."""
    return int((form.right if type(form) is Outer else form.array if type(form) is Rows else form).shape[0])


class _Segment:
    """Rows `start` to `stop` of the result, to which the same parts contribute: per part the row that its own begin at."""

    __slots__ = ("rows", "start", "stop")

    def __init__(self, start: int, stop: int, rows: dict[int, int]) -> None:
        self.start, self.stop, self.rows = start, stop, rows


def _united(lists: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """All members, in the order in which they were seeded."""
    longest = max(lists, key=len)
    known = set(longest)
    more = {seed for members in lists for seed in members if seed not in known}
    return tuple(sorted([*longest, *more], key=lambda seed: seed.order)) if more else longest


def _segments(parts: list[Part], members: tuple[Any, ...]) -> list[_Segment]:
    """The members' rows, cut where a part begins or ends."""
    places: dict[Seed, dict[int, int]] = {}
    for i, part in enumerate(parts):
        start = 0
        for seed in part.members:
            places.setdefault(seed, {})[i] = start
            start += seed.count
    segments: list[_Segment] = []
    start = 0
    for seed in members:
        rows = places[seed]
        stop = start + seed.count
        last = segments[-1] if segments else None
        if last is not None and last.rows.keys() == rows.keys() and all(rows[i] - last.rows[i] == start - last.start for i in rows):
            last.stop = stop
        else:
            segments.append(_Segment(start, stop, rows))
        start = stop
    return segments


def _segment(call: Call, parts: list[Part], segment: _Segment, out: Any) -> Any:
    """One segment's tangents, into `out` where that is given."""
    n = segment.stop - segment.start
    forms: dict[int, Form] = {}
    ready = []
    for i, row in segment.rows.items():
        part = parts[i]
        form = part.form[row : row + n] if _is_array(part.form) else part.form.part(row, row + n)
        if part.operand is None:
            ready.append(form)
        elif part.operand in forms:  # sites of one variable, expanded apart
            shape = call.shapes[part.operand]
            forms[part.operand] = whole(forms[part.operand], shape) + whole(form, shape)
        else:
            forms[part.operand] = form
    made = _pushed(call, forms, n, out) if forms else None
    for form in ready:
        if made is None and out is not None and type(form) is Placed:
            form.into(out)
            made = out
            continue
        dense = in_dtype(whole(form, call.shape), call.out)
        if out is None:
            made = dense if made is None else made + dense
        elif made is None:
            made = out
            out[...] = dense
        else:
            out += dense
    if made is None and out is not None:
        out[...] = 0
    return made if out is None else out


def _is_array(form: Form) -> bool:
    return type(form) not in (Rows, Outer, Placed)


def whole(form: Form, shape: tuple[int, ...]) -> Any:
    """A form of a tensor of `shape` as one array `[k, *shape]`."""
    if type(form) is Placed:
        return form.array()
    return form.dense() if type(form) is Rows else form.array(shape[0]) if type(form) is Outer else form


def in_dtype(tangent: Any, out: Any) -> Any:
    """A tangent in the dtype of the result; a rule may have met operands of another."""
    return tangent if tangent.dtype == out.dtype else tangent.astype(out.dtype)


def _empty(call: Call, count: int) -> Any:
    """Room for so many directions of the result."""
    return np.empty_like(call.out, shape=(count, *call.shape), order="C")


def _pushed(call: Call, forms: dict[int, Form], n: int, out: Any) -> Any:
    """`n` directions pushed through the kernel, into `out` where that is given (then all arrays are numpy's, or abstract)."""
    if is_recalling():
        return recalled_block(call, forms, n, out, lambda: _carried(call, forms, n, out))
    return _carried(call, forms, n, out)


def _carried(call: Call, forms: dict[int, Form], n: int, out: Any) -> Any:
    """`_pushed`, done."""
    if len(forms) == 1:
        ((i, form),) = forms.items()
        matrix = None if call.kernel.matrix is None else call.kernel.matrix(call, i)
        if matrix is not None:
            return _through_matrix(call, form, i, matrix, n, out)
        if type(form) is Outer and call.out.dtype == form.right.dtype and _is_ours(call, forms):
            return _from_factors(call, i, form, n, out)
    pending = [form for form in forms.values() if type(form) is Outer or type(form) is Rows and form.scale is not None]
    if out is None and not (pending and _is_ours(call, forms)):
        made = call.kernel.pushforward(call, _operands(call, forms, 0, n))  # type: ignore[misc]
        return None if made is None else in_dtype(made, call.out)
    sizes = [call.out.dtype.itemsize * math.prod(call.shapes[i]) for i in forms]
    # What is one tile whatever the size of the result needs no cutting, which would copy the result.
    step = max(n, 1) if n * max(sizes) <= TILE else _step(max(call.out.dtype.itemsize * math.prod(call.shape), *sizes))
    for start, stop in spans(n, step, call.out):
        made = call.kernel.pushforward(call, _operands(call, forms, start, stop))  # type: ignore[misc]
        if stop - start == n and out is None:
            return None if made is None else in_dtype(made, call.out)
        if out is None:
            out = _empty(call, n)
        out[start:stop] = 0 if made is None else made
    return out


def _from_factors(call: Call, operand: int, form: Outer, n: int, out: Any) -> Any:
    """`_pushed` for factors: what is the same in all directions of an example is multiplied last, where it is the result's size."""
    shape, kernel = call.shapes[operand], call.kernel
    last = form.left is not None and kernel.axis_after(0, operand, call.shapes, call.shape, call.params) == 0
    terms = kernel.terms(call) if kernel.terms is not None and last and hasattr(form.scale, "shape") else None
    out = _empty(call, n) if out is None else out
    pairs = [] if terms is None else [(form.right[index].copy(), form.scale[index].copy()) for index in terms]
    shape = call.shape if pairs else shape
    step = max(min(_step(call.out.dtype.itemsize * math.prod(shape)), n), 1)
    tile = np.empty_like(call.out, shape=(step if len(pairs) != 1 else 0, *shape), order="C")
    for start, stop in spans(n, step, call.out):
        target = out[start:stop]
        for number, (right, scale) in enumerate(pairs):
            work = tile[: stop - start] if number else target
            work[...] = right[start:stop].reshape(stop - start, 1, *shape[1:])
            work *= scale
            if number:
                target += work
        if not pairs:
            work = tile[: stop - start]
            _multiplied(form.part(start, stop), work, left=not last)
            tangents: list[Any] = [None] * len(call.shapes)
            tangents[operand] = work
            made = kernel.pushforward(call, tuple(tangents))  # type: ignore[misc]
            target[...] = 0 if made is None else made
        if last:
            target *= form.left[:, start:stop].T.reshape(stop - start, shape[0], *(1,) * (len(call.shape) - 1))
    return out


def _multiplied(part: Outer, work: Any, *, left: bool) -> None:
    """The product of factors into `work` `[k, batch, ...]`, with or without that on the `left`."""
    k, batch, *features = work.shape
    work[...] = part.right.reshape(k, 1, *features)
    if part.scale is not None:
        work *= part.scale
    if left and part.left is not None:
        work *= part.left.T.reshape(k, batch, *(1,) * len(features))


def _operands(call: Call, forms: dict[int, Form], start: int, stop: int) -> tuple[Any, ...]:
    """Directions `start` to `stop` of every operand, dense."""
    tangents: list[Any] = [None] * len(call.shapes)
    for i, form in forms.items():
        if _is_array(form):
            tangents[i] = form[start:stop]
        else:
            tangents[i] = whole(form.part(start, stop), call.shapes[i])
    return tuple(tangents)


def _is_ours(call: Call, forms: dict[int, Form]) -> bool:
    """Whether everything is numpy's, or abstract, and no tensor of an outer transform is among it."""
    return is_mutable(call.out) and all(is_mutable(x) for form in forms.values() for x in arrays_in(form))


def _step(nbytes: int) -> int:
    """How many directions of `nbytes` each make a tile."""
    return max(TILE // max(nbytes, 1), LEAST)


def _through_matrix(call: Call, form: Form, operand: int, matrix: Any, n: int, out: Any) -> Any:
    """Directions of `x` in `x @ matrix`: they and all axes of `x` but the last fold into the rows of one product."""
    shape, (inner, columns) = call.shapes[operand], matrix.shape
    mutable = is_mutable(matrix) and _is_ours(call, {operand: form})
    mixed = call.out.dtype != matrix.dtype or any(x.dtype != matrix.dtype for x in arrays_in(form))
    if not mutable or mixed:
        made = in_dtype(_by_whole(call, form, shape, matrix, n), call.out)
        if out is None:
            return made
        out[...] = made
        return out
    if out is None:
        out = _empty(call, n)
    if type(form) is Outer and _by_examples(form, shape, columns):
        np.matmul(form.right, _of_examples(form.scale, matrix, mutable).mT, out=out.reshape(n, shape[0] * columns))
        if form.left is not None:
            out *= form.left.T.reshape(n, shape[0], 1)
        return out
    flat = out.reshape(n * math.prod(shape[:-1]), columns)
    if type(form) is not Outer and (_is_array(form) or form.scale is None):
        array = form if _is_array(form) else form.array
        np.matmul(array.reshape(len(flat), inner), matrix, out=flat)
        return out
    rows = math.prod(shape[:-1])
    step = max(min(_step(call.out.dtype.itemsize * math.prod(shape)), n), 1)
    tile = np.empty_like(call.out, shape=(step, *shape), order="C")
    for start, stop in spans(n, step, call.out):
        work = tile[: stop - start]
        part = form.part(start, stop)
        if type(part) is Outer:
            _multiplied(part, work, left=columns > inner)
        else:
            np.multiply(part.array, part.scale, out=work)
        np.matmul(work.reshape((stop - start) * rows, inner), matrix, out=flat[start * rows : stop * rows])
        if type(part) is Outer and part.left is not None and columns <= inner:
            target = out[start:stop]
            target *= part.left.T.reshape(stop - start, shape[0], *(1,) * (len(shape) - 1))
    return out


def _by_whole(call: Call, form: Form, shape: tuple[int, ...], matrix: Any, n: int) -> Any:
    if type(form) is Outer and _by_examples(form, shape, matrix.shape[1]):
        made = (form.right @ _of_examples(form.scale, matrix, False).mT).reshape((n, *call.shape))
        return made if form.left is None else made * form.left.mT.reshape((n, shape[0], 1))
    tangents = whole(form, shape)
    return (tangents.reshape((n * math.prod(shape[:-1]), shape[-1])) @ matrix).reshape((n, *call.shape))


def _by_examples(form: Outer, shape: tuple[int, ...], columns: int) -> bool:
    """Whether it takes less arithmetic to scale the matrix for every example than to scale every direction of every example.

    `sum over o of left[b, j] right[j, o] scale[b, o] matrix[o, p]`: the product is the same size either way.
    """
    k, inner = form.right.shape[0], shape[-1]
    return len(shape) == 2 and form.scale is not None and hasattr(form.scale, "shape") and columns * (inner + k) <= 2 * k * inner


def _of_examples(scale: Any, matrix: Any, mutable: bool) -> Any:
    """The transposed matrix of every example, `scale[b, o] * matrix[o, p]`, one below the other: `[b * p, o]`."""
    batch, inner = scale.shape
    columns = matrix.shape[1]
    if not mutable:
        return (scale.reshape((batch, 1, inner)) * matrix.mT).reshape((batch * columns, inner))
    # A copy of one factor, then one pass over whole matrices: many short loops would take twice the time.
    made = np.empty_like(scale, shape=(batch, columns, inner), order="C")
    made[...] = scale.reshape(batch, 1, inner)
    made *= matrix.mT
    return made.reshape(batch * columns, inner)


def diagonal_through_matrix(matrix: Any, scale: Any, shape: tuple[int, ...], rows: slice, examples: bool) -> Form:
    """A diagonal tangent of `x` (of `shape`) in `x @ matrix`: rows of the matrix, each at its place. `Outer` where examples share it."""
    inner = shape[-1]
    middle = shape[1:-1] if examples else shape[:-1]
    places = math.prod(middle)
    if places == 1:
        right = matrix[rows]
        right = right.copy() if is_mutable(right) else right  # the weight may be changed in place, the tangent never
        right = right.reshape((right.shape[0], *middle, matrix.shape[1]))
    else:
        place, column = divided_of(matrix, rows, places * inner, inner)
        k = len(place)
        at = one_hot_of(matrix, place, places).reshape((k, places, 1))
        right = (at * matrix[column].reshape((k, 1, matrix.shape[1]))).reshape((k, *middle, matrix.shape[1]))
    if examples:
        return Outer((), None if scale is None else scale.reshape((shape[0], places * inner))[:, rows], right)
    if scale is None:
        return right
    return times(right, scale.reshape(-1)[rows].reshape((-1, *(1,) * (len(shape)))))
