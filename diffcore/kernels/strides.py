"""Diagonals and sliding windows: views on numpy, with their transposes, which write or add into zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from diffcore.arrays import is_mutable
from diffcore.kernels.families import linear_map
from diffcore.kernels.record import Call, Shape


def _embed_diagonal(xp: Any, g: Any, *, offset: int, axis1: int, axis2: int, sizes: tuple[int, int]) -> Any:
    rows, columns = sizes
    start = offset if offset >= 0 else -offset * columns
    out = xp.zeros_like(g, shape=(*g.shape[:-1], rows * columns))
    along = (..., slice(start, start + g.shape[-1] * (columns + 1), columns + 1))
    if g.shape[-1]:
        if is_mutable(out):
            out[along] = g
        else:
            out = out.at[along].set(g)
    out = out.reshape((*g.shape[:-1], rows, columns))
    rest = [i for i in range(out.ndim) if i - out.ndim not in (axis1, axis2)]
    places = {axis1 + out.ndim: out.ndim - 2, axis2 + out.ndim: out.ndim - 1, **dict(zip(rest, range(out.ndim - 2), strict=True))}
    return out.transpose(tuple(places[i] for i in range(out.ndim)))


def _diagonal_transposed(g: Any, call: Call, lead: Shape) -> Any:
    shape, params = call.shapes[0], call.params
    return embed_diagonal(g, **params, sizes=(shape[params["axis1"]], shape[params["axis2"]]))


def _rows_apart(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    ndim = max(len(shapes[0]), len(shape))
    return ndim > 2 and -ndim not in (params["axis1"], params["axis2"])


def _diagonal(xp: Any, x: Any, *, offset: int, axis1: int, axis2: int) -> Any:
    out = xp.diagonal(x, offset, axis1, axis2)
    if type(out) is np.ndarray:
        out.flags.writeable = x.flags.writeable  # numpy's is read-only, PyTorch's is a view like any other
    return out


diagonal = linear_map(
    "diagonal",
    _diagonal,
    _diagonal_transposed,
    examples=_rows_apart,
    arranges=True,
    view=True,
)
"""The diagonal of two axes, as the last axis of the result."""

embed_diagonal = linear_map(
    "embed_diagonal",
    _embed_diagonal,
    lambda g, call, lead: diagonal(g, **{name: call.params[name] for name in ("offset", "axis1", "axis2")}),
    examples=_rows_apart,
)
"""The last axis as a diagonal of two new axes with `sizes`, zeros beside it."""


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, part)


def _positions(count: int, size: int, step: int) -> Any:
    return np.arange(count)[:, None] * step + np.arange(size)


def _unfold(xp: Any, x: Any, *, axis: int, size: int, step: int) -> Any:
    at = x.ndim + axis
    if is_mutable(x):
        return sliding_window_view(x, size, axis=axis, writeable=True)[_along(at, slice(None, None, step))]
    count = (x.shape[axis] - size) // step + 1
    return xp.moveaxis(x[(*_along(at, slice(None))[:-1], _positions(count, size, step))], at + 1, -1)


def _fold(xp: Any, g: Any, *, axis: int, size: int, step: int, length: int) -> Any:
    at = g.ndim - 1 + axis
    if at < 0:
        raise IndexError(f"axis {axis} is out of range")
    if step < 1 or g.shape[-1] != size:
        raise ValueError(f"windows of {size} elements: the last axis must have {size} elements, and the step {step} must be positive")
    count = g.shape[at]
    if (count - 1) * step + size > length:
        raise ValueError(f"{count} windows of {size} elements, {step} apart, do not fit into {length}")
    out = xp.zeros_like(g, shape=(*g.shape[:at], length, *g.shape[at + 1 : -1]))
    if not is_mutable(out):
        index = (*_along(at, slice(None))[:-1], _positions(count, size, step))
        return out.at[index].add(xp.moveaxis(g, -1, at + 1))
    for start in range(0, size, step):  # parts of the windows that do not overlap, so that adding in place is safe
        width = min(step, size - start)
        windows = sliding_window_view(out[_along(at, slice(start, None))], width, axis=at, writeable=True)
        part = windows[_along(at, slice(0, (count - 1) * step + 1, step))]
        part += g[..., start : start + width]
    return out


def _unfold_transposed(g: Any, call: Call, lead: Shape) -> Any:
    return fold(g, **call.params, length=call.shapes[0][call.params["axis"]])


def _other_axis(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return params["axis"] != -min(len(shapes[0]), len(shape))


unfold = linear_map("unfold", _unfold, _unfold_transposed, examples=_other_axis, arranges=True, view=True)
"""Windows of `size` elements along `axis`, `step` apart; the elements of a window are a new last axis."""

fold = linear_map(
    "fold",
    _fold,
    lambda g, call, lead: unfold(g, **{name: call.params[name] for name in ("axis", "size", "step")}),
    examples=_other_axis,
)
"""Windows added back to where they were taken from, along an axis of `length` elements."""
