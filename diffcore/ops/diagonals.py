"""Diagonals and triangles of matrices."""

from __future__ import annotations

import operator

import numpy as np

from diffcore.errors import ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.kernels import strides as _t
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.out import with_out
from diffcore.ops.reduction import sum
from diffcore.whole import integer

__all__ = ["diag", "diag_embed", "diagonal", "trace", "tril", "tril_indices", "triu", "triu_indices"]


def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of the axes `dim1` and `dim2`, as the last axis of the result: a view on numpy.

    `offset` counts diagonals above the main one, negative below; beyond the corner the result is empty. Raises `ShapeError` where the axes
    are the same, `IndexError` for one that is not there.
    """
    axes = _two_axes("diagonal", dim1, dim2, x.ndim)
    return _t.diagonal(x, offset=_within(offset, x.shape[axes[0]], x.shape[axes[1]]), axis1=axes[0], axis2=axes[1])


def _within(offset: int, rows: int, columns: int) -> int:
    """`offset`, or the first one without any element on its side."""
    return max(-rows, min(operator.index(offset), columns))


def _two_axes(op: str, dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    axes = axis_of(dim1, ndim), axis_of(dim2, ndim)
    if axes[0] == axes[1]:
        raise ShapeError(f"{op}: diagonal dimensions cannot be identical {dim1}, {dim2}")
    return axes


def diag_embed(x: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Square matrices, in the axes `dim1` and `dim2` of the result, whose diagonal `offset` is the last axis of `x`; zero elsewhere."""
    if not x.ndim:
        raise ShapeError("diag_embed: expected at least a 1-dimensional tensor, got shape ()")
    first, second = _two_axes("diag_embed", dim1, dim2, x.ndim + 1)
    offset = operator.index(offset)
    n = x.shape[-1] + abs(offset)
    return _t.embed_diagonal(x, offset=offset, axis1=first, axis2=second, sizes=(n, n))


@with_out
def diag(x: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector as its diagonal. Raises `ShapeError` for other numbers of axes."""
    if x.ndim not in (1, 2):
        raise ShapeError(f"diag: supports 1D or 2D tensors, got {x.ndim}D, {tuple(x.shape)}")
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    offset = _within(diagonal, x.shape[0], x.shape[1])
    return _t.diagonal(x, offset=offset, axis1=-2, axis2=-1)


def trace(x: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix. Raises `ShapeError` for other numbers of axes."""
    if x.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, but got a tensor of shape {tuple(x.shape)}")
    return sum(_t.diagonal(x, offset=0, axis1=-2, axis2=-1))


def _matrix_axes(op: str, x: Tensor) -> tuple[int, int]:
    if x.ndim < 2:
        raise ShapeError(f"{op}: input tensor must have at least 2 dimensions, got shape {tuple(x.shape)}")
    return x.shape[-2], x.shape[-1]


def _zero(x: Tensor) -> int:
    return False if x.dtype.kind == "b" else 0


@with_out
def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two axes, up to the diagonal `diagonal` above the main one; zero elsewhere, whatever `x` is there."""
    return _e.where(np.tri(*_matrix_axes("tril", x), operator.index(diagonal), dtype=bool), x, _zero(x))


@with_out
def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two axes, from the diagonal `diagonal` above the main one; zero elsewhere, whatever `x` is there."""
    return _e.where(np.tri(*_matrix_axes("triu", x), operator.index(diagonal) - 1, dtype=bool), _zero(x), x)


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Rows and columns of the lower triangle of a `row x col` matrix, as an array `[2, n]` in row-major order."""
    row, col, offset = (integer("tril_indices", *given) for given in (("row", row), ("col", col), ("offset", offset)))
    return np.stack(np.nonzero(np.tri(row, col, offset, dtype=bool)))


def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Rows and columns of the upper triangle of a `row x col` matrix, as an array `[2, n]` in row-major order."""
    row, col, offset = (integer("triu_indices", *given) for given in (("row", row), ("col", col), ("offset", offset)))
    return np.stack(np.nonzero(~np.tri(row, col, offset - 1, dtype=bool)))
