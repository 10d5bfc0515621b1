"""The arrays that parameters of layers start as."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import Array, devices, random
from diffcore.arrays.abstract import AbstractArray


def uniform(bound: float, shape: tuple[int, ...], device: str | None, dtype: Any) -> Array:
    """Numbers from U(-`bound`, `bound`) by the shared generator, float32 by default; on `"meta"` none are drawn."""
    if device == "meta":
        return AbstractArray(shape, np.float32 if dtype is None else dtype)
    return devices.place(random.uniform(-bound, bound, shape, dtype), device)


def filled(value: float, shape: tuple[int, ...], device: str | None, dtype: Any) -> Array:
    """`value` everywhere, float32 by default."""
    dtype = np.float32 if dtype is None else dtype
    return AbstractArray(shape, dtype) if device == "meta" else devices.place(np.full(shape, value, dtype), device)
