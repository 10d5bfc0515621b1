"""Ops that move elements without arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcore.errors import ShapeError
from diffcore.kernels import shape as _s
from diffcore.ops.axes import Tensor, axis_of

__all__ = ["broadcast_to", "expand", "flatten", "permute", "reshape", "transpose"]


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one entry may be -1."""
    wanted = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    return _s.reshape(x, shape=_known(tuple(map(operator.index, wanted)), x))


def _known(shape: tuple[int, ...], x: Tensor) -> tuple[int, ...]:
    """`shape` with its -1 worked out from the size of `x`."""
    if -1 not in shape:
        return shape
    size = int(np.prod(x.shape, dtype=np.int64))
    rest = int(np.prod([n for n in shape if n != -1], dtype=np.int64))
    if shape.count(-1) > 1 or rest == 0 or size % rest:
        raise ShapeError(f"reshape: shape {list(shape)} is invalid for input of size {size}")
    return tuple(size // rest if n == -1 else n for n in shape)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge the axes from `start_dim` to `end_dim` (inclusive) into one."""
    if x.ndim == 0:
        return reshape(x, (1,))
    first, last = (axis_of(d, x.ndim) + x.ndim for d in (start_dim, end_dim))
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} cannot come after end_dim {end_dim}")
    return reshape(x, (*x.shape[:first], int(np.prod(x.shape[first : last + 1], dtype=np.int64)), *x.shape[last + 1 :]))


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two axes."""
    order = list(range(-x.ndim, 0))
    a, b = axis_of(dim0, x.ndim), axis_of(dim1, x.ndim)
    if x.ndim:
        order[a], order[b] = order[b], order[a]
    return _s.transpose(x, axes=tuple(order))


def permute(x: Tensor, *dims: Any) -> Tensor:
    """Reorder all axes."""
    wanted = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    axes = tuple(axis_of(d, x.ndim) for d in wanted)
    if sorted(axes) != list(range(-x.ndim, 0)):
        raise ShapeError(f"permute: dims {wanted} is not a permutation of the {x.ndim} axes of shape {tuple(x.shape)}")
    return _s.transpose(x, axes=axes)


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """`x` repeated to `shape` without copying."""
    return _s.broadcast_to(x, shape=tuple(shape))


def expand(x: Tensor, *sizes: Any) -> Tensor:
    """`x` repeated along axes of size one without copying; -1 keeps an axis as it is."""
    wanted = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
    own = (*(None,) * (len(wanted) - x.ndim), *x.shape)
    return _s.broadcast_to(x, shape=tuple(n if w == -1 else w for w, n in zip(wanted, own, strict=False)))


def astype(x: Tensor, dtype: Any) -> Tensor:
    """A cast, recorded; to the same dtype, `x` itself."""
    dtype = np.dtype(dtype)
    return x if x.dtype == dtype else _s.astype(x, dtype=dtype)
