"""Joining tensors, and taking them apart."""

from __future__ import annotations

import builtins
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_float
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import joining as _j
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.indexing import getitem, narrow
from diffcore.ops.out import with_out
from diffcore.ops.shape import astype, broadcast_to, reshape, transpose
from diffcore.whole import integer

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_tensors",
    "cartesian_prod",
    "cat",
    "chunk",
    "concat",
    "concatenate",
    "dstack",
    "hstack",
    "meshgrid",
    "split",
    "stack",
    "tensor_split",
    "unbind",
    "vstack",
]


def _listed(op: str, tensors: Any) -> list[Tensor]:
    """The operands of a joining op. Raises `TypeError` for what is not a sequence of tensors, `ShapeError` for an empty one."""
    if isinstance(tensors, Boxed) or is_array(tensors) or not isinstance(tensors, Sequence):
        raise DTypeError(f"{op}: `tensors` must be a list or tuple of tensors, not {type(tensors).__name__}")
    for i, x in enumerate(tensors):
        if not isinstance(x, Boxed) and not is_array(x):
            raise DTypeError(f"{op}: expected a tensor as element {i} of `tensors`, but got {type(x).__name__}")
    if not tensors:
        raise ShapeError(f"{op}: expected a non-empty list of tensors")
    floating = [x.dtype for x in tensors if is_float(x.dtype)]
    if not floating or len(floating) == len(tensors):
        return list(tensors)
    widest = np.result_type(*floating)  # whole numbers do not widen floating ones
    return [x if is_float(x.dtype) else astype(x, widest) for x in tensors]


@with_out
def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors one after the other along `dim`; elsewhere their shapes must be equal.

    As in PyTorch, empty vectors (shape `(0,)`) go with any shape. Raises `ShapeError` for shapes that disagree, for 0-d tensors and an
    empty list, `IndexError` for an axis that is not there.
    """
    return _cat("cat", tensors, dim if axis is None else axis)


def _cat(op: str, tensors: Any, dim: int) -> Tensor:
    given = _listed(op, tensors)
    for i, x in enumerate(given):
        if not x.ndim:
            raise ShapeError(f"{op}: zero-dimensional tensor (at position {i}) cannot be concatenated. Did you mean `stack`?")
    if builtins.any(x.ndim != 1 for x in given):
        given = [x for x in given if tuple(x.shape) != (0,)]
    return _j.concatenate(*given, axis=axis_of(dim, given[0].ndim))


def concat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Another name of `cat`."""
    return cat(tensors, dim, axis=axis)


