"""Constant arrays on the backend of another value: what transforms are seeded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from diffcore.arrays import Array, namespace
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.observed import observed_beside
from diffcore.dispatch import Boxed


def array_under(x: Any) -> Array:
    """The array under all levels of `x`."""
    while isinstance(x, Boxed):
        x = x.primal
    return x


def ones_of(x: Any, shape: tuple[int, ...] | None = None) -> Array:
    """Ones of the shape (or `shape`), dtype and backend of `x`."""
    x = array_under(x)
    if isinstance(x, np.generic) and shape is None:
        return x.dtype.type(1)  # the common case, many times faster than ones_like
    return namespace((x,)).ones_like(x, shape=shape)


def zeros_of(x: Any, shape: tuple[int, ...] | None = None) -> Array:
    """Zeros of the shape (or `shape`), dtype and backend of `x`."""
    x = array_under(x)
    return namespace((x,)).zeros_like(x, shape=shape)


def eye_of(x: Any, n: int, rows: slice = slice(None)) -> Array:
    """Rows of the identity `[k, n]` in the dtype and on the backend of `x`."""
    start, stop, _ = rows.indices(n)
    return one_hot_of(x, range_of(x, start, stop), n)


def one_hot_of(x: Any, positions: Array, n: int) -> Array:
    """Row `j` has a one at `positions[j]`: `[k, n]` in the dtype and on the backend of `x`. Abstract where `x` is, so that plans see it."""
    k, array = len(positions), array_under(x)
    xp = namespace((array,))
    if xp.__name__ != "numpy":  # nothing that a compiler would have to make before it is used
        return (positions.reshape((k, 1)) == xp.arange(n)).astype(array.dtype)
    zeros = zeros_of(x, (k, n))
    zeros[range_of(x, 0, k), positions] = 1
    return zeros


def constant_of(x: Any, values: Any) -> Array:
    """`values`, numpy's, in the dtype of `x`. Abstract where `x` is, so that plans see them."""
    array = array_under(x)
    if isinstance(array, AbstractArray):
        return AbstractArray(values.shape, array.dtype)
    return observed_beside(array, np.asarray(values, array.dtype))


def range_of(x: Any, start: int, stop: int) -> Array:
    """`start` ... `stop - 1` as a numpy array, which every backend takes as an index. Abstract where `x` is."""
    (found,) = index_of(x, lambda: (np.arange(start, stop),), (stop - start,))
    return found


def divided_of(x: Any, rows: slice, n: int, by: int) -> tuple[Array, Array]:
    """Quotients and remainders of the `rows` of 0 ... n-1 by a number. Abstract where `x` is."""
    start, stop, _ = rows.indices(n)
    quotients, remainders = index_of(x, lambda: np.divmod(np.arange(start, stop), by), *((max(stop - start, 0),),) * 2)
    return quotients, remainders


def index_of(x: Any, make: Callable[[], tuple[Any, ...]], *shapes: tuple[int, ...]) -> tuple[Array, ...]:
    """The index arrays that `make()` returns; where `x` is abstract, stand-ins of these shapes, whose values nobody works out."""
    array = array_under(x)
    if isinstance(array, AbstractArray):
        return tuple(AbstractArray(shape, np.intp) for shape in shapes)
    return tuple(observed_beside(array, index) for index in make())


def concatenate(blocks: list[Any]) -> Any:
    """Blocks of directions `[k_i, ...]` joined along axis 0; tensors are joined by adding into zeros, which is differentiable."""
    if not any(isinstance(block, Boxed) for block in blocks):
        return namespace(blocks).concatenate(blocks, axis=0)
    from diffcore.kernels.indexing import scatter_index

    total, start, joined = sum(block.shape[0] for block in blocks), 0, None
    for block in blocks:
        stop = start + block.shape[0]
        part = scatter_index(block, index=(slice(start, stop),), shape=(total, *block.shape[1:]))
        joined, start = part if joined is None else joined + part, stop
    return joined
