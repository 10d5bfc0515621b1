"""Circular and hyperbolic functions. `atan2` at the origin has slope 0, as in PyTorch."""

from __future__ import annotations

from typing import Any

from diffcore.kernels.elementwise import equal, hypot, reciprocal, rsqrt, where
from diffcore.kernels.families import transcendental

sin = transcendental("sin", lambda xp, x: xp.sin(x), x=lambda x: cos(x))
cos = transcendental("cos", lambda xp, x: xp.cos(x), x=lambda x: -sin(x))
tan = transcendental("tan", lambda xp, x: xp.tan(x), x=lambda out: 1 + out * out)
asin = transcendental("asin", lambda xp, x: xp.arcsin(x), x=lambda x: rsqrt((1 - x) * (1 + x)))  # 1 - x^2 would cancel near 1
acos = transcendental("acos", lambda xp, x: xp.arccos(x), x=lambda x: -rsqrt((1 - x) * (1 + x)))
atan = transcendental("atan", lambda xp, x: xp.arctan(x), x=lambda x: reciprocal(1 + x * x))

sinh = transcendental("sinh", lambda xp, x: xp.sinh(x), x=lambda x: cosh(x))
cosh = transcendental("cosh", lambda xp, x: xp.cosh(x), x=lambda x: sinh(x))
asinh = transcendental("asinh", lambda xp, x: xp.arcsinh(x), x=lambda x: reciprocal(hypot(x, 1)))  # x^2 would overflow
acosh = transcendental("acosh", lambda xp, x: xp.arccosh(x), x=lambda x: rsqrt(x - 1) * rsqrt(x + 1))
atanh = transcendental("atanh", lambda xp, x: xp.arctanh(x), x=lambda x: reciprocal((1 - x) * (1 + x)))


def _angle_share(part: Any, x: Any, y: Any) -> Any:
    """`part / (x^2 + y^2)` without overflow, and 0 at the origin."""
    length = hypot(x, y)
    length = where(equal(length, 0), 1, length)
    return part / length / length


atan2 = transcendental(
    "atan2",
    lambda xp, x, y: xp.arctan2(x, y),
    x=lambda x, y: _angle_share(y, x, y),
    y=lambda x, y: -_angle_share(x, x, y),
)
"""The angle of the point with ordinate `x` and abscissa `y`, in PyTorch's order of the operands."""