def concatenate(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Another name of `cat`, as in numpy."""
    return cat(tensors, dim, axis=axis)


@with_out
def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors of one shape along a new axis, which is `dim` of the result. Raises `ShapeError` for several shapes and an empty list."""
    given = _listed("stack", tensors)
    return _j.concatenate(*given, axis=axis_of(dim if axis is None else axis, given[0].ndim + 1), new=True)


@with_out
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along axis 1, vectors and scalars along axis 0."""
    given = [atleast_1d(x) for x in _listed("hstack", tensors)]
    return _cat("hstack", given, 0 if given[0].ndim == 1 else 1)


@with_out
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along axis 0; vectors are rows."""
    return _cat("vstack", [atleast_2d(x) for x in _listed("vstack", tensors)], 0)


@with_out
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along axis 2; vectors `[n]` become `[1, n, 1]`, matrices `[m, n, 1]`."""
    return _cat("dstack", [atleast_3d(x) for x in _listed("dstack", tensors)], 2)


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Sequence):
        tensors = tuple(tensors[0])
    return function(tensors[0]) if len(tensors) == 1 else tuple(map(function, tensors))


def atleast_1d(*tensors: Any) -> Any:
    """Scalars as vectors; a tuple for several tensors."""
    return _each(lambda x: x if x.ndim else reshape(x, (1,)), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Scalars and vectors as rows of a matrix; a tuple for several tensors."""
    return _each(lambda x: x if x.ndim > 1 else reshape(x, (1, -1) if x.ndim else (1, 1)), tensors)


def atleast_3d(*tensors: Any) -> Any:
    """Scalars, vectors `[n]` and matrices `[m, n]` as `[1, 1, 1]`, `[1, n, 1]` and `[m, n, 1]`; a tuple for several tensors."""

    def deep(x: Tensor) -> Tensor:
        return x if x.ndim > 2 else reshape(x, {0: (1, 1, 1), 1: (1, *x.shape, 1)}.get(x.ndim, (*x.shape, 1)))

    return _each(deep, tensors)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors repeated to their common shape, without copying. Raises `ShapeError` where there is none."""
    shapes = [tuple(x.shape) for x in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"broadcast_tensors: shapes {', '.join(map(str, shapes))} do not broadcast") from None
    return tuple(x if tuple(x.shape) == shape else broadcast_to(x, shape) for x in tensors)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Vectors (or scalars) of coordinates as grids of their product, without copying.

    Grid `i` varies along axis `i` (`indexing="ij"`); `"xy"` swaps the first two axes, as in images. Raises `ShapeError` for a tensor with
    more than one axis, `ValueError` for another `indexing`.
    """
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: `indexing` (={indexing!r}) must be 'ij' or 'xy'")
    given = _listed("meshgrid", tensors[0] if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else tensors)
    for i, x in enumerate(given):
        if x.ndim > 1:
            raise ShapeError(f"meshgrid: expected scalar or 1D tensor, but got `tensors[{i}]` of shape {tuple(x.shape)}")
    sizes = tuple(math.prod(x.shape) for x in given)
    grids = [broadcast_to(reshape(x, (*(1,) * i, sizes[i], *(1,) * (len(given) - i - 1))), sizes) for i, x in enumerate(given)]
    swapped = indexing == "xy" and len(given) > 1
    return tuple(transpose(x, 0, 1) if swapped else x for x in grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every combination of one element of each vector, `[n1 * n2 * ..., number of vectors]`; one vector alone is returned as it is."""
    grids = meshgrid(*tensors)
    for i, x in enumerate(tensors):
        if x.ndim != 1:
            raise ShapeError(f"cartesian_prod: expected a 1D vector, but got `tensors[{i}]` of shape {tuple(x.shape)}")
    return tensors[0] if len(tensors) == 1 else stack([reshape(x, (-1,)) for x in grids], 1)


def _needs_axes(op: str, x: Tensor) -> None:
    if not x.ndim:
        raise ShapeError(f"{op}: expected at least a 1-dimensional tensor, got shape ()")


def split(x: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of parts of `x` along `dim`: of one size (the last may be smaller), or of the sizes listed, which must add up.

    Raises `ShapeError` for sizes that do not, or a negative one.
    """
    _needs_axes("split", x)
    axis = axis_of(dim, x.ndim)
    n = x.shape[axis]
    if isinstance(split_size_or_sections, Sequence):
        sizes = [operator.index(m) for m in split_size_or_sections]
        if builtins.sum(sizes) != n or min(sizes, default=0) < 0:
            raise ShapeError(
                f"split: expects `split_sizes` to be non-negative and to sum exactly to {n} (the size at dimension {dim}), but got "
                f"split_sizes={sizes}"
            )
        return _parts(x, [0, *itertools.accumulate(sizes)], axis)
    size = operator.index(split_size_or_sections)
    if size < 0 or size == 0 != n:
        raise ShapeError(f"split: `split_size` (={size}) must be positive, `x` has shape {tuple(x.shape)}")
    return _parts(x, [*range(0, max(n, 1), max(size, 1)), n], axis)


def _parts(x: Tensor, bounds: Sequence[int], axis: int) -> tuple[Tensor, ...]:
    return tuple(narrow(x, axis, start, stop - start) for start, stop in itertools.pairwise(bounds))


def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`x` split along `dim` into at most `chunks` parts of one size (the last may be smaller). Raises `ShapeError` for less than one."""
    _needs_axes("chunk", x)
    chunks = integer("chunk", "chunks", chunks)
    if chunks < 1:
        raise ShapeError(f"chunk: expects `chunks` to be greater than 0, got: {chunks}")
    n = x.shape[axis_of(dim, x.ndim)]
    return split(x, -(-n // chunks) if n else [0] * chunks, dim)


def tensor_split(x: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`x` split along `dim` into that many parts, whose sizes differ by one at most, or before each index, as slices do."""
    _needs_axes("tensor_split", x)
    axis = axis_of(dim, x.ndim)
    n = x.shape[axis]
    cuts = unboxed(indices_or_sections)
    cuts = cuts.tolist() if is_array(cuts) else cuts
    if isinstance(cuts, Sequence):
        bounds = [0, *map(operator.index, cuts), n]
        return tuple(getitem(x, (..., slice(a, b), *(slice(None),) * (-axis - 1))) for a, b in itertools.pairwise(bounds))
    count = operator.index(cuts)
    if count < 1:
        raise ShapeError(f"tensor_split: number of sections must be larger than 0, got {count}")
    return _parts(x, [i * (n // count) + min(i, n % count) for i in range(count + 1)], axis)


def unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of `x` at every position along `dim`, without that axis."""
    _needs_axes("unbind", x)
    axis = axis_of(dim, x.ndim)
    return tuple(getitem(x, (..., i, *(slice(None),) * (-axis - 1))) for i in range(x.shape[axis]))
