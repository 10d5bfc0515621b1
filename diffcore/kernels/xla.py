"""Convolutions on jax: XLA's own, and matrix products where XLA's code for processors (CPUs) is slow.

On a processor XLA copies, for every tap of every window, one run of channels, group by group. With few channels that takes longest: 12 ns a
run, where the arithmetic of LeNet's first layer takes 1. Here patches are taken apart along the last axis alone, one product then makes
what all other taps contribute, and these parts are added shifted. The adjoint in the input is the same the other way round. The
adjoint in the weight is XLA's own, except in groups, for which XLA has no fast code: there it is a product per tap of the other axes.

Which way is cheaper follows from the shapes, by times measured on one core. Which platform it is shows when the program is compiled
(`lax.platform_dependent`): graphics processors and TPUs get XLA's own convolution and its own adjoints.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from diffcore.kernels.windows import Shape, Window

RUN = 12.0
"""Nanoseconds in which XLA copies a run of channels: one tap of one window."""
ADDED = 1.0
"""Nanoseconds for one element of a part: to write it, read it and add it."""
PLACED = 1.5
"""Nanoseconds for one element of a column that is added back."""
MOVED = 0.4
"""Nanoseconds to copy an element."""
FLOPS = 100.0
"""Operations of a matrix product in a nanosecond."""
MARGIN = 1.5
"""By how much products have to be cheaper: estimates are off by less."""


def convolve(x: Any, weight: Any, window: Window, groups: int) -> Any:
    """`[n, o, *windows]` of `x` `[n, c, *size]` and `weight` `[o, c / groups, *taps]`."""
    x, weight = jnp.asarray(x), jnp.asarray(weight)
    if x.size and _convolve_pays(window, *x.shape[:2], weight.shape[0], groups):
        return _by_platform(_convolve, _convolve_by_products, window, groups)(x, weight)
    return _convolve(x, weight, window, groups)


def spread(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    """`[n, c, *size]`: the adjoint of `convolve` in `x`, for `g` `[n, o, *windows]`."""
    g, weight = jnp.asarray(g), jnp.asarray(weight)
    if g.size and _spread_pays(window, size, g.shape[0], weight.shape[1] * groups, weight.shape[0], groups):
        return _by_platform(_spread, _spread_by_products, window, groups, size)(g, weight)
    return _spread(g, weight, window, groups, size)


def correlate(x: Any, g: Any, window: Window, groups: int) -> Any:
    """`[o, c / groups, *taps]`: the adjoint of `convolve` in `weight`, for `x` `[n, c, *size]` and `g` `[n, o, *windows]`."""
    x, g = jnp.asarray(x), jnp.asarray(g)
    if x.size and 1 < groups < x.shape[1]:
        return _by_platform(_correlate, _correlate_by_products, window, groups)(x, g)
    return _correlate(x, g, window, groups)


@lru_cache(maxsize=512)
def _by_platform(own: Callable[..., Any], products: Callable[..., Any], *geometry: Any) -> Callable[..., Any]:
    """A compiled function of two arrays: `products` on processors, `own` elsewhere. (Uncompiled, products would be many calls.)"""

    def chosen(a: Any, b: Any) -> Any:
        return lax.platform_dependent(a, b, cpu=lambda a, b: products(a, b, *geometry), default=lambda a, b: own(a, b, *geometry))

    chosen.__name__ = own.__name__.strip("_")
    return jax.jit(chosen)


@lru_cache(maxsize=512)
def _convolve_pays(window: Window, n: int, c: int, o: int, groups: int) -> bool:
    windows, lead = math.prod(window.counts), math.prod(window.size[:-1])
    if window.taps == 1:
        return False
    apart = math.prod(window.end(axis) for axis in range(len(window.size) - 1)) * window.counts[-1]
    arithmetic = 2 * o * c // groups * window.taps / FLOPS
    own = windows * (window.taps * groups * RUN + arithmetic)
    return own > MARGIN * apart * (lead * o * ADDED + c * window.size[-1] * MOVED + arithmetic) and n > 0


@lru_cache(maxsize=512)
def _spread_pays(window: Window, size: Shape, n: int, c: int, o: int, groups: int) -> bool:
    windows = math.prod(window.counts)
    arithmetic = 2 * windows * o * c // groups * window.taps / FLOPS
    own = math.prod(size) / math.prod(window.stride) * window.taps * groups * RUN + arithmetic
    return window.taps > 1 and own > MARGIN * (windows * window.taps * c * PLACED + arithmetic) and n > 0


# XLA's own


def _edges(window: Window, size: Shape) -> list[tuple[int, int]]:
    """How much to pad (or, where negative, to cut) along each axis, so that the windows fit."""
    return [(before, window.end(axis) - before - n) for axis, (before, n) in enumerate(zip(window.before, size, strict=True))]


def _convolve(x: Any, weight: Any, window: Window, groups: int) -> Any:
    edges = _edges(window, x.shape[2:])
    return lax.conv_general_dilated(x, weight, window.stride, edges, rhs_dilation=window.dilation, feature_group_count=groups)


def _spread(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    o, c, *taps = weight.shape
    flipped = jnp.flip(weight, tuple(range(2, weight.ndim))).reshape((groups, o // groups, c, *taps))
    edges = []
    for n, t, s, d, b, p in zip(size, *window, strict=True):
        edges.append((d * (t - 1) - b, n - (p - 1) * s - 1 + b))
    return lax.conv_general_dilated(
        g,
        jnp.swapaxes(flipped, 1, 2).reshape((groups * c, o // groups, *taps)),
        (1,) * len(size),
        edges,
        lhs_dilation=window.stride,
        rhs_dilation=window.dilation,
        feature_group_count=groups,
    )


def _correlate(x: Any, g: Any, window: Window, groups: int) -> Any:
    spatial = "DHW"[-len(window.size) :]
    return lax.conv_general_dilated(
        x,
        g,
        window.dilation,
        _edges(window, x.shape[2:]),
        rhs_dilation=window.stride,
        dimension_numbers=("CN" + spatial, "IO" + spatial, "CN" + spatial),  # the images are what is summed over
        batch_group_count=groups,
    )


# matrix products


def _taken(x: Any, axis: int, tap: int, window: Window, of: int) -> Any:
    """What `tap` along axis `of` of the windows meets along `axis` of `x`."""
    start, stride = tap * window.dilation[of], window.stride[of]
    return lax.slice_in_dim(x, start, start + (window.counts[of] - 1) * stride + 1, stride, axis)


def _put(x: Any, axis: int, tap: int, window: Window, of: int) -> Any:
    """The transpose of `_taken`: windows along `axis` where the tap meets them, and zeros between."""
    start, stride, n = tap * window.dilation[of], window.stride[of], window.counts[of]
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (start, window.end(of) - start - (n - 1) * stride - 1, stride - 1)
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _leading(window: Window) -> Iterator[tuple[int, ...]]:
    """The taps of all axes but the last."""
    return itertools.product(*map(range, window.size[:-1]))


def _last_apart(x: Any, window: Window, groups: int) -> Any:
    """`[n, groups, c / groups, taps, *extents, windows]`: `x`, padded, with its last axis taken apart into what each tap meets."""
    edges = [(0, 0, 0), (0, 0, 0), *((low, high, 0) for low, high in _edges(window, x.shape[2:]))]
    x = lax.pad(x, jnp.zeros((), x.dtype), edges)
    last = len(window.size) - 1
    apart = jnp.stack([_taken(x, last + 2, tap, window, last) for tap in range(window.size[-1])], axis=2)
    return apart.reshape((x.shape[0], groups, x.shape[1] // groups, *apart.shape[2:]))


def _convolve_by_products(x: Any, weight: Any, window: Window, groups: int) -> Any:
    (o, c, *taps), lead = weight.shape, math.prod(window.size[:-1])
    apart = _last_apart(x, window, groups)
    n, *_ = apart.shape
    matrix = weight.reshape((groups, o // groups, c, lead, taps[-1])).transpose((0, 3, 1, 2, 4))
    matrix = matrix.reshape((groups, lead * o // groups, c * taps[-1]))
    parts = jnp.matmul(matrix, apart.reshape((n, groups, c * taps[-1], -1)))
    parts = parts.reshape((n, groups, lead, o // groups, *apart.shape[4:]))
    total: Any = 0
    for i, tap in enumerate(_leading(window)):
        part = parts[:, :, i]
        for of, t in enumerate(tap):
            part = _taken(part, of + 3, t, window, of)
        total = total + part
    return total.reshape((n, o, *window.counts))


def _spread_by_products(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    (o, c, *taps), lead, rank = weight.shape, math.prod(window.size[:-1]), len(size)
    n = g.shape[0]
    matrix = weight.reshape((groups, o // groups, c, lead, taps[-1])).transpose((0, 4, 3, 2, 1))
    columns = jnp.matmul(matrix.reshape((groups, lead * taps[-1] * c, o // groups)), g.reshape((n, groups, o // groups, -1)))
    columns = columns.reshape((n, groups, taps[-1], lead, c, *window.counts))
    rows: Any = 0
    for t in range(taps[-1]):
        rows = rows + _put(columns[:, :, t], rank + 3, t, window, rank - 1)
    total: Any = 0
    for i, tap in enumerate(_leading(window)):
        part = rows[:, :, i]
        for of, t in enumerate(tap):
            part = _put(part, of + 3, t, window, of)
        total = total + part
    total = total.reshape((n, groups * c, *total.shape[3:]))
    edges = [(0, 0, 0), (0, 0, 0), *((-low, -high, 0) for low, high in _edges(window, size))]
    return lax.pad(total, jnp.zeros((), total.dtype), edges)


def _correlate_by_products(x: Any, g: Any, window: Window, groups: int) -> Any:
    o, c, lead, last = g.shape[1], x.shape[1] // groups, math.prod(window.size[:-1]), window.size[-1]
    apart = jnp.moveaxis(_last_apart(x, window, groups).reshape((x.shape[0], groups, c * last, *_spans(window))), 0, 2)
    cotangents = jnp.moveaxis(g.reshape((g.shape[0], groups, o // groups, -1)), 0, 2).reshape((groups, o // groups, -1))
    products = []
    for tap in _leading(window):
        part = apart
        for of, t in enumerate(tap):
            part = _taken(part, of + 3, t, window, of)
        products.append(jnp.matmul(cotangents, part.reshape((groups, c * last, -1)).mT))
    out = jnp.stack(products, axis=2).reshape((groups, o // groups, lead, c, last))
    return jnp.moveaxis(out, 2, 3).reshape((o, c, *window.size))


def _spans(window: Window) -> Shape:
    """The axes of `_last_apart` behind its taps."""
    return (*(window.end(axis) for axis in range(len(window.size) - 1)), window.counts[-1])
