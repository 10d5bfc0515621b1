"""Random numbers: one generator shared by both engines, so that one seed gives both the same numbers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np


class _Shared(threading.local):
    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)


_shared = _Shared()


def manual_seed(seed: int) -> np.random.Generator:
    """Restart this thread's generator from `seed` and return it."""
    _shared.generator = np.random.default_rng(seed)
    return _shared.generator


def default_generator() -> np.random.Generator:
    """The generator that draws where none is given."""
    return _shared.generator


def uniform(low: float, high: float, shape: tuple[int, ...], dtype: Any = None, generator: np.random.Generator | None = None) -> Any:
    """Uniform numbers in [low, high), drawn in float64 and cast (float32 by default), so that all dtypes see the same stream."""
    drawn = (generator or _shared.generator).random(shape)
    return (low + (high - low) * drawn).astype(np.float32 if dtype is None else dtype)


def normal(shape: tuple[int, ...], dtype: Any = None, generator: np.random.Generator | None = None) -> Any:
    """Standard normal numbers, drawn in float64 and cast (float32 by default)."""
    return np.asarray((generator or _shared.generator).standard_normal(shape)).astype(np.float32 if dtype is None else dtype)
