"""`DataLoader`: batches of a data set, shuffled by a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from diffcore.arrays import namespace, random
from diffcore.data.dataset import Dataset, TensorDataset
from diffcore.dispatch import Boxed
from diffcore.seeds import array_under


class DataLoader:
    """Iterates over `dataset` in batches: tuples of arrays with a batch axis in front.

    Of a data set whose examples hold tensors, batches are tensors too.

    **Arguments:** `batch_size`: examples a batch; `shuffle`: a new order in every epoch; `generator`: a `numpy.random.Generator`, or
    `seed`: its seed (by default the shared generator, see `manual_seed`); `drop_last`: leave out a last batch that is not full;
    `num_workers` is accepted and changes nothing: examples are read in this process. Raises
    `ValueError` for a batch size below 1, and for an empty data set.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        num_workers: int = 0,
        generator: np.random.Generator | None = None,
        seed: int | None = None,
        drop_last: bool = False,
    ) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"DataLoader: `batch_size` (={batch_size!r}) must be a positive integer")
        if len(dataset) == 0:
            raise ValueError("DataLoader: the data set is empty")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self._generator = np.random.default_rng(seed) if seed is not None else generator

    def __len__(self) -> int:
        """Batches an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        n = len(self.dataset)
        order = (self._generator or random.default_generator()).permutation(n) if self.shuffle else np.arange(n)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield self._batch(order[start : start + self.batch_size])

    def _batch(self, index: Any) -> tuple[Any, ...]:
        if isinstance(self.dataset, TensorDataset):
            return self.dataset[index]
        examples = [self.dataset[int(i)] for i in index]
        if not isinstance(examples[0], tuple):
            return (_stacked(examples),)
        columns = [_stacked(parts) for parts in zip(*examples, strict=True)]
        box = next((part.box for part in columns if isinstance(part, Boxed)), None)
        return tuple(part if box is None or isinstance(part, Boxed) else box(part) for part in columns)


def _stacked(parts: Sequence[Any]) -> Any:
    """One part of all examples with a batch axis in front: a tensor where they are tensors, else a numpy array."""
    if isinstance(parts[0], Boxed):
        arrays = [array_under(part) for part in parts]
        return parts[0].box(namespace(arrays).stack(arrays))
    return np.stack([np.asarray(part) for part in parts])
