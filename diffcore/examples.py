"""Whose each element is: which example of a batch the elements of a tensor depend on, followed from operation to operation.

A tensor whose elements each depend on one example at most has `Owners`: an array of whole numbers with as many axes as the tensor, which
broadcasts to its shape. It says whose an element is, or `NOBODY` for one that depends on none. `[B, T, D]` reshaped to `[B * T, D]` has
owners `[B * T, 1]`: 0 for the first `T` rows, 1 for the next `T`. What a kernel makes of owners follows from what it declares:

- elementwise: they broadcast as the operands do;
- a kernel that keeps the elements in order: they are reshaped;
- a kernel that carries apart all axes along which they differ (a row of `linear` depends on the same row of its input alone): they stay
  with these axes, whatever the kernel does along the others, where all elements are the same example's;
- a kernel in which positions along an axis meet within groups (channels of a convolution with `groups`): those of a group, if it is one
  example's, are that of what it comes to;
- a kernel that arranges elements by its parameters alone (`getitem`, `concatenate`, `flip`): it arranges the owners as well.

Where no rule applies, or operands of different examples meet, examples mix, or may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_traced
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import Boxed
from diffcore.kernels.record import Kernel, Shape
from diffcore.structured import check_rows, examples_moved, examples_out_of_order, mixes_examples

Owners = np.ndarray[Any, np.dtype[np.intp]]
NOBODY = -1


def own_rows(shape: Shape) -> Owners:
    """The owners of a tensor of `shape` whose row `b` is example `b`'s."""
    return np.arange(shape[0]).reshape((shape[0], *(1,) * (len(shape) - 1)))


