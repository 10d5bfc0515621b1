"""Data sets under PyTorch's names: by position or as a stream, whole, parts of another, and several one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from diffcore.errors import ArgumentError, DTypeError, ShapeError
from diffcore.whole import integer, whole

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Examples by position: subclasses define `__len__` and `__getitem__(index)`, which returns an example.

    An example is a number, an array, a tensor, text, or tuples, lists and dicts of them. A subclass may also define
    `__getitems__(indices)`, which returns a list of examples at once. `a + b` is both, one after the other.
    """

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Examples as a stream: subclasses define `__iter__`, and `__len__` where the number of examples is known.

    It is read from its beginning in every epoch and cannot be shuffled. `a + b` is both, one after the other.
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise TypeError(f"object of type {type(self).__name__!r} has no len()")

    def __add__(self, other: Dataset[Any]) -> ChainDataset:  # type: ignore[override]  # as in PyTorch
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Arrays or tensors of equal length, indexed together along their first axis.

    Raises `ShapeError` when their lengths differ or one has no axis, `DTypeError` for what is no array, `ArgumentError` for none.
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ArgumentError("TensorDataset: at least one tensor is needed")
        for i, tensor in enumerate(tensors):
            if not hasattr(tensor, "shape"):
                raise DTypeError(f"TensorDataset: argument {i} must be a tensor or an array, not {type(tensor).__name__}")
            if not len(tensor.shape):
                raise ShapeError(f"TensorDataset: argument {i} has no axis of examples: shape ()")
        if len({t.shape[0] for t in tensors}) > 1:
            raise ShapeError(f"Size mismatch between tensors: first axes of {[tuple(t.shape) for t in tensors]} differ")
        self.tensors = tensors

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        n, position = len(self), whole(index)
        if position is not None and not -n <= position < n:  # jax would take the last example instead
            raise IndexError(f"TensorDataset: index {index} is out of range for {n} examples")
        return tuple(t[index] for t in self.tensors)


class Subset(Dataset[T_co]):
    """The examples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        return examples_at(self.dataset, [self.indices[i] for i in indices])


class ConcatDataset(Dataset[T_co]):
    """The examples of several data sets, one after the other. `cumulative_sizes` says where each ends.

    Raises `ArgumentError` for no data sets, `DTypeError` for a stream among them (see `ChainDataset`).
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset: `datasets` should not be empty")
        for i, dataset in enumerate(self.datasets):
            if isinstance(dataset, IterableDataset):
                raise DTypeError(f"ConcatDataset: data set {i} is an IterableDataset, which has no positions. Did you mean `ChainDataset`?")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any) -> Any:
        n, position = len(self), integer("ConcatDataset", "index", index)
        if not -n <= position < n:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {n} examples")
        position %= n
        which = int(np.searchsorted(self.cumulative_sizes, position, side="right"))
        return self.datasets[which][position - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset[T_co]):
    """The streams of several `IterableDataset`s, one after the other. Raises `DTypeError` when iterated over another data set."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise DTypeError(f"ChainDataset: expected an IterableDataset, not {type(dataset).__name__}. Did you mean `ConcatDataset`?")
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


def examples_at(dataset: Any, indices: Sequence[int]) -> list[Any]:
    """The examples of `dataset` at `indices`."""
    at_once = getattr(dataset, "__getitems__", None)
    if at_once is not None:
        return list(at_once(list(indices)))
    return [dataset[i] for i in indices]


def columns_at(dataset: Any, indices: Sequence[int]) -> list[Any] | None:
    """A batch of the examples at `indices`, taken from whole arrays in one go, or `None` where `dataset` does not hold such."""
    kind = type(dataset)
    if isinstance(dataset, Subset) and kind.__getitem__ is Subset.__getitem__ and kind.__getitems__ is Subset.__getitems__:
        return columns_at(dataset.dataset, [dataset.indices[i] for i in indices])
    if not isinstance(dataset, TensorDataset) or kind.__getitem__ is not TensorDataset.__getitem__ or hasattr(dataset, "__getitems__"):
        return None
    at, n = np.asarray(indices, np.intp), len(dataset)
    if at.size and not (-n <= at.min() and at.max() < n):
        raise IndexError(f"TensorDataset: index {at[(at < -n) | (at >= n)][0]} is out of range for {n} examples")
    return [t[at] for t in dataset.tensors]
