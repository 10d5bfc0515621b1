"""Convolutions on numpy as matrix products, in blocks of images that stay in the cache.

Three sums, each of which is the adjoint of the others: `convolve` gathers the patches of the input into columns and multiplies, `spread`
multiplies and adds columns back to where patches were, `correlate` multiplies columns with cotangents.

A row of columns is one run of memory (see `lattices`), so that all columns of a block are one strided copy. To add columns back, each row
is followed by as many zeros as the taps reach: then the sum over taps of the shifted rows is a sum over axes of a strided view, for which
numpy needs neither a loop over taps nor a temporary, and it is four times faster than one.

Columns are made for as many images as `BLOCK` bytes hold, and made anew for the adjoint of the weight. Keeping them from the value was
tried: the adjoint took half to three quarters of its time, but the value lost as much, since the columns then go through memory and not
through the cache; and they take the bytes of the input as often as there are taps, where the input alone needs to be kept.

Taps outside the input meet zeros, positions that are no window meet zeros or are dropped. An infinity or NaN times such a zero would be a
NaN where the sum has none: where one has come of it, the sum is computed once more, tap by tap, without the zeros.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from diffcore.arrays import is_contiguous, values_of
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.observed import alike
from diffcore.kernels.lattices import BLOCK, Sizes, gathering, gathers, gathers_input, lattice, opposite, spreads
from diffcore.kernels.windows import Shape, Window, covers, phases, reaches, row_major
from diffcore.ledger import besides, nominally, repeated

TILE = 1 << 20
"""Bytes of columns of one image from which on it is cut along its first axis."""
NARROW = 64
"""Columns up to which a product is faster than its transpose."""
TERMS = 256
"""Windows per product below which its overhead would count: the matrix is read, and for the weight's adjoint written, once per product."""


