"""Pooling, with PyTorch's arguments. Inputs may lack the batch axis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcore.arrays import is_float
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import indexing as _i
from diffcore.kernels import pooling as _p
from diffcore.kernels.windows import Window
from diffcore.ops.arithmetic import div
from diffcore.ops.axes import Tensor
from diffcore.ops.convolution import Sizes, sizes_of
from diffcore.ops.gathering import take
from diffcore.ops.linalg import matmul
from diffcore.seeds import constant_of

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "max_pool1d",
    "max_pool2d",
]


def _window(
    name: str, input: Tensor, rank: int, kernel_size: Sizes, stride: Any, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> Window:
    """The windows of a pool over `input`. Raises `ShapeError` for windows that do not fit, `ValueError` for numbers that cannot be."""
    _check_input(name, input, rank)
    size = sizes_of(name, "kernel_size", kernel_size, rank, 1)
    none = stride is None or isinstance(stride, Sequence) and not stride
    steps = size if none else sizes_of(name, "stride", stride, rank, 1)
    edge, gaps = sizes_of(name, "padding", padding, rank, 0), sizes_of(name, "dilation", dilation, rank, 1)
    if any(p > k // 2 for p, k in zip(edge, size, strict=True)):
        raise ValueError(f"{name}: `padding` (={padding!r}) should be at most half of `kernel_size` (={kernel_size!r})")
    extents = tuple(input.shape[-rank:])
    count = tuple(map(_counted, extents, size, steps, edge, gaps, (ceil_mode,) * rank))
    if min(count) < 1:
        raise ShapeError(f"{name}: given input size {tuple(input.shape)}, calculated output size {count}: output size is too small")
    return Window(size, steps, gaps, edge, count)


def _check_input(name: str, input: Tensor, rank: int) -> None:
    if input.ndim not in (rank + 1, rank + 2) or 0 in input.shape[1:]:
        raise ShapeError(
            f"{name}: expected {rank + 1}D (unbatched) or {rank + 2}D (batched) `input`, empty along its first axis at most, "
            f"got input of shape {tuple(input.shape)}"
        )
    if input.dtype.kind == "b":
        raise DTypeError(f"{name}: not implemented for bool. Did you mean `input.float()`?")


def _check_float(name: str, input: Tensor) -> None:
    if not is_float(input.dtype):
        raise DTypeError(f"{name}: expected a floating-point tensor, got {input.dtype}. Did you mean `input.float()`?")


def _counted(extent: int, size: int, stride: int, edge: int, gap: int, ceil_mode: bool) -> int:
    """How many windows there are; with `ceil_mode` a last one may reach over the end, if it starts before."""
    room = extent + 2 * edge - gap * (size - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= extent + edge else count


def _max_pool(
    name: str,
    rank: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Any,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    window = _window(name, input, rank, kernel_size, stride, padding, dilation, ceil_mode)
    out = _p.max_pool(input, window=window)
    return (out, _p.pool_argmax(input, window=window, flat=True)) if return_indices else out


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element in each window of `input` `[n, c, l]`; with `return_indices` also its position along the last axis.

    The first of several equal maxima has the derivative; NaN wins. Padding counts as less than every element. Raises `ShapeError` and
    `ValueError` for windows that do not fit.
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element in each window of `input` `[n, c, h, w]`; with `return_indices` also its position in the flattened plane.

    The first of several equal maxima has the derivative; NaN wins. Padding counts as less than every element. Raises `ShapeError` and
    `ValueError` for windows that do not fit.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(
    name: str,
    rank: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Any,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    window = _window(name, input, rank, kernel_size, stride, padding, 1, ceil_mode)
    _check_float(name, input)
    if divisor_override is not None:
        divisor_override = operator.index(divisor_override)
        if divisor_override == 0:
            raise ValueError(f"{name}: `divisor_override` (={divisor_override}) must not be zero")
        return div(_p.window_sum(input, window=window), divisor_override)
    counts = [_met(window, axis, n, count_include_pad) for axis, n in enumerate(input.shape[-rank:])]
    if all((c == k).all() for c, k in zip(counts, window.size, strict=True)):
        return div(_p.window_sum(input, window=window), window.taps)
    divisor = counts[0] if rank == 1 else np.multiply.outer(counts[0], counts[1])
    return div(_p.window_sum(input, window=window), divisor.astype(input.dtype))


def _met(window: Window, axis: int, extent: int, with_padding: bool) -> Any:
    """How many elements, perhaps with padding, each window has along `axis`."""
    edge = window.before[axis]
    starts = np.arange(window.counts[axis]) * window.stride[axis] - edge
    stops = np.minimum(starts + window.size[axis], extent + edge)
    return stops - starts if with_padding else np.minimum(stops, extent) - np.maximum(starts, 0)


def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Any = None, padding: Sizes = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of `input` `[n, c, l]`; without `count_include_pad` of its elements inside the input."""
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of `input` `[n, c, h, w]`; without `count_include_pad` of its elements inside the input.

    `divisor_override` divides every window's sum instead.
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# adaptive pools: the windows are chosen so that there are as many as wanted


