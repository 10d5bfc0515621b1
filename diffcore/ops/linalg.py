"""Products of matrices and vectors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from diffcore.dispatch import unboxed
from diffcore.errors import ShapeError
from diffcore.kernels import matmul as _m
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.contraction import einsum, tensordot
from diffcore.ops.out import with_out
from diffcore.ops.reduction import mean, sum
from diffcore.ops.shape import reshape, transpose

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "chain_matmul",
    "corrcoef",
    "cov",
    "cross",
    "dot",
    "ger",
    "inner",
    "kron",
    "matmul",
    "mm",
    "mv",
    "outer",
    "vdot",
]


@with_out
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


_KINDS = {1: "vector", 2: "matrix", 3: "stack of matrices"}


def _expect(op: str, name: str, x: Tensor, ndim: int) -> None:
    if x.ndim != ndim:
        raise ShapeError(f"{op}: `{name}` must be a {_KINDS[ndim]} ({ndim} axes), got shape {tuple(x.shape)}. Did you mean `matmul`?")


def _disagree(op: str, x: Tensor, y: Tensor, i: int, j: int) -> None:
    if x.shape[i] != y.shape[j]:
        raise ShapeError(f"{op}: `x` {tuple(x.shape)} and `y` {tuple(y.shape)} disagree: {x.shape[i]} != {y.shape[j]}")


def _checked(op: str, x: Tensor, y: Tensor, axes: tuple[int, int]) -> None:
    _expect(op, "x", x, axes[0])
    _expect(op, "y", y, axes[1])
    _disagree(op, x, y, -1, -1 if axes[1] == 1 else -2)
    if axes == (3, 3):
        _disagree(op, x, y, 0, 0)


@with_out
def dot(x: Tensor, y: Tensor) -> Tensor:
    """The inner product of two vectors of equal length."""
    _checked("dot", x, y, (1, 1))
    return matmul(x, y)


@with_out
def vdot(x: Tensor, y: Tensor) -> Tensor:
    """The inner product of two vectors of equal length (of real numbers, `dot`)."""
    _checked("vdot", x, y, (1, 1))
    return matmul(x, y)


@with_out
def mv(x: Tensor, y: Tensor) -> Tensor:
    """A matrix `[n, m]` times a vector `[m]`."""
    _checked("mv", x, y, (2, 1))
    return matmul(x, y)


@with_out
def mm(x: Tensor, y: Tensor) -> Tensor:
    """A matrix `[n, m]` times a matrix `[m, p]`."""
    _checked("mm", x, y, (2, 2))
    return _m.matmul(x, y)


@with_out
def bmm(x: Tensor, y: Tensor) -> Tensor:
    """Matrices `[b, n, m]` times as many matrices `[b, m, p]`."""
    _checked("bmm", x, y, (3, 3))
    return _m.matmul(x, y)


@with_out
def outer(x: Tensor, y: Tensor) -> Tensor:
    """All products of an element of the vector `x` and one of the vector `y`: `[n, m]`."""
    _expect("outer", "x", x, 1)
    _expect("outer", "y", y, 1)
    return reshape(x, (-1, 1)) * y


@with_out
def ger(x: Tensor, y: Tensor) -> Tensor:
    """Another name of `outer`."""
    return outer(x, y)


@with_out
def inner(x: Tensor, y: Tensor) -> Tensor:
    """Sums of products over the last axis of both; with a scalar, the product."""
    if not x.ndim or not y.ndim:
        return x * y
    if x.shape[-1] != y.shape[-1]:
        raise ShapeError(f"inner: the last dimension must match on both input tensors but got shapes {tuple(x.shape)} and {tuple(y.shape)}")
    return tensordot(x, y, ([-1], [-1]))


def _plus(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """`beta * input + alpha * product`, of the product's shape; with `beta` 0 the input is not looked at."""
    scaled = product if alpha == 1 else alpha * product
    if beta == 0:
        return scaled
    try:
        fits = np.broadcast_shapes(tuple(input.shape), tuple(product.shape)) == tuple(product.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"`input` {tuple(input.shape)} does not broadcast to the shape of the product {tuple(product.shape)}")
    return (input if beta == 1 else beta * input) + scaled


@with_out
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)` for matrices."""
    _checked("addmm", mat1, mat2, (2, 2))
    return _plus(input, _m.matmul(mat1, mat2), beta, alpha)


@with_out
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * (mat @ vec)` for a matrix and a vector."""
    _checked("addmv", mat, vec, (2, 1))
    return _plus(input, matmul(mat, vec), beta, alpha)


@with_out
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`."""
    return _plus(input, outer(vec1, vec2), beta, alpha)


