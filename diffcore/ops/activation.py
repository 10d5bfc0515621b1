"""Activations of `nn.functional`, element by element. With `inplace` the result takes the memory of `input`."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import activation as _a
from diffcore.kernels import elementwise as _e
from diffcore.ops.axes import Tensor
from diffcore.ops.out import into
from diffcore.ops.shape import reshape

__all__ = [
    "celu",
    "elu",
    "gelu",
    "hardsigmoid",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softsign",
    "tanhshrink",
    "threshold",
]

softsign, logsigmoid = _a.softsign, _a.log_sigmoid

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * sigmoid(input)`."""
    return into(silu, input) if inplace else _a.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * tanh(log(1 + exp(input)))` (Misra, 2019)."""
    return into(mish, input) if inplace else _a.mish(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where it is positive, `negative_slope * input` elsewhere; at 0 the derivative is `negative_slope`."""
    if inplace:
        return into(leaky_relu, input, negative_slope)
    if number("leaky_relu", "negative_slope", negative_slope) < 0:  # then the result does not tell the sign of `input`
        return _e.where(_e.greater(input, 0), input, _e.mul(input, negative_slope))
    return _a.leaky_relu(input, negative_slope=negative_slope)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(input, 0), 6)`; at 0 and at 6 the derivative is 0."""
    if inplace:
        return into(relu6, input)
    return _e.clamp(input, 0, 6, inclusive=False)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` kept between `min_val` and `max_val`; at both the derivative is 0. Raises `ValueError` unless `min_val < max_val`."""
    if inplace:
        return into(hardtanh, input, min_val, max_val)
    if not number("hardtanh", "min_val", min_val) < number("hardtanh", "max_val", max_val):
        raise ValueError(f"hardtanh: `min_val` (={min_val!r}) must be less than `max_val` (={max_val!r})")
    return _e.clamp(input, min_val, max_val, inclusive=False)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(input + 3) / 6`; at -3 and at 3 the derivative is 0."""
    if inplace:
        return into(hardsigmoid, input)
    return _e.div(relu6(_e.add(input, 3)), 6)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where it is positive, `alpha * (exp(input) - 1)` elsewhere; at 0 the derivative is `alpha`."""
    if inplace:
        return into(elu, input, alpha)
    return _a.elu(input, alpha=number("elu", "alpha", alpha), scale=1, input_scale=1)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` with the slope and scale under which activations keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    if inplace:
        return into(selu, input)
    return _a.elu(input, alpha=SELU_ALPHA, scale=SELU_SCALE, input_scale=1)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where it is positive, `alpha * (exp(input / alpha) - 1)` elsewhere. Raises `ValueError` for `alpha=0`."""
    if inplace:
        return into(celu, input, alpha)
    if number("celu", "alpha", alpha) == 0:
        raise ValueError("celu: `alpha` (=0) must not be 0")
    return _a.elu(input, alpha=alpha, scale=1, input_scale=1 / alpha)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input * Phi(input)` for the normal distribution's `Phi`, or by a hyperbolic tangent with `approximate="tanh"`."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: `approximate` (={approximate!r}) must be 'none' or 'tanh'")
    return _a.gelu(input, approximate=approximate)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta * input)) / beta`, and `input` itself where `beta * input > threshold`. Raises `ValueError` for `beta=0`."""
    if number("softplus", "beta", beta) == 0:
        raise ValueError("softplus: `beta` (=0) must not be 0")
    return _a.softplus(input, beta=beta, threshold=number("softplus", "threshold", threshold))


def tanhshrink(input: Tensor) -> Tensor:
    """`input - tanh(input)`."""
    return _e.sub(input, _e.tanh(input))


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`value` where `input` is at most `threshold`, `input` elsewhere, also where it is NaN; at `threshold` the derivative is 0."""
    if inplace:
        return into(_threshold, input, threshold, value)
    return _threshold(input, threshold, value)


def _threshold(input: Tensor, least: float, value: float) -> Tensor:
    return _e.where(_e.less_equal(input, number("threshold", "threshold", least)), number("threshold", "value", value), input)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where it is positive, `weight * input` elsewhere; `weight` `[1]`, or `[c]` with one slope per channel (axis 1).

    At 0 the derivative in `input` is the slope (He et al., 2015, "Delving deep into rectifiers"). Raises `ShapeError`.
    """
    channels = input.shape[1] if input.ndim > 1 else 1
    if tuple(weight.shape) not in ((1,), (channels,)):
        raise ShapeError(
            f"prelu: `weight` {tuple(weight.shape)} must have one element, or one per channel of `input` {tuple(input.shape)}, "
            f"which has {channels}"
        )
    slopes = weight if weight.shape[0] == 1 else reshape(weight, (channels, *(1,) * (input.ndim - 2)))
    return _e.where(_e.greater(input, 0), input, _e.mul(slopes, input))


def number(op: str, name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise DTypeError(f"{op}: `{name}` (={value!r}) must be a number")
    return value
