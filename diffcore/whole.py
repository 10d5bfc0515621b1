"""Whole numbers as users give them: Python's, numpy's, tensors of one element; whatever `operator.index` takes but booleans."""

from __future__ import annotations

import operator
from typing import Any


def whole(value: Any, least: int | None = None) -> int | None:
    """`value` as an integer; `None` where it is none, as `True`, `4.0` and `"4"` are none, or is below `least`."""
    if type(value) is not int:
        if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":  # `operator.index` takes some for 0 or 1
            return None
        try:
            value = operator.index(value)
        except TypeError:
            return None
    return value if least is None or value >= least else None


def integer(op: str, name: str, value: Any, wanted: str = "an int") -> int:
    """`value`, argument `name` of an operation or a part of it, as an integer. Raises `TypeError`."""
    found = whole(value)
    if found is None:
        raise TypeError(f"{op}: argument `{name}` must be {wanted}, not {type(value).__name__}")
    return found
