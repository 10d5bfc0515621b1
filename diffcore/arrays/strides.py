"""How numpy lays results out in memory: strides, asked of numpy with stand-ins of a few elements that are never read.

They decide whether a later reshape copies, and how an inner loop walks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Shape = tuple[int, ...]
Trait = tuple[Shape, Any, Shape | None]
"""What the result of a call depends on in an operand: its shape, what numpy's promotion looks at, and its strides, if it has any."""
CALLS = 4096
"""Calls whose results are remembered: a network calls a few functions on operands that are alike over and over."""
_NUMBER = np.zeros(())


@lru_cache(maxsize=CALLS)
def row_major(shape: Shape, step: int) -> Shape:
    """The strides of a new array of elements of `step` bytes."""
    strides = [0] * len(shape)
    for i in range(len(shape) - 1, -1, -1):
        strides[i] = step
        step *= shape[i] or 1
    return tuple(strides)


def strides_of(x: Any) -> Shape:
    """Bytes from one element to the next along each axis; those of what has none are of row-major order."""
    strides: Shape | None = getattr(x, "strides", None)
    return row_major(x.shape, x.dtype.itemsize) if strides is None else strides


def strides_of_order(shape: Shape, dtype: Any, axes: Any) -> Shape:
    """The strides of an array whose `axes` follow each other so in memory, the last one without gaps."""
    strides, step = [0] * len(shape), dtype.itemsize
    for axis in reversed(axes):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


@lru_cache(maxsize=CALLS)
def strides_after(traits: tuple[Trait, ...], shape: Shape, dtype: np.dtype[Any]) -> Shape | None:
    """The strides of a new array as numpy orders its axes after operands like these; `None` where it is contiguous.

    They decide whether a later reshape copies. numpy is asked, with stand-ins of at most two elements along each axis.
    """
    if all(strides is None or len(own) < 2 for own, _, strides in traits):
        return None
    return strides_of_order(shape, dtype, order_after([tiny(trait) for trait in traits], shape))


def order_after(stand_ins: list[Any], shape: Shape) -> list[int]:
    """The axes of a result of `shape` as numpy orders them in memory, the last one without gaps, after operands like `stand_ins`."""
    flags = [["readonly"]] * len(stand_ins) + [["writeonly", "allocate"]]
    made = np.nditer((*stand_ins, None), ["zerosize_ok"], flags, itershape=tuple(min(n, 2) for n in shape))  # type: ignore[arg-type]
    small = made.operands[-1].strides
    return sorted(range(len(shape)), key=lambda i: (-small[i] if shape[i] > 1 else 0, i))


def tiny(trait: Trait, axes: slice = slice(None)) -> Any:
    """An operand cut to two elements along each of some axes, with its own strides; never read."""
    shape, kind, strides = trait
    if strides is None:
        strides = row_major(shape, np.dtype(kind).itemsize)
    return as_strided(_NUMBER, tuple([min(n, 2) for n in shape[axes]]), strides[axes], writeable=False)


def layout_of(x: Any) -> Any:
    """A stand-in for `x` of the same strides over one element, which is never read."""
    return as_strided(np.zeros((), x.dtype), x.shape, strides_of(x), writeable=False)


def weightless(shape: Shape) -> Any:
    """A real array of any shape in no memory: its elements have no bytes."""
    return np.empty(shape, "V0")


def small_copy(x: Any) -> Any:
    """A real array of at most two elements along each axis, which lie in memory in the order of `x`."""
    shape = tuple(min(n, 2) for n in x.shape)
    strides = strides_of(x)
    steps, step = [0] * len(shape), 1
    for axis in sorted(range(len(shape)), key=lambda i: (abs(strides[i]), -i)):
        if strides[axis]:
            steps[axis], step = step, 2 * step
    return as_strided(np.zeros(step, np.bool_), shape, steps)
