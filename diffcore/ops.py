"""The public op set: plain functions over kernels, on arrays and on the tensors of both engines.

Axes are PyTorch's `dim` / `keepdim` or numpy's `axis` / `keepdims`; both spellings work everywhere.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import is_array
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.kernels import indexing as _i
from diffcore.kernels import loss as _l
from diffcore.kernels import matmul as _m
from diffcore.kernels import reduction as _r
from diffcore.kernels import shape as _s

Tensor = Any
Dims = int | Sequence[int] | None

add, sub, mul, div, neg = _e.add, _e.sub, _e.mul, _e.div, _e.neg
exp, log, sqrt, tanh, sigmoid, relu, abs, sign = _e.exp, _e.log, _e.sqrt, _e.tanh, _e.sigmoid, _e.relu, _e.abs, _e.sign
pow, maximum, minimum, where = _e.pow, _e.maximum, _e.minimum, _e.where


class MaxResult(NamedTuple):
    """What `max(x, dim)` returns, as in PyTorch: the largest values along `dim` and their positions."""

    values: Tensor
    indices: Tensor


def _axis(dim: Any, ndim: int) -> int:
    """`dim` as a negative number. Raises `IndexError` worded like PyTorch's."""
    dim = operator.index(dim)
    span = builtins.max(ndim, 1)
    if not -span <= dim < span:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})")
    return dim if dim < 0 else dim - span


def _axes(x: Tensor, dim: Dims, axis: Dims) -> tuple[int, ...]:
    dim = axis if dim is None else dim
    if dim is None or dim == ():
        return tuple(range(-x.ndim, 0))
    found = tuple(_axis(d, x.ndim) for d in dim) if isinstance(dim, Sequence) else (_axis(dim, x.ndim),)
    if len(set(found)) != len(found):
        raise ShapeError(f"dim {tuple(dim)} appears multiple times in the list of dims")  # type: ignore[arg-type]
    return found if x.ndim else ()


