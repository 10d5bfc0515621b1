"""Systems of equations, inverses, determinants, factors and norms of matrices `[..., n, n]`: the functions of `linalg`."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from diffcore.arrays import is_float
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import linalg as _l
from diffcore.ops import reduction as _r
from diffcore.ops.arithmetic import abs, sign
from diffcore.ops.axes import Dims, Tensor, axis_of
from diffcore.ops.indexing import getitem
from diffcore.ops.linalg import cross as _cross
from diffcore.ops.linalg import matmul
from diffcore.ops.masking import where
from diffcore.ops.out import with_out
from diffcore.ops.shape import astype, broadcast_to, reshape
from diffcore.seeds import eye_of

__all__ = ["cholesky", "cholesky_solve", "det", "inverse", "logdet", "matrix_power", "slogdet"]


class SignAndLogarithm(NamedTuple):
    """What `slogdet` returns, as in PyTorch."""

    sign: Tensor
    logabsdet: Tensor


def _square(op: str, a: Tensor, name: str = "A") -> None:
    shape = tuple(a.shape)
    if len(shape) < 2:
        raise ShapeError(f"linalg.{op}: the input tensor `{name}` must have at least 2 dimensions, got shape {shape}")
    if shape[-1] != shape[-2]:
        matrices = f"{shape[-2]} by {shape[-1]} matrices"
        raise ShapeError(f"linalg.{op}: `{name}` {shape} must be batches of square matrices, but they are {matrices}")
    if not is_float(a.dtype):
        raise DTypeError(f"linalg.{op}: expected a floating-point tensor as `{name}`, got {a.dtype}. Did you mean `{name}.float()`?")


def inv(a: Tensor) -> Tensor:
    """The inverses of matrices `[..., n, n]`. Raises `LinAlgError` for a singular one."""
    _square("inv", a)
    return _l.inv(a)


@with_out
def inverse(a: Tensor) -> Tensor:
    """The inverses of matrices `[..., n, n]`. Raises `LinAlgError` for a singular one."""
    return inv(a)


def solve(a: Tensor, b: Tensor, *, left: bool = True) -> Tensor:
    """`x` with `a @ x = b` for `a` `[..., n, n]` and `b` `[..., n, k]`, `[n]` or (one vector per matrix) `[..., n]`.

    With `left=False`, `x @ a = b` for `b` `[..., k, n]`. Raises `LinAlgError` for a singular matrix.
    """
    _square("solve", a)
    vector = b.ndim == 1 or b.ndim == a.ndim - 1 and tuple(b.shape) == tuple(a.shape[:-1])
    if vector:
        if b.shape[-1] != a.shape[-1]:
            raise ShapeError(_incompatible("solve", a, b, "AX = B"))
        return getitem(_l.solve(a, reshape(b, (*b.shape, 1))), (..., 0)) if left else solve(a.mT, b)
    if not left:
        _fits("solve", a, b, -1, "XA = B")
        return _l.solve(a.mT, b.mT).mT
    _fits("solve", a, b, -2, "AX = B")
    return _l.solve(a, b)


def _incompatible(op: str, a: Tensor, b: Tensor, equation: str) -> str:
    return f"linalg.{op}: Incompatible shapes of `A` {tuple(a.shape)} and `B` {tuple(b.shape)} for the equation {equation}"


def _fits(op: str, a: Tensor, b: Tensor, axis: int, equation: str) -> None:
    if b.ndim < 2 or b.shape[axis] != a.shape[-1]:
        raise ShapeError(_incompatible(op, a, b, equation))


def solve_triangular(a: Tensor, b: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """`x` with `a @ x = b` (or, with `left=False`, `x @ a = b`) for triangular `a` `[..., n, n]` and `b` `[..., n, k]`.

    The other triangle of `a` is not read, nor its diagonal, taken for ones, with `unitriangular`. Raises `LinAlgError` for a singular
    matrix.
    """
    _square("solve_triangular", a)
    if not left:
        _fits("solve_triangular", a, b, -1, "XA = B")
        return _l.solve_triangular(a.mT, b.mT, upper=not upper, unit=unitriangular).mT
    _fits("solve_triangular", a, b, -2, "AX = B")
    return _l.solve_triangular(a, b, upper=upper, unit=unitriangular)


def det(a: Tensor) -> Tensor:
    """The determinants of matrices `[..., n, n]`; the derivative is right at singular matrices too, second ones need an inverse."""
    _square("det", a)
    return _l.det(a)


def slogdet(a: Tensor) -> SignAndLogarithm:
    """`(sign, logabsdet)` of the determinants of matrices `[..., n, n]`; 0 and -inf for a singular one, which has no derivative."""
    _square("slogdet", a)
    both = _l.slogdet(a)
    return SignAndLogarithm(sign(getitem(both, (..., 0))), getitem(both, (..., 1)))


def logdet(a: Tensor) -> Tensor:
    """The logarithms of the determinants of matrices `[..., n, n]`; NaN where one is negative."""
    found = slogdet(a)
    return where(found.sign < 0, math.nan, found.logabsdet)


@with_out
def cholesky(a: Tensor, upper: bool = False) -> Tensor:
    """The lower triangular `l` with `l @ l.mT = a` (or its transpose) for symmetric positive-definite matrices `[..., n, n]`.

    A function of the symmetric part of `a`. Raises `LinAlgError` for a matrix that is not positive-definite.
    """
    _square("cholesky", a)
    factor = _l.cholesky(a)
    return factor.mT if upper else factor


def cholesky_solve(b: Tensor, factor: Tensor, upper: bool = False) -> Tensor:
    """`x` with `a @ x = b` for the matrix `a` whose Cholesky factor is `factor`, and `b` `[..., n, k]`."""
    lower = factor.mT if upper else factor
    return solve_triangular(lower.mT, solve_triangular(lower, b, upper=False), upper=True)


def matrix_power(a: Tensor, n: int) -> Tensor:
    """The `n`-th power of matrices `[..., m, m]`, by repeated squaring; of the inverse where `n` is negative."""
    _square("matrix_power", a)
    n = operator.index(n)
    if n < 0:
        a, n = inv(a), -n
    power = None
    while n:
        if n & 1:
            power = a if power is None else matmul(power, a)
        n >>= 1
        a = matmul(a, a) if n else a
    return broadcast_to(eye_of(a, a.shape[-1]), tuple(a.shape)) if power is None else power


# norms


def matrix_norm(a: Tensor, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm of matrices in the two axes `dim`: "fro", or the largest (`inf`, `1`) or smallest (`-inf`, `-1`) sum of a row or column."""
    if a.ndim < 2:
        raise ShapeError(f"linalg.matrix_norm: the input tensor `A` must have at least 2 dimensions, got shape {tuple(a.shape)}")
    if len(dim) != 2:
        raise ShapeError(f"linalg.matrix_norm: `dim` (={dim!r}) must name 2 axes")
    if ord == "fro":
        return _r.vector_norm(a, 2, tuple(dim), keepdim, dtype=dtype)
    if isinstance(ord, str) or math.fabs(ord) not in (1, math.inf):
        raise ShapeError(f"linalg.matrix_norm: Order {ord!r} not supported: it must be 'fro', 1, -1, inf or -inf")
    if dtype is not None:
        a = astype(a, dtype)
    rows, columns = (axis_of(d, a.ndim) for d in dim)
    summed, other = (rows, columns) if math.fabs(ord) == 1 else (columns, rows)
    sums = _r.sum(abs(a), summed, True)
    found = (_r.amax if ord > 0 else _r.amin)(sums, other, True)
    return found if keepdim else reshape(found, tuple(n for i, n in enumerate(a.shape) if i - a.ndim not in (rows, columns)))


def norm(x: Tensor, ord: Any = None, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Vector norm (one axis in `dim`, or no `ord`) or matrix norm (two axes, or `ord` and a matrix)."""
    if ord is None:
        return _r.vector_norm(x, 2, dim, keepdim, dtype=dtype)
    if dim is None and x.ndim not in (1, 2):
        raise ShapeError(f"linalg.norm: if `dim` is not specified but `ord` is, the input must be 1D or 2D, got shape {tuple(x.shape)}")
    axes = tuple(range(x.ndim)) if dim is None else tuple(dim) if isinstance(dim, Sequence) else (dim,)
    if isinstance(ord, str) or len(axes) == 2:
        return matrix_norm(x, ord, axes, keepdim, dtype=dtype)
    return _r.vector_norm(x, ord, axes, keepdim, dtype=dtype)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Sums of products along `dim`; the other axes broadcast."""
    return _r.sum(x * y, dim)


def cross(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along `dim`, which has 3 elements; the other axes broadcast."""
    return _cross(x, y, dim)
