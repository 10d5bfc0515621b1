"""numpy's array functions on abstract arrays: the shape, layout and cost of each, written once.

A function that is not listed is an error (`UnknownCostError`), never a cost of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from diffcore.arrays.abstract import AbstractArray, book, copied, laid_out, made_like, new_after, reshaped, told, view_by
from diffcore.arrays.results import axis_of, kind_of, resolve, shape_of
from diffcore.arrays.strides import Shape, small_copy, strides_of, weightless
from diffcore.arrays.works import moved, walked
from diffcore.ledger import did, state


def _full_like(x: Any, value: Any, dtype: Any = None, order: str = "K", **options: Any) -> AbstractArray:
    return copied("fill", made_like(x, dtype, order, **options), value)


def _where(condition: Any, x: Any, y: Any) -> AbstractArray:
    shape = np.broadcast_shapes(*map(shape_of, (condition, x, y)))
    book(math.prod(shape))
    return told("where", (x, y, condition), new_after((condition, x, y), shape, resolve(np.add, (kind_of(x), kind_of(y)))))


def _mapped(function: str, inputs: Any, dtype: Any, operations: int = 1) -> AbstractArray:
    """The result of an elementwise function that is no ufunc, at so many operations per element."""
    shape = np.broadcast_shapes(*map(shape_of, inputs))
    book(operations * math.prod(shape))
    return told(function, inputs, new_after(inputs, shape, np.dtype(dtype)))


def _clip(x: Any, low: Any, high: Any) -> AbstractArray:
    dtype = resolve(np.minimum, (resolve(np.maximum, (kind_of(x), kind_of(low))), kind_of(high)))
    return _mapped("clip", (x, low, high), dtype, 2)


def _concatenate(arrays: Any, axis: int = 0, **_: Any) -> AbstractArray:
    shapes = [shape_of(a) for a in arrays]
    at = axis_of(axis, len(shapes[0]))
    # numpy says what does not fit, of arrays without elements along the axis: it would look at every one, even of no bytes.
    joined = np.concatenate([weightless((*s[:at], 0, *s[at + 1 :])) for s in shapes], axis=at).shape
    whole = (*joined[:at], sum(s[at] for s in shapes), *joined[at + 1 :])
    dtype = np.result_type(*(a.dtype for a in arrays))
    if all(getattr(a, "strides", None) is None for a in arrays):
        result = AbstractArray(whole, dtype)
    else:
        small = np.concatenate([small_copy(a) for a in arrays], axis=at).strides
        result = laid_out(whole, dtype, sorted(range(len(whole)), key=lambda i: (-small[i], i)))
    if state.ledger is not None and state.ledger.works:
        did("concatenate", dtype.name, len(shapes))
        for x, shape in zip(arrays, shapes, strict=True):  # each is put into its part of the result
            moved("put", AbstractArray(shape, dtype, result.storage, strides_of(result)), x)
    return result


def _take(x: Any, indices: Any, axis: int | None = None, **_: Any) -> AbstractArray:
    shape = shape_of(x)
    if axis is None:
        return _gathers(shape_of(indices), x.dtype)
    axis = axis_of(axis, len(shape))
    return _gathers((*shape[:axis], *shape_of(indices), *shape[axis + 1 :]), x.dtype)


def _gathers(shape: Shape, dtype: np.dtype[Any]) -> AbstractArray:
    """A new array of elements that are gathered."""
    did("gather", dtype.name, math.prod(shape))
    return AbstractArray(shape, dtype)


def _take_along_axis(x: Any, indices: Any, axis: int = -1) -> AbstractArray:
    axis = axis_of(axis, len(shape_of(x)))
    around = np.broadcast_shapes(_off(x, axis), _off(indices, axis))
    shape = (*around[:axis], shape_of(indices)[axis], *around[axis + 1 :])
    return _gathers(shape, x.dtype)


def _off(x: Any, axis: int) -> Shape:
    return tuple(1 if i == axis else n for i, n in enumerate(shape_of(x)))


def _bits(function: str, x: AbstractArray, size: int) -> AbstractArray:
    """Bytes that are packed of bits, or bits of bytes; the longer side is walked."""
    out = AbstractArray((size,), np.uint8)
    walked(function, np.uint8, (max(size, x.size),), (out, x))
    return out


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "reshape": lambda x, shape, order="C", copy=None: reshaped(x, shape, copy),
    "ravel": lambda x, **_: reshaped(x, (-1,)),
    "transpose": lambda x, axes=None: view_by(x, lambda layout: np.transpose(layout, axes)),
    "matrix_transpose": lambda x: x.mT,
    "swapaxes": lambda x, a, b: x.swapaxes(a, b),
    "moveaxis": lambda x, source, target: view_by(x, lambda layout: np.moveaxis(layout, source, target)),
    "expand_dims": lambda x, axis: view_by(x, lambda layout: np.expand_dims(layout, axis)),
    "squeeze": lambda x, axis=None: view_by(x, lambda layout: np.squeeze(layout, axis)),
    "broadcast_to": lambda x, shape, **_: view_by(x, lambda layout: np.broadcast_to(layout, shape)),
    "flip": lambda x, axis=None: view_by(x, lambda layout: np.flip(layout, axis)),
    "roll": lambda x, shift, axis=None: copied("roll", made_like(x), x),
    "sliding_window_view": lambda x, window_shape, axis=None, **_: view_by(x, lambda view: sliding_window_view(view, window_shape, axis)),
    "diagonal": lambda x, offset=0, axis1=0, axis2=1: view_by(x, lambda layout: np.diagonal(layout, offset, axis1, axis2)),
    "sum": lambda x, axis=None, keepdims=False, **_: x.sum(axis=axis, keepdims=keepdims),
    "prod": lambda x, axis=None, keepdims=False, **_: x.prod(axis=axis, keepdims=keepdims),
    "max": lambda x, axis=None, keepdims=False, **_: x.max(axis=axis, keepdims=keepdims),
    "min": lambda x, axis=None, keepdims=False, **_: x.min(axis=axis, keepdims=keepdims),
    "mean": lambda x, axis=None, keepdims=False, **_: x.mean(axis=axis, keepdims=keepdims),
    "argmax": lambda x, axis=None, keepdims=False, **_: x.argmax(axis=axis, keepdims=keepdims),
    "zeros_like": lambda x, *args, **options: copied("fill", made_like(x, *args, **options), 0),
    "ones_like": lambda x, *args, **options: copied("fill", made_like(x, *args, **options), 1),
    "empty_like": made_like,
    "full_like": _full_like,
    "copyto": lambda target, source, **_: moved("put", target, source),
    "where": _where,
    "clip": _clip,
    "round": lambda x, decimals=0, **_: _mapped("round", (x,), x.dtype, 3 if decimals else 1),
    "isclose": lambda x, y, **_: _mapped("isclose", (x, y), np.bool_, 6),
    "nan_to_num": lambda x, **_: _mapped("nan_to_num", (x,), x.dtype),
    "packbits": lambda x, axis=None, **_: _bits("packbits", x, -(-x.size // 8)),
    "unpackbits": lambda x, axis=None, count=None, **_: _bits("unpackbits", x, 8 * x.size if count is None else count),
    "concatenate": _concatenate,
    "stack": lambda arrays, axis=0, **_: _concatenate([np.expand_dims(a, axis) for a in arrays], axis),
    "take": _take,
    "take_along_axis": _take_along_axis,
    "put_along_axis": lambda x, indices, values, axis=-1: did("scatter", x.dtype.name, math.prod(shape_of(indices))),
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x, axis=None: x.size if axis is None else x.shape[axis],
    "may_share_memory": lambda a, b, **_: a.storage is b.storage,
}
"""numpy function -> its shape and cost on abstract arrays."""
