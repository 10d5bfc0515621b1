"""Data sets by position and as streams."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.data import ChainDataset, ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset
from diffcore.errors import ArgumentError, DTypeError, ShapeError

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


class Count(IterableDataset[int]):
    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n))

    def __len__(self) -> int:
        return self.n


def test_arrays_are_indexed_together() -> None:
    data = TensorDataset(X, Y)
    assert len(data) == 10
    x, y = data[-1]
    assert (x.tolist(), int(y)) == ([18.0, 19.0], 9)
    assert data[2:4][1].tolist() == [2, 3]
    assert [int(y) for _, y in data] == Y.tolist()
    with pytest.raises(IndexError, match="index -11 is out of range for 10 examples"):
        data[-11]


def test_tensors_are_indexed_together(engine: ModuleType) -> None:
    data = TensorDataset(engine.tensor(X), engine.tensor(Y))
    assert data[3][0].tolist() == [6.0, 7.0]
    assert [int(y) for _, y in data] == Y.tolist()


def test_parts_and_sums_of_sets() -> None:
    part = Subset(Y, [4, 2, 9])
    assert (len(part), [int(part[i]) for i in range(3)]) == (3, [4, 2, 9])
    assert part[[2, 0]].tolist() == [9, 4]
    assert part.__getitems__([1, 1]) == [2, 2]
    both = TensorDataset(Y) + TensorDataset(Y[:3])
    assert isinstance(both, ConcatDataset)
    assert both.cumulative_sizes == [10, 13]
    assert [int(y) for (y,) in both] == [*range(10), *range(3)]
    assert [int(both[i][0]) for i in (-1, -3, -4, -13)] == [2, 0, 9, 0]
    for outside in (13, -14):
        with pytest.raises(IndexError, match=f"index {outside} is out of range for 13 examples"):
            both[outside]
    streams = Count(2) + Count(3)
    assert isinstance(streams, ChainDataset)
    assert (list(streams), list(streams), len(streams)) == ([0, 1, 0, 1, 2], [0, 1, 0, 1, 2], 5)


def test_sums_with_empty_sets_among_them_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils import data as theirs

    sizes = [0, 2, 0, 0, 3, 1, 0]
    ours = ConcatDataset([TensorDataset(Y[:n]) for n in sizes])
    other = theirs.ConcatDataset([theirs.TensorDataset(torch.from_numpy(Y[:n])) for n in sizes])
    assert ours.cumulative_sizes == other.cumulative_sizes
    assert [int(ours[i][0]) for i in range(-6, 6)] == [int(other[i][0]) for i in range(-6, 6)]


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no tensor": (TensorDataset, ArgumentError, "at least one tensor is needed"),
    "lengths": (lambda: TensorDataset(X, Y[:9]), ShapeError, r"Size mismatch between tensors: first axes of \[\(10, 2\), \(9,\)\] differ"),
    "no axis": (lambda: TensorDataset(X, np.zeros(())), ShapeError, "argument 1 has no axis of examples"),
    "a list": (lambda: TensorDataset([1, 2]), DTypeError, "argument 0 must be a tensor or an array, not list"),
    "no sets": (lambda: ConcatDataset([]), ArgumentError, "`datasets` should not be empty"),
    "a stream by position": (
        lambda: ConcatDataset([Y, Count(1)]),
        DTypeError,
        "data set 1 is an IterableDataset.* Did you mean `ChainData",
    ),
    "positions as a stream": (lambda: list(ChainDataset([TensorDataset(Y)])), DTypeError, "not TensorDataset. Did you mean `ConcatData"),
    "no length": (lambda: len(Dataset()), NotImplementedError, "^$"),
    "no example": (lambda: Dataset()[0], NotImplementedError, "^$"),
    "no stream": (lambda: iter(IterableDataset()), NotImplementedError, "^$"),
}


@pytest.mark.parametrize("name", BAD)
def test_sets_that_make_no_sense(name: str) -> None:
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        call()
