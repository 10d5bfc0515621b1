"""Windows that slide over the trailing axes of an array: which elements each tap of a kernel or of a pooling window meets.

A tap is one position inside the window. Over all windows it meets a strided slice of the input, so that convolutions and pools on numpy
loop over taps, of which there are few, and never over elements. Where a window reaches over the border the slice is shorter:
nothing is padded.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]
Slices = tuple[slice, ...]


class Window(NamedTuple):
    """Windows of `size` taps `dilation` apart, `stride` apart, the first one `before` elements in front of the input; `counts` of them.

    Each entry has one number per axis. Window `p` has its tap `t` at element `p * stride + t * dilation - before`.
    """

    size: Shape
    stride: Shape
    dilation: Shape
    before: Shape
    counts: Shape

    @property
    def taps(self) -> int:
        """The number of taps."""
        return math.prod(self.size)

    @property
    def disjoint(self) -> bool:
        """Whether no element is in two windows."""
        return all(d * (n - 1) < s for n, s, d in zip(self.size, self.stride, self.dilation, strict=True))

    @property
    def extents(self) -> Shape:
        """How many elements of each class (see `Phase`) the windows span along each axis."""
        return tuple(p + d * (n - 1) // s for n, s, d, p in zip(self.size, self.stride, self.dilation, self.counts, strict=True))

    @property
    def dense(self) -> Window:
        """As many windows one element apart as start between the first and the last of these, and at them."""
        counts = tuple((n - 1) * s + 1 for n, s in zip(self.counts, self.stride, strict=True))
        return self._replace(stride=(1,) * len(counts), counts=counts)

    def end(self, axis: int) -> int:
        """One past the last element that a window meets along `axis`, counted from the first window's first tap."""
        return (self.counts[axis] - 1) * self.stride[axis] + (self.size[axis] - 1) * self.dilation[axis] + 1


class Reach(NamedTuple):
    """What one tap meets: the `windows` in which it lies inside the input, and the `elements` that it then is."""

    tap: tuple[int, ...]
    windows: Slices
    elements: Slices


@lru_cache(maxsize=256)
def reaches(window: Window, shape: Shape) -> tuple[Reach, ...]:
    """What each tap meets of an input with these trailing axes, in row-major order of the taps."""
    axes = [[(t, *_along(t * d - b, s, extent, count)) for t in range(n)] for n, s, d, b, count, extent in zip(*window, shape, strict=True)]
    return tuple(Reach(*(tuple(part) for part in zip(*met, strict=True))) for met in itertools.product(*axes))


@lru_cache(maxsize=256)
def reaches_along(window: Window, axis: int, extent: int) -> tuple[tuple[slice, slice], ...]:
    """`reaches` along one axis of `extent` elements: per tap its windows and elements there."""
    s, d, b, count = window.stride[axis], window.dilation[axis], window.before[axis], window.counts[axis]
    return tuple(_along(t * d - b, s, extent, count) for t in range(window.size[axis]))


