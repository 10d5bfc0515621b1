"""Running sums, products and extrema along one axis, and differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.errors import ShapeError
from diffcore.kernels import cumulative as _c
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.indexing import getitem
from diffcore.ops.out import with_out
from diffcore.ops.shape import astype, reshape
from diffcore.ops.sorting import Selected, selected
from diffcore.whole import integer

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp"]


def _axis(op: str, x: Tensor, dim: int | None, axis: int | None) -> int:
    if dim is None and axis is None:
        raise TypeError(f"{op}: `dim` is missing: along which axis of {tuple(x.shape)}?")
    return axis_of(axis if dim is None else dim, x.ndim)


def _along(kernel: Any, x: Tensor, axis: int) -> Tensor:
    return kernel(x, axis=axis) if x.ndim else reshape(kernel(reshape(x, (1,)), axis=-1), ())


def _whole(x: Tensor, dtype: Any) -> Tensor:
    """`x` in `dtype`; integers and booleans in int64, as in PyTorch."""
    if dtype is not None:
        return astype(x, dtype)
    return astype(x, np.int64) if x.dtype.kind in "biu" else x


@with_out
def cumsum(x: Tensor, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Tensor:
    """The sum of all elements up to each one along `dim`; integers and booleans are added in int64."""
    at = _axis("cumsum", x, dim, axis)
    return _along(_c.cumsum, _whole(x, dtype), at)


@with_out
def cumprod(x: Tensor, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Tensor:
    """The product of all elements up to each one along `dim`. Zeros are differentiated right."""
    at = _axis("cumprod", x, dim, axis)
    return _along(_c.cumprod, _whole(x, dtype), at)


@with_out
def logcumsumexp(x: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`log(cumsum(exp(x)))` along `dim` without overflow."""
    return _along(_c.logcumsumexp, x, _axis("logcumsumexp", x, dim, axis))


@with_out
def cummax(x: Tensor, dim: int | None = None, *, axis: int | None = None) -> Selected:
    """`(values, indices)`: the largest element so far along `dim`, the last of several. NaN counts as larger than all numbers."""
    at = _axis("cummax", x, dim, axis)
    return selected(x, at, _along(_c.argcummax, x, at), unique=False)


@with_out
def cummin(x: Tensor, dim: int | None = None, *, axis: int | None = None) -> Selected:
    """`(values, indices)`: the smallest element so far along `dim`, the last of several. NaN counts as smaller than all numbers."""
    at = _axis("cummin", x, dim, axis)
    return selected(x, at, _along(_c.argcummin, x, at), unique=False)


def diff(x: Tensor, n: int = 1, dim: int = -1, *, axis: int | None = None) -> Tensor:
    """Differences `x[i + 1] - x[i]` along `dim`, taken `n` times; of booleans, whether they differ."""
    at, n = axis_of(dim if axis is None else axis, x.ndim), integer("diff", "n", n)
    if not x.ndim:
        raise ShapeError("diff: `x` needs at least one axis, got ()")
    if n < 0:
        raise ShapeError(f"diff: `n` (={n}) must be non-negative")
    before = (slice(None),) * (x.ndim + at)
    for _ in range(n):
        later, earlier = getitem(x, (*before, slice(1, None))), getitem(x, (*before, slice(0, max(x.shape[at] - 1, 0))))
        x = later != earlier if x.dtype.kind == "b" else later - earlier
    return x
