"""Types of mixed operands, as in PyTorch and jax: a whole number never widens a floating one, and a scalar never widens a tensor.

numpy makes float64 of int64 and float32. Here that is float32, and so is a floating function of whole numbers (`exp` of int64).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

DEFAULT = np.dtype(np.float32)
"""The floating dtype of what is made of whole numbers."""

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}  # bfloat16 is of kind "V"


def _harmonised(x: Any, y: Any) -> tuple[Any, Any]:
    """`x` and `y`, one of them cast to the dtype of the other where that decides the result's."""
    ranks = _RANK.get(x.dtype.kind, 2), _RANK.get(y.dtype.kind, 2)
    if ranks[0] == ranks[1] and (x.ndim == 0) != (y.ndim == 0):
        return (x.astype(y.dtype), y) if x.ndim == 0 else (x, y.astype(x.dtype))
    if 2 in ranks and ranks[0] != ranks[1] and 3 not in ranks:
        return (x, y.astype(x.dtype)) if ranks[0] == 2 else (x.astype(y.dtype), y)
    return x, y


def of_one_type(x: Any, y: Any) -> tuple[Any, Any]:
    """`x` and `y`, arrays or Python numbers, cast where numpy would take too wide a type."""
    a, b = getattr(x, "dtype", None), getattr(y, "dtype", None)
    if a is b:
        return x, y
    if a is None:
        return (x, y.astype(DEFAULT)) if type(x) is float and y.dtype.kind in "biu" else (x, y)
    if b is None:
        return (x.astype(DEFAULT), y) if type(y) is float and x.dtype.kind in "biu" else (x, y)
    return _harmonised(x, y)


def promoting(compute: Callable[..., Any], skip: int = 0) -> Callable[..., Any]:
    """`compute` on two operands of one type; `skip` operands in front of them (a condition) are left alone."""

    @wraps(compute)
    def of_two(xp: Any, x: Any, y: Any, **params: Any) -> Any:
        return compute(xp, *of_one_type(x, y), **params)

    @wraps(compute)
    def of_three(xp: Any, first: Any, x: Any, y: Any, **params: Any) -> Any:
        return compute(xp, first, *of_one_type(x, y), **params)

    return of_three if skip else of_two


def _is_whole(x: Any) -> bool:
    dtype = getattr(x, "dtype", None)
    return dtype.kind in "biu" if dtype is not None else isinstance(x, int)


def floating(compute: Callable[..., Any]) -> Callable[..., Any]:
    """`compute`, whose result is a floating number, on operands of which one at least is floating."""

    @wraps(compute)
    def on_floats(xp: Any, x: Any, *rest: Any, **params: Any) -> Any:
        if type(x) is np.ndarray and x.dtype.kind == "f":  # nearly always
            return compute(xp, x, *rest, **params) if rest or params else compute(xp, x)
        if _is_whole(x) and all(map(_is_whole, rest)):
            x, *rest = (y.astype(DEFAULT) if hasattr(y, "dtype") else y for y in (x, *rest))  # type: ignore[assignment]
        return compute(xp, x, *rest, **params)

    return on_floats
