"""Normalisation, with PyTorch's arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcore.arrays import is_float, is_mutable, is_traced, namespace
from diffcore.dispatch import Boxed
from diffcore.errors import DTypeError, GradientError, ShapeError
from diffcore.kernels import normalisation as _n
from diffcore.kernels import pooling as _p
from diffcore.kernels.windows import Window
from diffcore.ops.arithmetic import add, div, mul, neg, pow, sqrt
from diffcore.ops.axes import Tensor
from diffcore.ops.convolution import same_dtype
from diffcore.ops.shape import astype, reshape
from diffcore.replay import is_again
from diffcore.seeds import array_under
from diffcore.whole import integer

__all__ = [
    "batch_norm",
    "batch_norm_with_statistics",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
]


def _check(name: str, input: Tensor, shape: tuple[int, ...], **parameters: Tensor | None) -> None:
    """Raise unless `input` is floating and each parameter has its dtype and `shape`."""
    if not is_float(input.dtype):
        raise DTypeError(f"{name}: expected a floating-point tensor, got {input.dtype}. Did you mean `input.float()`?")
    for argument, x in parameters.items():
        if x is not None and tuple(x.shape) != shape:
            raise ShapeError(f"{name}: expected `{argument}` of shape {shape} for `input` {tuple(input.shape)}, got {tuple(x.shape)}")
    same_dtype(name, input, **parameters)


def _affine(parameter: Tensor | None, neutral: int, shape: tuple[int, ...]) -> Any:
    return neutral if parameter is None else reshape(parameter, shape)


def _normalised(
    input: Tensor, axis: tuple[int, ...], weight: Any, bias: Any, eps: float, report: Any = None, centred: bool = True
) -> Tensor:
    return _n.normalise(input, weight, bias, axis=axis, eps=eps, centred=centred, report=report)


# batch norm


def _channels(name: str, input: Tensor) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Number of channels, the axes that a channel's elements span, and the shape of a parameter against `input`."""
    if input.ndim < 2:
        raise ShapeError(f"{name}: expected `input` with at least 2 axes (batch, channels, ...), got {tuple(input.shape)}")
    channels, spatial = input.shape[1], input.ndim - 2
    return channels, (-input.ndim, *range(-spatial, 0)), (channels, *(1,) * spatial)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`input` `[n, c, ...]` normalised per channel, times `weight` `[c]`, plus `bias` `[c]`.

    In `training` by the batch's own statistics, through which the derivative goes; the running ones are then moved towards them in place
    (`running += momentum * (batch - running)`, the variance unbiased), as constants, once per evaluation however often a transform runs the
    function. Otherwise by the running ones, example by example. Raises `ShapeError`, `DTypeError`, `ValueError` for one value per channel
    in training, and `GradientError` under `jax.jit` for running ones that the compiled function was not given: there they are state, which
    it must be given and return, as tensors around traced arrays or by `batch_norm_with_statistics`.
    """
    channels, _, shape = _channels("batch_norm", input)
    _check("batch_norm", input, (channels,), weight=weight, bias=bias)
    for name, running in (("running_mean", running_mean), ("running_var", running_var)):
        if running is not None and tuple(running.shape) != (channels,):
            raise ShapeError(
                f"batch_norm: `{name}` should contain {channels} elements, `input` is {tuple(input.shape)}, got {tuple(running.shape)}"
            )
        if running is None and not training:
            raise ValueError(f"batch_norm: `{name}` must be defined in evaluation mode")
    if training:
        for name, running in (("running_mean", running_mean), ("running_var", running_var)):
            if running is not None:
                _check_movable("batch_norm", name, running, input)
        out, mean, variance = batch_norm_with_statistics(input, weight, bias, eps)
        if math.prod(input.shape):
            _move(running_mean, mean, momentum)
            _move(running_var, variance, momentum)
        return out
    scale = astype(div(1, sqrt(add(array_under(running_var), eps))), input.dtype)
    factor = scale if weight is None else mul(weight, scale)
    shift = mul(factor, astype(neg(array_under(running_mean)), input.dtype))
    shift = shift if bias is None else add(shift, bias)
    return add(mul(input, reshape(factor, shape)), reshape(shift, shape))


def batch_norm_with_statistics(
    input: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> tuple[Tensor, Any, Any]:
    """`(out, mean, variance)`: `batch_norm` in training as a pure function, with the batch's mean and unbiased variance per channel.

    The statistics are arrays, constants of every engine: new running ones are `running + momentum * (statistic - running)`.
    """
    channels, axis, shape = _channels("batch_norm", input)
    _check("batch_norm", input, (channels,), weight=weight, bias=bias)
    n = math.prod(input.shape[a] for a in axis)
    if n == 1:
        raise ValueError(f"batch_norm: expected more than 1 value per channel when training, got input size {tuple(input.shape)}")
    report: list[Any] = []
    out = _normalised(input, axis, _affine(weight, 1, shape), _affine(bias, 0, shape), eps, report)
    mean, variance = (x.reshape(channels) for x in report)
    report.clear()  # else the recorded operation would keep them
    return out, mean, variance * (n / max(n - 1, 1))


def _check_movable(op: str, name: str, running: Any, input: Tensor) -> None:
    """Raise unless the running statistic can be moved by statistics of `input`: in place, or a tensor around a new array."""
    array, x = array_under(running), array_under(input)
    if is_traced(x) and not is_traced(array):
        raise GradientError(
            f"{op}: under `jax.jit` `{name}` would keep a tracer: pass running statistics into the compiled function and return them, "
            f"with the parameters, or use `batch_norm_with_statistics`"
        )
    in_place = is_mutable(array) and namespace((x,)) is np
    if not in_place and not (isinstance(running, Boxed) and running.is_constant):
        raise TypeError(
            f"{op}: `{name}` ({type(array).__name__}) cannot be changed in place by statistics of `input` "
            f"({type(array_under(input)).__name__}): use `batch_norm_with_statistics` and carry it as state"
        )


def _move(running: Any, statistic: Any, momentum: Any) -> None:
    if running is None or is_again():
        return
    array = array_under(running)
    step = momentum * (statistic - array)
    if is_mutable(array) and is_mutable(step):
        array += step
    else:
        running.primal = (array + step).astype(array.dtype)


# layer norm and its relatives


def _trailing(name: str, input: Tensor, normalized_shape: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`normalized_shape` as a tuple, and the axes it names."""
    shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not shape:
        raise ValueError(f"{name}: `normalized_shape` (=()) must contain at least one element")
    if tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"{name}: given normalized_shape={list(shape)}, expected `input` of shape [*, {', '.join(map(str, shape))}], "
            f"got {tuple(input.shape)}"
        )
    return shape, tuple(range(-len(shape), 0))


