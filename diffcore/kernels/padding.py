"""Padding: linear in the input, so a tangent is padded in turn (with zeros), and a cotangent folded back by the transpose.

`widths` is one pair (before, after) for each of the last axes, in their own order. Padding with a constant is transposed by padding with
the negated widths, which crops. In the other modes widths are not negative; the transpose, `unpad`, crops and adds each border to
the elements that it was copied from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.families import linear_map
from diffcore.kernels.record import Call, Shape

Widths = tuple[tuple[int, int], ...]
_JAX_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _slices(ndim: int, parts: Any) -> tuple[slice, ...]:
    """An index that takes `parts` (start, stop) of the last axes."""
    return (*(slice(None),) * (ndim - len(parts)), *(slice(start, stop) for start, stop in parts))


def _along(x: Any, axis: int, start: int, stop: int | None, step: int = 1) -> tuple[slice, ...]:
    return (*(slice(None),) * (x.ndim + axis), slice(start, stop, step))


def _core(shape: Shape, widths: Widths) -> list[tuple[int, int]]:
    """Start and stop of the input's own elements within a result of `shape`."""
    return [(max(before, 0), n - max(after, 0)) for n, (before, after) in zip(shape[len(shape) - len(widths) :], widths, strict=True)]


def _padded(shape: Shape, widths: Widths) -> Shape:
    kept = len(shape) - len(widths)
    return (*shape[:kept], *(n + before + after for n, (before, after) in zip(shape[kept:], widths, strict=True)))


def _check(mode: str, n: int, before: int, after: int, axis: int) -> None:
    """Whether `n` elements along `axis` can fill borders of these widths."""
    widest = max(before, after)
    if mode not in _JAX_MODES:
        raise ValueError(f"padding mode {mode!r} is none of {', '.join(_JAX_MODES)}")
    if mode == "reflect" and widest >= max(n, 1):
        raise ValueError(f"padding size should be less than the input's size, which is {n} at axis {axis}, but got ({before}, {after})")
    if mode == "circular" and widest > n:
        raise ValueError(f"padding value causes wrapping around more than once: ({before}, {after}) at axis {axis} of size {n}")
    if mode == "replicate" and widest and n < 1:
        raise ValueError(f"there is no element to replicate: axis {axis} is of size {n}")


def _sources(mode: str, n: int, before: int, after: int) -> tuple[Any, Any]:
    """(start, stop, step) of what the border before and the one after are copies of, within the `n` elements padded.

    The start of a single element that is repeated has no stop and step.
    """
    if mode == "replicate":
        return (0,), (n - 1,)
    if mode == "circular":
        return (n - before, n, 1), (0, after, 1)
    return (before, 0, -1), (n - 2, n - 2 - after if after < n - 1 else None, -1)


def _borders(n: int, before: int, after: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (0, before), (before + n, before + n + after)


def _taken(x: Any, axis: int, offset: int, source: Any) -> tuple[slice, ...]:
    """The index of a border's source along `axis` of an array in which the padded elements start at `offset`."""
    if len(source) == 1:
        return _along(x, axis, offset + source[0], offset + source[0] + 1)
    start, stop, step = source
    stop = None if stop is None and offset == 0 else offset + (-1 if stop is None else stop)
    return _along(x, axis, offset + start, stop, step)


def _pad(xp: Any, x: Any, *, widths: Widths, mode: str = "constant", value: float = 0) -> Any:
    if mode == "constant":
        return _pad_constant(xp, x, widths, value)
    for axis, (before, after) in enumerate(widths, -len(widths)):
        _check(mode, x.shape[axis], before, after, axis)
    if not widths:
        return x
    if not is_mutable(x):
        return xp.pad(x, (*((0, 0),) * (x.ndim - len(widths)), *widths), mode=_JAX_MODES[mode])
    shape = _padded(x.shape, widths)
    out = np.empty_like(x, shape=shape)
    out[_slices(x.ndim, _core(shape, widths))] = x
    for axis, (before, after) in enumerate(widths, -len(widths)):
        n = x.shape[axis]
        for border, source in zip(_borders(n, before, after), _sources(mode, n, before, after), strict=True):
            if border[0] != border[1]:
                out[_along(out, axis, *border)] = out[_taken(out, axis, before, source)]
    return out


def _pad_constant(xp: Any, x: Any, widths: Widths, value: float) -> Any:
    kept = x.ndim - len(widths)
    crop = [(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape[kept:], widths, strict=True)]
    x = x[_slices(x.ndim, crop)] if any(w < 0 for pair in widths for w in pair) else x
    added = tuple((max(before, 0), max(after, 0)) for before, after in widths)
    if not any(w for pair in added for w in pair):
        return x
    if not is_mutable(x):
        return xp.pad(x, (*((0, 0),) * kept, *added), constant_values=xp.asarray(value).astype(x.dtype))
    shape = _padded(x.shape, added)
    out = np.zeros_like(x, shape=shape) if value == 0 else np.full_like(x, value, shape=shape)
    out[_slices(x.ndim, _core(shape, added))] = x
    return out


def _unpad(xp: Any, g: Any, *, widths: Widths, mode: str) -> Any:
    for axis, (before, after) in enumerate(widths, -len(widths)):
        if before or after:
            g = _unpad_axis(g, axis, before, after, mode)
    return g


def _unpad_axis(g: Any, axis: int, before: int, after: int, mode: str) -> Any:
    n = g.shape[axis] - before - after
    _check(mode, n, before, after, axis)
    core = g[_along(g, axis, before, before + n)]
    core = core.copy() if is_mutable(core) else core
    for border, source in zip(_borders(n, before, after), _sources(mode, n, before, after), strict=True):
        if border[0] == border[1]:
            continue
        part, where = g[_along(g, axis, *border)], _taken(core, axis, 0, source)
        part = part.sum(axis=axis, keepdims=True) if len(source) == 1 else part
        if is_mutable(core):
            core[where] += part
        else:
            core = core.at[where].add(part)
    return core


def _transposed(g: Any, call: Call, lead: Shape) -> Any:
    widths, mode = call.params["widths"], call.params.get("mode", "constant")
    if mode == "constant":
        return pad(g, widths=tuple((-before, -after) for before, after in widths))
    return unpad(g, widths=widths, mode=mode)


def _first_axis_stays(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    widths = params["widths"]
    return bool(shape) and (len(widths) < len(shape) or widths[0] == (0, 0))


def _axes_stay(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    widths = params["widths"]
    at = axis - len(shape) + len(widths)
    return axis if at < 0 or widths[at] == (0, 0) else None


pad = linear_map(
    "pad",
    _pad,
    _transposed,
    lift=lambda params, lead: {**params, "value": 0},
    examples=_first_axis_stays,
    carries_axis=_axes_stay,
)
unpad = linear_map(
    "unpad",
    _unpad,
    lambda g, call, lead: pad(g, **call.params),
    examples=_first_axis_stays,
    carries_axis=_axes_stay,
)