def _wanted(name: str, input: Tensor, output_size: Any, rank: int) -> tuple[int, ...]:
    _check_input(name, input, rank)
    _check_float(name, input)
    given = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * rank
    if len(given) != rank:
        raise ValueError(f"{name}: `output_size` (={output_size!r}) must have {rank} entries")
    found = tuple(extent if n is None else operator.index(n) for n, extent in zip(given, input.shape[-rank:], strict=True))
    if min(found) < 1:
        raise ValueError(f"{name}: `output_size` (={output_size!r}) must be at least 1 along each axis")
    return found


def _even(extents: Sequence[int], wanted: tuple[int, ...]) -> Window | None:
    """The windows where all are equal, which is where they divide the axes; else `None`."""
    if any(extent % n for extent, n in zip(extents, wanted, strict=True)):
        return None
    size = tuple(extent // n for extent, n in zip(extents, wanted, strict=True))
    return Window(size, size, (1,) * len(size), (0,) * len(size), wanted)


def _bounds(extent: int, n: int) -> tuple[Any, Any]:
    """Where each of `n` windows starts and stops along an axis: `floor(i extent / n)` and `ceil((i + 1) extent / n)`."""
    i = np.arange(n)
    return i * extent // n, -(-(i + 1) * extent // n)


def _adaptive_avg_pool(name: str, rank: int, input: Tensor, output_size: Any) -> Tensor:
    wanted = _wanted(name, input, output_size, rank)
    window = _even(input.shape[-rank:], wanted)
    if window is not None:
        return div(_p.window_sum(input, window=window), window.taps)
    for axis, n in zip(range(-rank, 0), wanted, strict=True):
        input = _averaged(input, axis, n)
    return input


def _averaged(x: Tensor, axis: int, n: int) -> Tensor:
    """Means of `n` windows along one axis: a product with a matrix of weights."""
    positions, (starts, stops) = np.arange(x.shape[axis]), _bounds(x.shape[axis], n)
    met = (positions >= starts[:, None]) & (positions < stops[:, None])
    weights = constant_of(x, met / (stops - starts)[:, None])
    return matmul(x, weights.T) if axis == -1 else matmul(weights, x)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means of `output_size` windows over `input` `[n, c, l]`, as equal as can be."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of `output_size` windows over `input` `[n, c, h, w]`, as equal as can be; `None` keeps an axis as it is."""
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive_max_pool(name: str, rank: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    wanted = _wanted(name, input, output_size, rank)
    extents = tuple(input.shape[-rank:])
    window, places = _even(extents, wanted), [np.arange(n) for n in extents]
    if window is None:  # windows made equal by repeating their last elements, which changes neither the maximum nor which comes first
        size, places = _repeated(extents, wanted)
        for axis, at in zip(range(-rank, 0), places, strict=True):
            input = _i.getitem(input, index=(*(slice(None),) * (input.ndim + axis), at, *(slice(None),) * (-axis - 1)))
        window = Window(size, size, (1,) * rank, (0,) * rank, wanted)
    out = _p.max_pool(input, window=window)
    if not return_indices:
        return out
    first = places[0] if rank == 1 else np.add.outer(places[0] * extents[1], places[1]).reshape(-1)
    return out, take(first, _p.pool_argmax(input, window=window, flat=True))


def _repeated(extents: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[tuple[int, ...], list[Any]]:
    sizes, places = [], []
    for extent, n in zip(extents, wanted, strict=True):
        starts, stops = _bounds(extent, n)
        sizes.append(int((stops - starts).max()))
        places.append(np.minimum(starts[:, None] + np.arange(sizes[-1]), stops[:, None] - 1).reshape(-1))
    return tuple(sizes), places


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima of `output_size` windows over `input` `[n, c, l]`, as equal as can be; with `return_indices` also their positions."""
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima of `output_size` windows over `input` `[n, c, h, w]`, as equal as can be; `None` keeps an axis as it is.

    With `return_indices` also their positions in the flattened plane.
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)
