"""Initial values of parameters: the functions of `torch.nn.init`, in place and unrecorded.

All fill `tensor` (of any dtype that is floating, on any device) and return it. Random ones draw from `generator`, by default the shared one
that `manual_seed` restarts, in float64, so that every dtype and device sees the same numbers. Abstract tensors have no values: there the
arguments are checked, and nothing is drawn. On jax the tensor gets a new array.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from diffcore import aliasing
from diffcore.arrays import is_float, random
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.devices import device_of, place
from diffcore.dispatch import Boxed
from diffcore.errors import ArgumentError, DTypeError, ShapeError
from diffcore.seeds import array_under
from diffcore.whole import integer

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid")


def _shape(op: str, tensor: Any, *ndims: int) -> tuple[int, ...]:
    """The shape of `tensor`. Raises unless it is a floating-point tensor with one of these numbers of axes."""
    if not isinstance(tensor, Boxed):
        raise DTypeError(f"{op}: expected a tensor, got {type(tensor).__name__}")
    array, shape = array_under(tensor), tuple(tensor.primal.shape)
    if not is_float(array.dtype):
        raise DTypeError(f"{op}: expected a floating-point tensor, got {array.dtype}")
    if ndims and len(shape) not in ndims:
        raise ShapeError(f"{op}: only tensors with {' or '.join(map(str, ndims))} dimensions are supported, got shape {shape}")
    return shape


def _write(op: str, tensor: Any, values: Callable[[], Any]) -> Any:
    """Put `values()` into `tensor`, unrecorded; an abstract one has no values, so none are made."""
    array = array_under(tensor)
    if isinstance(array, AbstractArray):
        return tensor
    new = place(values().astype(array.dtype), device_of(array))
    outer, tensor._mode.enabled = tensor._mode.enabled, False
    try:
        return aliasing.change(tensor, op, tensor._like(new))
    finally:
        tensor._mode.enabled = outer


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a layer's deviation is to be larger before `nonlinearity`.

    1 for linear layers and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + param^2)) for leaky_relu (`param`: its slope, 0.01 by
    default), 3/4 for selu. Raises `ValueError` for another name or a slope that is no number.
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"calculate_gain: negative_slope `param` (={param!r}) is not a valid number")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3 / 4
    raise ValueError(f"calculate_gain: unsupported `nonlinearity` (={nonlinearity!r})")


def _fans(op: str, tensor: Any) -> tuple[int, int]:
    """Inputs per output and outputs per input of a layer with weight `tensor` `[out, in, *window]`."""
    shape = _shape(op, tensor)
    if len(shape) < 2:
        raise ShapeError(f"{op}: fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape {shape}")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _uniform(op: str, tensor: Any, low: float, high: float, generator: Any) -> Any:
    shape, source = _shape(op, tensor), random.checked(generator)
    if not low <= high:
        raise ArgumentError(f"{op}: expects a range [a, b) with a <= b, got a={low} > b={high}")
    return _write(op, tensor, lambda: random.uniform(low, high, shape, np.float64, source))


def _normal(op: str, tensor: Any, mean: float, std: float, generator: Any) -> Any:
    shape, source = _shape(op, tensor), random.checked(generator)
    if not std >= 0:
        raise ArgumentError(f"{op}: expects std >= 0.0, but found `std` (={std})")
    return _write(op, tensor, lambda: mean + std * random.normal(shape, np.float64, source))


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Numbers from U(a, b)."""
    return _uniform("uniform_", tensor, a, b, generator)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """Numbers from N(mean, std^2). Raises `ArgumentError` for a negative `std`."""
    return _normal("normal_", tensor, mean, std, generator)


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None) -> Any:
    """Numbers from N(mean, std^2) given that they are within [a, b], by the inverse of the distribution function: one draw per number.

    Raises `ArgumentError` for a deviation that is not positive and an empty range; warns where the range is far from `mean`.
    """
    shape, source = _shape("trunc_normal_", tensor), random.checked(generator)
    if not std > 0 or not a < b:
        raise ArgumentError(f"trunc_normal_: expects std > 0 and a < b, got `std` (={std}), `a` (={a}) and `b` (={b})")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn("trunc_normal_: mean is more than 2 std from [a, b]: the distribution of values may be incorrect", stacklevel=2)

    def drawn() -> Any:
        standard = _truncated(random.uniform(0, 1, shape, np.float64, source), (a - mean) / std, (b - mean) / std)
        return np.clip(mean + std * standard, a, b)

    return _write("trunc_normal_", tensor, drawn)


def _truncated(u: Any, low: float, high: float) -> Any:
    """The quantiles `u` of the standard normal distribution within [low, high], by logarithms, so that tails are exact too."""
    from scipy.special import log_ndtr, ndtri_exp

    if low + high > 0:  # the lower tail is where the distribution function has its digits
        return -_truncated(u, -high, -low)
    top = log_ndtr(high)
    return ndtri_exp(top + np.log(u + (1 - u) * np.exp(log_ndtr(low) - top)))


def constant_(tensor: Any, val: float) -> Any:
    """`val` everywhere."""
    shape = _shape("constant_", tensor)
    return _write("constant_", tensor, lambda: np.full(shape, val))


def ones_(tensor: Any) -> Any:
    """Ones."""
    shape = _shape("ones_", tensor)
    return _write("ones_", tensor, lambda: np.ones(shape))


