"""Triangular systems, an array function that numpy lacks: n^2 operations per right-hand side, a general solution n^3 more."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.costs_linalg import solve_triangular_cost


def solve_triangular(xp: Any, a: Any, b: Any, upper: bool, unit: bool) -> Any:
    """`x` with `a @ x = b` for a triangular `a` `[..., n, n]`, of which the other triangle is not read, and `b` `[..., n, k]`.

    numpy's own general solver serves stacks, many small matrices in one call. Raises `numpy.linalg.LinAlgError` where `a` is singular.
    """
    if xp is not np:
        return _by_jax(xp, a, b, upper, unit)
    if isinstance(a, AbstractArray) or isinstance(b, AbstractArray):
        return solve_triangular_cost(a, b)
    if a.ndim == 2 == b.ndim and a.size and b.size:
        import scipy.linalg

        return scipy.linalg.solve_triangular(a, b, lower=not upper, unit_diagonal=unit, check_finite=False)
    triangle = np.triu(a, 1 if unit else 0) if upper else np.tril(a, -1 if unit else 0)
    return np.linalg.solve(triangle + np.eye(a.shape[-1], dtype=a.dtype) if unit else triangle, b)


def _by_jax(xp: Any, a: Any, b: Any, upper: bool, unit: bool) -> Any:
    from jax.scipy.linalg import solve_triangular

    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = xp.broadcast_to(a, (*stack, *a.shape[-2:])), xp.broadcast_to(b, (*stack, *b.shape[-2:]))
    return solve_triangular(a, b, lower=not upper, unit_diagonal=unit)
