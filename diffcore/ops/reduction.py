"""Sums, means, extrema, norms and their relatives along axes.

At ties `amax`, `amin`, `max(x)` and `min(x)` share the derivative evenly; with a `dim`, `max` and `min` give it to the first. The standard
deviation of equal numbers and the norm of zeros have derivative 0.
"""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import is_array, is_float
from diffcore.dispatch import Boxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import cumulative as _c
from diffcore.kernels import reduction as _r
from diffcore.kernels import softmax as _s
from diffcore.kernels.record import Kernel
from diffcore.ops.arithmetic import abs, maximum, minimum, sqrt
from diffcore.ops.axes import Dims, Tensor, axes_of, axis_of
from diffcore.ops.masking import where
from diffcore.ops.out import with_out
from diffcore.ops.shape import astype, reshape
from diffcore.ops.sorting import Selected, selected

__all__ = [
    "all",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "dist",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "nansum",
    "norm",
    "prod",
    "softmax",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
]


class Range(NamedTuple):
    """What `aminmax` returns, as in PyTorch."""

    min: Tensor
    max: Tensor


def _counted(x: Tensor, dtype: Any) -> Tensor:
    """`x` in the dtype to add or multiply in: integers and booleans in int64, as in PyTorch."""
    if dtype is not None:
        return astype(x, dtype)
    return astype(x, np.int64) if x.dtype.kind in "ub" else x


def _floating(op: str, x: Tensor, fix: str) -> None:
    if not is_float(x.dtype):
        raise DTypeError(f"{op}: expected a floating-point tensor, got {x.dtype}. Did you mean `x.float().{fix}`?")


def _elements(op: str, x: Tensor, axes: tuple[int, ...]) -> None:
    if builtins.any(x.shape[a] == 0 for a in axes):
        raise IndexError(f"{op}: expected a reduction over at least one element, `x` has shape {tuple(x.shape)}")


@with_out
def sum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Sum over `dim` (all axes by default), in `dtype`; integers and booleans are added in int64."""
    if dtype is not None or x.dtype.kind in "ub":
        x = _counted(x, dtype)
    return _r.sum(x, axis=axes_of(x, dim, axis), keepdims=keepdim or keepdims)


@with_out
def nansum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Sum over `dim` of all elements that are not NaN."""
    return sum(where(x == x, x, 0), dim, keepdim, dtype=dtype, axis=axis, keepdims=keepdims)


