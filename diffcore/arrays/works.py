"""What a numpy call on abstract arrays is told as (`Work`), for predictions of time: how much it does and how it walks memory.

numpy walks its operands in inner loops: over one axis, or several that lie in memory alike in every operand. Short ones cost more per
element, and so do strided ones. Which they are numpy says itself: its iterator is asked, with stand-ins that are never read.

Dims of what walks elements (elementwise, reductions, copies): elements, inner loops, bytes read and written, and whether an operand is
`STRIDED` in the inner loops or stands `STILL` in them. Of `matmul`: products, rows, columns, terms. Of `allocate`: bytes.

A call on a part of a large buffer, as loops over chunks make them, finds that part where the whole buffer is: not in a cache that holds
what the call alone touches. `far` counts the bytes that are fetched so; its dims are the bytes that the call touches, and those of the
buffer (or, of matrices, of all operands), to two binary digits. Several calls on each part in turn fetch it once. An operation whose
operands were last touched so many bytes ago that these have taken their places in a core's caches fetches them from there too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from diffcore.arrays.strides import Shape
from diffcore.ledger import Storage, Work, did, state

STRIDED, STILL = 1, 2
NEAR = 1 << 15
"""Bytes of a buffer that is near whatever is done."""
FAR = 1 << 23
"""Bytes of a buffer from which an element of it is in no cache of a core."""
KEPT = 1 << 20
"""Bytes that are touched before a core's caches have lost what was touched before them, and of matrices from which they do not stay there.
"""


def walked(function: str, dtype: Any, shape: Shape, operands: Sequence[Any]) -> None:
    """Tell of a function that walks arrays `operands` (numbers among them are passed over), broadcast to `shape`, in step."""
    ledger = state.ledger
    if ledger is None or not ledger.works:
        return
    arrays = tuple([(x.shape, x.dtype.itemsize, getattr(x, "strides", None)) for x in operands if getattr(x, "shape", ())])
    work = _walk(function, np.dtype(dtype), shape, arrays)
    ledger.did_work(work)
    _fetched(operands, work.dims[2])


def _fetched(operands: Sequence[Any], touched: int, least: int = 0) -> None:
    """Tell of bytes that lie further away than those `touched` by a call alone: parts of larger buffers, or of `least` bytes in all."""
    ledger = state.ledger
    assert ledger is not None
    for x in operands:
        storage = getattr(x, "storage", None)
        away = max(getattr(storage, "nbytes", 0), least)
        if away > NEAR and away > touched:
            nbytes = min(x.nbytes, max(away, touched)) * ledger.repeats
            if storage is not None and not least:  # where several calls are made on each part in turn, only the first finds it far away
                before = storage.fetched[1] if storage.fetched[0] == ledger.operation else 0
                nbytes = min(nbytes, storage.nbytes - before)
                storage.fetched = ledger.operation, before + nbytes
            if nbytes:
                ledger.work[_far(touched, away)] += nbytes


def _far(near: int, away: int) -> Work:
    """Of a byte that is so far away."""
    return Work("far", "", (_round(near), _round(away)))


def _round(nbytes: int) -> int:
    """Two binary digits of it."""
    rest = max(nbytes.bit_length() - 2, 0)
    return nbytes >> rest << rest


def touched(read: Iterable[Any], made: Iterable[Any]) -> None:
    """Tell what an operation of an engine that reads some arrays and has made others finds in no cache, since other work came between."""
    ledger = state.ledger
    if ledger is None or not ledger.works:
        return
    before, after = _buffers(read), _buffers(made)
    near = sum({**before, **after}.values())
    for storage, nbytes in before.items():
        away = ledger.passed - storage.passed
        if away > KEPT and away > max(near, storage.nbytes):
            ledger.work[_far(near, away)] += nbytes * ledger.repeats
    ledger.passed += near
    for storage in (*before, *after):
        storage.passed = ledger.passed


def _buffers(arrays: Iterable[Any]) -> dict[Storage, int]:
    """The buffers of arrays on shapes, and how many bytes of each these are."""
    return {storage: x.nbytes for x in arrays if (storage := getattr(x, "storage", None)) is not None}


@lru_cache(maxsize=4096)
def _walk(function: str, dtype: np.dtype[Any], shape: Shape, arrays: tuple[tuple[Shape, int, Shape | None], ...]) -> Work:
    """The walk over `arrays`, of which shapes, bytes per element and strides are given."""
    size, traffic, steps = math.prod(shape), 0, []
    for given, item, strides in arrays:
        own = _steps(given, item, strides)
        # Of windows that overlap there is no more to be read than they span.
        span = 1 + sum((n - 1) * abs(step) for n, step in zip(given, own, strict=True))
        traffic += min(math.prod(given), span) * item
        if len(given) <= len(shape) and all(n in (1, m) for n, m in zip(reversed(given), reversed(shape), strict=False)):
            steps.append((0,) * (len(shape) - len(given)) + own)
    loops, manner = _loops(shape, tuple(steps))
    return Work(function, dtype.name, (size, loops if size else 0, traffic, manner))


def _steps(given: Shape, item: int, strides: Shape | None) -> Shape:
    """Such strides of an array of the shape `given` in elements of `item` bytes; 0 along axes of one element."""
    own: list[int] = []
    if strides is None:
        step = 1
        for n in reversed(given):
            own.append(step)
            step *= n
        own.reverse()
    else:
        own = [s // item for s in strides]
    return tuple([0 if n == 1 else s for n, s in zip(given, own, strict=True)])


@lru_cache(maxsize=4096)
def _loops(shape: Shape, steps: tuple[Shape, ...]) -> tuple[int, int]:
    """How many inner loops a walk over `shape` with these strides takes, and whether an operand is `STRIDED` or `STILL` in them."""
    if not shape or not steps or not math.prod(shape):
        return 1, 0
    stand_ins = [as_strided(np.zeros((), np.int8), shape, s, writeable=False) for s in steps]
    found = np.nditer(stand_ins, ["external_loop", "zerosize_ok"], [["readonly"]] * len(stand_ins))
    inner = found.itviews
    loops, strides = max(math.prod(shape) // max(inner[0].shape[-1], 1), 1), {view.strides[-1] for view in inner}
    return loops, STRIDED if strides - {0, 1} else STILL if 0 in strides and loops > 1 else 0


def reduced(function: str, dtype: Any, x: Any, axes: Collection[int]) -> None:
    """Tell of a reduction of `x` along `axes`: `rows` where an inner loop adds to a row of results, else every one makes one number."""
    ledger = state.ledger
    if ledger is None or not ledger.works:
        return
    strides = getattr(x, "strides", None)
    work = _reduced(function, np.dtype(dtype), tuple(x.shape), x.dtype.itemsize, strides, frozenset(axes))
    ledger.did_work(work)
    _fetched((x,), work.dims[2])


@lru_cache(maxsize=4096)
def _reduced(
    function: str, dtype: np.dtype[Any], shape: Shape, item: int, strides: Shape | None, axes: frozenset[int]
) -> Work:
    """The reduction along `axes` of an array of which shape, bytes per element and strides are given."""
    size, own = math.prod(shape), _steps(shape, item, strides)
    left = tuple(1 if i in axes else n for i, n in enumerate(shape))
    made, step = [0] * len(shape), 1
    for axis in reversed(range(len(shape))):
        if left[axis] > 1:
            made[axis] = step
            step *= left[axis]
    loops, strided, rows = _reduction(shape, own, tuple(made))
    return Work(f"{function} rows" if rows else function, dtype.name, (size, loops, (size + math.prod(left)) * item, strided))


@lru_cache(maxsize=4096)
def _reduction(shape: Shape, own: Shape, made: Shape) -> tuple[int, int, bool]:
    """As `_loops`, and whether the inner loop runs along results."""
    if not math.prod(shape) or not shape:
        return 1, 0, False
    stand_ins = [as_strided(np.zeros((), np.int8), shape, s, writeable=False) for s in (made, own)]
    result, source = np.nditer(stand_ins, ["external_loop", "zerosize_ok"], [["readonly"]] * 2).itviews
    return max(math.prod(shape) // max(source.shape[-1], 1), 1), int(source.strides[-1] not in (0, 1)), bool(result.strides[-1])


def moved(function: str, target: Any, source: Any) -> None:
    """Tell of a copy (or a cast, a gather, a scatter) of `source` into `target`, which it is broadcast to."""
    if state.ledger is not None and state.ledger.works:
        walked(function, target.dtype, tuple(target.shape), (target, source))


def multiplied(dtype: Any, batch: int, rows: int, columns: int, terms: int, operands: Sequence[Any] = ()) -> None:
    """Tell of so many products of matrices, of `operands`."""
    if state.ledger is not None and state.ledger.works:
        did("matmul", np.dtype(dtype).name, batch, rows, columns, terms)
        touched = sum(getattr(x, "nbytes", 0) for x in operands)
        _fetched(operands, min(touched, KEPT), touched)


def scattered(function: str, x: Any, last: Any, size: int) -> None:
    """Tell of a gather from `x`, or a scatter into it, of `size` elements by an index; `last` is what stands for the last axis there.

    It is `far` where each element is in a line of memory of its own, in a buffer larger than the second cache.
    """
    if state.ledger is not None and state.ledger.works:
        single = hasattr(last, "shape") or isinstance(last, list)
        did(f"{function} far" if single and x.nbytes > FAR else function, x.dtype.name, size)
