"""Random numbers: one generator shared by both engines, so that one seed gives both the same numbers.

All are drawn by numpy in float64 (or int64) and cast, so that every dtype, device and engine sees the same stream.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any, Self

import numpy as np


class Generator(np.random.Generator):
    """A source of random numbers with PyTorch's methods: a numpy generator that can be seeded anew. `device` is accepted and ignored."""

    def __init__(self, device: Any = None) -> None:
        super().__init__(np.random.PCG64(0))
        self._seed = 0

    def manual_seed(self, seed: int) -> Self:
        """Restart from `seed` and return the generator. Equal seeds give equal numbers; negative ones count down from 2^64."""
        self.bit_generator.state = np.random.PCG64(seed if seed >= 0 else seed + (1 << 64)).state
        self._seed = seed
        return self

    def seed(self) -> int:
        """Restart from a seed that nobody can foresee, and return it."""
        return self.manual_seed(secrets.randbits(63))._seed

    def initial_seed(self) -> int:
        """The seed this generator last started from."""
        return self._seed


class _Shared(threading.local):
    def __init__(self) -> None:
        self.generator = Generator()


_shared = _Shared()


def manual_seed(seed: int) -> Generator:
    """Restart this thread's generator from `seed` and return it."""
    _shared.generator = Generator().manual_seed(seed)
    return _shared.generator


def seed() -> int:
    """Restart this thread's generator from a seed that nobody can foresee, and return the seed."""
    return _shared.generator.seed()


def initial_seed() -> int:
    """The seed this thread's generator last started from."""
    return _shared.generator.initial_seed()


def default_generator() -> Generator:
    """The generator that draws where none is given."""
    return _shared.generator


def uniform(low: float, high: float, shape: tuple[int, ...], dtype: Any = None, generator: np.random.Generator | None = None) -> Any:
    """Uniform numbers in [low, high), float32 by default."""
    dtype = np.dtype(np.float32 if dtype is None else dtype)
    drawn = (generator or _shared.generator).random(shape)
    cast = (low + (high - low) * drawn).astype(dtype)
    below = np.nextafter(dtype.type(high), dtype.type(low))
    return np.minimum(cast, below) if low < high else cast  # a number just below `high` may be rounded to it


def normal(shape: tuple[int, ...], dtype: Any = None, generator: np.random.Generator | None = None) -> Any:
    """Standard normal numbers, float32 by default."""
    return np.asarray((generator or _shared.generator).standard_normal(shape)).astype(np.float32 if dtype is None else dtype)


def integers(low: int, high: int, shape: tuple[int, ...], generator: np.random.Generator | None = None) -> Any:
    """Uniform integers in [low, high), int64."""
    return np.asarray((generator or _shared.generator).integers(low, high, shape))


def permutation(n: int, generator: np.random.Generator | None = None) -> Any:
    """0 ... n-1 in random order, int64."""
    return (generator or _shared.generator).permutation(n)


def counts(total: int, probabilities: Any, shape: tuple[int, ...], generator: np.random.Generator | None = None) -> Any:
    """How often each category came up in `total` draws: `[*shape, *probabilities.shape]`, int64, for probabilities along the last axis."""
    rows = probabilities.shape[:-1]
    drawn = (generator or _shared.generator).multinomial(total, probabilities, size=(*shape, *rows) if shape or rows else None)
    return np.asarray(drawn)


def categories(weights: Any, n: int, replacement: bool, generator: np.random.Generator | None = None) -> Any:
    """`n` positions per row of non-negative `weights` `[rows, c]`, drawn in proportion to them: `[rows, n]`, int64.

    Without replacement by the order of exponential waiting times of rates `weights` (Efraimidis and Spirakis 2006, "Weighted random
    sampling with a reservoir").
    """
    generator = generator or _shared.generator
    if not replacement:
        with np.errstate(divide="ignore"):
            waits = generator.standard_exponential(weights.shape) / weights
        return np.argsort(waits, axis=-1, kind="stable")[:, :n]
    bounds = np.cumsum(weights, axis=-1)
    total = bounds[:, -1:]
    drawn = np.minimum(generator.random((len(weights), n)) * total, np.nextafter(total, 0))  # always below the last bound
    found = [np.searchsorted(row, at, side="right") for row, at in zip(bounds, drawn, strict=True)]
    return np.array(found, np.int64).reshape(len(weights), n)


def checked(generator: Any) -> np.random.Generator | None:
    """`generator`, which must be one or `None`. Raises `TypeError`."""
    if generator is not None and not isinstance(generator, np.random.Generator):
        raise TypeError(f"argument `generator` must be a Generator, not {type(generator).__name__}")
    return generator
