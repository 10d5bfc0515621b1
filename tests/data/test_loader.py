"""`DataLoader` and the data sets."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.arrays.random import manual_seed
from diffcore.data import DataLoader, Dataset, TensorDataset, load_digits
from diffcore.errors import ShapeError

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)
DATA = TensorDataset(X, Y)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 64])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_has_each_example_once(batch_size: int, drop_last: bool, shuffle: bool) -> None:
    loader = DataLoader(DATA, batch_size, shuffle, seed=0, drop_last=drop_last)
    for _ in range(2):
        batches = list(loader)
        sizes = [len(y) for _, y in batches]
        whole, rest = divmod(10, batch_size)
        assert sizes == [batch_size] * whole + [rest] * (rest > 0 and not drop_last)
        assert len(loader) == len(batches)
        seen = [int(i) for _, y in batches for i in y]
        assert len(set(seen)) == len(seen)
        assert drop_last or sorted(seen) == list(range(10))
        for x, y in batches:
            np.testing.assert_array_equal(x, X[y])
        if not shuffle:
            assert seen == list(range(len(seen)))


def epoch(loader: Any) -> list[int]:
    return [int(i) for _, y in loader for i in y]


def test_shuffling_repeats_by_seed_and_changes_by_epoch() -> None:
    first, second = DataLoader(DATA, 3, True, seed=1), DataLoader(DATA, 3, True, seed=1)
    epochs = [epoch(first) for _ in range(3)]
    assert epochs == [epoch(second) for _ in range(3)]
    assert len({tuple(e) for e in epochs}) == 3
    assert epoch(DataLoader(DATA, 3, True, seed=2)) != epochs[0]
    generator = np.random.default_rng(1)
    assert epoch(DataLoader(DATA, 3, True, generator=generator)) == epochs[0]


def test_shuffling_follows_the_shared_seed() -> None:
    loader = DataLoader(DATA, 4, True)
    manual_seed(3)
    first = epoch(loader)
    assert epoch(loader) != first
    manual_seed(3)
    assert epoch(loader) == first


def test_tensors_come_out_as_tensors(engine: ModuleType) -> None:
    data = TensorDataset(engine.tensor(X), engine.tensor(Y))
    x, y = next(iter(DataLoader(data, 4)))
    assert isinstance(x, engine.Tensor)
    assert isinstance(y, engine.Tensor)
    np.testing.assert_array_equal(x.numpy(), X[:4])
    row = data[2]
    np.testing.assert_array_equal(row[0].numpy(), X[2])


class Squares(Dataset):
    """Written by a user: example by example."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Any:
        return np.full(2, index), index * index


class Singles(Squares):
    """Examples that are no tuples."""

    def __getitem__(self, index: int) -> Any:
        return float(index)


def test_user_written_sets_are_stacked() -> None:
    batches = list(DataLoader(Squares(), 3))
    assert [x.shape for x, _ in batches] == [(3, 2), (3, 2), (1, 2)]
    np.testing.assert_array_equal(batches[1][1], [9, 16, 25])
    (single,) = next(iter(DataLoader(Singles(), 3)))
    np.testing.assert_array_equal(single, [0.0, 1.0, 2.0])


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "3", None, True])
def test_batch_sizes_must_be_positive_integers(batch_size: Any) -> None:
    with pytest.raises(ValueError, match=r"DataLoader: `batch_size` \(=.*\) must be"):
        DataLoader(DATA, batch_size)


def test_sets_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="the data set is empty"):
        DataLoader(TensorDataset(np.zeros((0, 2))))
    with pytest.raises(ValueError, match="at least one tensor"):
        TensorDataset()
    with pytest.raises(ShapeError, match=r"Size mismatch between tensors: first axes of \[\(10, 2\), \(9,\)\] differ"):
        TensorDataset(X, Y[:9])
    with pytest.raises(NotImplementedError):
        len(Dataset())


def test_an_epoch_can_be_left_early() -> None:
    loader = DataLoader(DATA, 2)
    assert int(next(iter(loader))[1][0]) == 0
    assert epoch(loader) == list(range(10))


def test_digits() -> None:
    images, labels = load_digits()
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((1797, 64), np.float64, (1797,), np.int64)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert sorted(set(labels.tolist())) == list(range(10))
    assert np.bincount(labels).min() > 170
    again, _ = load_digits()
    images[:] = 0
    assert again.max() == 1.0
