"""Activations that are kernels of their own. Each keeps one array at most for reverse mode: the input, the output or a mask of bits.

At the kink the derivative is that from below: `leaky_relu'(0)` is the slope, `elu'(0)` is `alpha * scale * input_scale`.
"""

from __future__ import annotations

import math
from typing import Any

from diffcore.kernels.bits import positive, positive_bits
from diffcore.kernels.elementwise import _sigmoid, decay, erfc, exp, expm1, reciprocal, sigmoid, special, tanh, where
from diffcore.kernels.families import Choice, elementwise


def softplus_of(xp: Any, x: Any) -> Any:
    """`log(1 + exp(x))` without overflow."""
    return xp.log1p(decay(xp, x)) + xp.maximum(x, 0)


def _softplus(xp: Any, x: Any, *, beta: float, threshold: float) -> Any:
    scaled = x if beta == 1 else x * beta
    soft = softplus_of(xp, scaled)
    return xp.where(scaled > threshold, x, soft if beta == 1 else soft / beta)


def _softplus_slope(x: Any, beta: float, threshold: float) -> Any:
    scaled = x if beta == 1 else x * beta
    return where(scaled > threshold, 1, sigmoid(scaled))


softplus = elementwise("softplus", _softplus, x=_softplus_slope)
"""`log(1 + exp(beta x)) / beta`, and `x` itself where `beta x > threshold`."""
log_sigmoid = elementwise("log_sigmoid", lambda xp, x: xp.minimum(x, 0) - xp.log1p(decay(xp, x)), x=lambda out: -expm1(out))

leaky_relu = elementwise(
    "leaky_relu",
    lambda xp, x, *, negative_slope: xp.where(x > 0, x, x * negative_slope),
    x=lambda out, negative_slope: Choice(positive(out), 1, negative_slope),
    stand_in=positive_bits,
)
"""`x` where it is positive, else `negative_slope * x`, for a slope of at least 0, so that the result has the sign of `x`."""


def _elu(xp: Any, x: Any, *, alpha: float, scale: float, input_scale: float) -> Any:
    below = alpha * xp.expm1(xp.where(x > 0, 0, x) * input_scale)  # where x > 0 it could overflow
    out = xp.where(x > 0, x, below)
    return out if scale == 1 else out * scale


def _elu_slope(x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    positive = x > 0
    return where(positive, scale, (alpha * scale * input_scale) * exp(where(positive, 0, x) * input_scale))


elu = elementwise("elu", _elu, x=_elu_slope)
"""`scale * (x if x > 0 else alpha * (exp(input_scale * x) - 1))`: also `selu` and `celu`."""


def _silu_slope(x: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


silu = elementwise("silu", lambda xp, x: x * _sigmoid(xp, x), x=_silu_slope)


def _mish(xp: Any, x: Any) -> Any:
    """`x tanh(log(1 + e^x))`; the hyperbolic tangent is rational in `d = exp(-|x|)`."""
    d = decay(xp, x)
    top = xp.where(x > 0, 1 + 2 * d, d * (d + 2))
    return x * (top / (top + xp.where(x > 0, 2 * d * d, 2)))


def _mish_slope(x: Any) -> Any:
    t = tanh(softplus(x, beta=1, threshold=math.inf))
    return t + x * sigmoid(x) * (1 - t * t)


mish = elementwise("mish", _mish, x=_mish_slope)

_ROOT_HALF = math.sqrt(0.5)
_ROOT_8_PI, _CUBIC = math.sqrt(8 / math.pi), 0.044715


def _gelu(xp: Any, x: Any, *, approximate: str) -> Any:
    if approximate == "none":
        return 0.5 * x * special(xp, "erfc")(x * -_ROOT_HALF)
    return x * _sigmoid(xp, _ROOT_8_PI * x * (1 + _CUBIC * x * x))


def _gelu_slope(x: Any, approximate: str) -> Any:
    square = x * x
    if approximate == "none":
        return 0.5 * erfc(x * -_ROOT_HALF) + x * exp(-0.5 * square) / math.sqrt(2 * math.pi)
    s = sigmoid(_ROOT_8_PI * x * (1 + _CUBIC * square))
    return s + x * s * (1 - s) * (_ROOT_8_PI * (1 + 3 * _CUBIC * square))


gelu = elementwise("gelu", _gelu, x=_gelu_slope)
"""`x Phi(x)`; `approximate="tanh"` has `(1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2`, which is a sigmoid, in place of `Phi`."""


def _softsign_slope(x: Any) -> Any:
    r = reciprocal(1 + abs(x))
    return r * r


softsign = elementwise("softsign", lambda xp, x: x / (1 + xp.abs(x)), x=_softsign_slope)
