"""`DataLoader` and the data sets."""

from collections.abc import Callable, Iterator
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.arrays.random import manual_seed
from diffcore.data import BatchSampler, DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from diffcore.errors import ArgumentError, ShapeError

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)
DATA = TensorDataset(X, Y)


@pytest.mark.parametrize(("batch_size", "drop_last"), [*product([1, 3, 5, 10], [False, True]), (64, False)])
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
    single = next(iter(DataLoader(Singles(), 3)))
    np.testing.assert_array_equal(single, [0.0, 1.0, 2.0])


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "3", True])
def test_batch_sizes_must_be_positive_integers(batch_size: Any) -> None:
    with pytest.raises(ValueError, match=r"DataLoader: `batch_size` \(=.*\) must be"):
        DataLoader(DATA, batch_size)


def test_an_epoch_can_be_left_early() -> None:
    loader = DataLoader(DATA, 2)
    assert int(next(iter(loader))[1][0]) == 0
    assert epoch(loader) == list(range(10))


class Stream(IterableDataset):
    """`n` examples, example by example."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Iterator[Any]:
        return ((np.full(2, i), i) for i in range(self.n))


class Measured(Stream):
    def __len__(self) -> int:
        return self.n


class InOneGo(Squares):
    """Hands out several examples at once."""

    def __getitems__(self, indices: list[int]) -> list[Any]:
        return [("whole", i) for i in indices]


class Doubled(TensorDataset):
    """A `TensorDataset` that says itself what an example is."""

    def __getitem__(self, index: Any) -> Any:
        return tuple(2 * part for part in super().__getitem__(index))


def plain(batch: Any) -> Any:
    """A batch as lists, tuples and numbers."""
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return [plain(part) for part in batch]
    return batch.tolist() if hasattr(batch, "tolist") else batch


LOADED: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "arrays": (lambda data: data.TensorDataset(*data.arrays), {"batch_size": 3}),
    "arrays, full batches": (lambda data: data.TensorDataset(*data.arrays), {"batch_size": 4, "drop_last": True}),
    "single examples": (lambda data: data.TensorDataset(*data.arrays), {"batch_size": None}),
    "a sampler": (lambda data: data.TensorDataset(*data.arrays), {"batch_size": 3, "sampler": [5, 1, 1, 9, 0]}),
    "single examples of a sampler": (lambda data: data.TensorDataset(*data.arrays), {"batch_size": None, "sampler": [5, 1, 9]}),
    "a batch sampler": (lambda data: data.TensorDataset(*data.arrays), {"batch_sampler": [[1, 2], [0], [9, 8, 7]]}),
    "negative positions": (lambda data: data.TensorDataset(*data.arrays), {"batch_sampler": [[-1, 0], [-10]]}),
    "a part": (lambda data: data.Subset(data.TensorDataset(*data.arrays), [7, 2, 3]), {"batch_size": 2}),
    "a part of a part": (lambda data: data.Subset(data.Subset(data.TensorDataset(*data.arrays), [7, 2, 3]), [2, 0]), {"batch_size": 2}),
    "two sets": (lambda data: data.TensorDataset(*data.arrays) + data.TensorDataset(*data.arrays), {"batch_size": 7}),
    "a list": (lambda data: [3, 1, 2], {"batch_size": 2}),
    "a list of dicts": (lambda data: [{"x": [i, 1.5], "name": str(i)} for i in range(5)], {"batch_size": 2}),
    "a collate function": (lambda data: data.TensorDataset(*data.arrays), {"batch_size": 4, "collate_fn": len}),
    "workers": (lambda data: [3, 1, 2], {"num_workers": 0, "pin_memory": False, "timeout": 0}),
}


@pytest.mark.parametrize("name", LOADED)
def test_batches_are_those_of_pytorch(name: str) -> None:
    """The same calls, the same batches."""
    torch = pytest.importorskip("torch")
    import torch.utils.data as theirs

    from diffcore import data as ours

    make, options = LOADED[name]
    namespace = {"TensorDataset": None, "Subset": None}
    mine, other = (type("data", (), {key: staticmethod(getattr(module, key)) for key in namespace}) for module in (ours, theirs))
    mine.arrays, other.arrays = (X, Y), (torch.from_numpy(X), torch.from_numpy(Y))
    found, expected = ours.DataLoader(make(mine), **options), theirs.DataLoader(make(other), **options)
    assert len(found) == len(expected)
    batches = list(found), list(expected)
    assert plain(batches[0]) == plain(batches[1])
    if options.get("batch_size", 1) is not None:
        assert [type(batch) is list for batch in batches[0]] == [type(batch) is list for batch in batches[1]]


def test_streams_come_in_batches() -> None:
    assert [y.tolist() for _, y in DataLoader(Stream(5), 2)] == [[0, 1], [2, 3], [4]]
    loader = DataLoader(Measured(5), 2, drop_last=True)
    assert [y.tolist() for _, y in loader] == [[0, 1], [2, 3]]
    assert (len(loader), len(DataLoader(Measured(5), 2)), len(DataLoader(Measured(5), None))) == (2, 3, 5)
    assert [y for _, y in DataLoader(Stream(3), None)] == [0, 1, 2]
    assert [y.tolist() for _, y in DataLoader(Stream(2) + Stream(3), 4)] == [[0, 1, 0, 1], [2]]
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(Stream(3)))


def test_a_set_may_hand_out_its_own_examples() -> None:
    assert list(DataLoader(InOneGo(), 4))[1][0] == ("whole",) * 3
    assert next(iter(DataLoader(Subset(InOneGo(), [6, 5]), 2)))[1].tolist() == [6, 5]
    assert next(iter(DataLoader(Doubled(X, Y), 4)))[1].tolist() == [0, 2, 4, 6]


def test_jax_arrays_stay_on_their_device(x64: None) -> None:
    import jax
    import jax.numpy as jnp

    data = TensorDataset(jnp.asarray(X), jnp.asarray(Y))
    x, y = next(iter(DataLoader(data, 3)))
    assert isinstance(x, jax.Array)
    np.testing.assert_array_equal(x, X[:3])
    assert y.tolist() == [0, 1, 2]
    assert len([*data]) == 10
    with pytest.raises(IndexError, match="index 10 is out of range for 10 examples"):
        next(iter(DataLoader(data, sampler=[10])))


def test_epochs_of_one_seed_are_these() -> None:
    assert epoch(DataLoader(DATA, 4, True, seed=0)) == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "an empty set": (lambda: DataLoader(TensorDataset(np.zeros((0, 2)))), "the data set is empty"),
    "an empty list": (lambda: DataLoader([]), "the data set is empty"),
    "an empty shuffled set": (lambda: DataLoader([], shuffle=True), "the data set is empty"),
    "an empty stream": (lambda: list(DataLoader(Stream(0))), "the data set is empty"),
    "an empty sampler": (lambda: DataLoader(DATA, sampler=[]), "the `sampler` gives no example"),
    "a batch larger than the data": (
        lambda: DataLoader(DATA, 11, drop_last=True),
        r"`batch_size` \(=11\) is larger than the 10 examples, and `drop_last` .* no batch would be left",
    ),
    "a batch larger than the stream": (
        lambda: list(DataLoader(Stream(3), 4, drop_last=True)),
        r"`batch_size` \(=4\) is larger than the 3 ",
    ),
    "a batch larger than the sampler": (lambda: DataLoader(DATA, 4, sampler=[1], drop_last=True), "is larger than the 1 examples"),
    "a shuffled stream": (lambda: DataLoader(Stream(3), shuffle=True), "`shuffle` cannot be used with an IterableDataset"),
    "a sampled stream": (lambda: DataLoader(Stream(3), sampler=[1]), "`sampler` cannot be used with an IterableDataset"),
    "a shuffled sampler": (lambda: DataLoader(DATA, shuffle=True, sampler=[1]), "mutually exclusive"),
    "a batch sampler and a size": (lambda: DataLoader(DATA, 2, batch_sampler=[[1]]), "mutually exclusive"),
    "examples to drop": (lambda: DataLoader(DATA, None, drop_last=True), "mutually exclusive"),
    "two seeds": (lambda: DataLoader(DATA, seed=1, generator=np.random.default_rng()), "`generator` and `seed` cannot both be given"),
    "negative workers": (lambda: DataLoader(DATA, num_workers=-1), r"`num_workers` \(=-1\) must be an integer of 0 or more"),
    "no batch": (lambda: BatchSampler([1], 0, False), r"BatchSampler: `batch_size` \(=0\) must be"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_sense_is_said(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ArgumentError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_examples_that_do_not_fit_one_another() -> None:
    with pytest.raises(ShapeError, match=r"equal size at \[0\], but got \(0,\) at entry 0 and \(1,\) at entry 1"):
        list(DataLoader([(np.zeros(i), 1) for i in range(2)], 2))
