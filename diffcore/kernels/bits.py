"""Masks in one bit per element: what reverse mode keeps of dropout, and of a result whose sign alone is read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_contiguous, is_mutable


class Bits:
    """Booleans of `shape`, eight to a byte (`packed`), that come back in the order in memory that they had."""

    __slots__ = ("axes", "packed", "shape")
    dtype = np.dtype(bool)

    def __init__(self, mask: Any) -> None:
        self.shape = tuple(mask.shape)
        self.axes = None if is_contiguous(mask) else tuple(sorted(range(mask.ndim), key=lambda axis: -abs(mask.strides[axis])))
        self.packed = np.packbits(mask if self.axes is None else mask.transpose(self.axes))

    def mask(self) -> Any:
        """The booleans."""
        flat = np.unpackbits(self.packed, count=math.prod(self.shape)).view(bool)
        if self.axes is None:
            return flat.reshape(self.shape)
        inverse = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return flat.reshape([self.shape[axis] for axis in self.axes]).transpose(inverse)


def bits_of(mask: Any) -> Any:
    """A mask of booleans in an eighth of a byte per element on numpy, as it is on jax, where arrays are made of whole bytes."""
    return Bits(mask) if is_mutable(mask) else mask


def mask_of(bits: Any) -> Any:
    """The mask of booleans that `bits_of` was given."""
    return bits.mask() if type(bits) is Bits else bits


def positive(out: Any) -> Any:
    """Where `out` is above 0, as booleans; `out` may be what `positive_bits` made of it."""
    return out.mask() if type(out) is Bits else out > 0


def positive_bits(out: Any) -> Any:
    """`positive(out)` in bits, see `bits_of`."""
    return bits_of(out > 0)


def nonzero(out: Any) -> Any:
    """Where `out` is not 0, as booleans, so also where it is NaN; `out` may be what `nonzero_bits` made of it."""
    return out.mask() if type(out) is Bits else out != 0


def nonzero_bits(out: Any) -> Any:
    """`nonzero(out)` in bits, see `bits_of`."""
    return bits_of(out != 0)
