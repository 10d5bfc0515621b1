"""Samplers: in which order, and how often, the examples of a data set are taken. PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from diffcore.arrays import random
from diffcore.data.checking import check_whole
from diffcore.errors import ArgumentError, ShapeError
from diffcore.seeds import array_under

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Base of all samplers: subclasses define `__iter__`, which yields positions, and `__len__` where it is known."""

    def __init__(self, data_source: Any = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """All positions of `data_source`, from the first to the last."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Positions of `data_source` in random order, anew in every epoch.

    **Arguments:** `replacement`: a position may come up again at any time; `num_samples`: how many are drawn, by default as many as there
    are (without replacement more begin another round); `generator`: a `numpy.random.Generator`, by default the shared one. Raises
    `ArgumentError` for an empty `data_source` or no samples.
    """

    def __init__(
        self, data_source: Any, replacement: bool = False, num_samples: int | None = None, generator: np.random.Generator | None = None
    ) -> None:
        super().__init__(data_source)
        self.replacement = _flag("RandomSampler", replacement)
        self.generator = random.checked(generator)
        self._num_samples = None if num_samples is None else check_whole("RandomSampler", "num_samples", num_samples)
        if len(data_source) == 0:
            raise ArgumentError("RandomSampler: the data set is empty")

    @property
    def num_samples(self) -> int:
        """How many positions an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, left = len(self.data_source), self.num_samples
        if self.replacement:
            yield from random.integers(0, n, (left,), self.generator).tolist()
            return
        while left > 0:
            yield from random.permutation(n, self.generator)[:left].tolist()
            left -= n

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The positions `indices` in random order, anew in every epoch."""

    def __init__(self, indices: Sequence[int], generator: np.random.Generator | None = None) -> None:
        super().__init__()
        self.indices, self.generator = indices, random.checked(generator)

    def __iter__(self) -> Iterator[int]:
        for i in random.permutation(len(self.indices), self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` positions drawn in proportion to `weights` `[n]`, which need not sum to one.

    Raises `ArgumentError` for weights that are negative or not finite or sum to nothing, and where fewer of them are positive than are
    drawn without replacement; `ShapeError` unless they are a vector.
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        self.num_samples = check_whole("WeightedRandomSampler", "num_samples", num_samples)
        self.replacement, self.generator = _flag("WeightedRandomSampler", replacement), random.checked(generator)
        self.weights = np.asarray(array_under(weights), np.float64)
        if self.weights.ndim != 1:
            raise ShapeError(f"WeightedRandomSampler: `weights` {self.weights.shape} must be a vector")
        positive = int((self.weights > 0).sum())
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or not positive:
            raise ArgumentError("WeightedRandomSampler: `weights` must be finite, not negative, and not all 0")
        if not replacement and positive < num_samples:
            raise ArgumentError(
                f"WeightedRandomSampler: cannot draw `num_samples` (={num_samples}) without replacement from {positive} positive weights"
            )

    def __iter__(self) -> Iterator[int]:
        yield from random.categories(self.weights[None], self.num_samples, self.replacement, self.generator)[0].tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The positions of `sampler` (any iterable), `batch_size` at a time; `drop_last` leaves out a last batch that is not full."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        super().__init__()
        self.sampler: Any = sampler
        self.batch_size, self.drop_last = check_whole("BatchSampler", "batch_size", batch_size), _flag("BatchSampler", drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        return in_batches(self.sampler, self.batch_size, self.drop_last)

    def __len__(self) -> int:
        return batch_count(len(self.sampler), self.batch_size, self.drop_last)


def in_batches(items: Iterable[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    """`items`, `size` at a time."""
    left = iter(items)
    while batch := list(islice(left, size)):
        if len(batch) == size or not drop_last:
            yield batch


def batch_count(n: int, size: int, drop_last: bool) -> int:
    """How many batches `n` examples make."""
    whole, rest = divmod(n, size)
    return whole + (rest > 0 and not drop_last)


def _flag(what: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ArgumentError(f"{what}: a boolean was expected, got {value!r}")
    return value