@with_out
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * (batch1 @ batch2)` for stacks of matrices."""
    _checked("baddbmm", batch1, batch2, (3, 3))
    return _plus(input, _m.matmul(batch1, batch2), beta, alpha)


@with_out
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`beta * input + alpha * sum(batch1 @ batch2)`, summed over the stack."""
    _checked("addbmm", batch1, batch2, (3, 3))
    return _plus(input, einsum("bij,bjk->ik", batch1, batch2), beta, alpha)


def multi_dot(tensors: Any) -> Tensor:
    """The product of two or more matrices (the first and last may be vectors), in the order that costs least."""
    tensors = list(tensors)
    if len(tensors) < 2:
        raise ShapeError(f"multi_dot: expected at least 2 tensors but got {len(tensors)}")
    row, column = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if row:
        tensors[0] = reshape(tensors[0], (1, -1))
    if column:
        tensors[-1] = reshape(tensors[-1], (-1, 1))
    for x in tensors:
        _expect("multi_dot", "tensors[i]", x, 2)
    for x, y in itertools.pairwise(tensors):
        _disagree("multi_dot", x, y, 1, 0)
    out = _multiplied(tensors, _order([x.shape[0] for x in tensors] + [tensors[-1].shape[1]]), 0, len(tensors) - 1)
    return reshape(out, (*(() if row else out.shape[:1]), *(() if column else out.shape[1:])))


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, in the order that costs least."""
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


def _order(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each range of a chain of matrices, `sizes[i]` by `sizes[i + 1]`, for the fewest operations."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


def _multiplied(matrices: list[Tensor], split: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    if i == j:
        return matrices[i]
    k = split[i, j]
    return _m.matmul(_multiplied(matrices, split, i, k), _multiplied(matrices, split, k + 1, j))


@with_out
def kron(x: Tensor, y: Tensor) -> Tensor:
    """The Kronecker product: every element of `x` times `y`, in blocks."""
    ndim = max(x.ndim, y.ndim)
    a, b = ((1,) * (ndim - t.ndim) + tuple(t.shape) for t in (x, y))
    apart = reshape(x, tuple(n for size in a for n in (size, 1))) * reshape(y, tuple(n for size in b for n in (1, size)))
    return reshape(apart, tuple(n * m for n, m in zip(a, b, strict=True)))


_PERMUTATIONS = np.zeros((3, 3, 3), np.int8)
_PERMUTATIONS[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1
_PERMUTATIONS[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1


@with_out
def cross(x: Tensor, y: Tensor, dim: int | None = None) -> Tensor:
    """The vector product along `dim` (by default the first axis of size 3); the other axes broadcast."""
    shape = np.broadcast_shapes(tuple(x.shape), tuple(y.shape))
    if dim is None:
        if 3 not in shape:
            raise ShapeError(f"cross: no dimension of size 3 in `x` {tuple(x.shape)} and `y` {tuple(y.shape)}")
        dim = shape.index(3)
    axis = axis_of(dim, len(shape))
    if x.ndim < -axis or y.ndim < -axis or x.shape[axis] != 3 or y.shape[axis] != 3:
        raise ShapeError(f"cross: `x` {tuple(x.shape)} and `y` {tuple(y.shape)} must have 3 elements along dimension {dim}")
    signs = _PERMUTATIONS.astype(unboxed(x).dtype)
    return transpose(einsum("ijk,...j,...k->...i", signs, transpose(x, axis, -1), transpose(y, axis, -1)), axis, -1)


def cov(x: Tensor, *, correction: float = 1) -> Tensor:
    """The covariances of the rows of `x` `[variables, observations]`, divided by `observations - correction`; a vector is one variable."""
    if x.ndim > 2:
        raise ShapeError(f"cov: expected input to have two or fewer dimensions but got an input of shape {tuple(x.shape)}")
    rows = reshape(x, (1, -1)) if x.ndim < 2 else x
    centred = rows - mean(rows, 1, True)
    freedom = max(rows.shape[1] - correction, 0)
    found = _m.matmul(centred, centred.mT) * (1 / freedom if freedom else math.inf)
    return found if x.ndim == 2 else reshape(found, ())


def corrcoef(x: Tensor) -> Tensor:
    """The correlations of the rows of `x` `[variables, observations]`."""
    if x.ndim < 2:
        found = cov(x)
        return found / found
    rows = x - mean(x, 1, True)
    size = sum(rows * rows, 1, True) ** 0.5
    unit = rows / size
    return _m.matmul(unit, unit.mT)