def _tiles(window: Window, nbytes: int) -> list[tuple[Window, slice]]:
    """The windows in parts along their first axis, whose columns (`nbytes` in all) take about `TILE` bytes each."""
    count = window.counts[0]
    step = max(count * TILE // max(nbytes, 1), -(-TERMS // math.prod(window.counts[1:])))
    if step >= count:
        return [(window, slice(0, count))]
    tiles = []
    for start in range(0, count, step):
        stop = min(start + step, count)
        before = (window.before[0] - start * window.stride[0], *window.before[1:])
        tiles.append((window._replace(before=before, counts=(stop - start, *window.counts[1:])), slice(start, stop)))
    return tiles


def _some(parts: Sequence[Any], x: Any) -> Iterator[Any]:
    """All parts of the work; for an abstract `x` two, the second for all further ones: none has more memory at a time."""
    if not isinstance(x, AbstractArray):
        yield from parts
        return
    yield from parts[:1]
    for part in parts[1:2]:
        with repeated(len(parts) - 1):
            yield part


def _work(x: Any, operations: int, window: Window, part: Window) -> None:
    """Count besides what the loop over blocks does on `x`: `operations` for `part` of the windows, of which the first stands for all."""
    if part.before == window.before:
        besides(x, operations * math.prod(window.counts) // max(math.prod(part.counts), 1))


def _strided(base: Any, shape: Shape, strides: Shape, offset: int = 0) -> Any:
    """Elements of the contiguous array `base`, with `offset` and `strides` in elements."""
    step = base.dtype.itemsize
    if isinstance(base, AbstractArray):
        return AbstractArray(shape, base.dtype, base.storage, tuple(s * step for s in strides))
    return np.ndarray.__new__(type(base), shape, base.dtype, base, offset * step, tuple(s * step for s in strides))


def is_copy(window: Window, size: Shape) -> bool:
    """Whether the columns are the input itself: one tap that meets every element."""
    return window.taps == 1 and window.counts == size and not any(window.before) and max(window.stride) == 1


def _flipped(weight: Any, groups: int) -> Any:
    """The kernel over the opposite windows: `[o, c / groups, *taps]` as `[c, o / groups, *taps]`, with the taps in reverse."""
    o, c, *taps = weight.shape
    flipped = weight[:, :, *(slice(None, None, -1),) * len(taps)].reshape((groups, o // groups, c, *taps))
    return flipped.swapaxes(1, 2).copy().reshape((groups * c, o // groups, *taps))  # a copy always: products with negative strides are slow


class _Patches:
    """The patches of images `x` `[n, c, *size]` as columns, a block at a time, laid out for a product with `o` channels.

    `columns` are `[step, c, *taps, *positions]`, or `[c, *taps, step, *positions]` with `images_last`; `where` says what the positions are,
    `dropped` whether some are no window. `least` is the least number of positions in a block.
    """

    def __init__(self, x: Any, window: Window, o: int, groups: int, *, least: int = 0, images_last: bool = False) -> None:
        n, c, *extent = x.shape
        size, rank = tuple(extent), len(extent)
        inside, strided = n > 0 and covers(window, size) and is_contiguous(x), max(window.stride) > 1
        extents = size if inside and not strided else window.extents
        flat = gathering(window, extents, inside and not strided, Sizes(n, c, o, groups))[1]
        by, steps = window, (1,) * rank
        if flat == 0:
            by, steps = window.dense, window.stride
            extents = size if inside else by.extents
        inside = inside and max(by.stride) == 1
        self.x = x
        self.where = where = lattice(window.counts, extents, max(flat, 1))
        self.dropped = where.positions != math.prod(window.counts)
        nbytes = c * window.taps * where.positions * x.dtype.itemsize
        self.step = step = max(1, min(n, max(BLOCK // max(nbytes, 1), -(-least // max(where.positions, 1)))))
        run = (*where.rows, where.run)
        shape = (c, *window.size, step, *run) if images_last else (step, c, *window.size, *run)
        self.columns = target = np.empty_like(x, shape=shape, order="C")
        if images_last:
            target = target.transpose((rank + 1, *range(rank + 1), *range(rank + 2, target.ndim)))
        volume = math.prod(extents)
        apart = (*where.places(steps)[: len(where.rows)], steps[-1])
        self._copies: list[tuple[Any, Any, Any, Any]] = []
        for phase in phases(by):
            offset = sum(where.places(phase.shift))
            if inside:
                image, reach = x, None
                offset += sum(where.places(phase.offset))
            else:
                image, reach = np.zeros_like(x, shape=(step, c, *extents), order="C"), phase.placed(by, size)
            strides = (c * volume, volume, *where.places(phase.pace), *apart)
            source = _strided(image, (image.shape[0], c, *phase.amount, *run), strides, offset)
            self._copies.append((image, reach, source, target[:, :, *phase.taps]))

    def fill(self, start: int, stop: int) -> None:
        """Make the columns of these images the first ones."""
        k = stop - start
        for image, reach, source, target in self._copies:
            if reach is None:
                target[:k] = source[start:stop]
            else:
                image[:k, :, *reach.windows] = self.x[start:stop, :, *reach.elements]
                target[:k] = source[:k]


def convolve(x: Any, weight: Any, window: Window, groups: int, bias: Any = None) -> Any:
    """`[n, o, *windows]` of `x` `[n, c, *size]` and `weight` `[o, c / groups, *taps]`, plus `bias` `[o]` of their dtype."""
    x, weight = alike(x, weight)
    (n, c, *extent), o, inner = x.shape, weight.shape[0], weight.shape[1] * window.taps
    size = tuple(extent)
    shift = None if bias is None else bias.reshape((-1, *(1,) * len(size)))
    if is_copy(window, size):
        matrix = weight.reshape((groups, o // groups, inner))
        out = np.matmul(matrix, x.reshape((n, groups, inner, math.prod(size)))).reshape((n, o, *size))
    else:
        products = 2 * n * o * math.prod(window.counts) * inner
        with nominally(x, products + (0 if shift is None else n * o * math.prod(window.counts)), products):
            if gathers(window, size, Sizes(n, c, o, groups)):
                out = _gathered(x, weight, window, groups, shift)
                if covers(window, size) or _is_true(out, weight):
                    return out
                out = _by_taps(window, size, groups, x=x, weight=weight)
            else:
                out = _spread_back(x, _flipped(weight, groups), opposite(window, size), groups, window.counts)
                if not _is_true(out, weight):
                    out = _by_taps(window, size, groups, x=x, weight=weight)
            if shift is not None:
                out += shift
            return out
    if shift is not None:
        out += shift
    return out


def _gathered(x: Any, weight: Any, window: Window, groups: int, shift: Any) -> Any:
    o, c, inner = weight.shape[0], x.shape[1], weight.shape[1] * window.taps
    out = np.empty_like(x, dtype=np.result_type(x.dtype, weight.dtype), shape=(x.shape[0], o, *window.counts), order="C")
    tiles = _tiles(window, c * window.taps * math.prod(window.counts) * x.dtype.itemsize)
    for part, cut in _some(tiles, x):
        _gather(x, weight.reshape((groups, o // groups, inner)), shift, part, out[:, :, cut], window)
    return out


def _gather(x: Any, matrix: Any, shift: Any, window: Window, out: Any, whole: Window) -> None:
    """The product of `matrix` `[groups, o / groups, c / groups * taps]` with patches, plus `shift`, into `out`."""
    groups, rows, inner = matrix.shape
    n, o = out.shape[:2]
    patches = _Patches(x, window, o, groups)
    step, positions = patches.step, patches.where.positions
    columns = patches.columns.reshape((step, groups, inner, positions))
    if patches.dropped:
        product = np.empty_like(out, shape=(step, groups, rows, positions), order="C")
        windows = _strided(product, (step, o, *window.counts), (o * positions, positions, *patches.where.strides))
    _work(x, 2 * n * o * inner * positions, whole, window)
    for start in _some(range(0, n, step), x):
        stop = min(start + step, n)
        k, part = stop - start, out[start:stop]
        patches.fill(start, stop)
        if not patches.dropped:
            np.matmul(matrix, columns[:k], out=part.reshape((k, groups, rows, positions)))
            if shift is not None:
                part += shift
        else:
            np.matmul(matrix, columns[:k], out=product[:k])
            if shift is None:
                part[...] = windows[:k]
            else:
                np.add(windows[:k], shift, out=part)


def spread(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    """`[n, c, *size]`: the adjoint of `convolve` in `x`, for `g` `[n, o, *windows]`."""
    g, weight = alike(g, weight)
    n, o, c = g.shape[0], weight.shape[0], groups * weight.shape[1]
    if is_copy(window, size):
        matrix = weight.reshape((groups, o // groups, c // groups)).mT
        return np.matmul(matrix, g.reshape((n, groups, o // groups, math.prod(size)))).reshape((n, c, *size))
    products = 2 * g.size * weight.shape[1] * window.taps
    with nominally(g, products, products):
        if spreads(window, size, Sizes(n, c, o, groups)):
            out = _spread_back(g, weight, window, groups, size)
        else:
            out = _gathered(g, _flipped(weight, groups), opposite(window, size), groups, None)
        return out if _is_true(out, weight) else _by_taps(window, size, groups, g=g, weight=weight)


def _spread_back(g: Any, weight: Any, window: Window, groups: int, size: Shape) -> Any:
    n, o, c = g.shape[0], weight.shape[0], groups * weight.shape[1]
    dtype = np.result_type(g.dtype, weight.dtype)
    tiles = _tiles(window, c * window.taps * math.prod(window.counts) * dtype.itemsize)
    reached = sum(math.prod(len(range(e.start, e.stop, e.step or 1)) for e in p.placed(window, size).elements) for p in phases(window))
    new: Any = np.empty_like if len(tiles) == 1 and reached == math.prod(size) else np.zeros_like
    out = new(g, dtype=dtype, shape=(n, c, *size), order="C")
    matrix = weight.reshape((groups, o // groups, c // groups * window.taps)).mT
    for part, cut in _some(tiles, g):
        if part.disjoint:
            _place(g[:, :, cut], matrix, part, out, window)
        else:
            _spread(g[:, :, cut], matrix, part, out, window, more=len(tiles) > 1)
    return out


def _place(g: Any, matrix: Any, window: Window, out: Any, of: Window) -> None:
    """`_spread` for windows of which no two meet: what is added is copied."""
    groups, inner, rows = matrix.shape
    n, c, *extent = out.shape
    size, positions = tuple(extent), math.prod(window.counts)
    inside = covers(window, size)
    extents = size if inside else window.dense.extents
    step = max(1, min(n, BLOCK // max(groups * inner * positions * out.dtype.itemsize, 1)))
    columns = np.empty_like(out, shape=(step, groups, inner, positions), order="C")
    images = out if inside else np.zeros_like(out, shape=(step, c, *extents), order="C")
    pitch = row_major(extents)
    apart = [tuple(n_ * p for n_, p in zip(along, pitch, strict=True)) for along in (window.dilation, window.stride, window.before)]
    strides = (c * math.prod(extents), math.prod(extents), *apart[0], *apart[1])
    met = _strided(images, (images.shape[0], c, *window.size, *window.counts), strides, -sum(apart[2]) if inside else 0)
    _work(g, 2 * n * groups * rows * inner * positions, of, window)
    (whole,) = phases(window.dense)
    reach = whole.placed(window.dense, size)
    for start in _some(range(0, n, step), g):
        stop = min(start + step, n)
        k = stop - start
        np.matmul(matrix, g[start:stop].reshape((k, groups, rows, positions)), out=columns[:k])
        target = met[start:stop] if inside else met[:k]
        target[...] = columns[:k].reshape(target.shape)
        if not inside:
            out[start:stop, :, *reach.elements] = images[:k, :, *reach.windows]


def _spread(g: Any, matrix: Any, window: Window, out: Any, whole: Window, *, more: bool) -> None:
    """Columns, `matrix` `[groups, c / groups * taps, o / groups]` times `g`, added back into `out`; with `more` to what is there."""
    groups, inner, rows = matrix.shape
    n, c, *extent = out.shape
    o, size, rank, taps = groups * rows, tuple(extent), len(extent), window.taps
    volume, where = math.prod(window.extents), lattice(window.counts, window.extents, rank)
    run = where.run
    reach = volume - run
    step = max(1, min(n, BLOCK // max(c * taps * volume * out.dtype.itemsize, 1)))
    # Every row of columns is followed by zeros, and zeros are in front of the first: what a tap finds where there is no window.
    memory = np.zeros_like(out, shape=(reach + step * c * taps * volume,), order="C")
    columns = _strided(memory, (step, groups, inner, run), (c * taps * volume, inner * volume, volume, 1), reach)
    padded = run != math.prod(window.counts)
    if padded:
        cotangents = np.zeros_like(g, shape=(step, groups, rows, run), order="C")
        windows = _strided(cotangents, (step, o, *window.counts), (o * run, run, *where.strides))
    sums = []
    for phase in phases(window):
        places = [n_ * volume for n_ in row_major(window.size)]
        offset = reach + sum(t.start * place for t, place in zip(phase.taps, places, strict=True)) - sum(where.places(phase.shift))
        apart = [t.step * place - back for t, place, back in zip(phase.taps, places, where.places(phase.pace), strict=True)]
        shifted = _strided(memory, (step, c, *phase.amount, volume), (c * taps * volume, taps * volume, *apart, 1), offset)
        sums.append((shifted, phase.placed(window, size)))
    over = tuple(range(2, rank + 2))
    at_once = not more and len(sums) == 1 and window.extents == size and not any(window.before)
    if not at_once:
        total = np.empty_like(out, shape=(step, c, *window.extents), order="C")
    _work(g, 2 * n * o * inner * run + n * c * taps * volume, whole, window)
    for start in _some(range(0, n, step), g):
        stop = min(start + step, n)
        k, part = stop - start, out[start:stop]
        if padded:
            windows[:k] = g[start:stop]
            np.matmul(matrix, cotangents[:k], out=columns[:k])
        else:
            np.matmul(matrix, g[start:stop].reshape((k, groups, rows, run)), out=columns[:k])
        for shifted, inside in sums:
            target = part if at_once else total[:k]
            np.add.reduce(shifted[:k], axis=over, out=target.reshape((k, c, volume)))
            if more:
                part[:, :, *inside.elements] += target[:, :, *inside.windows]
            elif not at_once:
                part[:, :, *inside.elements] = target[:, :, *inside.windows]


def correlate(x: Any, g: Any, window: Window, groups: int) -> Any:
    """`[o, c / groups, *taps]`: the adjoint of `convolve` in `weight`, for `x` `[n, c, *size]` and `g` `[n, o, *windows]`."""
    x, g = alike(x, g)
    (n, c, *extent), o = x.shape, g.shape[1]
    size, shape = tuple(extent), (o, c // groups, *window.size)
    products = 2 * g.size * math.prod(shape[1:])
    with nominally(x, products, products):
        if not n:
            return np.zeros_like(g, dtype=np.result_type(x.dtype, g.dtype), shape=shape, order="C")
        if is_copy(window, size) and shape[1] * o <= (c + o) * math.prod(size):
            return _correlated_as_is(x, g, groups).reshape(shape)
        if gathers_input(window, size, Sizes(n, c, o, groups)):
            found = _correlated(x, g, window, groups).reshape(shape)
        else:
            other = opposite(window, size)
            found = _flipped(_correlated(g, x, other, groups).reshape((c, o // groups, *window.size)), groups)
        if _are_finite(found) if found.size <= x.size + g.size else _are_finite(x) and _are_finite(g):
            return found
        return _by_taps(window, size, groups, x=x, g=g)


def _by_taps(window: Window, size: Shape, groups: int, *, x: Any = None, weight: Any = None, g: Any = None) -> Any:
    """Of the three, the one that is not given, of the two that are: a product per tap of what that meets, and of nothing else."""
    first, second = [a for a in (x, weight, g) if a is not None]
    n = (g if x is None else x).shape[0]
    o = (g if weight is None else weight).shape[1 if weight is None else 0]
    c = groups * weight.shape[1] if x is None else x.shape[1]
    shape = (n, c, *size) if x is None else (n, o, *window.counts) if g is None else (o, c // groups, *window.size)
    out: Any = np.zeros_like(first, dtype=np.result_type(first.dtype, second.dtype), shape=shape, order="C")
    for tap, windows, elements in reaches(window, size):
        counts = [at.stop - at.start for at in windows]
        if not n or not all(counts):
            continue
        met: Any = None if x is None else x[:, :, *elements].reshape((n, groups, c // groups, math.prod(counts)))
        cotangents: Any = None if g is None else g[:, :, *windows].reshape((n, groups, o // groups, math.prod(counts)))
        matrix: Any = None if weight is None else weight[:, :, *tap].reshape((groups, o // groups, c // groups))
        if matrix is None:
            out[:, :, *tap] = np.matmul(cotangents, met.mT).sum(axis=0).reshape((o, c // groups))
        elif met is None:
            out[:, :, *elements] += np.matmul(matrix.mT, cotangents).reshape((n, c, *counts))
        else:
            out[:, :, *windows] += np.matmul(matrix, met).reshape((n, o, *counts))
    return out


def _is_true(found: Any, weight: Any) -> bool:
    """Whether nothing in `weight` that is not finite can have met a zero that is not in the sum; the smaller array tells."""
    return found.size < weight.size and _are_finite(found) or _are_finite(weight)


def _are_finite(x: Any) -> bool:
    """Whether all elements are. Where the sum of squares is finite, so are they, and it takes a third of the time of a look at each."""
    values = values_of(x)
    if values is None:
        return True
    flat = values.ravel("K")
    return math.isfinite(np.dot(flat, flat)) or bool(np.isfinite(flat).all())


def _correlated_as_is(x: Any, g: Any, groups: int) -> Any:
    """`[groups, o / groups, c / groups]`: a product per image, which needs no copies."""
    n, c, *size = x.shape
    o, positions, total = g.shape[1], math.prod(size), None
    columns, cotangents = x.reshape((n, groups, c // groups, positions)), g.reshape((n, groups, o // groups, positions))
    step = max(1, BLOCK // max(o * c // groups * g.dtype.itemsize, 1))
    besides(x, (2 * positions + 1) * n * o * c // groups)  # products, which are added
    for start in _some(range(0, n, step), x):
        total = _plus(total, columns[start : start + step], cotangents[start : start + step])
    return total


def _correlated(x: Any, g: Any, window: Window, groups: int) -> Any:
    """`[groups, o / groups, c / groups * taps]`: a product per block of images, which are put side by side."""
    total = None
    tiles = _tiles(window, x.shape[1] * window.taps * math.prod(window.counts) * x.dtype.itemsize)
    for part, cut in _some(tiles, x):
        total = _correlate(x, g[:, :, cut], part, groups, total, window)
    return total


def _correlate(x: Any, g: Any, window: Window, groups: int, total: Any, whole: Window) -> Any:
    """`_correlated` of some windows, plus `total`."""
    (n, c), o = x.shape[:2], g.shape[1]
    patches = _Patches(x, window, o, groups, least=TERMS, images_last=True)
    step, positions = patches.step, patches.where.positions
    columns = patches.columns.reshape((groups, c // groups * window.taps, step * positions))
    new: Any = np.zeros_like if patches.dropped else np.empty_like
    cotangents = new(g, shape=(groups, o // groups, step * positions), order="C")
    windows = _strided(cotangents, (step, o, *window.counts), (positions, step * positions, *patches.where.strides))
    _work(x, 2 * n * o * columns.shape[-2] * positions, whole, window)
    for start in _some(range(0, n, step), x):
        stop = min(start + step, n)
        k = stop - start
        patches.fill(start, stop)
        windows[:k] = g[start:stop]
        total = _plus(total, columns[..., : k * positions], cotangents[..., : k * positions])
    return total


def _plus(total: Any, columns: Any, g: Any) -> Any:
    """`total` plus `g` `[..., groups, rows, positions]` times the transpose of `columns` `[..., groups, inner, positions]`.

    A product with few columns is up to twice as fast as its transpose with few rows. Adding to one laid out alike costs the same.
    """
    narrow = g.shape[-2] <= min(columns.shape[-2], NARROW)
    product = np.matmul(columns, g.mT) if narrow else np.matmul(g, columns.mT)
    if product.ndim > 3:
        product = np.add.reduce(product, axis=0)
    if narrow:
        product = product.mT
    if total is None:
        return product
    total += product
    return total
