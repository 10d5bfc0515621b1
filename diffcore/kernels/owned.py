"""Arithmetic in the memory of an array that a rule has just made and owns; rules that run on tensors, or on jax, get a new value."""

from __future__ import annotations

from typing import Any

from diffcore.arrays import is_mutable
from diffcore.dispatch import Boxed


def _fits(x: Any, y: Any) -> bool:
    return is_mutable(x) and not isinstance(y, Boxed)


def added(x: Any, y: Any) -> Any:
    """`x + y`, in the memory of `x` where that can be."""
    if not _fits(x, y):
        return x + y
    x += y
    return x


def less(x: Any, y: Any) -> Any:
    """`x - y`, in the memory of `x` where that can be."""
    if not _fits(x, y):
        return x - y
    x -= y
    return x


def scaled(x: Any, y: Any) -> Any:
    """`x * y`, in the memory of `x` where that can be."""
    if not _fits(x, y):
        return x * y
    x *= y
    return x
