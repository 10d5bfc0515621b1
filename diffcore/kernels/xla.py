"""Convolutions on jax: XLA's own, and matrix products where XLA's code for processors (CPUs) is slow.

On a processor XLA copies, for every tap of every window, one run of channels, group by group. With few channels that takes longest: 12 ns a
run, where the arithmetic of LeNet's first layer takes 1. Here patches are taken apart along the last axis alone, one product then makes
what all other taps contribute, and these parts are added shifted. The adjoint in the input is the same the other way round. The
adjoint in the weight is XLA's own, except in groups, for which XLA has no fast code: there it is a product per tap of the other axes.

Which way is cheaper follows from the shapes, by times measured on one core. Which platform it is shows when the program is compiled
(`lax.platform_dependent`): graphics processors and TPUs get XLA's own convolution and its own adjoints.

On abstract arrays the same functions count what they would do: products as they are made, and of XLA's own convolutions the products with
elements of the input, as XLA counts them itself, not those with padding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.observed import alike
from diffcore.kernels.windows import Shape, Window, reaches_along
from diffcore.ledger import state

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
    x, weight = _arrays(x, weight)
    if x.size and _convolve_pays(window, *x.shape[:2], weight.shape[0], groups):
        return _by_platform(_convolve, _convolve_by_products, window, groups)(x, weight)
    return _convolve(x, weight, window, groups)


def spread(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    """`[n, c, *size]`: the adjoint of `convolve` in `x`, for `g` `[n, o, *windows]`."""
    g, weight = _arrays(g, weight)
    if g.size and _spread_pays(window, size, g.shape[0], weight.shape[1] * groups, weight.shape[0], groups):
        return _by_platform(_spread, _spread_by_products, window, groups, size)(g, weight)
    return _spread(g, weight, window, groups, size)


def correlate(x: Any, g: Any, window: Window, groups: int) -> Any:
    """`[o, c / groups, *taps]`: the adjoint of `convolve` in `weight`, for `x` `[n, c, *size]` and `g` `[n, o, *windows]`."""
    x, g = _arrays(x, g)
    if x.size and 1 < groups < x.shape[1]:
        return _by_platform(_correlate, _correlate_by_products, window, groups)(x, g)
    return _correlate(x, g, window, groups)


def _arrays(a: Any, b: Any) -> tuple[Any, Any]:
    """Both operands as jax arrays; abstract where one of them is."""
    a, b = alike(a, b)
    return (a, b) if isinstance(a, AbstractArray) else (jnp.asarray(a), jnp.asarray(b))


@lru_cache(maxsize=512)
def _by_platform(own: Callable[..., Any], products: Callable[..., Any], *geometry: Any) -> Callable[..., Any]:
    """A compiled function of two arrays: `products` on processors, `own` elsewhere. (Uncompiled, products would be many calls.)"""

    def chosen(a: Any, b: Any) -> Any:
        return lax.platform_dependent(a, b, cpu=lambda a, b: products(a, b, *geometry), default=lambda a, b: own(a, b, *geometry))

    def counted(a: Any, b: Any) -> Any:
        return (products if jax.default_backend() == "cpu" else own)(a, b, *geometry)

    chosen.__name__ = own.__name__.strip("_")
    jitted = jax.jit(chosen)
    return lambda a, b: counted(a, b) if isinstance(a, AbstractArray) else jitted(a, b)


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


def _own(operand: Any, shape: Shape, channels: int, window: Window, size: Shape) -> AbstractArray:
    """Count one of XLA's own: in each of `channels` (images, and pairs of channels that meet) each tap meets each element it can."""
    if state.ledger is not None:
        axes = range(len(size))
        meetings = math.prod(sum(windows.stop - windows.start for windows, _ in reaches_along(window, i, size[i])) for i in axes)
        state.ledger.book_product(2 * channels * meetings)
    return AbstractArray(shape, operand.dtype)


def _convolve(x: Any, weight: Any, window: Window, groups: int) -> Any:
    if isinstance(x, AbstractArray):
        (n, _, *size), o = x.shape, weight.shape[0]
        return _own(x, (n, o, *window.counts), n * o * weight.shape[1], window, tuple(size))
    edges = _edges(window, x.shape[2:])
    return lax.conv_general_dilated(x, weight, window.stride, edges, rhs_dilation=window.dilation, feature_group_count=groups)