@with_out
def prod(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Product over `dim` (all axes by default), in `dtype`; integers and booleans in int64. Zeros are differentiated right."""
    x, keep = _counted(x, dtype), keepdim or keepdims
    axes = axes_of(x, dim, axis)
    shape = tuple(x.shape)
    if len(axes) == len(shape) != 1:
        out = _c.prod(reshape(x, (-1,)) if math.prod(shape) else reshape(x, (0,)), axis=(-1,))
        return reshape(out, (1,) * len(shape)) if keep else out
    for a in axes:
        x = _c.prod(x, axis=(a,), keepdims=True)
    return x if keep else reshape(x, _r.dropped(shape, axes))


@with_out
def mean(x: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `dim` (all axes by default), in `dtype`; floating point only."""
    if dtype is not None:
        x = astype(x, dtype)
    if x.dtype.kind in "iub":
        _floating("mean", x, "mean()")
    return _r.mean(x, axis=axes_of(x, dim, axis), keepdims=keepdim or keepdims)


# extrema


@with_out
def amax(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Largest value over `dim`; where several tie, they share the derivative evenly."""
    axes = axes_of(x, dim, axis)
    _elements("amax", x, axes)
    return _r.max(x, axis=axes, keepdims=keepdim or keepdims)


@with_out
def amin(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Smallest value over `dim`; where several tie, they share the derivative evenly."""
    axes = axes_of(x, dim, axis)
    _elements("amin", x, axes)
    return _r.min(x, axis=axes, keepdims=keepdim or keepdims)


def aminmax(x: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Range:
    """`(min, max)` over `dim` (all axes by default); ties share the derivative evenly."""
    return Range(amin(x, dim, keepdim), amax(x, dim, keepdim))


def _is_operand(value: Any) -> bool:
    return isinstance(value, Boxed) or is_array(value) and not isinstance(value, np.generic)


@with_out
def max(x: Tensor, dim: Any = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """`max(x)`: the largest element. `max(x, dim)`: `(values, indices)`, the first of tied values. `max(x, y)`: elementwise."""
    if _is_operand(dim):
        return maximum(x, dim)
    dim = axis if dim is None else dim
    return amax(x) if dim is None else _first(x, dim, argmax, keepdim or keepdims)


@with_out
def min(x: Tensor, dim: Any = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """`min(x)`: the smallest element. `min(x, dim)`: `(values, indices)`, the first of tied values. `min(x, y)`: elementwise."""
    if _is_operand(dim):
        return minimum(x, dim)
    dim = axis if dim is None else dim
    return amin(x) if dim is None else _first(x, dim, argmin, keepdim or keepdims)


def _first(x: Tensor, dim: int, position: Any, keep: bool) -> Selected:
    """The element along `dim` that `position` finds, with its index."""
    at = axis_of(dim, x.ndim)
    return selected(x, at, position(x, dim, True), None if keep else at)


@with_out
def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position of the largest element (the first of several) along `dim`, or in the flattened tensor."""
    return _position("argmax", _r.argmax, x, axis if dim is None else dim, keepdim or keepdims)


@with_out
def argmin(x: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position of the smallest element (the first of several) along `dim`, or in the flattened tensor."""
    return _position("argmin", _r.argmin, x, axis if dim is None else dim, keepdim or keepdims)


def _position(name: str, kernel: Any, x: Tensor, dim: int | None, keep: bool) -> Tensor:
    at = None if dim is None else axis_of(dim, x.ndim)
    _elements(name, x, tuple(range(-x.ndim, 0)) if at is None else (at,) if x.ndim else ())
    return kernel(x, axis=at if x.ndim else None, keepdims=keep)


# truth


@with_out
def any(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Whether some element over `dim` is true (not 0)."""
    return _r.any(x, axis=axes_of(x, dim, axis), keepdims=keepdim or keepdims)


@with_out
def all(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `dim` are true (not 0)."""
    return _r.all(x, axis=axes_of(x, dim, axis), keepdims=keepdim or keepdims)


def count_nonzero(x: Tensor, dim: Dims = None, *, axis: Dims = None) -> Tensor:
    """How many elements over `dim` are not 0."""
    return sum(x != 0, dim, axis=axis)


# spread


def _correction(correction: float | None, unbiased: bool | None) -> float:
    if correction is not None:
        return correction
    return 0 if unbiased is False else 1


@with_out
def var(
    x: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """Variance over `dim`: squared deviations from the mean, summed, divided by `n - correction` (1 by default); floating point only.

    `unbiased=False` stands for `correction=0`. NaN or infinite where `n <= correction`.
    """
    if isinstance(dim, bool):  # `var(x, False)` is PyTorch's `var(x, unbiased=False)`
        dim, unbiased = None, dim
    _floating("var", x, "var()")
    return _r.var(x, axis=axes_of(x, dim, axis), correction=_correction(correction, unbiased), keepdims=keepdim or keepdims)


@with_out
def std(x: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, **options: Any) -> Tensor:
    """Standard deviation over `dim`, the root of `var` with the same arguments; of equal numbers it is 0 with derivative 0."""
    variance = var(x, dim, unbiased, keepdim, **options)
    zero = variance == 0
    return where(zero, 0, sqrt(where(zero, 1, variance)))


def var_mean(x: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, **options: Any) -> tuple[Tensor, Tensor]:
    """`(var, mean)` over `dim`."""
    return var(x, dim, unbiased, keepdim, **options), _mean_beside(x, dim, keepdim, options)


def std_mean(x: Tensor, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, **options: Any) -> tuple[Tensor, Tensor]:
    """`(std, mean)` over `dim`."""
    return std(x, dim, unbiased, keepdim, **options), _mean_beside(x, dim, keepdim, options)


def _mean_beside(x: Tensor, dim: Dims, keepdim: bool, options: dict[str, Any]) -> Tensor:
    return mean(x, None if isinstance(dim, bool) else dim, keepdim, axis=options.get("axis"), keepdims=options.get("keepdims", False))


# norms


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    axis: Dims = None,
    keepdims: bool = False,
) -> Tensor:
    """`(sum |x|^ord)^(1/ord)` over `dim` (all axes by default), without overflow; `ord` may be any number.

    0 counts the elements that are not 0; `inf` and `-inf` are the largest and smallest magnitude. The derivative is 0 where the norm is 0.
    """
    if dtype is not None:
        x = astype(x, dtype)
    _floating("vector_norm", x, "norm()")
    if not isinstance(ord, builtins.int | float | np.number):
        raise ShapeError(f"vector_norm: `ord` (={ord!r}) must be a number")
    keep, axes = keepdim or keepdims, axes_of(x, dim, axis)
    if ord == 0:
        return astype(sum(x != 0, axes, keep), x.dtype)
    if ord == 1:
        return _r.sum(abs(x), axis=axes, keepdims=keep)
    if ord < 0 or ord == math.inf:
        _elements(f"vector_norm of order {ord}", x, axes)
    if math.isinf(ord):
        return (_r.max if ord > 0 else _r.min)(abs(x), axis=axes, keepdims=keep)
    if builtins.any(x.shape[a] == 0 for a in axes):
        return _r.sum(x, axis=axes, keepdims=keep)  # of no elements: 0
    return _r.norm(x, axis=axes, p=ord, keepdims=keep)


@with_out
def norm(
    x: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, *, dtype: Any = None, axis: Dims = None, keepdims: bool = False
) -> Tensor:
    """The vector norm of order `p` over `dim` (all axes by default); "fro" is order 2."""
    if isinstance(p, str) and p != "fro":
        raise ShapeError(f"norm: `p` (={p!r}) must be a number or 'fro'")
    return vector_norm(x, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype, axis=axis, keepdims=keepdims)


def dist(x: Tensor, y: Tensor, p: float = 2) -> Tensor:
    """The norm of order `p` of `x - y`."""
    return vector_norm(x - y, p)


# sums of exponentials


@with_out
def logsumexp(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over `dim` without overflow."""
    axes = axes_of(x, dim, axis)
    _elements("logsumexp", x, axes)
    return _r.logsumexp(x, axis=axes, keepdims=keepdim or keepdims)


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
