"""Activations of `nn.functional`, element by element, and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import is_array, namespace, random
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import DTypeError, GradientError
from diffcore.kernels import activation as _a
from diffcore.kernels import elementwise as _e
from diffcore.ops.axes import Tensor
from diffcore.ops.comparison import array_of

__all__ = [
    "celu",
    "dropout",
    "elu",
    "gelu",
    "hardsigmoid",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softsign",
    "tanhshrink",
    "threshold",
]

silu, mish, softsign, logsigmoid = _a.silu, _a.mish, _a.softsign, _a.log_sigmoid

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`input` where it is positive, `negative_slope * input` elsewhere; at 0 the derivative is `negative_slope`."""
    return _a.leaky_relu(input, negative_slope=_number("leaky_relu", "negative_slope", negative_slope))


def relu6(input: Tensor) -> Tensor:
    """`min(max(input, 0), 6)`; at 0 and at 6 the derivative is 0."""
    return _e.clamp(input, 0, 6, inclusive=False)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`input` kept between `min_val` and `max_val`; at both the derivative is 0. Raises `ValueError` unless `min_val < max_val`."""
    if not _number("hardtanh", "min_val", min_val) < _number("hardtanh", "max_val", max_val):
        raise ValueError(f"hardtanh: `min_val` (={min_val!r}) must be less than `max_val` (={max_val!r})")
    return _e.clamp(input, min_val, max_val, inclusive=False)


def hardsigmoid(input: Tensor) -> Tensor:
    """`relu6(input + 3) / 6`; at -3 and at 3 the derivative is 0."""
    return _e.div(relu6(_e.add(input, 3)), 6)


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`input` where it is positive, `alpha * (exp(input) - 1)` elsewhere; at 0 the derivative is `alpha`."""
    return _a.elu(input, alpha=_number("elu", "alpha", alpha), scale=1, input_scale=1)


def selu(input: Tensor) -> Tensor:
    """`elu` with the slope and scale under which activations keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    return _a.elu(input, alpha=_SELU_ALPHA, scale=_SELU_SCALE, input_scale=1)


def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`input` where it is positive, `alpha * (exp(input / alpha) - 1)` elsewhere. Raises `ValueError` for `alpha=0`."""
    if _number("celu", "alpha", alpha) == 0:
        raise ValueError("celu: `alpha` (=0) must not be 0")
    return _a.elu(input, alpha=alpha, scale=1, input_scale=1 / alpha)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input * Phi(input)` for the normal distribution's `Phi`, or by a hyperbolic tangent with `approximate="tanh"`."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: `approximate` (={approximate!r}) must be 'none' or 'tanh'")
    return _a.gelu(input, approximate=approximate)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta * input)) / beta`, and `input` itself where `beta * input > threshold`. Raises `ValueError` for `beta=0`."""
    if _number("softplus", "beta", beta) == 0:
        raise ValueError("softplus: `beta` (=0) must not be 0")
    return _a.softplus(input, beta=beta, threshold=_number("softplus", "threshold", threshold))


def tanhshrink(input: Tensor) -> Tensor:
    """`input - tanh(input)`."""
    return _e.sub(input, _e.tanh(input))


def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """`input` where it exceeds `threshold`, `value` elsewhere; at `threshold` the derivative is 0."""
    return _e.where(_e.greater(input, _number("threshold", "threshold", threshold)), input, _number("threshold", "value", value))


def _number(op: str, name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise DTypeError(f"{op}: `{name}` (={value!r}) must be a number")
    return value


def dropout(input: Tensor, p: float = 0.5, training: bool = True, generator: Any = None) -> Tensor:
    """Each element 0 with probability `p`, the others divided by `1 - p`; in evaluation (or for `p=0`) `input` itself.

    **Arguments:** `generator`: a numpy generator (by default the shared one that `manual_seed` restarts, so that both engines draw the same
    numbers), or a key of jax's. Under `jax.jit` one must be given; a mask drawn by numpy is then the same in every call.
    Raises `ValueError` for `p` outside [0, 1], `DTypeError` for integers, `GradientError` under `jax.jit` without a generator.
    """
    if not 0 <= _number("dropout", "p", p) <= 1:
        raise ValueError(f"dropout: `p` (={p!r}) must be a probability between 0 and 1")
    if not training or p == 0:
        return input
    if np.dtype(input.dtype).kind in "biu":
        raise DTypeError(f"dropout: expected a floating-point tensor, got {input.dtype}")
    kept = _e.where(_kept(array_of(input), p, generator), input, 0)
    return kept if p == 1 else _e.mul(kept, 1 / (1 - p))


def _kept(x: Any, p: float, generator: Any) -> Any:
    """A mask of booleans, false with probability `p`, that `x` is met by at every level."""
    shape = tuple(x.shape)
    if isinstance(x, AbstractArray):
        return AbstractArray(shape, np.bool_)
    if is_array(generator):
        import jax

        return jax.random.bernoulli(generator, 1 - p, shape)
    if generator is None and namespace((x,)) is not np and not _is_concrete(x):
        raise GradientError("dropout: under `jax.jit` the mask needs a key of its own: `dropout(x, p, generator=jax.random.key(seed))`")
    return np.asarray((generator or random.default_generator()).random(shape, dtype=np.float32)) >= p


def _is_concrete(x: Any) -> bool:
    import jax

    return not isinstance(x, jax.core.Tracer)
