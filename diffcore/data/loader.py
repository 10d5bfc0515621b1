"""`DataLoader`: batches of a data set, shuffled by a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from diffcore.arrays import random
from diffcore.data.checking import check_whole
from diffcore.data.collating import default_collate
from diffcore.data.dataset import IterableDataset, columns_at, examples_at
from diffcore.data.sampling import BatchSampler, RandomSampler, SequentialSampler, batch_count, in_batches
from diffcore.errors import ArgumentError


class DataLoader:
    """Iterates over `dataset` in batches, put together by `collate_fn`: with the default, examples that are tuples of arrays come as a list
    of arrays with an axis of examples in front (see `default_collate`). Of a data set whose examples hold tensors, batches are tensors too.

    **Arguments**, PyTorch's: `batch_size`: examples a batch, or `None` for single examples as they are; `shuffle`: a new order in every
    epoch; `sampler`: an iterable of positions instead; `batch_sampler`: an iterable of lists of positions, instead of `batch_size`,
    `shuffle`, `sampler` and `drop_last`; `collate_fn`: a function of a list of examples; `drop_last`: leave out a last batch that is not
    full; `generator`: a `numpy.random.Generator`, or `seed`: the seed of one (by default the shared generator, see `manual_seed`).
    `num_workers` and what is about workers and pinned memory is accepted and changes nothing: examples are read in this process.

    Raises `ArgumentError` for arguments out of range or at odds with each other, for an empty data set, and where `drop_last` would leave
    no batch at all. A stream shows that it has none only when it is read.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: np.random.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | None = None,
    ) -> None:
        if batch_size is not None:
            batch_size = check_whole("DataLoader", "batch_size", batch_size)
        self.num_workers = check_whole("DataLoader", "num_workers", num_workers, 0)
        _check_together(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if generator is not None and seed is not None:
            raise ArgumentError("DataLoader: `generator` and `seed` cannot both be given")
        self.generator = np.random.default_rng(seed) if seed is not None else random.checked(generator)
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.sampler = self.batch_sampler = None
        if not isinstance(dataset, IterableDataset):
            self.sampler, self.batch_sampler = self._samplers(shuffle, sampler, batch_sampler)
        if batch_sampler is not None:
            self.batch_size = None

    def _samplers(self, shuffle: bool | None, sampler: Any, batch_sampler: Any) -> tuple[Any, Any]:
        if sampler is None and batch_sampler is None and len(self.dataset) == 0:
            raise _empty()
        if batch_sampler is not None:
            return SequentialSampler(self.dataset), batch_sampler
        if sampler is None:
            sampler = RandomSampler(self.dataset, generator=self.generator) if shuffle else SequentialSampler(self.dataset)
        n = len(sampler) if hasattr(sampler, "__len__") else None
        if n == 0:
            raise ArgumentError("DataLoader: the `sampler` gives no example")
        if self.batch_size is None:
            return sampler, None
        if n is not None and self.drop_last and n < self.batch_size:
            raise _too_large(self.batch_size, n)
        return sampler, BatchSampler(sampler, self.batch_size, self.drop_last)

    def __len__(self) -> int:
        """Batches an epoch."""
        if self.sampler is None:
            n = len(self.dataset)
            return n if self.batch_size is None else batch_count(n, self.batch_size, self.drop_last)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return self._of_stream()
        if self.batch_sampler is None:
            assert self.sampler is not None
            return (self._alone(self.dataset[i]) for i in self.sampler)
        return map(self._batch, self.batch_sampler)

    def _batch(self, indices: Any) -> Any:
        at_once = columns_at(self.dataset, indices) if self.collate_fn is default_collate else None
        return self.collate_fn(examples_at(self.dataset, indices)) if at_once is None else at_once

    def _alone(self, example: Any) -> Any:
        return example if self.collate_fn is default_collate else self.collate_fn(example)

    def _of_stream(self) -> Iterator[Any]:
        size, given = self.batch_size, False
        for batch in in_batches(self.dataset, size or 1, False):
            if size is not None and self.drop_last and len(batch) < size:
                if given:
                    return
                raise _too_large(size, len(batch))
            given = True
            yield self._alone(batch[0]) if size is None else self.collate_fn(batch)
        if not given:
            raise _empty()


def _check_together(dataset: Any, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: Any) -> None:
    """Raise `ArgumentError` for arguments that exclude each other."""
    if isinstance(dataset, IterableDataset):
        given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        name = next((name for name, value in given.items() if value is not None), None)
        if name is not None:
            raise ArgumentError(f"DataLoader: `{name}` cannot be used with an IterableDataset, which comes in its own order")
    if sampler is not None and shuffle:
        raise ArgumentError("DataLoader: `sampler` option is mutually exclusive with `shuffle`")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ArgumentError(
            "DataLoader: `batch_sampler` option is mutually exclusive with `batch_size`, `shuffle`, `sampler`, and `drop_last`"
        )
    if batch_size is None and drop_last:
        raise ArgumentError("DataLoader: `batch_size=None` gives single examples and is mutually exclusive with `drop_last`")


def _empty() -> ArgumentError:
    return ArgumentError("DataLoader: the data set is empty")


def _too_large(batch_size: int, n: int) -> ArgumentError:
    return ArgumentError(
        f"DataLoader: `batch_size` (={batch_size}) is larger than the {n} examples, and `drop_last` leaves out what is not full: no batch "
        "would be left. Use a smaller batch or `drop_last=False`"
    )
