"""Arithmetic, powers, exponentials, rounding and extremes: the kernels under their public names."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from diffcore.arrays import is_array, values_of
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import DTypeError
from diffcore.kernels import elementwise as _e
from diffcore.ops.axes import Tensor
from diffcore.ops.out import with_out

__all__ = [
    "abs",
    "absolute",
    "add",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "div",
    "divide",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "fmod",
    "frac",
    "hypot",
    "lerp",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logit",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "nan_to_num",
    "neg",
    "negative",
    "pow",
    "reciprocal",
    "relu",
    "remainder",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "tanh",
    "true_divide",
    "trunc",
]

mul, neg, pow, reciprocal = _e.mul, _e.neg, _e.pow, _e.reciprocal
multiply, negative = mul, neg
exp, exp2, expm1, log, log1p, log2, log10 = _e.exp, _e.exp2, _e.expm1, _e.log, _e.log1p, _e.log2, _e.log10
sqrt, rsqrt, tanh, sigmoid, relu, erf, erfc = _e.sqrt, _e.rsqrt, _e.tanh, _e.sigmoid, _e.relu, _e.erf, _e.erfc
abs, sign, floor, ceil, trunc = _e.abs, _e.sign, _e.floor, _e.ceil, _e.trunc
absolute = abs
maximum, minimum, hypot, logaddexp, lerp = _e.maximum, _e.minimum, _e.hypot, _e.logaddexp, _e.lerp

Bound = Any
"""A number, a tensor or `None`."""


def _kind(x: Any) -> str:
    """The kind of a tensor's or number's elements: "b", "i", "u", "f" or "c"."""
    return np.dtype(getattr(x, "dtype", type(x))).kind


def _scaled(op: str, x: Tensor, y: Any, alpha: float) -> Any:
    if isinstance(alpha, float) and _kind(x) in "biu" and _kind(y) in "biu":
        raise DTypeError(f"{op}: for integers `alpha` (={alpha!r}) must not be a floating point number")
    return mul(y, alpha)


@with_out
def add(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """`input + alpha * other`, broadcast."""
    return _e.add(input, other) if alpha == 1 else _e.add(input, _scaled("add", input, other, alpha))


@with_out
def sub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """`input - alpha * other`, broadcast."""
    return _e.sub(input, other) if alpha == 1 else _e.sub(input, _scaled("sub", input, other, alpha))


subtract = sub


@with_out
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other`, broadcast; rounded towards zero (`rounding_mode="trunc"`) or down (`"floor"`), then it has no derivative.

    Rounded quotients of integers are integers. Raises `ValueError` for another mode, `ZeroDivisionError` for integers over 0.
    """
    if rounding_mode is None:
        return _e.div(input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise ValueError(f"div: `rounding_mode` (={rounding_mode!r}) must be None, 'trunc' or 'floor'")
    _check_divisor("div", input, other)
    return _e.quotient(input, other, towards="floor" if rounding_mode == "floor" else "zero")


divide = true_divide = div


@with_out
def floor_divide(input: Tensor, other: Any) -> Tensor:
    """`input / other` rounded down; of integers an integer. It has no derivative. Raises `ZeroDivisionError` for integers over 0."""
    _check_divisor("floor_divide", input, other)
    return _e.quotient(input, other, towards="floor")


@with_out
def remainder(input: Tensor, other: Any) -> Tensor:
    """`input - other * floor(input / other)`: the sign is that of `other`, as in Python (`fmod` takes that of `input`)."""
    _check_divisor("remainder", input, other)
    return _e.remainder(input, other)


@with_out
def fmod(input: Tensor, other: Any) -> Tensor:
    """`input - other * trunc(input / other)`: the sign is that of `input`, as in C (`remainder` takes that of `other`)."""
    _check_divisor("fmod", input, other)
    return _e.fmod(input, other)


def _check_divisor(op: str, x: Any, y: Any) -> None:
    """Integers have no infinity for a quotient over 0 to be. Traced and abstract values cannot be looked at."""
    y = unboxed(y)
    y = values_of(y) if isinstance(y, np.ndarray) else y
    if isinstance(y, builtins.int | np.ndarray | np.generic) and _kind(y) in "biu" and _kind(x) in "biu" and not np.all(y):
        raise ZeroDivisionError(f"{op}: an integer is divided by 0")


@with_out
def square(input: Tensor) -> Tensor:
    """`input ** 2`."""
    return _e.pow(input, 2)


@with_out
def frac(input: Tensor) -> Tensor:
    """The part behind the point, with the sign of `input`; its slope is 1 everywhere."""
    return _e.sub(input, _e.trunc(input))


@with_out
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest whole number, or multiple of `10**-decimals`; halves go to the even neighbour. It has no derivative."""
    return _e.round(input, decimals=decimals)


@with_out
def clamp(input: Tensor, min: Bound = None, max: Bound = None) -> Tensor:
    """`input` kept between `min` and `max`: numbers, tensors that broadcast, or `None`. Where they cross, the result is `max`.

    At a bound the derivative is that of `input`. Raises `ValueError` when both are `None`.
    """
    if min is None and max is None:
        raise ValueError("clamp: at least one of `min` or `max` must not be None")
    _check_bounds("clamp", min, max)
    return _e.clamp(input, min, max, inclusive=True)


clip = clamp


@with_out
def clamp_min(input: Tensor, min: Bound) -> Tensor:
    """The larger of `input` and `min`; where they are equal, the derivative is that of `input`."""
    _check_bounds("clamp_min", min)
    return _e.clamp(input, min, None, inclusive=True)


@with_out
def clamp_max(input: Tensor, max: Bound) -> Tensor:
    """The smaller of `input` and `max`; where they are equal, the derivative is that of `input`."""
    _check_bounds("clamp_max", max)
    return _e.clamp(input, None, max, inclusive=True)


def _check_bounds(op: str, *bounds: Any) -> None:
    for bound in bounds:
        if not (isinstance(bound, Boxed | builtins.int | builtins.float) or is_array(bound) or bound is None and op == "clamp"):
            raise DTypeError(f"{op}: expected a number or a tensor as a bound, got {bound!r}")


@with_out
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """`log(input / (1 - input))`, the inverse of `sigmoid`; with `eps`, `input` is first clamped to `[eps, 1 - eps]`."""
    return _e.logit(input if eps is None else clamp(input, eps, 1 - eps))


@with_out
def nan_to_num(input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`input` with NaN and infinities replaced (infinities by the largest numbers of the dtype); what is replaced is constant."""
    if _kind(input) not in "biufc":
        raise DTypeError(f"nan_to_num: expected a tensor of numbers, got {getattr(input, 'dtype', type(input).__name__)}")
    return _e.nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf)
