"""The layout of large tangents in memory: directions first, but for many directions of a vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import is_mutable

_IN_CACHE = 1 << 18
"""Bytes of a block of a matrix that stays in a core's own cache while it is transposed."""

MANY = 8
"""Directions of a vector from which they may lie beside each other for every element, as the columns of its Jacobian do.

A product with a matrix then reads that as it lies in memory, in 0.4 to 0.8 of the time, and a Jacobian is there without a copy. Walks over
few directions would take many short loops.
"""


def in_order(x: Any) -> Any:
    """A small factor copied in C order where it can be, so that numpy lays the large product out so, directions first.

    Otherwise the product takes its factors' order, and every later fold of its axes copies all directions.
    """
    if type(x) is not np.ndarray:
        return x.copy() if is_mutable(x) else x
    if x.ndim != 2 or x.nbytes < _IN_CACHE or x.strides[0] >= x.strides[1]:
        return x.copy()
    copied = np.empty(x.shape, x.dtype)  # whole columns of a large matrix would be read from memory once for every element in a cache line
    step = max(_IN_CACHE // (x.shape[0] * x.itemsize), 1)
    for start in range(0, x.shape[1], step):
        copied[:, start : start + step] = x[:, start : start + step]
    return copied
