"""Samplers: which positions, how often, in which order."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diffcore.arrays.random import manual_seed
from diffcore.data import BatchSampler, RandomSampler, Sampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler
from diffcore.errors import ArgumentError, ShapeError


def test_positions_in_order() -> None:
    sampler = SequentialSampler("abc")
    assert (list(sampler), len(sampler)) == ([0, 1, 2], 3)
    with pytest.raises(NotImplementedError):
        iter(Sampler())


def test_positions_at_random() -> None:
    manual_seed(0)
    sampler = RandomSampler(range(50))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert all(type(i) is int for i in first)
    assert (len(sampler), sampler.num_samples) == (50, 50)
    generator = np.random.default_rng(3)
    one = list(RandomSampler(range(50), generator=generator))
    assert one == np.random.default_rng(3).permutation(50).tolist()


def test_more_or_fewer_positions_than_there_are() -> None:
    few = RandomSampler(range(10), num_samples=4, generator=np.random.default_rng(0))
    assert len(set(few)) == 4
    many = list(RandomSampler(range(10), num_samples=25, generator=np.random.default_rng(0)))
    assert sorted(many[:10]) == sorted(many[10:20]) == list(range(10))
    assert (len(many), len(set(many[20:]))) == (25, 5)
    again = Counter(RandomSampler(range(10), replacement=True, num_samples=5000, generator=np.random.default_rng(0)))
    assert sum(again.values()) == 5000
    assert max(abs(count - 500) for count in again.values()) < 5 * np.sqrt(450)


def test_some_positions_at_random() -> None:
    sampler = SubsetRandomSampler([7, 3, 3, 9], np.random.default_rng(0))
    assert (sorted(sampler), len(sampler)) == ([3, 3, 7, 9], 4)


def test_positions_by_weight() -> None:
    weights = [1.0, 0.0, 3.0]
    sampler = WeightedRandomSampler(weights, 8000, generator=np.random.default_rng(0))
    counts = Counter(sampler)
    assert (len(sampler), set(counts)) == (8000, {0, 2})
    assert abs(counts[2] - 6000) < 5 * np.sqrt(8000 * 0.75 * 0.25)
    once = WeightedRandomSampler(weights, 2, replacement=False, generator=np.random.default_rng(0))
    assert sorted(once) == [0, 2]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [1, 3, 10, 11])
def test_positions_in_batches_are_those_of_pytorch(size: int, drop_last: bool) -> None:
    pytest.importorskip("torch")
    from torch.utils.data import BatchSampler as Theirs

    ours, theirs = BatchSampler(range(10), size, drop_last), Theirs(range(10), size, drop_last)
    assert (list(ours), len(ours)) == (list(theirs), len(theirs))


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "nothing": (lambda: RandomSampler([]), ArgumentError, "RandomSampler: the data set is empty"),
    "no samples": (lambda: RandomSampler([1], num_samples=0), ArgumentError, r"`num_samples` \(=0\)"),
    "no generator": (lambda: RandomSampler([1], generator=3), TypeError, "`generator` must be a Generator, not int"),
    "a flag": (lambda: RandomSampler([1], replacement=1), ArgumentError, "a boolean was expected, got 1"),
    "a matrix": (lambda: WeightedRandomSampler(np.ones((2, 2)), 1), ShapeError, r"`weights` \(2, 2\) must be a vector"),
    "negative weights": (lambda: WeightedRandomSampler([1, -1], 1), ArgumentError, "must be finite, not negative, and not all 0"),
    "no weights": (lambda: WeightedRandomSampler([0, 0], 1), ArgumentError, "not all 0"),
    "infinite weights": (lambda: WeightedRandomSampler([1, np.inf], 1), ArgumentError, "must be finite"),
    "too many": (lambda: WeightedRandomSampler([1, 0, 1], 3, False), ArgumentError, r"\(=3\) without replacement from 2 positive weights"),
}


@pytest.mark.parametrize("name", BAD)
def test_samplers_that_make_no_sense(name: str) -> None:
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        call()
