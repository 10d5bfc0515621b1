"""Elementwise kernels. The ambiguous points have one answer in both modes: `relu'(0) = 0`, `abs'(0) = 0`, ties of `maximum` go half and
half.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.families import elementwise, irregular

add = elementwise("add", lambda xp, x, y: x + y, x=1, y=1)
sub = elementwise("sub", lambda xp, x, y: x - y, x=1, y=-1)
mul = elementwise("mul", lambda xp, x, y: x * y, x=lambda y: y, y=lambda x: x)
div = elementwise("div", lambda xp, x, y: x / y, x=lambda y: 1 / y, y=lambda out, y: -out / y)
neg = elementwise("neg", lambda xp, x: -x, x=-1)

exp = elementwise("exp", lambda xp, x: xp.exp(x), x=lambda out: out)
log = elementwise("log", lambda xp, x: xp.log(x), x=lambda x: 1 / x)
sqrt = elementwise("sqrt", lambda xp, x: xp.sqrt(x), x=lambda out: 0.5 / out)


def _one_minus_square(out: Any) -> Any:
    square = out * out
    return np.subtract(1, square, out=square) if is_mutable(square) else 1 - square


tanh = elementwise("tanh", lambda xp, x: xp.tanh(x), x=lambda out: _one_minus_square(out))


def _sigmoid(xp: Any, x: Any) -> Any:
    small = xp.exp(-xp.abs(x))  # at most 1, so neither branch overflows or cancels
    return xp.where(x >= 0, 1, small) / (1 + small)


sigmoid = elementwise("sigmoid", _sigmoid, x=lambda out: out * (1 - out))
relu = elementwise("relu", lambda xp, x: xp.maximum(x, 0), aux={"positive": lambda x: x > 0}, x=lambda positive: positive)
abs = elementwise("abs", lambda xp, x: xp.abs(x), x=lambda x: sign(x))
sign = irregular("sign", lambda xp, x: xp.sign(x))


def _power_x(x: Any, y: Any) -> Any:
    """y x^(y-1), and 0 where y = 0, whatever x is."""
    if isinstance(y, int | float):
        return 0 * x if y == 0 else 1 if y == 1 else 2 * x if y == 2 else y * pow(x, y - 1)
    constant = equal(y, 0)
    return where(constant, 0, y * pow(x, where(constant, 1, y - 1)))


def _power_y(out: Any, x: Any, y: Any) -> Any:
    """x^y log x; at x = 0 its limit, which is 0 for y > 0 and -inf for y < 0, and 0 for y = 0."""
    if isinstance(x, int | float) and x != 0:
        return out * (math.log(x) if x > 0 else math.nan)
    zero = equal(x, 0)
    slope = where(zero, 0, out * log(where(zero, 1, x)))
    return where(less(where(zero, y, 0), 0), float("-inf"), slope)


pow = elementwise("pow", lambda xp, x, y: x**y, x=_power_x, y=_power_y)


def _share(x: Any, y: Any, wins: Any) -> Any:
    """1 where `x` wins, one half at a tie, else 0; in the dtype of an operand, since numpy makes float64 of numbers alone."""
    tie = 0.5 * equal(x, y).astype((x if hasattr(x, "dtype") else y).dtype)
    return where(wins(x, y), 1, tie)


maximum = elementwise(
    "maximum", lambda xp, x, y: xp.maximum(x, y), x=lambda x, y: _share(x, y, greater), y=lambda x, y: _share(y, x, greater)
)
minimum = elementwise("minimum", lambda xp, x, y: xp.minimum(x, y), x=lambda x, y: _share(x, y, less), y=lambda x, y: _share(y, x, less))
where = elementwise(
    "where",
    lambda xp, condition, x, y: xp.where(condition, x, y),
    x=lambda condition: condition,
    y=lambda condition: logical_not(condition),
)

equal = irregular("equal", lambda xp, x, y: xp.equal(x, y))
not_equal = irregular("not_equal", lambda xp, x, y: xp.not_equal(x, y))
less = irregular("less", lambda xp, x, y: xp.less(x, y))
less_equal = irregular("less_equal", lambda xp, x, y: xp.less_equal(x, y))
greater = irregular("greater", lambda xp, x, y: xp.greater(x, y))
greater_equal = irregular("greater_equal", lambda xp, x, y: xp.greater_equal(x, y))
logical_not = irregular("logical_not", lambda xp, x: xp.logical_not(x))