def _spread(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    o, c, *taps = weight.shape
    if isinstance(g, AbstractArray):
        return _own(g, (g.shape[0], c * groups, *size), g.shape[0] * o * c, window, size)
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
    if isinstance(x, AbstractArray):
        (n, c, *size), o = x.shape, g.shape[1]
        return _own(x, (o, c // groups, *window.size), n * o * (c // groups), window, tuple(size))
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


def _numpy(x: Any) -> Any:
    """The module with numpy's functions for `x`."""
    return np if isinstance(x, AbstractArray) else jnp


def _pad(x: Any, edges: list[tuple[int, int, int]]) -> Any:
    """Zeros before, behind and between the elements along each axis."""
    if isinstance(x, AbstractArray):
        sizes = (n + low + high + inner * max(n - 1, 0) for n, (low, high, inner) in zip(x.shape, edges, strict=True))
        return AbstractArray(tuple(sizes), x.dtype)
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _taken(x: Any, axis: int, tap: int, window: Window, of: int) -> Any:
    """What `tap` along axis `of` of the windows meets along `axis` of `x`."""
    start, stride = tap * window.dilation[of], window.stride[of]
    stop = start + (window.counts[of] - 1) * stride + 1
    if isinstance(x, AbstractArray):
        return x[(*(slice(None),) * axis, slice(start, stop, stride))]
    return lax.slice_in_dim(x, start, stop, stride, axis)


def _put(x: Any, axis: int, tap: int, window: Window, of: int) -> Any:
    """The transpose of `_taken`: windows along `axis` where the tap meets them, and zeros between."""
    start, stride, n = tap * window.dilation[of], window.stride[of], window.counts[of]
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (start, window.end(of) - start - (n - 1) * stride - 1, stride - 1)
    return _pad(x, edges)


def _leading(window: Window) -> Iterator[tuple[int, ...]]:
    """The taps of all axes but the last."""
    return itertools.product(*map(range, window.size[:-1]))


def _last_apart(x: Any, window: Window, groups: int) -> Any:
    """`[n, groups, c / groups, taps, *extents, windows]`: `x`, padded, with its last axis taken apart into what each tap meets."""
    edges = [(0, 0, 0), (0, 0, 0), *((low, high, 0) for low, high in _edges(window, x.shape[2:]))]
    x = _pad(x, edges)
    last = len(window.size) - 1
    apart = _numpy(x).stack([_taken(x, last + 2, tap, window, last) for tap in range(window.size[-1])], axis=2)
    return apart.reshape((x.shape[0], groups, x.shape[1] // groups, *apart.shape[2:]))


def _convolve_by_products(x: Any, weight: Any, window: Window, groups: int) -> Any:
    (o, c, *taps), lead = weight.shape, math.prod(window.size[:-1])
    apart = _last_apart(x, window, groups)
    n, *_ = apart.shape
    matrix = weight.reshape((groups, o // groups, c, lead, taps[-1])).transpose((0, 3, 1, 2, 4))
    matrix = matrix.reshape((groups, lead * o // groups, c * taps[-1]))
    parts = _numpy(x).matmul(matrix, apart.reshape((n, groups, c * taps[-1], -1)))
    parts = parts.reshape((n, groups, lead, o // groups, *apart.shape[4:]))
    total: Any = None
    for i, tap in enumerate(_leading(window)):
        part = parts[:, :, i]
        for of, t in enumerate(tap):
            part = _taken(part, of + 3, t, window, of)
        total = part if total is None else total + part
    return total.reshape((n, o, *window.counts))


def _spread_by_products(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    (o, c, *taps), lead, rank = weight.shape, math.prod(window.size[:-1]), len(size)
    n = g.shape[0]
    matrix = weight.reshape((groups, o // groups, c, lead, taps[-1])).transpose((0, 4, 3, 2, 1))
    columns = _numpy(g).matmul(matrix.reshape((groups, lead * taps[-1] * c, o // groups)), g.reshape((n, groups, o // groups, -1)))
    columns = columns.reshape((n, groups, taps[-1], lead, c, *window.counts))
    rows = _put(columns[:, :, 0], rank + 3, 0, window, rank - 1)
    for t in range(1, taps[-1]):
        rows = rows + _put(columns[:, :, t], rank + 3, t, window, rank - 1)
    total: Any = None
    for i, tap in enumerate(_leading(window)):
        part = rows[:, :, i]
        for of, t in enumerate(tap):
            part = _put(part, of + 3, t, window, of)
        total = part if total is None else total + part
    total = total.reshape((n, groups * c, *total.shape[3:]))
    edges = [(0, 0, 0), (0, 0, 0), *((-low, -high, 0) for low, high in _edges(window, size))]
    return _pad(total, edges)


def _correlate_by_products(x: Any, g: Any, window: Window, groups: int) -> Any:
    xp = _numpy(x)
    o, c, lead, last = g.shape[1], x.shape[1] // groups, math.prod(window.size[:-1]), window.size[-1]
    apart = xp.moveaxis(_last_apart(x, window, groups).reshape((x.shape[0], groups, c * last, *_spans(window))), 0, 2)
    cotangents = xp.moveaxis(g.reshape((g.shape[0], groups, o // groups, -1)), 0, 2).reshape((groups, o // groups, -1))
    products = []
    for tap in _leading(window):
        part = apart
        for of, t in enumerate(tap):
            part = _taken(part, of + 3, t, window, of)
        products.append(xp.matmul(cotangents, part.reshape((groups, c * last, -1)).mT))
    out = xp.stack(products, axis=2).reshape((groups, o // groups, lead, c, last))
    return xp.moveaxis(out, 2, 3).reshape((o, c, *window.size))


def _spans(window: Window) -> Shape:
    """The axes of `_last_apart` behind its taps."""
    return (*(window.end(axis) for axis in range(len(window.size) - 1)), window.counts[-1])
