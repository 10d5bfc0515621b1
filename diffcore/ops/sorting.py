"""Sorting and selecting: values with their positions.

The order is stable: elements that tie keep their order (also in `descending` order), and NaN counts as larger than all numbers. The values
are linear in the operand, so the derivative goes to the elements that were selected.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import is_float
from diffcore.dispatch import unboxed
from diffcore.errors import ShapeError
from diffcore.kernels import indexing as _i
from diffcore.kernels import reduction as _r
from diffcore.kernels import sorting as _s
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.indexing import getitem
from diffcore.ops.masking import where
from diffcore.ops.out import with_out
from diffcore.ops.shape import reshape
from diffcore.whole import integer

__all__ = ["argsort", "kthvalue", "median", "msort", "sort", "topk"]


class Selected(NamedTuple):
    """Values and their positions along an axis, as PyTorch returns them."""

    values: Tensor
    indices: Tensor


def narrow(indices: Any, size: int) -> Any:
    """Positions below `size` in the smallest unsigned integers that hold them: what is kept for the derivative."""
    return indices.astype(np.min_scalar_type(max(size - 1, 0)))


def selected(x: Tensor, axis: int, indices: Tensor, drop: int | None = None, *, unique: bool = True) -> Selected:
    """The elements of `x` at `indices` along `axis`, all `unique` or not; the axis `drop`, of size one by then, is removed."""
    values = x
    if x.ndim:
        values = _i.gather(x, indices=narrow(unboxed(indices), x.shape[axis]), axis=axis, unique=unique)
    if drop is None or not x.ndim:
        return Selected(values, indices)
    shape = _r.dropped(tuple(values.shape), (drop,))
    return Selected(reshape(values, shape), reshape(indices, shape))


@with_out
def argsort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions that sort `x` along `dim`. Always stable."""
    axis = axis_of(dim, x.ndim)
    if not x.ndim:
        return reshape(_s.argsort(reshape(x, (1,)), axis=-1), ())
    return _s.argsort(x, axis=axis, descending=descending)


@with_out
def sort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Selected:
    """`(values, indices)`: the elements in order along `dim`. Always stable."""
    return selected(x, axis_of(dim, x.ndim), argsort(x, dim, descending))


@with_out
def msort(x: Tensor) -> Tensor:
    """The elements in order along the first axis."""
    return sort(x, 0).values


@with_out
def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Selected:
    """`(values, indices)`: the `k` largest (or smallest) elements along `dim`, best first; `sorted=False` orders them likewise."""
    axis, k = axis_of(dim, x.ndim), integer("topk", "k", k)
    size = x.shape[axis] if x.ndim else 1
    if not 0 <= k <= size:
        raise ShapeError(f"topk: selected index `k` (={k}) out of range for dimension {dim}, which has {size} elements")
    if not x.ndim:
        return sort(x) if k else sort(getitem(reshape(x, (1,)), slice(0, 0)))
    return selected(x, axis, _part(argsort(x, dim, largest), axis, slice(0, k)))


@with_out
def kthvalue(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Selected:
    """`(value, index)` of the `k`-th smallest element along `dim`, counted from 1."""
    axis, k = axis_of(dim, x.ndim), integer("kthvalue", "k", k)
    size = x.shape[axis] if x.ndim else 1
    if not 1 <= k <= size:
        raise ShapeError(f"kthvalue: selected number `k` (={k}) out of range for dimension {dim}, which has {size} elements")
    if not x.ndim:
        return sort(x)
    return selected(x, axis, _part(argsort(x, dim), axis, slice(k - 1, k)), None if keepdim else axis)


@with_out
def median(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """`median(x)`: the median of all elements, the lower of two. `median(x, dim)`: `(values, indices)`. NaN where there is a NaN.

    Without `dim`, elements that tie share the derivative evenly; with it, the one selected has it all.
    """
    axis = axis_of(-1 if dim is None else dim, x.ndim)
    if 0 in (tuple(x.shape) if dim is None else tuple(x.shape)[axis:][:1]):
        raise IndexError(f"median: expected a reduction over at least one element, `x` has shape {tuple(x.shape)}")
    if dim is not None:
        return selected(x, axis, _middle(x, axis), None if keepdim else axis) if x.ndim else sort(x)
    x = reshape(x, (-1,))
    value = selected(x, -1, _middle(x, -1), -1).values
    return _r.max(where(where(x == value, True, x != x), x, -np.inf), axis=(-1,)) if is_float(x.dtype) else value


def _part(order: Tensor, axis: int, part: slice) -> Tensor:
    return getitem(order, (*(slice(None),) * (order.ndim + axis), part))


def _middle(x: Tensor, axis: int) -> Tensor:
    """The position of the lower median along `axis`, kept; of the first NaN where there is one."""
    n = x.shape[axis]
    numbers = n - _r.sum(x != x, axis=(axis,), keepdims=True)
    at = where(numbers < n, numbers, (n - 1) // 2)
    return _i.gather(argsort(x, axis), indices=unboxed(at), axis=axis)
