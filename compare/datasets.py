"""The data sets that networks are trained on: what is known of them before they are loaded, and how they are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEST_SHARE = 5
"""One example in this many is kept for testing."""


class Description(msgspec.Struct, frozen=True):
    """What is known of a data set without loading it."""

    name: str
    examples: int
    features: int
    classes: int
    account: str

    @property
    def trained_on(self) -> int:
        """Examples that are trained on; the rest is for testing."""
        return self.examples - self.examples // TEST_SHARE


DATASETS: dict[str, Description] = {
    data.name: data for data in (Description("digits", 1797, 64, 10, "handwritten digits of 8x8 pixels, from scikit-learn"),)
}
"""Every data set, by the name the command line knows it by."""


@dataclass(frozen=True)
class Split:
    """A data set in memory, split by a seed: images `(examples, features)` and integer labels `(examples,)`."""

    train_images: NDArray[np.floating[Any]]
    train_labels: NDArray[np.integer[Any]]
    test_images: NDArray[np.floating[Any]]
    test_labels: NDArray[np.integer[Any]]


def load(name: str, *, seed: int, dtype: str) -> Split:
    """The data set `name` with images in `dtype`, split at random by `seed` alone, so that every strategy sees the same."""
    import numpy as np

    from diffcore import data

    images, labels = {"digits": data.load_digits}[name]()
    order = np.random.default_rng([seed, 1]).permutation(len(images))
    train, test = np.split(order, [DATASETS[name].trained_on])
    images = images.astype(dtype)
    return Split(images[train], labels[train], images[test], labels[test])


def batches(split: Split, *, batch: int, seed: int) -> Iterator[tuple[Any, Any]]:
    """Endless batches `(images, labels)` of exactly `batch` training examples, shuffled anew in each epoch, the same for one seed."""
    from diffcore import data

    loader = data.DataLoader(data.TensorDataset(split.train_images, split.train_labels), batch, shuffle=True, seed=seed, drop_last=True)
    while True:
        yield from loader
