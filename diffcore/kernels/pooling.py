"""Pooling over windows of the trailing axes; any number of axes may be in front of them, so directions need no care.

Padding is never read: for a maximum it stands for less than every element, and a window of padding alone has no derivative. The first of
several equal maxima wins, and is alone in having the derivative; the last of several NaNs wins, as in PyTorch. What a maximum keeps is the
winning tap of each window, one byte while a window has at most 256 taps: derivatives gather and scatter by it.

numpy takes maxima and sums along one axis after the other, tap by tap over strided slices: along the last axis these are slices of whole
arrays rather than of rows. Going back along the axes spreads a sum's derivative in runs of whole rows. The winning tap is
counted in bytes beside the maximum. Windows that do not overlap are gathered and scattered by flat position; where they do,
one tap's cotangents are cut out with a mask of bits, eight times faster than a choice by element, and exact where they are infinite.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np

from diffcore.arrays import is_contiguous
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.observed import alike
from diffcore.dispatch import unboxed
from diffcore.kernels.families import always, irregular, linear_map
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.windows import Window, covers, inside, placed, reaches, reaches_along, repeated, row_major, tap_slices
from diffcore.ledger import nominally


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
    if xp is not np:
        slices = tap_slices(x, window, _lowest(x.dtype))
        out = slices[0]
        for part in slices[1:]:
            out = xp.maximum(out, part)
        return out
    with _nominally(x, window, 1):
        return _along_axes(np.maximum, x, window, _lowest(x.dtype))


def _nominally(x: Any, window: Window, operations: int) -> AbstractContextManager[None]:
    """So many operations per window and tap, in whichever order they are done."""
    return nominally(x, operations * math.prod((*_rest(x, window), *window.counts)) * window.taps)


def _along_axes(ufunc: np.ufunc, x: Any, window: Window, initial: Any) -> Any:
    """`ufunc` reduced over the taps of each window; `initial` where a window has none inside."""
    rank = len(window.size)
    for axis in range(rank):
        rest = (slice(None),) * (rank - 1 - axis)
        met = reaches_along(window, axis, x.shape[axis - rank])
        whole = slice(0, window.counts[axis])
        first = 0
        if all(windows == whole for windows, _ in met):
            parts = [x[..., elements, *rest] for _, elements in met[:2]]
            out: Any = ufunc(*parts, order="C") if len(parts) == 2 else parts[0].copy()
            first = 2
        else:
            shape = (*x.shape[: axis - rank], window.counts[axis], *x.shape[x.ndim - rank + axis + 1 :])
            out = np.full_like(x, initial, shape=shape, order="C")
        for windows, elements in met[first:]:
            part = out[..., windows, *rest]
            ufunc(part, x[..., elements, *rest], out=part)
        x = out
    return x


def _largest_and_tap(x: Any, window: Window) -> tuple[Any, Any]:
    """The maximum of each window, and the first tap that has it (of NaNs the last): on numpy.

    The last axis comes first: then, of equal maxima, the one met first along each axis is the first in row-major order.
    """
    dtype, rank, spatial = _tap_type(window), len(window.size), _spatial(x, window)
    best: Any = x
    tap: Any = None
    step = 1
    with _nominally(x, window, 2):
        for axis in range(rank - 1, -1, -1):
            best, tap = _winners_along(best, tap, step, window, axis, dtype)
            step *= window.size[axis]
        if best.dtype.kind == "f" and _has_nan(best):
            for t, (_, windows, elements) in enumerate(reaches(window, spatial)):
                np.copyto(tap[..., *windows], dtype.type(t), where=np.isnan(x[..., *elements]))
    return best, tap


def _has_nan(x: Any) -> bool:
    """Whether a NaN is among the values; of an abstract array none are known."""
    missing = np.isnan(x).any()
    return not isinstance(x, AbstractArray) and bool(missing)


def _winners_along(x: Any, tap: Any, step: int, window: Window, axis: int, dtype: Any) -> tuple[Any, Any]:
    """The maxima along one axis, and their taps: `step` times the tap along the axis, plus what `tap` says of the axes behind.

    A later tap has a larger number, so that where it wins it is the maximum of both.
    """
    rank = len(window.size)
    rest, count = (slice(None),) * (rank - 1 - axis), window.counts[axis]
    shape = (*x.shape[: axis - rank], count, *x.shape[x.ndim - rank + axis + 1 :])
    met = reaches_along(window, axis, x.shape[axis - rank])
    reached = all(windows == slice(0, count) for windows, _ in met)
    best: Any = np.empty_like(x, shape=shape, order="C") if reached else np.full_like(x, _lowest(x.dtype), shape=shape, order="C")
    won: Any = np.empty_like(best, dtype=dtype) if reached else np.zeros_like(best, dtype=dtype)
    fresh = count  # windows from here on have met a tap
    for t, (windows, elements) in enumerate(met):
        part = x[..., elements, *rest]
        number = dtype.type(t * step) if tap is None else tap[..., elements, *rest] + dtype.type(t * step)
        new = min(max(fresh - windows.start, 0), part.shape[axis - rank])
        if new:  # the first tap inside these windows
            at = slice(windows.start, windows.start + new)
            best[..., at, *rest] = part[..., :new, *rest]
            won[..., at, *rest] = number if tap is None else number[..., :new, *rest]
            fresh = windows.start
        at = slice(windows.start + new, windows.stop)
        if at.start < at.stop:
            later, current = part[..., new:, *rest], best[..., at, *rest]
            wins = (later > current).view(np.uint8)
            np.maximum(current, later, out=current)
            place = won[..., at, *rest]
            np.maximum(place, wins * (number if tap is None else number[..., new:, *rest]), out=place)
    return best, won


def _tap_type(window: Window) -> Any:
    """The smallest unsigned type that counts the taps of a window."""
    return np.min_scalar_type(max(window.taps - 1, 0))


def _winning(xp: Any, x: Any, out: Any, window: Window) -> Any:
    """For jax: the winning tap of each window: how many taps come before the first that equals the maximum `out`."""
    masks = [inside(reach, window) for reach in reaches(window, _spatial(x, window))]
    return _winning_of_slices(xp, tap_slices(x, window, _lowest(x.dtype)), masks, out, _tap_type(window))


def _winning_of_slices(xp: Any, slices: list[Any], masks: list[Any], out: Any, dtype: Any) -> Any:
    tap, before = xp.zeros(out.shape, dtype), xp.ones(out.shape, bool)
    for part, valid in zip(slices[:-1], masks, strict=False):
        before = before & ((part != out) | ~valid)
        tap = tap + before.astype(dtype)
    for t, part in enumerate(slices):
        tap = xp.where(part != part, xp.asarray(t, dtype), tap)
    return tap


@lru_cache(maxsize=256)
def _places(window: Window, spatial: Shape) -> tuple[Any, Any]:
    """Positions in the flattened trailing axes: of each tap in a window, and of each window."""
    pitch = row_major(spatial)
    taps, windows = np.zeros((), np.intp), np.zeros((), np.intp)
    for n, count, s, d, b, p in zip(window.size, window.counts, window.stride, window.dilation, window.before, pitch, strict=True):
        taps = np.add.outer(taps, np.arange(n) * d * p)
        windows = np.add.outer(windows, (np.arange(count) * s - b) * p)
    return taps.reshape(-1), windows


@lru_cache(maxsize=256)
def _outside(window: Window, spatial: Shape) -> Any:
    """The windows (indices along each axis) that lie in the padding alone, as taps far apart allow; `None` where there are none."""
    met = np.zeros(window.counts, bool)
    for _, windows, _ in reaches(window, spatial):
        met[windows] = True
    return None if met.all() else np.nonzero(~met)


def _positions(xp: Any, tap: Any, window: Window, spatial: Shape) -> Any:
    """Where the winning taps are, as positions in the flattened trailing axes of the input; -1 where all taps lie outside."""
    taps, windows = _places(window, spatial)
    outside = _outside(window, spatial)
    if xp is not np:
        found = xp.asarray(taps)[tap] + windows
        return found if outside is None else found.at[..., *outside].set(-1)
    with nominally(tap, 0):
        found = np.take(alike(taps, tap)[0], tap.astype(np.intp))  # the cast that numpy would make for itself
        found += windows
        if outside is not None:
            found[..., *outside] = -1
    return found


def _pool_argmax(xp: Any, x: Any, *, window: Window, flat: bool) -> Any:
    tap = _largest_and_tap(x, window)[1] if xp is np else _winning(xp, x, _largest(xp, x, window), window)
    return _positions(xp, tap, window, _spatial(x, window)) if flat else tap


pool_argmax = irregular("pool_argmax", _pool_argmax)
"""The winning tap of each window; with `flat` its position in the flattened trailing axes of the input, -1 where no tap is inside."""


def _apart(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return len(shape) > len(params["window"].size)


def _all_apart(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return axis if axis < len(shape) - len(params["window"].size) else None


def _max_forward(xp: Any, x: Any, *, window: Window) -> tuple[Any, tuple[Any]]:
    if xp is np:
        out, tap = _largest_and_tap(x, window)
        return out, (tap,)
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
    carries_axis=_all_apart,
    moves=True,
    merges=_windows_apart,
)
"""The largest element in each window of `x` `[..., *size]`."""


def _flat_positions(tap: Any, window: Window, shape: Shape) -> Any:
    """Positions of the winning taps, which are inside, in a flattened array of the axes of `tap`, its windows replaced by `shape`."""
    rest = _rest(tap, window)
    found = _positions(np, tap, window, shape)
    with nominally(tap, 0):
        found += (np.arange(math.prod(rest)) * math.prod(shape)).reshape((*rest, *(1,) * len(shape)))
    return found


def _pool_gather(xp: Any, x: Any, *, tap: Any, window: Window) -> Any:
    _check(tap, window, _spatial(x, window))
    if _rest(x, window)[x.ndim - tap.ndim :] != _rest(tap, window) or x.ndim < tap.ndim:
        raise ValueError(f"`tap` {tuple(tap.shape)} does not fit {tuple(x.shape)}")
    if xp is np:
        x, tap = alike(x, tap)
        lead = tuple(x.shape[: x.ndim - tap.ndim])
        spatial = _spatial(x, window)
        out = np.take(x.reshape((*lead, math.prod(x.shape[len(lead) :]))), _flat_positions(tap, window, spatial), axis=-1)
        outside = _outside(window, spatial)
        if outside is not None:
            out[..., *outside] = 0
        return out
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
    g, tap = alike(g, tap)
    with _nominally(g, window, 0 if window.disjoint else 1):
        out: Any = np.zeros_like(g, shape=(*_rest(g, window), *shape), order="C")
        if window.disjoint and not lead and _outside(window, shape) is None:
            out.reshape(-1)[_flat_positions(tap, window, shape).reshape(-1)] = g.reshape(-1)
            return out
        bits = np.dtype(f"i{g.dtype.itemsize}")
        cotangents: Any = (g if is_contiguous(g) else g.copy()).view(bits)
        for t, (_, windows, elements) in enumerate(met):
            chosen = (tap[..., *windows] == t).astype(bits)
            cut = cotangents[..., *windows] & np.negative(chosen, out=chosen)  # all bits are ones, or none
            part = out[..., *elements]
            if window.disjoint:
                part[...] = cut.view(g.dtype)
            else:
                part += cut.view(g.dtype)
    return out


pool_gather = linear_map(
    "pool_gather",
    _pool_gather,
    lambda g, call, lead: pool_scatter(g, tap=call.params["tap"], window=call.params["window"], shape=_trailing(call)),
    examples=_apart,
    carries_axis=_all_apart,
    moves=True,
    merges=_windows_apart,
)
"""The element of `x` `[..., *size]` that `tap` `[..., *windows]` names in each window."""

pool_scatter = linear_map(
    "pool_scatter",
    _pool_scatter,
    lambda g, call, lead: pool_gather(g, tap=call.params["tap"], window=call.params["window"]),
    examples=_apart,
    carries_axis=_all_apart,
)
"""The transpose of `pool_gather`: `g` `[..., *windows]` added into zeros `[..., *shape]`."""


def _trailing(call: Call) -> Shape:
    shape = call.shapes[0]
    return tuple(shape[len(shape) - len(call.params["window"].size) :])


def _window_sum(xp: Any, x: Any, *, window: Window) -> Any:
    if xp is not np:
        slices = tap_slices(x, window, 0)
        return sum(slices[1:], slices[0])
    with _nominally(x, window, 1):
        return _along_axes(np.add, x, window, 0)


def _window_spread(xp: Any, g: Any, *, window: Window, shape: Shape) -> Any:
    _check(g, window, shape)
    if xp is not np:
        if window.disjoint:
            return repeated(g, window, shape)
        parts = [placed(g, reach.tap, window, shape) for reach in reaches(window, shape)]
        return sum(parts[1:], parts[0])
    rank = len(shape)
    with _nominally(g, window, 0 if window.disjoint else 1):
        for axis in range(rank - 1, -1, -1):
            rest = (slice(None),) * (rank - 1 - axis)
            met = reaches_along(window, axis, shape[axis])
            grown: Any = np.zeros_like(g, shape=(*g.shape[: axis - rank], shape[axis], *g.shape[g.ndim - rank + axis + 1 :]), order="C")
            for windows, elements in met:
                part = grown[..., elements, *rest]
                if window.disjoint:
                    part[...] = g[..., windows, *rest]
                else:
                    part += g[..., windows, *rest]
            g = grown
    return g


def _taps_of(call: Call) -> list[tuple[Any, ...]] | None:
    """What each tap meets, where all windows are inside."""
    window, shape = call.params["window"], _trailing(call)
    return [(..., *reach.elements) for reach in reaches(window, shape)] if covers(window, shape) else None


window_sum = linear_map(
    "window_sum",
    _window_sum,
    lambda g, call, lead: window_spread(g, window=call.params["window"], shape=_trailing(call)),
    examples=_apart,
    carries_axis=_all_apart,
    terms=_taps_of,
    uniform=always,
    merges=_windows_apart,
)
"""The sum of the elements in each window of `x` `[..., *size]`."""

window_spread = linear_map(
    "window_spread",
    _window_spread,
    lambda g, call, lead: window_sum(g, window=call.params["window"]),
    examples=_apart,
    carries_axis=_all_apart,
)
"""The transpose of `window_sum`: each element of `g` `[..., *windows]` added to all elements of its window in zeros `[..., *shape]`."""
