"""Reading and writing along one axis at positions given by a tensor of integers.

Where several values are written to one element the last stays, and it alone gets a derivative; PyTorch leaves that open.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from diffcore.arrays import is_array, values_of
from diffcore.dispatch import Boxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.kernels import indexing as _i
from diffcore.kernels import shape as _s
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.indexing import along
from diffcore.ops.out import with_out
from diffcore.ops.writing import assignable, written
from diffcore.seeds import array_under

__all__ = [
    "gather",
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "scatter",
    "scatter_add",
    "take",
    "take_along_dim",
]


def integers(op: str, index: Any, name: str = "index") -> Any:
    """`index` as an array. Raises `DTypeError` unless it holds integers."""
    index = array_under(index)
    index = index if is_array(index) else np.asarray(index, None if np.size(index) else np.int64)
    if index.dtype.kind not in "iu":
        raise DTypeError(f"{op}: expected `{name}` to hold integers, got {index.dtype}")
    return index


def in_bounds(op: str, index: Any, n: int, axis: int, *, negative: bool = False) -> None:
    """Raise `IndexError` for an index that is known to be outside of [0, n) or, where `negative` ones count from the end, [-n, n)."""
    known = values_of(index)
    if known is None or not known.size:
        return
    least = -n if negative else 0
    if known.min() < least or known.max() >= n:
        bad = known[(known < least) | (known >= n)][0]
        raise IndexError(f"{op}: index {bad} is out of bounds for dimension {axis} with size {n}")


def _along_axis(op: str, x: Tensor, dim: int, index: Any) -> tuple[Tensor, Any, int, int]:
    """`x` and `index` with as many axes, `dim` as a negative number and as given; scalars count as vectors of one element."""
    axis, index = axis_of(dim, x.ndim), integers(op, index)
    if x.ndim <= 1 and index.ndim <= 1:
        x, index = (y if y.ndim else _s.reshape(y, shape=(1,)) for y in (x, index))
    if x.ndim != index.ndim:
        raise ShapeError(
            f"{op}: index tensor must have the same number of dimensions as input tensor, got `index` {tuple(index.shape)} and `input` "
            f"{tuple(x.shape)}"
        )
    position = axis + x.ndim
    for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)):
        if i != position and n > m:
            raise ShapeError(
                f"{op}: size does not match at dimension {i}: expected `index` {tuple(index.shape)} to be no larger than `input` "
                f"{tuple(x.shape)} apart from dimension {position}"
            )
    in_bounds(op, index, x.shape[axis], position)
    return x, index, axis, position


@with_out
def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """`out[i][j] = x[index[i][j]][j]` for `dim=0`, and so on for the other axes; `index` may be smaller than `x` along those.

    Raises `ShapeError` for another number of axes or a larger `index`, `IndexError` for an index out of bounds or negative.
    """
    shape = tuple(np.shape(index) if not hasattr(index, "shape") else index.shape)
    x, index, axis, position = _along_axis("gather", x, dim, index)
    wanted = (*index.shape[:position], x.shape[position], *index.shape[position + 1 :])
    if wanted != tuple(x.shape):
        x = _i.getitem(x, index=tuple(slice(0, n) for n in wanted))
    out = _i.gather(x, indices=index, axis=axis)
    return out if shape else _s.reshape(out, shape=())


@with_out
def take_along_dim(x: Tensor, indices: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`x` at `indices` along `dim`, both broadcast to each other elsewhere; without `dim`, in the flattened `x`.

    Negative indices count from the end. Raises `ShapeError` for another number of axes, `IndexError` for an index out of bounds.
    """
    dim = axis if dim is None else dim
    indices = integers("take_along_dim", indices, "indices")
    if dim is None:
        x, indices, dim = _s.reshape(x, shape=(math.prod(x.shape),)), indices.reshape(-1), 0
    at = axis_of(dim, x.ndim)
    if x.ndim != indices.ndim:
        raise ShapeError(
            f"take_along_dim: input and indices should have the same number of dimensions, but got {x.ndim} dimensions for input, and "
            f"{indices.ndim} dimensions for indices"
        )
    in_bounds("take_along_dim", indices, x.shape[at], at + x.ndim, negative=True)
    return _i.gather(x, indices=indices, axis=at)


