"""Elementwise arithmetic, powers, exponentials, rounding and extremes.

The ambiguous points have one answer in both modes: `relu'(0) = 0`, `abs'(0) = 0`, ties of `maximum` go half and half, `clamp` counts its
bounds as inside (with `inclusive=False` as outside), `hypot` at the origin has slope 0, and what `nan_to_num` replaces is constant.
Rounding is piecewise constant, so its results carry no derivative.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.bits import bits_of, mask_of, nonzero, nonzero_bits
from diffcore.kernels.comparison import equal as equal
from diffcore.kernels.comparison import greater as greater
from diffcore.kernels.comparison import greater_equal as greater_equal
from diffcore.kernels.comparison import isfinite, logical_and, logical_or
from diffcore.kernels.comparison import less as less
from diffcore.kernels.comparison import less_equal as less_equal
from diffcore.kernels.comparison import logical_not as logical_not
from diffcore.kernels.comparison import not_equal as not_equal
from diffcore.kernels.families import Choice, elementwise, transcendental
from diffcore.kernels.promotion import of_one_type

_LN2, _LN10 = math.log(2), math.log(10)

add = elementwise("add", lambda xp, x, y: x + y, x=1, y=1)
sub = elementwise("sub", lambda xp, x, y: x - y, x=1, y=-1)
mul = elementwise("mul", lambda xp, x, y: x * y, x=lambda y: y, y=lambda x: x)
def _reciprocal_of(y: Any) -> Any:
    """1 / y, infinite for the number 0."""
    return 1 / y if not isinstance(y, int | float) else 1 / y if y else math.copysign(math.inf, y)


# the slope in `y` is read off the operands, as in PyTorch: results are what users change in place
div = transcendental("div", lambda xp, x, y: x / y, x=_reciprocal_of, y=lambda x, y: -(x / y) / y)
neg = elementwise("neg", lambda xp, x: -x, x=-1)
reciprocal = transcendental("reciprocal", lambda xp, x: 1 / x, x=lambda out: -out * out)

exp = transcendental("exp", lambda xp, x: xp.exp(x), x=lambda out: out)
log = transcendental("log", lambda xp, x: xp.log(x), x=lambda x: 1 / x)
exp2 = transcendental("exp2", lambda xp, x: xp.exp2(x), x=lambda out: out * _LN2)
expm1 = transcendental("expm1", lambda xp, x: xp.expm1(x), x=lambda x: exp(x))  # `out + 1` would cancel for x << 0
log2 = transcendental("log2", lambda xp, x: xp.log2(x), x=lambda x: 1 / (x * _LN2))
log10 = transcendental("log10", lambda xp, x: xp.log10(x), x=lambda x: 1 / (x * _LN10))
log1p = transcendental("log1p", lambda xp, x: xp.log1p(x), x=lambda x: 1 / (x + 1))
sqrt = transcendental("sqrt", lambda xp, x: xp.sqrt(x), x=lambda out: 0.5 / out)
rsqrt = transcendental("rsqrt", lambda xp, x: 1 / xp.sqrt(x), x=lambda out: -0.5 * out * out * out)
logit = transcendental("logit", lambda xp, x: xp.log(x / (1 - x)), x=lambda x: 1 / (x * (1 - x)))


@cache
def special(xp: Any, name: str) -> Any:
    """scipy's special function `name`, or jax's; imported when it is first asked for."""
    if xp is not np:
        return getattr(import_module("jax.scipy.special"), name)
    compute = getattr(import_module("scipy.special"), name)

    def of(x: Any) -> Any:
        out = compute(x)
        return out.astype(np.float16) if getattr(x, "dtype", None) == np.float16 else out  # scipy makes float64 of these

    return of


_SLOPE = 2 / math.sqrt(math.pi)
erf = transcendental("erf", lambda xp, x: special(xp, "erf")(x), x=lambda x: _SLOPE * exp(-x * x))
erfc = transcendental("erfc", lambda xp, x: special(xp, "erfc")(x), x=lambda x: -_SLOPE * exp(-x * x))


def _one_minus_square(out: Any) -> Any:
    square = out * out
    return np.subtract(1, square, out=square) if type(square) is np.ndarray or is_mutable(square) else 1 - square


tanh = transcendental("tanh", lambda xp, x: xp.tanh(x), x=lambda out: _one_minus_square(out))


def decay(xp: Any, x: Any) -> Any:
    """`exp(-|x|)`, which neither overflows nor exceeds 1: what sigmoids and logarithms of sums are made of."""
    small = xp.abs(x)
    if is_mutable(small) and small.dtype.kind == "f":
        np.negative(small, out=small)
        return np.exp(small, out=small)
    return xp.exp(-small)


def _sigmoid(xp: Any, x: Any) -> Any:
    small = decay(xp, x)  # so neither branch overflows or cancels
    return xp.where(x >= 0, 1, small) / (1 + small)


sigmoid = transcendental("sigmoid", _sigmoid, x=lambda out: out * (1 - out))
relu = elementwise("relu", lambda xp, x: xp.maximum(x, 0), x=lambda out: nonzero(out), stand_in=nonzero_bits)
abs = elementwise("abs", lambda xp, x: xp.abs(x), x=lambda x: sign(x))
sign = elementwise("sign", lambda xp, x: xp.sign(x))
nan_to_num = elementwise(
    "nan_to_num",
    lambda xp, x, *, nan, posinf, neginf: xp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    aux={"finite": lambda x: isfinite(x)},
    x=lambda finite: finite,
)

floor = elementwise("floor", lambda xp, x: xp.floor(x))
ceil = elementwise("ceil", lambda xp, x: xp.ceil(x))
trunc = elementwise("trunc", lambda xp, x: xp.trunc(x))
round = elementwise("round", lambda xp, x, *, decimals: xp.round(x, decimals))


def _quotient(xp: Any, x: Any, y: Any, *, towards: str) -> Any:
    if towards == "floor":
        return xp.floor_divide(x, y)
    if np.result_type(*(getattr(v, "dtype", v) for v in (x, y))).kind == "f":
        return xp.trunc(x / y)
    return (x - xp.fmod(x, y)) // y  # integers: exact


quotient = elementwise("quotient", _quotient)
"""`x / y` rounded towards "floor" or towards "zero"; of integers an integer."""
remainder = elementwise("remainder", lambda xp, x, y: xp.remainder(x, y), x=1, y=lambda x, y: -quotient(x, y, towards="floor"))
fmod = elementwise("fmod", lambda xp, x, y: xp.fmod(x, y), x=1, y=lambda x, y: -quotient(x, y, towards="zero"))


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
_BITS = {np.dtype(f"f{size}"): np.dtype(f"i{size}") for size in (2, 4, 8)}


def _where(xp: Any, condition: Any, x: Any, y: Any) -> Any:
    """A choice; of numbers or zeros on numpy as a product of their bits, which stalls at no branch and is up to 25 times faster."""
    if type(y) is int and not y and type(x) is type(condition) is np.ndarray and x.ndim and condition.dtype.kind == "b":
        bits = _BITS.get(x.dtype)
        if bits is not None:
            return np.multiply(x.view(bits), condition).view(x.dtype)
    return xp.where(condition, x, y)


where = elementwise(
    "where",
    _where,
    x=lambda condition: condition,
    y=lambda condition: logical_not(condition),
)


def _dropout(xp: Any, condition: Any, x: Any, *, factor: float) -> Any:
    out = x * condition  # on numpy ten times faster than a choice, whose branches nobody can predict
    if is_mutable(out):
        out *= factor
        return out
    return out * factor


dropout = elementwise(
    "dropout",
    _dropout,
    aux={"bits": lambda condition: bits_of(condition)},
    forward=lambda xp, condition, x, *, factor: (_dropout(xp, condition, x, factor=factor), (bits_of(condition),)),
    x=lambda bits, factor: Choice(mask_of(bits), factor, 0),
)
"""`factor * x` where `condition` is true, else 0, or NaN for what is not finite. What is kept is a bit per element of the condition."""


def _inside(x: Any, min: Any, max: Any, inclusive: bool) -> Any:
    above, below = (greater_equal, less_equal) if inclusive else (greater, less)
    if max is None:
        return above(x, min)
    if min is None:
        return below(x, max)
    return logical_and(above(x, min), below(x, max))


def _under(x: Any, min: Any, max: Any) -> Any:
    """Where the result is the lower bound."""
    return less(x, min) if max is None else logical_and(less(x, min), less_equal(min, max))


def _over(x: Any, min: Any, max: Any) -> Any:
    """Where the result is the upper bound, which it also is where the bounds are crossed."""
    return greater(x, max) if min is None else logical_or(greater(x, max), less(max, min))


def _clamp(xp: Any, x: Any, min: Any, max: Any, *, inclusive: bool) -> Any:
    if min is not None:
        x, min = of_one_type(x, min)
    if max is not None:
        x, max = of_one_type(x, max)
    if max is None:
        return xp.maximum(x, min)
    return xp.minimum(x, max) if min is None else xp.clip(x, min, max)


clamp = elementwise("clamp", _clamp, aux={"inside": _inside}, x=lambda inside: inside, min=_under, max=_over)
"""`x` kept between `min` and `max`, either of which may be `None`. Whether a bound belongs to the inside is `inclusive`."""


def _hypot_share(out: Any, part: Any) -> Any:
    """`part / out`, and 0 at the origin."""
    return part / where(equal(out, 0), 1, out)


hypot = transcendental(
    "hypot", lambda xp, x, y: xp.hypot(x, y), x=lambda out, x: _hypot_share(out, x), y=lambda out, y: _hypot_share(out, y)
)
logaddexp = transcendental("logaddexp", lambda xp, x, y: xp.logaddexp(x, y), x=lambda x, y: sigmoid(x - y), y=lambda x, y: sigmoid(y - x))


def _lerp(xp: Any, start: Any, end: Any, weight: Any) -> Any:
    """From the nearer end, so that both ends are met exactly."""
    step = end - start
    if not hasattr(weight, "dtype"):
        return start + weight * step if math.fabs(weight) < 0.5 else end - step * (1 - weight)
    return xp.where(xp.abs(weight) < 0.5, start + weight * step, end - step * (1 - weight))


lerp = elementwise("lerp", _lerp, start=lambda weight: 1 - weight, end=lambda weight: weight, weight=lambda start, end: end - start)