def zeros_(tensor: Any) -> Any:
    """Zeros."""
    shape = _shape("zeros_", tensor)
    return _write("zeros_", tensor, lambda: np.zeros(shape))


def eye_(tensor: Any) -> Any:
    """The identity matrix, so that a `Linear` layer passes on as many inputs as it can. Raises `ShapeError` unless `tensor` is a matrix."""
    rows, columns = _shape("eye_", tensor, 2)
    return _write("eye_", tensor, lambda: np.eye(rows, columns))


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Ones in the middle of the window of output channel `i` and input channel `i` of each group, zeros elsewhere.

    So a convolution passes on as many channels as it can. Raises `ShapeError` unless `tensor` is `[out, in, *window]` with 3 to 5 axes,
    `ArgumentError` where `groups` does not divide the output channels.
    """
    shape, groups = _shape("dirac_", tensor, 3, 4, 5), integer("dirac_", "groups", groups)
    if groups < 1 or shape[0] % groups:
        raise ArgumentError(f"dirac_: dim 0 must be divisible by groups, got `groups` (={groups}) for shape {shape}")

    def values() -> Any:
        made = np.zeros(shape)
        rows, middle = shape[0] // groups, tuple(n // 2 for n in shape[2:])
        for first in range(0, shape[0], rows or 1):
            for channel in range(min(rows, shape[1])):
                made[(first + channel, channel, *middle)] = 1
        return made

    return _write("dirac_", tensor, values)


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Numbers from U(-a, a) with `a = gain * sqrt(6 / (fan_in + fan_out))`, which keeps variances forward and backward.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks". `tensor` is a weight
    `[out, in, *window]`; raises `ShapeError` for less than two axes.
    """
    fan_in, fan_out = _fans("xavier_uniform_", tensor)
    bound = gain * math.sqrt(6 / max(fan_in + fan_out, 1))
    return _uniform("xavier_uniform_", tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Numbers from N(0, std^2) with `std = gain * sqrt(2 / (fan_in + fan_out))`; see `xavier_uniform_`."""
    fan_in, fan_out = _fans("xavier_normal_", tensor)
    return _normal("xavier_normal_", tensor, 0, gain * math.sqrt(2 / max(fan_in + fan_out, 1)), generator)


def _kaiming(op: str, tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    """The deviation `gain / sqrt(fan)`."""
    fans = dict(zip(("fan_in", "fan_out"), _fans(op, tensor), strict=True))
    if mode not in fans:
        raise ValueError(f"{op}: `mode` (={mode!r}) not supported, please use 'fan_in' or 'fan_out'")
    gain = calculate_gain(nonlinearity, a)
    if not math.prod(tensor.primal.shape):
        warnings.warn(f"{op}: initializing zero-element tensors is a no-op", stacklevel=3)
        return 0.0
    return gain / math.sqrt(fans[mode])


def kaiming_uniform_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """Numbers from U(-b, b) with `b = gain * sqrt(3 / fan)`, which keeps the variance through rectifiers.

    He et al. 2015, "Delving deep into rectifiers". `mode`: `"fan_in"` keeps it forward, `"fan_out"` backward; `a`: the slope of
    `leaky_relu`. Raises `ShapeError` for less than two axes, `ValueError` for another mode or nonlinearity.
    """
    bound = math.sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return _uniform("kaiming_uniform_", tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """Numbers from N(0, std^2) with `std = gain / sqrt(fan)`; see `kaiming_uniform_`."""
    return _normal("kaiming_normal_", tensor, 0, _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """`gain` times a random matrix with orthonormal rows (or columns, where there are more rows), axes after the first merged.

    The factor Q of a matrix of normal numbers, signs chosen so that it is uniform among orthogonal matrices (Mezzadri 2007; Saxe et al.
    2013, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"). Raises `ShapeError` for a vector.
    """
    shape, source = _shape("orthogonal_", tensor), random.checked(generator)
    if len(shape) < 2:
        raise ShapeError(f"orthogonal_: only tensors with 2 or more dimensions are supported, got shape {shape}")

    def values() -> Any:
        rows, columns = shape[0], math.prod(shape[1:])
        drawn = random.normal((rows, columns), np.float64, source)
        q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
        q *= np.sign(np.diagonal(r))
        return (gain * (q.T if rows < columns else q)).reshape(shape)

    return _write("orthogonal_", tensor, values)


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    """Numbers from N(0, std^2), of which a fraction `sparsity` of each column (rounded up) is 0 (Martens 2010, "Deep learning via
    Hessian-free optimization").

    Raises `ShapeError` unless `tensor` is a matrix, `ArgumentError` for a fraction outside [0, 1] or a negative `std`.
    """
    rows, columns = _shape("sparse_", tensor, 2)
    source = random.checked(generator)
    if not 0 <= sparsity <= 1 or not std >= 0:
        raise ArgumentError(f"sparse_: expects a `sparsity` (={sparsity}) in [0, 1] and `std` (={std}) >= 0")

    def values() -> Any:
        made = std * random.normal((rows, columns), np.float64, source)
        for column in range(columns):
            made[random.permutation(rows, source)[: math.ceil(sparsity * rows)], column] = 0
        return made

    return _write("sparse_", tensor, values)