@with_out
def take(x: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened `x` at `index`, in its shape; negative ones count from the end."""
    index = integers("take", index)
    in_bounds("take", index, math.prod(x.shape), 0, negative=True)
    return _i.getitem(_s.reshape(x, shape=(math.prod(x.shape),)), index=(index,))


def _listed(op: str, x: Tensor, dim: int, index: Any, *, negative: bool = False) -> tuple[Tensor, int, Any]:
    """`x` (a scalar as a vector), the axis and a vector of positions along it."""
    axis, index = axis_of(dim, x.ndim), integers(op, index)
    if index.ndim > 1:
        raise IndexError(f"{op}: index is supposed to be a vector, but got shape {tuple(index.shape)}")
    x = x if x.ndim else _s.reshape(x, shape=(1,))
    in_bounds(op, index, x.shape[axis], axis + x.ndim, negative=negative)
    return x, axis, index.reshape(-1)


@with_out
def index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """The positions `index` (a vector) of `x` along `dim`. Raises `IndexError` for one out of bounds or negative."""
    shape = tuple(x.shape)
    x, axis, index = _listed("index_select", x, dim, index)
    out = _i.getitem(x, index=along(x, axis, index))
    return out if shape or out.shape != (1,) else _s.reshape(out, shape=())


def _source(op: str, source: Tensor, x: Tensor, axis: int, index: Any) -> Tensor:
    """`source`, which must have the shape of `x` but for the axis, where it must have the length of `index`."""
    expected = tuple(len(index) if i - x.ndim == axis else n for i, n in enumerate(x.shape))
    source = source if source.ndim or len(expected) > 1 else _s.reshape(source, shape=(1,))
    if tuple(source.shape) != expected:
        at = axis + x.ndim
        given = source.shape[at] if source.ndim > at else 1
        if given != len(index):
            raise IndexError(f"{op}: number of indices ({len(index)}) should be equal to source.size(dim): ({given}), for dim: {at}")
        raise ShapeError(
            f"{op}: source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = {tuple(x.shape)} "
            f"source.shape = {tuple(source.shape)}"
        )
    return source


@with_out
def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """`x` with the slices of `alpha * source` along `dim` added at the positions `index`, as often as they are named."""
    shape = tuple(x.shape)
    inner, axis, index = _listed("index_add", x, dim, index)
    source = _source("index_add", assignable("index_add", source, x), inner, axis, index)
    source = source if alpha == 1 else _e.mul(source, alpha)
    out = _e.add(inner, _i.scatter_index(source, index=along(inner, axis, index), shape=tuple(inner.shape)))
    return out if shape else _s.reshape(out, shape=shape)


@with_out
def index_copy(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`x` with the slices of `source` along `dim` in place of its own at the positions `index`."""
    shape = tuple(x.shape)
    inner, axis, index = _listed("index_copy", x, dim, index)
    source = _source("index_copy", assignable("index_copy", source, x), inner, axis, index)
    out = written("index_copy", inner, along(inner, axis, index), source)
    return out if shape else _s.reshape(out, shape=shape)


def index_fill(x: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`x` with `value`, a number or 0-d tensor, at the positions `index` along `dim`; negative ones count from the end."""
    shape = tuple(x.shape)
    inner, axis, index = _listed("index_fill", x, dim, index, negative=True)
    value = scalar("index_fill", value, x)
    out = written("index_fill", inner, along(inner, axis, index), value)
    return out if shape else _s.reshape(out, shape=shape)


def scalar(op: str, value: Any, x: Tensor) -> Tensor:
    """`value` as a 0-d tensor in the dtype of `x`. Raises `ShapeError` for a tensor with axes."""
    value = assignable(op, value, x)
    if value.ndim:
        raise ShapeError(f"{op}: only supports a 0-dimensional value tensor, but got a tensor of shape {tuple(value.shape)}")
    return value


@with_out
def scatter(x: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    """`x` with `out[index[i][j]][j] = src[i][j]` for `dim=0`, and so on for the other axes; `src` is a tensor or a number.

    Raises `ShapeError` for an `index` larger than `src`, or than `x` apart from `dim`, `IndexError` for an index out of bounds or negative.
    """
    shape = tuple(x.shape)
    inner, index, axis, _ = _along_axis("scatter", x, dim, index)
    if isinstance(src, Boxed) or is_array(src):
        value = _cropped("scatter", assignable("scatter", src, x), index)
    else:
        value = scalar("scatter", src, x)
    out = written("scatter", inner, _grid(index, axis), value)
    return out if shape else _s.reshape(out, shape=shape)


@with_out
def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`x` with `out[index[i][j]][j] += src[i][j]` for `dim=0`, and so on for the other axes, as often as an element is named.

    Raises as `scatter`, and `DTypeError` for a number in place of `src`.
    """
    if not isinstance(src, Boxed) and not is_array(src):
        raise DTypeError(f"scatter_add: `src` must be a tensor, not {type(src).__name__}")
    shape = tuple(x.shape)
    inner, index, axis, at = _along_axis("scatter_add", x, dim, index)
    value = _cropped("scatter_add", assignable("scatter_add", src, x), index)
    if (*index.shape[:at], *index.shape[at + 1 :]) == (*inner.shape[:at], *inner.shape[at + 1 :]):
        added = _i.scatter_add(value, indices=index, axis=axis, size=inner.shape[axis])
    else:
        added = _i.scatter_index(value, index=_grid(index, axis), shape=tuple(inner.shape))
    out = _e.add(inner, added)
    return out if shape else _s.reshape(out, shape=shape)


def _cropped(op: str, src: Tensor, index: Any) -> Tensor:
    """The part of `src` that `index` has positions for."""
    src = src if src.ndim or index.ndim != 1 else _s.reshape(src, shape=(1,))
    if src.ndim != index.ndim or builtins.any(n > m for n, m in zip(index.shape, src.shape, strict=True)):
        raise ShapeError(f"{op}: expected `index` {tuple(index.shape)} to be no larger than `src` {tuple(src.shape)}")
    return src if tuple(src.shape) == tuple(index.shape) else _i.getitem(src, index=tuple(slice(0, n) for n in index.shape))


def _grid(index: Any, axis: int) -> tuple[Any, ...]:
    """The index that names, for each element of `index`, its position along `axis` and its own along the others."""
    own = np.indices(tuple(index.shape), np.intp, sparse=True)
    return tuple(index if i - index.ndim == axis else own[i] for i in range(index.ndim))