def sum(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Sum over `dim` (all axes by default)."""
    return _r.sum(x, axis=_axes(x, dim, axis), keepdims=keepdim or keepdims)


def mean(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `dim` (all axes by default); floating point only."""
    if not np.issubdtype(x.dtype, np.inexact) and x.dtype.kind in "iub":
        raise DTypeError(f"mean: expected a floating-point tensor, got {x.dtype}. Did you mean `x.float().mean()`?")
    return _r.mean(x, axis=_axes(x, dim, axis), keepdims=keepdim or keepdims)


def amax(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """Largest value over `dim`; where several tie, they share the derivative evenly."""
    axes = _axes(x, dim, axis)
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
    shape = tuple(n for i, n in enumerate(x.shape) if i - x.ndim != _axis(dim, x.ndim))
    return MaxResult(reshape(values, shape), reshape(at, shape))


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position of the largest element (the first of several) along `dim`, or in the flattened tensor."""
    dim = axis if dim is None else dim
    return _r.argmax(x, axis=None if dim is None else _axis(dim, x.ndim), keepdims=keepdim or keepdims)


def logsumexp(x: Tensor, dim: Dims = None, keepdim: bool = False, *, axis: Dims = None, keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over `dim` without overflow."""
    return _r.logsumexp(x, axis=_axes(x, dim, axis), keepdims=keepdim or keepdims)


def log_softmax(x: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`x - logsumexp(x)` along `dim` (the last axis by default)."""
    return _r.log_softmax(x, axis=_axis(-1 if dim is None and axis is None else axis if dim is None else dim, x.ndim))


def softmax(x: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`exp(x) / sum(exp(x))` along `dim` (the last axis by default)."""
    return exp(log_softmax(x, dim, axis=axis))


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
    first, last = (_axis(d, x.ndim) + x.ndim for d in (start_dim, end_dim))
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} cannot come after end_dim {end_dim}")
    return reshape(x, (*x.shape[:first], int(np.prod(x.shape[first : last + 1], dtype=np.int64)), *x.shape[last + 1 :]))


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two axes."""
    order = list(range(-x.ndim, 0))
    a, b = _axis(dim0, x.ndim), _axis(dim1, x.ndim)
    if x.ndim:
        order[a], order[b] = order[b], order[a]
    return _s.transpose(x, axes=tuple(order))


def permute(x: Tensor, *dims: Any) -> Tensor:
    """Reorder all axes."""
    wanted = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    axes = tuple(_axis(d, x.ndim) for d in wanted)
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


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product with PyTorch's rules: vectors are rows or columns as they fit, leading axes are batches."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: both operands need at least one axis, got {tuple(a.shape)} and {tuple(b.shape)}")
    row, column = a.ndim == 1, b.ndim == 1
    out = _m.matmul(reshape(a, (1, -1)) if row else a, reshape(b, (-1, 1)) if column else b)
    if not (row or column):
        return out
    shape = tuple(out.shape)
    return reshape(out, (*shape[:-2], *(() if row else shape[-2:-1]), *(() if column else shape[-1:])))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` for `x` `[..., in]`, `weight` `[out, in]`, `bias` `[out]` or `None`."""
    if x.ndim < 2:
        if x.ndim == 0:
            raise ShapeError("linear: `input` needs at least one axis, got ()")
        return reshape(linear(reshape(x, (1, -1)), weight, bias), (-1,))
    return _m.linear_unbiased(x, weight) if bias is None else _m.linear(x, weight, bias)


def cross_entropy(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Cross-entropy of unnormalised `input` `[n, c]`, `[c]` or `[n, c, d1, ...]` and class indices `target` of that shape without `c`."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"cross_entropy: `reduction` (={reduction!r}) must be 'none', 'mean' or 'sum'")
    target = unboxed(target)
    target = target if is_array(target) else np.asarray(target)
    if target.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: expected `target` to hold class indices (an integer dtype), got {target.dtype}")
    if input.ndim == 2:
        return _l.cross_entropy(input, target, reduction=reduction)
    shape = tuple(input.shape)
    if not shape:
        raise ShapeError("cross_entropy: `input` needs at least one axis, got ()")
    expected = shape[:-1] if len(shape) == 1 else (shape[0], *shape[2:])
    if tuple(target.shape) != expected:
        raise ShapeError(f"cross_entropy: expected `target` of shape {expected} for `input` {shape}, got {tuple(target.shape)}")
    if input.ndim > 2:
        input = permute(input, (0, *range(2, input.ndim), 1))
    losses = _l.cross_entropy(reshape(input, (-1, input.shape[-1])), target.reshape(-1), reduction=reduction)
    return reshape(losses, expected) if reduction == "none" else losses


def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """`out[i][j] = x[index[i][j]][j]` for `dim=0`, and so on for the other axes."""
    return _i.gather(x, indices=unboxed(index), axis=_axis(dim, x.ndim))


def getitem(x: Tensor, index: Any) -> Tensor:
    """`x[index]` with numpy's rules for integers, slices, `None`, `...`, integer arrays and boolean masks."""
    return _i.getitem(x, index=_normalised(index if isinstance(index, tuple) else (index,), x))


def _normalised(index: tuple[Any, ...], x: Tensor) -> tuple[Any, ...]:
    """An index without `...`, with arrays for tensors and lists, and positions for boolean masks."""
    parts: list[Any] = []
    masks: list[tuple[int, Any]] = []
    for raw in index:
        part = unboxed(raw)
        if isinstance(part, list | range):
            part = np.asarray(part, dtype=None if len(part) else np.intp)
        if is_array(part) and part.dtype == bool and part.ndim:
            masks.append((len(parts), part))
            parts.extend(part.nonzero())
        elif part is None or part is Ellipsis or isinstance(part, slice) or is_array(part) and part.ndim and part.dtype.kind in "iu":
            parts.append(part)
        else:
            parts.append(_position(part))
    used = _axes_used(parts)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    for at, mask in masks:
        after_ellipsis = builtins.any(part is Ellipsis for part in parts[:at])
        _check_mask(mask, x, x.ndim - _axes_used(parts[at:]) if after_ellipsis else _axes_used(parts[:at]))
    if builtins.any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (x.ndim - used)
        if builtins.any(part is Ellipsis for part in parts):
            raise IndexError("an index can only have a single ellipsis ('...')")
    return tuple(parts)


def _axes_used(parts: list[Any]) -> int:
    return builtins.sum(part is not None and part is not Ellipsis for part in parts)


def _check_mask(mask: Any, x: Tensor, axis: int) -> None:
    if tuple(x.shape[axis : axis + mask.ndim]) != tuple(mask.shape):
        raise IndexError(
            f"The shape of the mask {tuple(mask.shape)} does not match the shape of the indexed tensor {tuple(x.shape)} at axis {axis}"
        )


def _position(part: Any) -> Any:
    if is_array(part) and part.ndim == 0 and part.dtype.kind in "iu":
        return part if not isinstance(part, np.ndarray | np.generic) else int(part)
    try:
        if not isinstance(part, bool):  # which `operator.index` would take for 0 or 1
            return operator.index(part)
    except TypeError:
        pass
    raise IndexError(f"tensors are indexed by integers, slices, None, `...`, integer tensors and boolean masks, not by {part!r}")


def astype(x: Tensor, dtype: Any) -> Tensor:
    """A cast, recorded; to the same dtype, `x` itself."""
    dtype = np.dtype(dtype)
    return x if x.dtype == dtype else _s.astype(x, dtype=dtype)
