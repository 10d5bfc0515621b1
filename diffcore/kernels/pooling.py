"""Pooling over windows of the trailing axes; any number of axes may be in front of them, so directions need no care.

Padding is never read: for a maximum it stands for less than every element. The first of several equal maxima wins, and is alone in having
the derivative; the last of several NaNs wins, as in PyTorch. What a maximum keeps is the winning tap of each window, one byte while a
window has at most 256 taps: derivatives gather and scatter by it.

numpy takes the maximum tap by tap over strided slices, which is one pass over the input for windows that do not overlap
and thirty times faster than reducing a reshaped view; the winning tap is the number of taps before the first one equal to the maximum,
counted without branches, five times faster than masked copies. The elements of the winning taps are found by flat position, and windows
that do not overlap are scattered by it too, since each element is written once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.dispatch import unboxed
from diffcore.kernels.families import always, irregular, linear_map
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.windows import Window, covers, inside, placed, reaches, tap_slices


def _lowest(dtype: Any) -> Any:
    return np.iinfo(dtype).min if np.dtype(dtype).kind in "iu" else -np.inf


def _spatial(x: Any, window: Window) -> Shape:
    return tuple(x.shape[x.ndim - len(window.size) :])


def _rest(x: Any, window: Window) -> Shape:
    return tuple(x.shape[: x.ndim - len(window.size)])


def _check(g: Any, window: Window, shape: Shape, tap: Any = None) -> None:
    """Raise `ValueError` unless `g` has the windows in its last axes (as `tap` has) and `shape` is that of what they slide over."""
    rank = len(window.size)
    if len(shape) != rank:
        raise ValueError(f"expected {rank} axes to slide over, got {shape}")
    if tuple(g.shape[g.ndim - rank :]) != window.counts:
        raise ValueError(f"expected windows {window.counts} in the last axes, got {tuple(g.shape)}")
    if tap is not None and tuple(tap.shape) != tuple(g.shape[g.ndim - tap.ndim :]):
        raise ValueError(f"`tap` {tuple(tap.shape)} does not fit {tuple(g.shape)}")


def _largest(xp: Any, x: Any, window: Window) -> Any:
    out: Any
    if xp is not np:
        slices = tap_slices(x, window, _lowest(x.dtype))
        out = slices[0]
        for part in slices[1:]:
            out = xp.maximum(out, part)
        return out
    spatial = _spatial(x, window)
    first, *others = reaches(window, spatial)
    if covers(window, spatial):
        out = x[..., *first.elements].copy()
    else:
        out = np.full_like(x, _lowest(x.dtype), shape=(*_rest(x, window), *window.counts), order="C")
        others = [first, *others]
    for _, windows, elements in others:
        part = out[..., *windows]
        np.maximum(part, x[..., *elements], out=part)
    return out


def _winning(xp: Any, x: Any, out: Any, window: Window) -> Any:
    """The winning tap of each window: how many taps come before the first that equals the maximum `out`."""
    dtype = np.min_scalar_type(max(window.taps - 1, 0))
    met = reaches(window, _spatial(x, window))
    if xp is not np:
        return _winning_of_slices(xp, tap_slices(x, window, _lowest(x.dtype)), [inside(reach, window) for reach in met], out, dtype)
    tap: Any = np.zeros_like(out, dtype=dtype, order="C")
    before: Any = np.ones_like(out, dtype=bool, order="C")
    for _, windows, elements in met[:-1]:
        part = before[..., *windows]
        part &= x[..., *elements] != out[..., *windows]
        tap += before
    if type(out) is np.ndarray and out.dtype.kind == "f" and np.isnan(out).any():  # a plan counts what happens without
        for t, (_, windows, elements) in enumerate(met):
            np.copyto(tap[..., *windows], dtype.type(t), where=np.isnan(x[..., *elements]))
    return tap


def _winning_of_slices(xp: Any, slices: list[Any], masks: list[Any], out: Any, dtype: Any) -> Any:
    tap, before = xp.zeros(out.shape, dtype), xp.ones(out.shape, bool)
    for part, valid in zip(slices[:-1], masks, strict=False):
        before = before & ((part != out) | ~valid)
        tap = tap + before.astype(dtype)
    for t, part in enumerate(slices):
        tap = xp.where(part != part, xp.asarray(t, dtype), tap)
    return tap


def _positions(xp: Any, tap: Any, window: Window, spatial: Shape) -> Any:
    """Where the winning taps are, as positions in the flattened trailing axes of the input."""
    index = xp.arange(0).dtype
    rest = tap.astype(index) if window.taps > 128 else tap  # a byte is divided faster, by what fits into one
    found: Any = 0
    step = 1
    for axis in range(-1, -len(spatial) - 1, -1):
        start = np.arange(window.counts[axis], dtype=index) * window.stride[axis] - window.before[axis]
        n = window.size[axis]
        own = (rest % n).astype(index) * window.dilation[axis] + start.reshape((-1, *(1,) * (-axis - 1)))
        rest = rest // n
        found = own * step + found
        step *= spatial[axis]
    return found


def _pool_argmax(xp: Any, x: Any, *, window: Window, flat: bool) -> Any:
    tap = _winning(xp, x, _largest(xp, x, window), window)
    return _positions(xp, tap, window, _spatial(x, window)) if flat else tap


pool_argmax = irregular("pool_argmax", _pool_argmax)
"""The winning tap of each window; with `flat` its position in the flattened trailing axes of the input."""


def _apart(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return len(shape) > len(params["window"].size)


def _max_forward(xp: Any, x: Any, *, window: Window) -> tuple[Any, tuple[Any]]:
    out = _largest(xp, x, window)
    return out, (_winning(xp, x, out, window),)


def _max_pushforward(call: Call, tangents: Any) -> Any:
    return pool_gather(tangents[0], tap=unboxed(call.aux[0]), window=call.params["window"])


def _max_pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    window = call.params["window"]
    return (pool_scatter(g, tap=unboxed(call.aux[0]), window=window, shape=call.shapes[0][len(call.shape) - len(window.size) :]),)


def _windows_apart(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return bool(params["window"].disjoint)


max_pool = irregular(
    "max_pool",
    lambda xp, x, *, window: _largest(xp, x, window),
    forward=_max_forward,
    aux={"tap": lambda x, window: pool_argmax(x, window=window, flat=False)},
    pushforward=_max_pushforward,
    pullback=_max_pullback,
    keeps=(frozenset(("tap",)),),
    examples=_apart,
    moves=True,
    merges=_windows_apart,
)
"""The largest element in each window of `x` `[..., *size]`."""


def _flat_positions(tap: Any, window: Window, shape: Shape) -> Any:
    """Positions of the winning taps in a flattened array of the axes of `tap`, its windows replaced by `shape`."""
    rest = _rest(tap, window)
    found = _positions(np, tap, window, shape)
    found += (np.arange(math.prod(rest)) * math.prod(shape)).reshape((*rest, *(1,) * len(shape)))
    return found


def _pool_gather(xp: Any, x: Any, *, tap: Any, window: Window) -> Any:
    _check(tap, window, _spatial(x, window))
    if _rest(x, window)[x.ndim - tap.ndim :] != _rest(tap, window) or x.ndim < tap.ndim:
        raise ValueError(f"`tap` {tuple(tap.shape)} does not fit {tuple(x.shape)}")
    if xp is np:
        lead = tuple(x.shape[: x.ndim - tap.ndim])
        return x.reshape((*lead, math.prod(x.shape[len(lead) :])))[..., _flat_positions(tap, window, _spatial(x, window))]
    first, *others = tap_slices(x, window, 0)
    out = first
    for t, part in enumerate(others, 1):
        out = xp.where(tap == t, part, out)
    return out


def _pool_scatter(xp: Any, g: Any, *, tap: Any, window: Window, shape: Shape) -> Any:
    _check(g, window, shape, tap)
    lead = tuple(g.shape[: g.ndim - tap.ndim])
    met = reaches(window, shape)
    if xp is not np:
        parts = [placed(xp.where(tap == t, g, 0), reach.tap, window, shape) for t, reach in enumerate(met)]
        return sum(parts[1:], parts[0])
    out: Any = np.zeros_like(g, shape=(*_rest(g, window), *shape), order="C")
    if window.disjoint:
        flat = out.reshape((*lead, math.prod(out.shape[len(lead) :])))
        flat[..., _flat_positions(tap, window, shape)] = g
        return out
    for t, (_, windows, elements) in enumerate(met):
        part = out[..., *elements]
        part += np.where(tap[..., *windows] == t, g[..., *windows], 0)
    return out


pool_gather = linear_map(
    "pool_gather",
    _pool_gather,
    lambda g, call, lead: pool_scatter(g, tap=call.params["tap"], window=call.params["window"], shape=_trailing(call)),
    examples=_apart,
    moves=True,
    merges=_windows_apart,
)
"""The element of `x` `[..., *size]` that `tap` `[..., *windows]` names in each window."""

pool_scatter = linear_map(
    "pool_scatter",
    _pool_scatter,
    lambda g, call, lead: pool_gather(g, tap=call.params["tap"], window=call.params["window"]),
    examples=_apart,
)
"""The transpose of `pool_gather`: `g` `[..., *windows]` added into zeros `[..., *shape]`."""


def _trailing(call: Call) -> Shape:
    shape = call.shapes[0]
    return tuple(shape[len(shape) - len(call.params["window"].size) :])


def _window_sum(xp: Any, x: Any, *, window: Window) -> Any:
    if xp is not np:
        slices = tap_slices(x, window, 0)
        return sum(slices[1:], slices[0])
    spatial = _spatial(x, window)
    first, *others = reaches(window, spatial)
    out: Any
    if covers(window, spatial):
        out = x[..., *first.elements].copy()
    else:
        out = np.zeros_like(x, shape=(*_rest(x, window), *window.counts), order="C")
        others = [first, *others]
    for _, windows, elements in others:
        part = out[..., *windows]
        part += x[..., *elements]
    return out


def _window_spread(xp: Any, g: Any, *, window: Window, shape: Shape) -> Any:
    _check(g, window, shape)
    met = reaches(window, shape)
    if xp is not np:
        parts = [placed(g, reach.tap, window, shape) for reach in met]
        return sum(parts[1:], parts[0])
    out: Any = np.zeros_like(g, shape=(*_rest(g, window), *shape), order="C")
    for _, windows, elements in met:
        part = out[..., *elements]
        if window.disjoint:
            part[...] = g[..., *windows]
        else:
            part += g[..., *windows]
    return out


window_sum = linear_map(
    "window_sum",
    _window_sum,
    lambda g, call, lead: window_spread(g, window=call.params["window"], shape=_trailing(call)),
    examples=_apart,
    uniform=always,
    merges=_windows_apart,
)
"""The sum of the elements in each window of `x` `[..., *size]`."""

window_spread = linear_map(
    "window_spread",
    _window_spread,
    lambda g, call, lead: window_sum(g, window=call.params["window"]),
    examples=_apart,
)
"""The transpose of `window_sum`: each element of `g` `[..., *windows]` added to all elements of its window in zeros `[..., *shape]`."""
