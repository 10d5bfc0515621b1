"""Splitting a data set: at random into parts, or into folds for cross-validation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from diffcore.arrays import random
from diffcore.data.checking import check_lengths, check_whole, generator_of
from diffcore.data.dataset import Subset, TensorDataset
from diffcore.errors import ArgumentError, ShapeError
from diffcore.seeds import array_under


def random_split(dataset: Any, lengths: Sequence[float], generator: np.random.Generator | None = None) -> list[Subset[Any]]:
    """Parts of `dataset` that share no example, drawn at random: as many as `lengths` has numbers.

    **Arguments:** `lengths`: whole numbers that sum to the length of the data set, or fractions that sum to 1 (rounded down; what is left
    over goes to the parts in turn, one example each); `generator`: by default the shared one. Warns of a part without examples. Raises
    `ArgumentError` for lengths that do not sum to what they must.
    """
    n, parts = len(dataset), _parts(len(dataset), lengths)
    for i, part in enumerate(parts):
        if part == 0:
            warnings.warn(f"random_split: length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=2)
    order = random.permutation(n, random.checked(generator)).tolist()
    stops = np.cumsum(parts).tolist()
    return [Subset(dataset, order[stop - part : stop]) for part, stop in zip(parts, stops, strict=True)]


def _parts(n: int, lengths: Sequence[float]) -> list[int]:
    total = math.fsum(lengths)
    if math.isclose(total, 1):
        wrong = next((i for i, part in enumerate(lengths) if not 0 <= part <= 1), None)
        if wrong is not None:
            raise ArgumentError(f"random_split: fraction at index {wrong} (={lengths[wrong]!r}) is not between 0 and 1")
        parts = [math.floor(n * part) for part in lengths]
        for i in range(n - sum(parts)):
            parts[i % len(parts)] += 1
        return parts
    if total != n:
        raise ArgumentError(
            f"random_split: sum of input `lengths` {list(lengths)} (={total:g}) does not equal the length of the input dataset (={n}), "
            "nor 1 as fractions must"
        )
    return [check_whole("random_split", f"lengths[{i}]", part, 0) for i, part in enumerate(lengths)]


class KFold:
    """K-fold cross-validation: each example is in the validation part of exactly one of `n_splits` folds.

    `split(dataset)` gives pairs (training, validation) of subsets, where scikit-learn gives positions. The folds are stretches of the data
    set, as there: the first `n % n_splits` one example longer than the others; with `shuffle` stretches of a random order.

    **Arguments:** `n_splits`: 2 or more; `seed`: an integer (the same folds every time), a generator, or `None` for the shared one; it
    needs `shuffle`. Raises `ArgumentError`.
    """

    def __init__(self, n_splits: int = 5, shuffle: bool = False, seed: int | np.random.Generator | None = None) -> None:
        self.n_splits = check_whole(type(self).__name__, "n_splits", n_splits, 2)
        if seed is not None and not shuffle:
            raise ArgumentError(f"{type(self).__name__}: `seed` (={seed!r}) has no effect without `shuffle=True`")
        self.shuffle, self.seed = shuffle, seed

    def split(self, dataset: Any, y: ArrayLike | None = None) -> Iterator[tuple[Subset[Any], Subset[Any]]]:
        """The training and the validation part of each fold, both in the order of `dataset` (a data set, or an array with the examples
        along its first axis); `indices` of a part are its positions there. `y` is for `StratifiedKFold` alone.

        Raises `ArgumentError` for fewer examples than folds.
        """
        n, name = len(dataset), type(self).__name__
        if self.n_splits > n:
            raise ArgumentError(f"{name}: cannot have `n_splits` (={self.n_splits}) greater than the number of examples (={n})")
        fold = self._folds(n, dataset, y)
        return (
            (Subset(dataset, np.flatnonzero(fold != k).tolist()), Subset(dataset, np.flatnonzero(fold == k).tolist()))
            for k in range(self.n_splits)
        )

    def _folds(self, n: int, dataset: Any, y: ArrayLike | None) -> Any:
        """The fold in whose validation part each example is: `[n]`."""
        fold = np.empty(n, np.intp)
        order = generator_of(self.seed).permutation(n) if self.shuffle else np.arange(n)
        for k, part in enumerate(np.array_split(order, self.n_splits)):
            fold[part] = k
        return fold


class StratifiedKFold(KFold):
    """`KFold` whose folds have the classes in the proportions of the whole, as in scikit-learn.

    `split(dataset, y)` takes the classes `y` `[n]`, by default the last array of a `TensorDataset`. Warns where a class has fewer examples
    than there are folds; raises `ArgumentError` where all have, `ShapeError` for a `y` that does not fit.
    """

    def _folds(self, n: int, dataset: Any, y: ArrayLike | None) -> Any:
        if y is None:
            if not isinstance(dataset, TensorDataset):
                raise ArgumentError("StratifiedKFold: the classes `y` must be given for a data set that is no TensorDataset")
            y = dataset.tensors[-1]
        labels = np.asarray(array_under(y))
        if labels.ndim != 1:
            raise ShapeError(f"StratifiedKFold: `y` {labels.shape} must be a vector of classes")
        check_lengths("StratifiedKFold", dataset=dataset, y=labels)
        _, first, members = np.unique(labels, return_index=True, return_inverse=True)
        classes = np.argsort(np.argsort(first))[members]  # numbered in the order in which they first occur
        sizes = np.bincount(classes)
        if self.n_splits > sizes.max():
            raise ArgumentError(f"StratifiedKFold: `n_splits` (={self.n_splits}) is greater than the number of examples of every class")
        if self.n_splits > sizes.min():
            warnings.warn(
                f"StratifiedKFold: the smallest class has only {sizes.min()} examples, which is less than `n_splits` (={self.n_splits})",
                stacklevel=3,
            )
        # Dealing out the examples in the order of their classes, like cards, gives each fold its share of every class.
        dealt = np.arange(n) % self.n_splits
        shares = np.split(dealt, np.cumsum(sizes)[:-1])
        generator = generator_of(self.seed) if self.shuffle else None
        fold = np.empty(n, np.intp)
        for k, share in enumerate(shares):
            fold[classes == k] = np.sort(share) if generator is None else generator.permutation(share)
        return fold