def owners_after(kernel: Kernel, owners: Mapping[int, Owners], shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> Owners:
    """The owners of a result of `shape` from those of the operands that have any. Raises `GradientError` where examples mix, or may."""
    total = np.full((1,) * len(shape), NOBODY)
    for i, own in owners.items():
        if kernel.partials and kernel.partials[i] is None:
            continue
        part = _through(kernel, i, own, shapes, shape, params)
        both = None if part is None or kernel.arranges and len(shapes) > len(owners) and own.size == 1 else _met(total, part)
        if both is None:
            if kernel.arranges and not is_unknown(params):
                return _shrunk(_arranged(kernel, owners, shapes, params))
            raise mixes_examples(kernel)
        total = both
    return total


def met(kernel: Kernel, owners: Owners, others: Owners) -> Owners:
    """The owners of elements that depend on those of two. Raises `GradientError` where these are different examples."""
    both = _met(owners, others)
    if both is None:
        raise mixes_examples(kernel)
    return both


def check_owners(owners: Owners, shape: Shape, batch: int) -> None:
    """Raise unless row `b` of a result of `shape` is example `b`'s: `GradientError` for examples elsewhere, `ShapeError` for other rows."""
    spread = [axis for axis, n in enumerate(owners.shape) if n > 1]
    if len(spread) == 1 and spread[0] and owners.size == batch and (owners.reshape(-1) == np.arange(batch)).all():
        raise examples_moved(spread[0])
    check_rows(shape, batch)
    wrong = np.argwhere((owners != own_rows(shape)) & (owners != NOBODY))
    if len(wrong):
        row, *rest = map(int, wrong[0])
        raise examples_out_of_order(row, int(np.broadcast_to(owners, (batch, *owners.shape[1:]))[(row, *rest)]))


def is_unknown(value: Any) -> bool:
    """Whether parameters hold an array without values."""
    if isinstance(value, dict):
        return any(map(is_unknown, value.values()))
    if isinstance(value, tuple | list):
        return any(map(is_unknown, value))
    return isinstance(value, Boxed | AbstractArray) or is_traced(value)


def _through(kernel: Kernel, operand: int, own: Owners, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> Owners | None:
    """The owners of the result as far as they come through one operand; `None` where the kernel does not declare it."""
    if kernel.partials:
        return own.reshape((*(1,) * (len(shape) - own.ndim), *own.shape))
    if kernel.keeps_order:
        return _reshaped(own, shapes[operand], shape)
    spread = [axis for axis, n in enumerate(own.shape) if n != 1]
    places = [kernel.axis_after(axis, operand, shapes, shape, params) for axis in spread]
    if None in places and kernel.joins_groups is not None:
        for i, axis in enumerate(spread):
            joint = kernel.joins_groups(axis, operand, shapes, shape, params) if places[i] is None else None
            if joint is not None:
                groups, places[i] = joint
                regrouped = _of_groups(own, axis, groups, shape[joint[1]])
                if regrouped is None:
                    return None
                own = regrouped
    if len(set(places)) < len(places):
        return None
    extents = [1] * len(shape)
    for axis, place in zip(spread, places, strict=True):
        if place is None or shape[place] != own.shape[axis]:
            return None
        extents[place] = own.shape[axis]
    order = sorted(range(len(spread)), key=lambda i: places[i])  # type: ignore[arg-type, return-value]
    return own.reshape([own.shape[axis] for axis in spread]).transpose(order).reshape(extents)


def _of_groups(own: Owners, axis: int, groups: int, extent: int) -> Owners | None:
    """Owners of groups along `axis`, each for its share of `extent` positions; `None` where a group is of different examples."""
    if groups == own.shape[axis] == extent:
        return own
    split = own.reshape((*own.shape[:axis], groups, own.shape[axis] // groups, *own.shape[axis + 1 :]))
    group = split.max(axis + 1, keepdims=True)
    if ((split != group) & (split != NOBODY)).any():
        return None
    return group.squeeze(axis + 1).repeat(extent // groups, axis)


def _met(owners: Owners, others: Owners) -> Owners | None:
    """As `met`, but `None` where these are different examples."""
    if owners is others or owners.size == 1 and owners.item() == NOBODY:
        return others
    if ((owners != others) & (owners != NOBODY) & (others != NOBODY)).any():
        return None
    return np.maximum(owners, others)


def _arranged(kernel: Kernel, owners: Mapping[int, Owners], shapes: tuple[Shape, ...], params: dict[str, Any]) -> Owners:
    """What the kernel makes of the owners in the place of elements; where it puts zeros is nobody's."""
    numbered = [np.broadcast_to(owners[i] - NOBODY if i in owners else np.intp(0), own) for i, own in enumerate(shapes)]
    return np.asarray(kernel.compute(np, *numbered, **_values(params))) + NOBODY


def _values(params: Any) -> Any:
    """Parameters with arrays of numpy in the place of others, by which alone numpy's can be indexed."""
    if isinstance(params, dict):
        return {name: _values(value) for name, value in params.items()}
    if isinstance(params, tuple):
        return tuple(map(_values, params))
    return np.asarray(params) if is_array(params) and hasattr(params, "dtype") else params


def _reshaped(own: Owners, before: Shape, shape: Shape) -> Owners:
    """The owners of a tensor of shape `before` that is reshaped to `shape`.

    Axes are taken in groups, as few together as have the same number of elements before and after, so that those along which the owners
    are the same stay of size one.
    """
    if before == shape:
        return own
    if 0 in shape:
        return np.full((1,) * len(shape), NOBODY)
    whole, result, i, j = list[int](), list[int](), 0, 0
    while i < len(before) or j < len(shape):
        first, start, size, target = i, j, 1, 1
        while True:
            if i < len(before) and (size <= target or j == len(shape)):
                size *= before[i]
                i += 1
            elif j < len(shape):
                target *= shape[j]
                j += 1
            if size == target and (i > first or i == len(before)) and (j > start or j == len(shape)):
                break
        differs = any(n > 1 for n in own.shape[first:i])
        whole += before[first:i] if differs else (1,) * (i - first)
        result += shape[start:j] if differs else (1,) * (j - start)
    return _shrunk(np.broadcast_to(own, whole).reshape(result))


def _shrunk(owners: Owners) -> Owners:
    """Owners with axes of size one where they are the same along the whole axis."""
    for axis, n in enumerate(owners.shape):
        if n > 1:
            first = owners[(slice(None),) * axis + (slice(0, 1),)]
            if owners.strides[axis] == 0 or (owners == first).all():
                owners = first
    return owners
