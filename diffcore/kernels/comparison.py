"""Comparisons, tests and logic, element by element: their results are booleans (or integers), so they have no derivative."""

from __future__ import annotations

from typing import Any

from diffcore.kernels.families import elementwise

equal = elementwise("equal", lambda xp, x, y: xp.equal(x, y))
not_equal = elementwise("not_equal", lambda xp, x, y: xp.not_equal(x, y))
less = elementwise("less", lambda xp, x, y: xp.less(x, y))
less_equal = elementwise("less_equal", lambda xp, x, y: xp.less_equal(x, y))
greater = elementwise("greater", lambda xp, x, y: xp.greater(x, y))
greater_equal = elementwise("greater_equal", lambda xp, x, y: xp.greater_equal(x, y))


def _isclose(xp: Any, x: Any, y: Any, *, rtol: float, atol: float, equal_nan: bool) -> Any:
    return xp.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)


isclose = elementwise("isclose", _isclose)

isnan = elementwise("isnan", lambda xp, x: xp.isnan(x))
isinf = elementwise("isinf", lambda xp, x: xp.isinf(x))
isfinite = elementwise("isfinite", lambda xp, x: xp.isfinite(x))

logical_and = elementwise("logical_and", lambda xp, x, y: xp.logical_and(x, y))
logical_or = elementwise("logical_or", lambda xp, x, y: xp.logical_or(x, y))
logical_xor = elementwise("logical_xor", lambda xp, x, y: xp.logical_xor(x, y))
logical_not = elementwise("logical_not", lambda xp, x: xp.logical_not(x))

bitwise_and = elementwise("bitwise_and", lambda xp, x, y: xp.bitwise_and(x, y))
bitwise_or = elementwise("bitwise_or", lambda xp, x, y: xp.bitwise_or(x, y))
bitwise_xor = elementwise("bitwise_xor", lambda xp, x, y: xp.bitwise_xor(x, y))
bitwise_not = elementwise("bitwise_not", lambda xp, x: xp.invert(x))
