"""Where the windows of a convolution lie in memory, and what it would cost to compute it one way or the other.

In an image stored row after row, what a tap meets in window `p + 1` lies one element behind what it meets in window `p`, also where `p` is
the last window of a row, if positions that are no window are carried along (as many per row as the kernel is wider than one). So a row
of columns is one *run* of memory. numpy starts a run in the time in which it copies `RUN` elements: long runs are worth the few
positions that are computed for nothing, unless the product with them takes longest. A stride is no obstacle: elements are sorted by their
residue first (`windows.Phase`), unless few windows make that dearer than runs of strided elements.

Costs are in elements moved: every element of columns once, `RUN` per run, `CALL` per call, one per `MACS` multiply-adds. The numbers were
measured on one core with vectors of 512 bits; where they are off by two, the choices that they decide differ by little.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from diffcore.kernels.windows import Shape, Window, covers, phases, row_major

RUN = 75
"""Elements copied in the time of starting a run."""
MACS = 5
"""Multiply-adds done in the time of copying an element."""
CALL = 8000
"""Elements copied in the time of calling a function of numpy's."""
FLIP = 6
"""Elements copied in the time of copying one of a kernel that is turned around."""
BLOCK = 1 << 19
"""Bytes of columns at a time: with what they are made of and what is made of them, they fit a second-level cache."""


class Lattice(NamedTuple):
    """Where windows lie among the elements of a class (see `windows.Phase`), which are stored in row-major order.

    `pitch` has the elements from one window to the next along each axis. The last axes are one run of `run` positions, of which some are no
    window; `rows` counts the windows along the axes before.
    """

    pitch: Shape
    rows: Shape
    run: int

    @property
    def positions(self) -> int:
        """Positions per image, including those that are no window."""
        return math.prod(self.rows) * self.run

    @property
    def strides(self) -> Shape:
        """Positions from one window to the next along each axis."""
        return (*(n * self.run for n in row_major(self.rows)), *self.pitch[len(self.rows) :])

    def places(self, steps: Shape) -> Shape:
        """Elements that so many windows along each axis are apart."""
        return tuple(n * pitch for n, pitch in zip(steps, self.pitch, strict=True))


@lru_cache(maxsize=512)
def lattice(counts: Shape, extents: Shape, flat: int) -> Lattice:
    """The lattice of `counts` windows among `extents` elements, with the last `flat` axes in one run."""
    pitch, cut = row_major(extents), len(counts) - flat
    return Lattice(pitch, counts[:cut], 1 + sum((n - 1) * p for n, p in zip(counts[cut:], pitch[cut:], strict=True)))


class Sizes(NamedTuple):
    """Of `n` images from `c` channels to `o`, in `groups`."""

    n: int
    c: int
    o: int
    groups: int

    @property
    def back(self) -> Sizes:
        """The same the other way round."""
        return Sizes(self.n, self.o, self.c, self.groups)


@lru_cache(maxsize=512)
def gathering(window: Window, extents: Shape, inside: bool, sizes: Sizes) -> tuple[float, int]:
    """The least cost of columns of `c` channels and their product with a matrix to `o`, and with how many axes in a run.

    With 0 axes columns are taken with the stride as it is, in place of classes of elements that are sorted first. With `inside` nothing has
    to be padded: runs are taken of the images themselves.
    """
    fewest = 1 if max(window.stride) == 1 else 0
    return min((_gathering(flat, window, extents, inside, sizes), flat) for flat in range(fewest, len(extents) + 1))


def _gathering(flat: int, window: Window, extents: Shape, inside: bool, sizes: Sizes) -> float:
    n, c, o, groups = sizes
    where = lattice(window.counts, extents, max(flat, 1))
    rows, columns = c * window.taps * math.prod(where.rows), c * window.taps * where.positions
    cost: float = columns + rows * RUN + o * columns / (groups * MACS)
    sorts = 1 if flat == 0 else len(phases(window))
    if not inside:
        cost += sorts * c * math.prod(extents[:-1]) * (extents[-1] + RUN)
    if where.positions != math.prod(window.counts):  # what is no window is dropped, row by row
        cost += o * math.prod(window.counts[:-1]) * (window.counts[-1] + RUN)
    return n * cost + math.ceil(n * columns * 4 / BLOCK) * (2 * sorts + 2) * CALL


@lru_cache(maxsize=512)
def spreading(window: Window, sizes: Sizes) -> float:
    """The cost of columns of `c` channels as a product with `o` channels, and of adding them back."""
    n, c, o, groups = sizes
    columns, positions = c * window.taps, lattice(window.counts, window.extents, len(window.counts)).positions
    cost: float = o * math.prod(window.counts[:-1]) * (window.counts[-1] + RUN)
    cost += c * math.prod(window.extents[:-1]) * (window.extents[-1] + RUN)
    cost += columns * (math.prod(window.extents) + RUN) + o * columns * positions / (groups * MACS)
    return n * cost + math.ceil(n * columns * positions * 4 / BLOCK) * 4 * CALL


@lru_cache(maxsize=512)
def gathers(window: Window, size: Shape, sizes: Sizes) -> bool:
    """Whether `o` channels of windows are best had from `c` channels of `size` by columns of these, or by adding back columns of those.

    With stride 1 a convolution is also a transposed one of the flipped kernel, over `opposite` windows.
    """
    if max(window.stride) > 1:
        return True
    flipping = FLIP * sizes.c * sizes.o // sizes.groups * window.taps
    direct, _ = gathering(window, window.extents, covers(window, size), sizes)
    return direct <= spreading(opposite(window, size), sizes.back) + flipping


@lru_cache(maxsize=512)
def spreads(window: Window, size: Shape, sizes: Sizes) -> bool:
    """Whether `c` channels of `size` are best had from `o` channels of windows by adding back columns of those, or by columns of these."""
    if max(window.stride) > 1:
        return True
    other, flipping = opposite(window, size), FLIP * sizes.c * sizes.o // sizes.groups * window.taps
    return spreading(window, sizes) <= gathering(other, other.extents, covers(other, window.counts), sizes.back)[0] + flipping


@lru_cache(maxsize=512)
def gathers_input(window: Window, size: Shape, sizes: Sizes) -> bool:
    """Whether the sum of products of `c` channels of `size` with `o` channels of windows is best had by columns of these or of those."""
    if max(window.stride) > 1:
        return True
    other = opposite(window, size)
    direct, _ = gathering(window, window.extents, covers(window, size), sizes)
    return direct <= gathering(other, other.extents, covers(other, window.counts), sizes.back)[0]


@lru_cache(maxsize=512)
def opposite(window: Window, size: Shape) -> Window:
    """For stride 1: windows of the flipped kernel over the result, which has what `window` has over `size`, the other way round."""
    before = tuple(d * (t - 1) - b for t, d, b in zip(window.size, window.dilation, window.before, strict=True))
    return Window(window.size, window.stride, window.dilation, before, size)
