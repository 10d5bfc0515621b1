"""Images of nothing: for measuring a network of full size, whose numbers do not depend on what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcore.data.checking import check_whole, float_dtype, generator_of

Array = NDArray[Any]


def noise_images(
    n: int = 16,
    shape: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    *,
    dtype: Any = np.float32,
    seed: int | np.random.Generator | None = None,
) -> tuple[Array, Array]:
    """Standard normal images of any shape (channel, height, width) and uniform labels.

    Returns images `[n, *shape]` and labels `[n]` (int64, 0 to `classes - 1`).
    """
    n, classes = check_whole("noise_images", "n", n), check_whole("noise_images", "classes", classes)
    size = tuple(check_whole("noise_images", "shape", extent) for extent in shape)
    generator = generator_of(seed)
    images = np.empty((n, *size), float_dtype("noise_images", dtype))
    labels = generator.integers(0, classes, n)
    for image in images:  # one by one: drawn in float64, kept in `dtype`
        image[...] = generator.standard_normal(size)
    return images, labels
