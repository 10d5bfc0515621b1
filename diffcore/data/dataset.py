"""`Dataset` and `TensorDataset`, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from diffcore.errors import ShapeError


class Dataset:
    """Examples by position: subclasses define `__len__` and `__getitem__(index)`, which returns a tuple of arrays or numbers."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError


class TensorDataset(Dataset):
    """Arrays or tensors of equal length, indexed together along their first axis.

    Raises `ShapeError` when their lengths differ, `ValueError` for none.
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor")
        if len({len(t) for t in tensors}) > 1:
            raise ShapeError(f"Size mismatch between tensors: first axes of {[tuple(t.shape) for t in tensors]} differ")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)