def layer_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """`input` normalised over its last axes, which have `normalized_shape`, times `weight`, plus `bias`, both of that shape."""
    shape, axis = _trailing("layer_norm", input, normalized_shape)
    _check("layer_norm", input, shape, weight=weight, bias=bias)
    return _normalised(input, axis, _affine(weight, 1, shape), _affine(bias, 0, shape), eps)


def rms_norm(input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """`input / sqrt(mean(input^2) + eps)` over its last axes, which have `normalized_shape`, times `weight`.

    `eps` is the dtype's machine epsilon by default.
    """
    shape, axis = _trailing("rms_norm", input, normalized_shape)
    _check("rms_norm", input, shape, weight=weight)
    eps = float(namespace((array_under(input),)).finfo(input.dtype).eps) if eps is None else eps
    return _normalised(input, axis, _affine(weight, 1, shape), 0, eps, centred=False)


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """`input` `[n, c, ...]` normalised per example over `num_groups` groups of channels, times `weight` `[c]`, plus `bias` `[c]`."""
    if input.ndim < 2:
        raise ShapeError(f"group_norm: expected `input` with at least 2 axes (batch, channels, ...), got {tuple(input.shape)}")
    n, channels, *spatial = input.shape
    num_groups = integer("group_norm", "num_groups", num_groups)
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"group_norm: expected the {channels} channels of `input` {tuple(input.shape)} to be divisible by `num_groups` (={num_groups})"
        )
    _check("group_norm", input, (channels,), weight=weight, bias=bias)
    if n * channels // num_groups * math.prod(spatial) == 1:
        raise ValueError(f"group_norm: expected more than 1 value per channel when training, got input size {tuple(input.shape)}")
    groups = (num_groups, channels // num_groups)
    of_parameter = (*groups, *(1,) * len(spatial))
    out = _normalised(
        reshape(input, (n, *groups, *spatial)),
        tuple(range(-len(spatial) - 1, 0)),
        _affine(weight, 1, of_parameter),
        _affine(bias, 0, of_parameter),
        eps,
    )
    return reshape(out, tuple(input.shape))


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`input` `[n, c, ...]` normalised per example and channel; without `use_input_stats` by the running statistics, as `batch_norm` does.

    Given running statistics are moved towards the means over the batch of the examples' own.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    channels, _, shape = _channels("instance_norm", input)
    _check("instance_norm", input, (channels,), weight=weight, bias=bias)
    n = math.prod(input.shape[2:])
    if n == 1:
        raise ValueError(f"instance_norm: expected more than 1 spatial element when training, got input size {tuple(input.shape)}")
    axis, report = tuple(range(2 - input.ndim, 0)), list[Any]()
    for name, running in (("running_mean", running_mean), ("running_var", running_var)):
        if running is not None:
            _check_movable("instance_norm", name, running, input)
    out = _normalised(input, axis, _affine(weight, 1, shape), _affine(bias, 0, shape), eps, report)
    mean, variance = (x.mean(axis=0).reshape(channels) for x in report)
    report.clear()
    _move(running_mean, mean, momentum)
    _move(running_var, variance * (n / max(n - 1, 1)), momentum)
    return out


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """`input / (k + alpha * mean of the squares of `size` neighbouring channels)^beta` for `input` `[n, c, ...]` with 3 axes or more."""
    if input.ndim < 3:
        raise ValueError(f"local_response_norm: expected 3D or higher dimensionality `input`, got {tuple(input.shape)}")
    if size < 1:
        raise ValueError(f"local_response_norm: `size` (={size}) must be greater than zero")
    n, channels, *spatial = input.shape
    flat = (n, channels, math.prod(spatial))
    window = Window((size, 1), (1, 1), (1, 1), (size // 2, 0), (channels, flat[2]))
    squares = reshape(mul(input, input), flat)
    sums = reshape(_p.window_sum(squares, window=window), tuple(input.shape))
    return mul(input, pow(add(mul(sums, alpha / size), k), -beta))
