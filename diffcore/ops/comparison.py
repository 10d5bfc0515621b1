"""Comparisons, tests and logic. Their results carry no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.dispatch import Boxed
from diffcore.errors import DTypeError
from diffcore.kernels import comparison as _c
from diffcore.ops.axes import Tensor

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
]

eq, ne, lt, le, gt, ge = _c.equal, _c.not_equal, _c.less, _c.less_equal, _c.greater, _c.greater_equal
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge
isnan, isinf, isfinite = _c.isnan, _c.isinf, _c.isfinite
logical_and, logical_or, logical_xor, logical_not = _c.logical_and, _c.logical_or, _c.logical_xor, _c.logical_not
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = _c.bitwise_and, _c.bitwise_or, _c.bitwise_xor, _c.bitwise_not


def array_of(x: Any) -> Any:
    """The array under all levels of a tensor."""
    while isinstance(x, Boxed):
        x = x.primal
    return x


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and equal elements: one Python bool (`eq` compares element by element). NaN equals nothing."""
    return tuple(input.shape) == tuple(other.shape) and bool(array_of(eq(input, other)).all())


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Where `|input - other| <= atol + rtol * |other|`; infinities are close to themselves, and NaN to NaN with `equal_nan`.

    Raises `ValueError` for a negative tolerance, `DTypeError` for differing dtypes.
    """
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise ValueError(f"isclose: `{name}` (={tolerance!r}) must not be negative")
    kinds = [np.dtype(x.dtype) for x in (input, other)]
    if kinds[0] != kinds[1]:
        raise DTypeError(f"isclose: `input` and `other` must have the same dtype, got {kinds[0]} and {kinds[1]}")
    return _c.isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close in the sense of `isclose`: one Python bool. Raises as `isclose` does."""
    return bool(array_of(isclose(input, other, rtol, atol, equal_nan)).all())
