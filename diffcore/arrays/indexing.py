"""Shapes and layouts of what an index takes of an array: views by numbers and slices, copies by positions and masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays.strides import Shape, layout_of, small_copy, strides_of, weightless

_BASIC = frozenset((slice, type(None), type(Ellipsis), int))
_FIRST = np.zeros((), np.intp)


def unknown_positions(shape: Shape) -> Any:
    """Positions 0 in no memory, for positions of which the values are not known."""
    return np.broadcast_to(_FIRST, shape)


def is_basic(parts: tuple[Any, ...]) -> bool:
    """Whether an index is made up of numbers, slices and new axes."""
    return all(type(part) in _BASIC or isinstance(part, int | np.integer) for part in parts)


def sliced(x: Any, parts: tuple[Any, ...]) -> tuple[Shape, Shape | None]:
    """Shape and strides of the view of `x` by numbers, slices and new axes; the strides are `None` where the view is contiguous."""
    shape, strides = list[int](), list[int]()
    lengths, steps, axis = x.shape, strides_of(x), 0
    missing = len(lengths) - sum([part is not None and part is not Ellipsis for part in parts])
    if missing < 0 or any(isinstance(part, bool) for part in parts) or sum([part is Ellipsis for part in parts]) > 1:
        taken = layout_of(x)[parts]  # mostly an error, in numpy's words
        return taken.shape, taken.strides
    for part in parts if Ellipsis in parts else (*parts, Ellipsis):
        if type(part) is slice:
            if part.start is part.stop is part.step is None:  # as most are
                shape.append(lengths[axis])
                strides.append(steps[axis])
                axis += 1
                continue
            start, stop, step = part.indices(lengths[axis])
            count = len(range(start, stop, step))
            shape.append(count)
            strides.append(steps[axis] * step if count else steps[axis])
            axis += 1
        elif part is Ellipsis:
            shape += lengths[axis : axis + missing]
            strides += steps[axis : axis + missing]
            axis += missing
        elif part is None:
            shape.append(1)
            strides.append(0)
        else:
            if not -lengths[axis] <= part < lengths[axis]:
                raise IndexError(f"index {part} is out of bounds for axis {axis} with size {lengths[axis]}")
            axis += 1
    return tuple(shape), tuple(strides)


def gathered_shape(shape: Shape, parts: tuple[Any, ...]) -> Shape:
    """The shape of what numpy gathers from an array of `shape` by `parts`, some of which are arrays; numpy is asked where one is a mask."""
    whole = [part for part in parts if part is not None and part is not Ellipsis]
    positions = [part for part in whole if not isinstance(part, slice)]
    if not all(isinstance(part, int | np.integer | np.ndarray) and np.result_type(part).kind in "iu" for part in positions):
        return weightless(shape)[parts].shape
    if sum(part is Ellipsis for part in parts) > 1 or len(whole) > len(shape):
        return weightless(shape)[parts].shape  # which is an error, in numpy's words
    if Ellipsis not in [part if part is Ellipsis else None for part in parts]:
        parts = (*parts, Ellipsis)
    extents, kept = iter(shape), list[int]()
    places: list[tuple[int, int]] = []
    for number, part in enumerate(parts):
        if part is Ellipsis:
            kept += [next(extents) for _ in range(len(shape) - len(whole))]
        elif part is None:
            kept.append(1)
        elif isinstance(part, slice):
            kept.append(len(range(*part.indices(next(extents)))))
        else:
            _check_positions(part, next(extents), len(places))
            places.append((number, len(kept)))
    # Positions that stand side by side are replaced by their common shape where they stand, others in front.
    (first, at), (last, _) = places[0], places[-1]
    at = at if last - first == len(places) - 1 else 0
    return (*kept[:at], *np.broadcast_shapes(*map(np.shape, positions)), *kept[at:])


def _check_positions(part: Any, extent: int, number: int) -> None:
    """Raise numpy's error for positions that are not on an axis of `extent` elements."""
    if isinstance(part, np.ndarray) and part.base is _FIRST:
        part = _FIRST if part.size else part
    if np.size(part) and not (-extent <= np.min(part) and np.max(part) < extent):
        wrong = np.ravel(part)[np.ravel((np.asarray(part) < -extent) | (np.asarray(part) >= extent))][0]
        raise IndexError(f"index {wrong} is out of bounds for axis {number} with size {extent}")


def gathered_order(x: Any, index: Any, shape: Shape) -> tuple[list[int], bool]:
    """The axes of what numpy gathers of `x`, as they follow each other in memory, and whether numpy hands that out with axes swapped.

    numpy fills memory in the order of the positions, whichever axes of the result they become.
    """
    parts: list[Any] = []
    for part in index:
        if isinstance(part, np.ndarray) and part.dtype == np.bool_ and part.ndim:
            parts += [np.zeros(min(int(part.sum()), 2), np.intp)] * part.ndim
        elif part is None or part is Ellipsis:
            parts.append(part)
        elif isinstance(part, slice):
            parts.append(slice(None))
        else:
            parts.append(np.zeros(small_copy(part).shape, np.intp) if np.ndim(part) else 0)
    small = small_copy(x)[tuple(parts)]
    return sorted(range(len(shape)), key=lambda i: (-small.strides[i], i)), small.base is not None
