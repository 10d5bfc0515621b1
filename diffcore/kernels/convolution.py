"""Convolutions in any number of dimensions: one trilinear form, so that the kernels are one another's derivatives, to any order.

    sum over n, o, c, p, t of  g[n, o, p]  weight[o, c, t]  x[n, c, p * stride + t * dilation - padding]

`conv` drops `g` from it, `conv_transpose` drops `x`, `conv_weight` drops `weight`; with `groups`, channels meet within their group alone.
`k` directions fold into an axis that is free there, the batch or the channels of the result, so that one convolution serves them all.

On numpy they are products of matrices with columns of patches (see `columns`), on jax XLA's convolutions or products (see `xla`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.observed import observed_beside
from diffcore.kernels import columns
from diffcore.kernels.broadcast import fill
from diffcore.kernels.families import multilinear
from diffcore.kernels.indexing import scatter_index
from diffcore.kernels.record import Call, Kernel, Separable, Shape
from diffcore.kernels.shape import transpose
from diffcore.kernels.windows import Window, reaches, reaches_along
from diffcore.ledger import state
from diffcore.seeds import array_under, eye_of, index_of, one_hot_of

Pairs = tuple[tuple[int, int], ...]


def window_of(size: Shape, taps: Shape, stride: Shape, padding: Pairs, dilation: Shape) -> Window:
    """The windows of a kernel with these `taps` over an input of this `size`."""
    count = tuple(
        (n + lo + hi - d * (t - 1) - 1) // s + 1 for n, t, s, (lo, hi), d in zip(size, taps, stride, padding, dilation, strict=True)
    )
    return Window(taps, stride, dilation, tuple(lo for lo, _ in padding), count)


def _window_between(taps: Shape, g: Any, stride: Shape, padding: Pairs, dilation: Shape) -> Window:
    """The windows of a kernel with these `taps`, of which `g` `[n, o, *windows]` has one element each."""
    return Window(tuple(taps), stride, dilation, tuple(lo for lo, _ in padding), tuple(g.shape[2:]))


# the kernels' values


def _ways(xp: Any) -> Any:
    """The module that computes with arrays of `xp`; with abstract ones as a ledger wants it, for numpy or for jax."""
    if xp is np and (state.ledger is None or not state.ledger.compiled):
        return columns
    from diffcore.kernels import xla

    return xla


def _conv(xp: Any, x: Any, weight: Any, *, stride: Shape, padding: Pairs, dilation: Shape, groups: int) -> Any:
    window = window_of(tuple(x.shape[2:]), tuple(weight.shape[2:]), stride, padding, dilation)
    return _ways(xp).convolve(x, weight, window, groups)


def _conv_biased(xp: Any, x: Any, weight: Any, bias: Any, *, stride: Shape, padding: Pairs, dilation: Shape, groups: int) -> Any:
    if x.dtype == weight.dtype == bias.dtype and _ways(xp) is columns:
        window = window_of(tuple(x.shape[2:]), tuple(weight.shape[2:]), stride, padding, dilation)
        return columns.convolve(x, weight, window, groups, bias)
    out = _conv(xp, x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return out + bias.reshape((-1, *(1,) * len(stride)))


def _conv_transpose(xp: Any, g: Any, weight: Any, *, stride: Shape, padding: Pairs, dilation: Shape, groups: int, size: Shape) -> Any:
    window = _window_between(weight.shape[2:], g, stride, padding, dilation)
    return _ways(xp).spread(g, weight, window, groups, size)


def _conv_case(x: Any, weight: Any, *bias: Any, stride: Shape, padding: Pairs, dilation: Shape, groups: int) -> str:
    size = tuple(x.shape[2:])
    return _case(window_of(size, tuple(weight.shape[2:]), stride, padding, dilation), size)


def _transpose_case(g: Any, weight: Any, *, stride: Shape, padding: Pairs, dilation: Shape, groups: int, size: Shape) -> str:
    return _case(_window_between(weight.shape[2:], g, stride, padding, dilation), tuple(size))


def _weight_case(x: Any, g: Any, *, stride: Shape, padding: Pairs, dilation: Shape, groups: int, taps: Shape) -> str:
    return _case(_window_between(taps, g, stride, padding, dilation), tuple(x.shape[2:]))


def _case(window: Window, size: Shape) -> str:
    """Filters of one tap that meets every element need no columns: they are multiplied by the images as they lie."""
    return "pointwise" if columns.is_copy(window, size) else ""


def _check_weight(x: Any, g: Any, rank: int, groups: int) -> None:
    if not x.ndim == g.ndim == rank + 2:
        raise ValueError(f"`x` and `g` need {rank + 2} axes each")
    if x.shape[0] != g.shape[0]:
        raise ValueError(f"{x.shape[0]} examples of `x` and {g.shape[0]} of `g` disagree")
    if x.shape[1] % groups or g.shape[1] % groups:
        raise ValueError(f"the channels of `x` and `g` must be divisible by `groups` (={groups})")


def _conv_weight(xp: Any, x: Any, g: Any, *, stride: Shape, padding: Pairs, dilation: Shape, groups: int, taps: Shape) -> Any:
    _check_weight(x, g, len(stride), groups)
    window = _window_between(taps, g, stride, padding, dilation)
    return _ways(xp).correlate(x, g, window, groups)


# directions: folded into one axis of an operand and of the result, group by group where that axis is channels in groups


def _folded(t: Any, axis: int, groups: int) -> Any:
    """`t` `[k, *s]` as `[*s]` with `k` merged into `axis` of `s`, inside each of its `groups`."""
    k, *shape = t.shape
    merged = (*shape[:axis], k * shape[axis], *shape[axis + 1 :])
    if axis == 0 and groups == 1:
        return t.reshape(merged)
    split = t.reshape((k, *shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]))
    order = (*range(1, axis + 2), 0, *range(axis + 2, split.ndim))
    return transpose(split, axes=tuple(i - split.ndim for i in order)).reshape(merged)


def _unfolded(t: Any, k: int, size: int, axis: int, groups: int) -> Any:
    """The inverse of `_folded`, for `axis` of `size`."""
    shape = tuple(t.shape)
    result = (k, *shape[:axis], size, *shape[axis + 1 :])
    if axis == 0 and groups == 1:
        return t.reshape(result)
    split = t.reshape((*shape[:axis], groups, k, size // groups, *shape[axis + 1 :]))
    order = (axis + 1, *range(axis + 1), *range(axis + 2, split.ndim))
    return transpose(split, axes=tuple(i - split.ndim for i in order)).reshape(result)


_BATCH = ((0, False), (0, False))
_INTO_ROWS = ((0, True), (1, True))
_INTO_COLUMNS = ((1, False), (1, True))
_FROM_INPUT = ((1, True), (1, False))
_FROM_RESULT = ((1, True), (0, True))


def _applied(kernel: Kernel, folds: tuple[Any, Any], a: Any, b: Any, params: dict[str, Any]) -> Any:
    """`kernel(a, b)` where one of them may have a leading axis of directions.

    `folds` has per operand the axis of it, and that of the result, into which directions fold, and whether these are channels in groups.
    """
    ndim = len(params["stride"]) + 2
    for i, t in enumerate((a, b)):
        if t.ndim > ndim:
            (axis, grouped), (target, target_grouped) = folds[i]
            groups, target_groups = (params["groups"] if flag else 1 for flag in (grouped, target_grouped))
            folded = _folded(t, axis, groups)
            out = kernel(folded, b, **params) if i == 0 else kernel(a, folded, **params)
            return _unfolded(out, t.shape[0], t.shape[axis + 1] // groups * target_groups, target, target_groups)
    return kernel(a, b, **params)


def _shared(call: Call) -> dict[str, Any]:
    return {name: call.params[name] for name in ("stride", "padding", "dilation", "groups")}


def _by_conv(call: Call, x: Any, weight: Any) -> Any:
    return _applied(conv_unbiased, (_BATCH, _INTO_ROWS), x, weight, _shared(call))


def _by_transpose(call: Call, g: Any, weight: Any, size: Shape) -> Any:
    return _applied(conv_transpose, (_BATCH, _INTO_COLUMNS), g, weight, {**_shared(call), "size": tuple(size)})


def _by_weight(call: Call, x: Any, g: Any, taps: Shape) -> Any:
    return _applied(conv_weight, (_FROM_INPUT, _FROM_RESULT), x, g, {**_shared(call), "taps": tuple(taps)})


# the kernels


def _push_conv(call: Call, operand: int, t: Any) -> Any:
    x, weight = call.primals[:2]
    if operand == 0:
        return _by_conv(call, t, weight)
    if operand == 1:
        return _by_conv(call, x, t)
    lead = t.shape[:-1]
    return fill(t.reshape((*lead, 1, t.shape[-1], *(1,) * len(call.params["stride"]))), call.shape, len(lead))


def _diagonal_conv(call: Call, operand: int, scale: Any, rows: slice, examples: bool) -> Any:
    """One direction per feature of every example: the responses to unit images, scaled. One per weight: the patches it meets."""
    if operand == 0 and (examples or call.shapes[0][0] == 1):
        return _push_features(call, scale, rows)
    return None if examples or operand != 1 else _push_taps(call, scale, rows)


def _push_features(call: Call, scale: Any, rows: slice) -> Any:
    weight, (batch, *features) = call.primals[1], call.shapes[0]
    left = None if scale is None else scale.reshape((batch, math.prod(features)))[:, rows]
    return Separable(left, _responses(call, weight, *rows.indices(math.prod(features))[:2]))


def _responses(call: Call, weight: Any, start: int, stop: int) -> Any:
    """The responses `[stop - start, o, *windows]` to images of one element each: copies of the filters, put where they meet it."""
    (o, inner, *taps), (_, _, *counts) = call.shapes[1], call.shape
    wiring = _abstract_wiring if isinstance(array_under(weight), AbstractArray) else _wiring
    output, channel, tap, wanted, position = (observed_beside(array_under(weight), index) for index in wiring(call, start, stop))
    filters = weight.reshape((o, inner, math.prod(taps)))[output, channel][:, :, tap].reshape(-1)
    filters = filters if wanted is None else filters[wanted]
    shape = ((stop - start) * o * math.prod(counts),)
    return scatter_index(filters, index=(position,), shape=shape, unique=True).reshape((stop - start, o, *counts))


def _wiring(call: Call, start: int, stop: int) -> tuple[Any, ...]:
    """Where filters meet the elements `start` to `stop` of an image, as indices.

    The filters `[channels, rows]` of each channel, the channel in its group `[channels, 1]`, the taps `[n]`; of all these the `wanted` ones
    (`None` for all) as positions in `[channels * rows * n]`, and the position of each of these in the responses.
    """
    window, size, groups = _window(call), call.shapes[0][2:], call.params["groups"]
    o, inner, *_ = call.shapes[1]
    pixels, rows = math.prod(size), o // groups
    first, last = start // max(pixels, 1), -(-stop // max(pixels, 1))
    met, at, tap = _meetings(window, size)
    if last - first <= 2:  # otherwise there is a whole channel among them
        low, high = start - first * pixels, stop - (last - 1) * pixels
        few = np.nonzero((met >= low) & (met < high) if last - first == 1 else (met >= low) | (met < high))[0]
        met, at, tap = met[few], at[few], tap[few]
    # Filter `j` of a channel's group meets the channel's element `met[i]` with its tap `tap[i]` in window `at[i]`.
    channel = np.arange(first, last)
    output = (channel // inner * rows).reshape((-1, 1)) + np.arange(rows)
    flat = channel.reshape((-1, 1, 1)) * pixels + met - start
    inside = (flat >= 0) & (flat < stop - start)
    position = ((flat * o + output.reshape((len(channel), rows, 1))) * math.prod(window.counts) + at).reshape(-1)
    wanted = None
    if not inside.all():
        wanted = np.nonzero(np.broadcast_to(inside, (len(channel), rows, len(met))).reshape(-1))[0]
        position = position[wanted]
    return output, (channel % inner).reshape((-1, 1)), tap, wanted, position


def _abstract_wiring(call: Call, start: int, stop: int) -> tuple[Any, ...]:
    """Stand-ins for `_wiring`; of a part of the elements the most that any part of its size takes: all of these are planned alike."""
    (_, c, *size), k = call.shapes[0], stop - start
    pixels, rows, whole = math.prod(size), call.shapes[1][0] // call.params["groups"], start == 0 and stop == c * math.prod(size)
    meetings, most = _numbers_of_meetings(_window(call), tuple(size))
    channels = c if whole else min(c, (k - 2) // max(pixels, 1) + 2)
    n = meetings if whole else min(meetings, k * most)
    full, count = (channels * rows * n,), (rows * min(k * most, channels * n),)
    if not whole:
        AbstractArray(full, np.intp)  # of which the wanted ones are taken
    shapes = ((channels, rows), (channels, 1), (n,), None if whole else count, full if whole else count)
    return tuple(None if shape is None else AbstractArray(shape, np.intp) for shape in shapes)


def _window(call: Call) -> Window:
    return window_of(call.shapes[0][2:], call.shapes[1][2:], *(call.params[name] for name in ("stride", "padding", "dilation")))


@lru_cache(maxsize=64)
def _meetings(window: Window, size: Shape) -> tuple[Any, Any, Any]:
    """Flat positions of elements, of windows, and of taps, wherever a tap of a window meets an element."""
    elements, windows = np.arange(math.prod(size)).reshape(size), np.arange(math.prod(window.counts)).reshape(window.counts)
    met = [(elements[reach.elements].reshape(-1), windows[reach.windows].reshape(-1)) for reach in reaches(window, size)]
    taps = np.repeat(np.arange(len(met)), [len(element) for element, _ in met])
    return np.concatenate([element for element, _ in met]), np.concatenate([window for _, window in met]), taps


@lru_cache(maxsize=256)
def _numbers_of_meetings(window: Window, size: Shape) -> tuple[int, int]:
    """How often a tap of a window meets an element, and the most that one element is met."""
    meetings = most = 1
    for axis, extent in enumerate(size):
        times = np.zeros(extent, int)
        for _, elements in reaches_along(window, axis, extent):
            times[elements] += 1
        meetings, most = meetings * int(times.sum()), most * int(times.max(initial=0))
    return meetings, most


def _push_taps(call: Call, scale: Any, rows: slice) -> Any:
    x, groups, (o, *kernel) = call.primals[0], call.params["groups"], call.shapes[1]
    inner = math.prod(kernel)
    start, stop, _ = rows.indices(o * inner)

    def places() -> tuple[Any, ...]:
        """Of every direction the filter, the tap, and the place of the tap among those of all groups."""
        channel, tap = np.divmod(np.arange(start, stop), max(inner, 1))
        return channel, tap, channel // (o // groups) * inner + tap

    channel, tap, patch = index_of(x, places, *((max(stop - start, 0),),) * 3)
    if groups == 1 and len(tap) < inner:  # each direction its own patch
        picked = _by_conv(call, x, one_hot_of(x, tap, inner).reshape((len(tap), *kernel)))  # [n, k, *windows]
    else:
        units = fill(eye_of(x, inner), (groups, inner, inner), 0).reshape((groups * inner, *kernel))
        picked = _by_conv(call, x, units)[:, patch]
    picked = transpose(picked, axes=(-picked.ndim + 1, -picked.ndim, *range(-picked.ndim + 2, 0)))
    spatial = (1,) * len(call.params["stride"])
    if scale is not None:
        picked = picked * scale.reshape(-1)[rows].reshape((-1, 1, *spatial))
    k, n, *count = picked.shape
    return picked.reshape((k, n, 1, *count)) * one_hot_of(x, channel, o).reshape((k, 1, o, *spatial))


def _rows_of_input(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return operand == 0


def _groups_of_channels(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> tuple[int, int] | None:
    """Channels of the input meet within their group, and each filter (or bias) makes a channel of its own."""
    if operand == 0:
        return (params["groups"], 1) if axis == 1 else None
    return (shape[1], 1) if axis == 0 else None


def _groups_of_filters(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> tuple[int, int] | None:
    """The filters that a group of channels was made by meet in what is made of it again."""
    return (params["groups"], 1) if axis == 1 - operand else None


def _groups_of_pairs(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> tuple[int, int] | None:
    """A filter is found of one channel of the result and those of the input in its group."""
    return (params["groups"] if operand == 0 else shape[0], 0) if axis == 1 else None


def _input_adjoint(g: Any, call: Call, weight: Any) -> Any:
    return _by_transpose(call, g, weight, call.shapes[0][2:])


def _weight_adjoint(g: Any, call: Call, x: Any) -> Any:
    return _by_weight(call, x, g, call.shapes[1][2:])


def _bias_adjoint(g: Any, call: Call) -> Any:
    rank = len(call.params["stride"])
    return g.sum(axis=(-rank - 2, *range(-rank, 0)))


conv = multilinear(
    "conv",
    _conv_biased,
    push=_push_conv,
    diagonal=_diagonal_conv,
    examples=_rows_of_input,
    joins_groups=_groups_of_channels,
    sites=(1, 2),
    x=_input_adjoint,
    weight=_weight_adjoint,
    bias=_bias_adjoint,
    case=_conv_case,
)
"""Cross-correlation of `x` `[n, c, *size]` with `weight` `[o, c / groups, *taps]`, plus `bias` `[o]`."""

conv_unbiased = multilinear(
    "conv_unbiased",
    _conv,
    push=_push_conv,
    diagonal=_diagonal_conv,
    examples=_rows_of_input,
    joins_groups=_groups_of_channels,
    sites=(1,),
    x=_input_adjoint,
    weight=_weight_adjoint,
    case=_conv_case,
)
"""`conv` without a bias."""

conv_transpose = multilinear(
    "conv_transpose",
    _conv_transpose,
    push=lambda call, i, t: _by_transpose(call, *((t, call.primals[1]) if i == 0 else (call.primals[0], t)), call.params["size"]),
    examples=_rows_of_input,
    joins_groups=_groups_of_filters,
    sites=(1,),
    g=lambda g_out, call, weight: _by_conv(call, g_out, weight),
    weight=lambda g_out, call, g: _by_weight(call, g_out, g, call.shapes[1][2:]),
    case=_transpose_case,
)
"""The adjoint of `conv_unbiased` in `x` `[n, c, *size]`, for `g` `[n, o, *windows]` and the same `weight`."""

conv_weight = multilinear(
    "conv_weight",
    _conv_weight,
    push=lambda call, i, t: _by_weight(call, *((t, call.primals[1]) if i == 0 else (call.primals[0], t)), call.params["taps"]),
    joins_groups=_groups_of_pairs,
    x=lambda g_out, call, g: _by_transpose(call, g, g_out, call.shapes[0][2:]),
    g=lambda g_out, call, x: _by_conv(call, x, g_out),
    case=_weight_case,
)
"""The adjoint of `conv_unbiased` in `weight` `[o, c / groups, *taps]`, for `x` and `g` `[n, o, *windows]`."""