def _along(offset: int, stride: int, extent: int, count: int) -> tuple[slice, slice]:
    first = max(0, -(offset // stride))
    stop = min(count, (extent - 1 - offset) // stride + 1)
    if stop <= first:
        return slice(0, 0), slice(0, 0)
    start = first * stride + offset
    return slice(first, stop), slice(start, start + (stop - first - 1) * stride + 1, stride)


def covers(window: Window, shape: Shape) -> bool:
    """Whether every window lies inside an input with these trailing axes."""
    return all(before <= 0 and window.end(axis) - before <= n for axis, (n, before) in enumerate(zip(shape, window.before, strict=True)))


def inside(reach: Reach, window: Window) -> Any:
    """Booleans: the windows in which the tap lies inside the input."""
    mask = np.zeros(window.counts, bool)
    mask[reach.windows] = True
    return mask


def row_major(shape: Shape) -> Shape:
    """The strides of a contiguous array, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


class Phase(NamedTuple):
    """Taps of a window that meet the same residue class of elements: for windows `stride` apart, those of one in `stride`.

    Element `j` of the class is element `j * stride + offset` of the input. Window `p` has the `u`-th of these taps at element
    `p + shift + u * pace` of the class. Each entry has one number (or slice) per axis.
    """

    taps: Slices
    amount: Shape
    offset: Shape
    shift: Shape
    pace: Shape

    def placed(self, window: Window, shape: Shape) -> Reach:
        """Which elements of the class lie inside an input with these trailing axes, and where there (`windows` are those of the class)."""
        lattice = zip(self.offset, window.stride, shape, window.extents, strict=True)
        inner, outer = zip(*(_along(offset, s, n, extent) for offset, s, n, extent in lattice), strict=True)
        return Reach((), inner, outer)


@lru_cache(maxsize=256)
def phases(window: Window) -> tuple[Phase, ...]:
    """The taps of a window by the class of elements that they meet: one class where the stride is 1.

    Taps `t` and `t'` are of one class where `(t - t') * dilation` is a multiple of the stride: every `stride / gcd(stride, dilation)`-th.
    Within its class a tap meets neighbouring elements in neighbouring windows, whatever the stride.
    """
    axes = []
    for n, s, d, b, _ in zip(*window, strict=True):
        apart = s // math.gcd(s, d)
        axes.append([(slice(t, n, apart), -(-(n - t) // apart), t * d % s - b, t * d // s, apart * d // s) for t in range(min(n, apart))])
    return tuple(Phase(*zip(*axis, strict=True)) for axis in itertools.product(*axes))


# the same for jax, whose arrays are immutable and whose compiler fuses what is written tap by tap


def tap_slices(x: Any, window: Window, fill: Any) -> list[Any]:
    """For jax: what each tap meets in all windows, `[*rest, *counts]`, in row-major order of the taps, `fill` outside the input."""
    from jax import lax

    rank = len(window.size)
    rest = x.ndim - rank
    after = [max(0, window.end(i) - window.before[i] - x.shape[rest + i]) for i in range(rank)]
    x = lax.pad(x, np.asarray(fill, x.dtype), [(0, 0, 0)] * rest + [(b, a, 0) for b, a in zip(window.before, after, strict=True)])
    found = []
    for tap in itertools.product(*map(range, window.size)):
        starts = [t * d for t, d in zip(tap, window.dilation, strict=True)]
        stops = [start + (n - 1) * s + 1 for start, n, s in zip(starts, window.counts, window.stride, strict=True)]
        found.append(lax.slice(x, [0] * rest + starts, [*x.shape[:rest], *stops], [1] * rest + list(window.stride)))
    return found


def placed(g: Any, tap: tuple[int, ...], window: Window, shape: Shape) -> Any:
    """For jax: the transpose of one tap's slice: `g` `[*rest, *counts]` at the elements that the tap meets, zeros elsewhere."""
    from jax import lax

    edges = []
    for t, s, d, b, n, extent in zip(tap, window.stride, window.dilation, window.before, window.counts, shape, strict=True):
        edges.append((t * d - b, extent - (t * d - b) - (n - 1) * s - 1, s - 1))
    return lax.pad(g, np.zeros((), g.dtype), [(0, 0, 0)] * (g.ndim - len(edges)) + edges)


def repeated(g: Any, window: Window, shape: Shape) -> Any:
    """For jax, of windows that do not overlap: `g` `[*rest, *counts]` at all elements of each window, zeros elsewhere; nothing is added."""
    from jax import lax

    rest, zero = tuple(g.shape[: g.ndim - len(shape)]), np.zeros((), g.dtype)
    apart = [n for count, size in zip(window.counts, window.size, strict=True) for n in (count, size)]
    axes = (*range(len(rest)), *range(len(rest), len(rest) + len(apart), 2))
    within = [edges for n, s, d in zip(*window[:3], strict=True) for edges in ((0, 0, 0), (0, s - d * (n - 1) - 1, d - 1))]
    g = lax.pad(lax.broadcast_in_dim(g, (*rest, *apart), axes), zero, [(0, 0, 0)] * len(rest) + within)
    spans = [count * s for count, s in zip(window.counts, window.stride, strict=True)]
    edges = [(-b, extent + b - span, 0) for b, extent, span in zip(window.before, shape, spans, strict=True)]
    return lax.pad(g.reshape((*rest, *spans)), zero, [(0, 0, 0)] * len(rest) + edges)
