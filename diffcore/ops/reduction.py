"""Sums, means, maxima and their relatives along axes."""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import is_array
from diffcore.dispatch import Boxed
from diffcore.errors import DTypeError
from diffcore.kernels import reduction as _r
from diffcore.kernels import softmax as _s
from diffcore.kernels.record import Kernel
from diffcore.ops.arithmetic import maximum
from diffcore.ops.axes import Dims, Tensor, axes_of, axis_of
from diffcore.ops.gathering import gather
from diffcore.ops.shape import astype, reshape

__all__ = ["amax", "argmax", "log_softmax", "logsumexp", "max", "mean", "softmax", "sum"]


class MaxResult(NamedTuple):
    """What `max(x, dim)` returns, as in PyTorch: the largest values along `dim` and their positions."""

    values: Tensor
    indices: Tensor


def sum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Sum over `dim` (all axes by default)."""
    return _r.sum(x, axis=axes_of(x, dim, axis), keepdims=keepdim or keepdims)


def mean(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `dim` (all axes by default); floating point only."""
    if not np.issubdtype(x.dtype, np.inexact) and x.dtype.kind in "iub":
        raise DTypeError(f"mean: expected a floating-point tensor, got {x.dtype}. Did you mean `x.float().mean()`?")
    return _r.mean(x, axis=axes_of(x, dim, axis), keepdims=keepdim or keepdims)


def amax(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Largest value over `dim`; where several tie, they share the derivative evenly."""
    axes = axes_of(x, dim, axis)
    if builtins.any(x.shape[a] == 0 for a in axes):
        raise IndexError(f"max: expected a reduction over at least one element, `x` has shape {tuple(x.shape)}")
    return _r.max(x, axis=axes, keepdims=keepdim or keepdims)


def max(x: Tensor, dim: Any = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """`max(x)`: the largest element. `max(x, dim)`: `(values, indices)`, the first of tied values. `max(x, y)`: elementwise."""
    if isinstance(dim, Boxed) or is_array(dim) and not isinstance(dim, np.generic):
        return maximum(x, dim)
    dim = axis if dim is None else dim
    if dim is None:
        return amax(x)
    keep = keepdim or keepdims
    at = argmax(x, dim, keepdim=True)
    values = gather(x, dim, at)
    if keep:
        return MaxResult(values, at)
    shape = tuple(n for i, n in enumerate(x.shape) if i - x.ndim != axis_of(dim, x.ndim))
    return MaxResult(reshape(values, shape), reshape(at, shape))


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position of the largest element (the first of several) along `dim`, or in the flattened tensor."""
    dim = axis if dim is None else dim
    return _r.argmax(x, axis=None if dim is None else axis_of(dim, x.ndim), keepdims=keepdim or keepdims)


def logsumexp(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over `dim` without overflow."""
    return _r.logsumexp(x, axis=axes_of(x, dim, axis), keepdims=keepdim or keepdims)


def log_softmax(x: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
    """`x - logsumexp(x)` along `dim` (the last axis by default), in `dtype` where given. Raises `DTypeError` for integers."""
    return _along(_s.log_softmax, x, dim, axis, dtype)


def softmax(x: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
    """`exp(x) / sum(exp(x))` along `dim` (the last axis by default), in `dtype` where given. Raises `DTypeError` for integers."""
    return _along(_s.softmax, x, dim, axis, dtype)


def _along(kernel: Kernel, x: Tensor, dim: int | None, axis: int | None, dtype: Any) -> Tensor:
    dim = axis if dim is None else dim
    at = axis_of(-1 if dim is None else dim, x.ndim)
    x = x if dtype is None else astype(x, dtype)
    if np.dtype(x.dtype).kind in "biu":
        raise DTypeError(f"{kernel.name}: expected a floating-point tensor, got {x.dtype}. Did you mean `x.float()`?")
    return kernel(x, axis=at) if x.ndim else reshape(kernel(reshape(x, (1,)), axis=-1), ())
