"""Shapes and leading-order costs of numpy's sorting and LAPACK functions on abstract arrays.

Costs in multiply-adds of 2 for a matrix of `n` rows: LU 2/3 n^3, so a determinant 2/3 n^3 and a solution 2/3 n^3 + 2 n^2 per right-hand
side; an inverse 2 n^3, a Cholesky factor 1/3 n^3, a triangular solution n^2 per right-hand side; singular values and vectors
of an `m` by `n` matrix (`n` the smaller) 4 m n^2 + 22 n^3 (Golub and Van Loan, 4th edition).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from diffcore.arrays.abstract import AbstractArray, book
from diffcore.arrays.results import shape_of
from diffcore.arrays.strides import Shape


def _stack(shape: Shape) -> int:
    return math.prod(shape[:-2])


def _factored(a: Any, cubes: float) -> None:
    """Book `cubes` n^3 for each matrix of `a`."""
    book(int(cubes * a.shape[-1] ** 3) * _stack(a.shape))


def _solve(a: Any, b: Any) -> AbstractArray:
    _factored(a, 2 / 3)
    return solve_triangular_cost(a, b, 2)


def solve_triangular_cost(a: Any, b: Any, squares: int = 1) -> AbstractArray:
    """Shape and cost of a (triangular) solution: `squares` n^2 per right-hand side."""
    a_shape, b_shape = shape_of(a), shape_of(b)
    shape = (*np.broadcast_shapes(a_shape[:-2], b_shape[:-2]), *b_shape[-2:])
    book(squares * a_shape[-1] * math.prod(shape))
    return AbstractArray(shape, np.result_type(a.dtype, b.dtype))


def _inv(a: Any) -> AbstractArray:
    _factored(a, 2)
    return AbstractArray(a.shape, a.dtype)


def _cholesky(a: Any) -> AbstractArray:
    _factored(a, 1 / 3)
    return AbstractArray(a.shape, a.dtype)


def _slogdet(a: Any) -> tuple[AbstractArray, AbstractArray]:
    _factored(a, 2 / 3)
    return AbstractArray(a.shape[:-2], a.dtype), AbstractArray(a.shape[:-2], a.dtype)


def _svd(a: Any, full_matrices: bool = True) -> tuple[AbstractArray, AbstractArray, AbstractArray]:
    *stack, m, n = a.shape
    k = min(m, n)
    book((4 * max(m, n) * k**2 + 22 * k**3) * math.prod(stack))
    left, right = (m, n) if full_matrices else (k, k)
    return AbstractArray((*stack, m, left), a.dtype), AbstractArray((*stack, k), a.dtype), AbstractArray((*stack, right, n), a.dtype)


def _argsort(x: Any, axis: int = -1, **_: Any) -> AbstractArray:
    """Comparisons: n log2 n."""
    book(math.ceil(x.size * math.log2(max(x.shape[axis], 2))))
    return AbstractArray(x.shape, np.intp)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "argsort": _argsort,
    "solve": _solve,
    "inv": _inv,
    "det": lambda a: _slogdet(a)[1],
    "slogdet": _slogdet,
    "cholesky": _cholesky,
    "svd": _svd,
}
"""numpy function -> its shape and cost on abstract arrays."""
