"""Random numbers: one generator shared by both engines, so that one seed gives both the same numbers.

All are drawn by numpy in float64 (or int64) and cast, so that every dtype, device and engine sees the same stream. A function under
`jax.jit` runs its Python once, so numbers drawn by numpy would be the same in every call: there they are drawn from a key of jax's,
which is an argument of the function, and whose successor it returns (see `keyed`).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np

from diffcore.arrays import is_traced
from diffcore.arrays.observed import observed_beside
from diffcore.whole import integer


class Generator(np.random.Generator):
    """A source of random numbers with PyTorch's methods: a numpy generator that can be seeded anew. `device` is accepted and ignored."""

    def __init__(self, device: Any = None) -> None:
        super().__init__(np.random.PCG64(0))
        self._seed = 0

    def manual_seed(self, seed: int) -> Self:
        """Restart from `seed` and return the generator. Equal seeds give equal numbers; negative ones count down from 2^64."""
        seed = integer("manual_seed", "seed", seed)
        self.bit_generator.state = np.random.PCG64(seed if seed >= 0 else seed + (1 << 64)).state
        self._seed = seed
        return self

    def seed(self) -> int:
        """Restart from a seed that nobody can foresee, and return it."""
        return self.manual_seed(secrets.randbits(63))._seed

    def initial_seed(self) -> int:
        """The seed this generator last started from."""
        return self._seed


class Stream:
    """Random numbers from a key of jax's: `key` is what the next are drawn from."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def split(self) -> Any:
        """A key to draw from, which is not used again."""
        import jax

        self.key, drawn = jax.random.split(self.key)
        return drawn


class _Shared(threading.local):
    def __init__(self) -> None:
        self.generator = Generator()
        self.stream: Stream | None = None


_shared = _Shared()


@contextmanager
def keyed(key: Any) -> Iterator[Stream]:
    """Draw from the key `key` of jax's wherever no generator is named, also under `jax.jit`; the stream's `key` goes on afterwards.

    **Example:** inside a jitted `step(key, x)`: `with keyed(key) as stream: y = net(x)`, then return `stream.key` for the next step.
    """
    outer, _shared.stream = _shared.stream, Stream(key)
    try:
        yield _shared.stream
    finally:
        _shared.stream = outer


def new_key() -> Any:
    """A key of jax's, drawn from this thread's generator."""
    import jax

    return jax.random.key(int(_shared.generator.integers(1 << 32)))


class Position(NamedTuple):
    """Where the random numbers of this thread stand."""

    generator: Generator
    state: Any
    stream: Stream | None
    key: Any


def position() -> Position:
    """Where the random numbers of this thread stand now."""
    generator, stream = _shared.generator, _shared.stream
    return Position(generator, generator.bit_generator.state, stream, None if stream is None else stream.key)


def go_to(position: Position) -> None:
    """Draw on from `position`."""
    generator, state, stream, key = position
    generator.bit_generator.state = state
    _shared.generator, _shared.stream = generator, stream
    if stream is not None:
        stream.key = key


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


def is_keyed() -> bool:
    """Whether numbers are drawn from a key of jax's."""
    return _shared.stream is not None


def uniform(low: float, high: float, shape: tuple[int, ...], dtype: Any = None, generator: np.random.Generator | None = None) -> Any:
    """Uniform numbers in [low, high), float32 by default."""
    dtype = np.dtype(np.float32 if dtype is None else dtype)
    if generator is None and _shared.stream is not None:
        return low + (high - low) * _from_key("uniform", shape, _known(dtype))
    drawn = (generator or _shared.generator).random(shape)
    cast = (low + (high - low) * drawn).astype(dtype)
    below = np.nextafter(dtype.type(high), dtype.type(low))
    return np.minimum(cast, below) if low < high else cast  # a number just below `high` may be rounded to it


def normal(shape: tuple[int, ...], dtype: Any = None, generator: np.random.Generator | None = None, like: Any = None) -> Any:
    """Standard normal numbers, float32 by default. Observed ones where `like` is an observed array."""
    if generator is None and _shared.stream is not None:
        return _from_key("normal", shape, _known(np.float32 if dtype is None else dtype))
    drawn = observed_beside(like, np.asarray((generator or _shared.generator).standard_normal(shape)))
    return drawn.astype(np.float32 if dtype is None else dtype)


def integers(low: int, high: int, shape: tuple[int, ...], generator: np.random.Generator | None = None) -> Any:
    """Uniform integers in [low, high), int64."""
    if generator is None and _shared.stream is not None:
        return _from_key("randint", shape, low, high, _known(np.int64))
    return np.asarray((generator or _shared.generator).integers(low, high, shape))


def permutation(n: int, generator: np.random.Generator | None = None) -> Any:
    """0 ... n-1 in random order, int64."""
    if generator is None and _shared.stream is not None:
        return _from_key("permutation", n)
    return (generator or _shared.generator).permutation(n)


def kept(p: float, shape: tuple[int, ...], generator: Any = None, like: Any = None) -> Any:
    """Booleans, false with probability `p`; `generator` may also be a key of jax's. Observed ones where `like` is an observed array."""
    if generator is None and _shared.stream is not None:
        return _from_key("bernoulli", 1 - p, shape)
    if generator is None or isinstance(generator, np.random.Generator):
        return observed_beside(like, np.asarray((generator or _shared.generator).random(shape, dtype=np.float32))) >= p
    import jax

    return jax.random.bernoulli(generator, 1 - p, shape)


def _from_key(draw: str, *args: Any) -> Any:
    """What the function `draw` of `jax.random` gives for the next key: a numpy array, unless jax is tracing."""
    import jax

    drawn = getattr(jax.random, draw)(_shared.stream.split(), *args)  # type: ignore[union-attr]  # asked by all who call
    return drawn if is_traced(drawn) else np.array(drawn)


def _known(dtype: Any) -> Any:
    """`dtype` as jax has it: 32 bits where it is not told to use 64."""
    import jax

    return jax.dtypes.canonicalize_dtype(dtype)


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
