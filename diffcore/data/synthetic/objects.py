"""Images of several figures with the boxes around them, for detection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcore.data.boxes import box_iou
from diffcore.data.checking import check_spread, check_whole, float_dtype, generator_of
from diffcore.data.synthetic.shapes import FIGURES, LEAST_SIZE, MOST_SIZE, drawn

Array = NDArray[Any]

_TRIES = 20
"""Places tried for a figure before it is left out."""

_OVERLAP = 0.05
"""Intersection over union that two boxes of one image may have."""


def detection(
    n: int = 1000,
    size: int = 64,
    channels: int = 3,
    classes: int = 3,
    objects: int = 3,
    *,
    noise: float = 0.05,
    dtype: Any = np.float32,
    seed: int | np.random.Generator | None = None,
) -> tuple[Array, Array]:
    """Images of 1 to `objects` figures (those of `shapes`, of any class) that hardly overlap, and the box around each.

    A figure is 0.2 to 0.4 of the image wide (4 pixels at least) and wholly inside it; brightness and noise are those of `shapes`.

    **Arguments:** as for `shapes`; `objects`: the most in one image. Returns images `[n, channels, size, size]` and boxes
    `[n, objects, 5]`: class, x and y of the middle, width and height, the last four in parts of the image (x rightwards, y downwards).
    Where an image has fewer figures the remaining rows are (-1, 0, 0, 0, 0).
    """
    n, channels, objects = (
        check_whole("detection", name, value) for name, value in (("n", n), ("channels", channels), ("objects", objects))
    )
    size = check_whole("detection", "size", size, LEAST_SIZE, MOST_SIZE)
    classes = check_whole("detection", "classes", classes, 1, len(FIGURES))
    noise, dtype, generator = check_spread("detection", "noise", noise), float_dtype("detection", dtype), generator_of(seed)
    images = np.empty((n, channels, size, size), dtype)
    boxes = np.zeros((n, objects, 5))
    boxes[:, :, 0] = -1
    for image, rows in zip(images, boxes, strict=True):
        placed = _placed(int(generator.integers(1, objects + 1)), size, classes, generator)
        rows[: len(placed)] = placed
        canvas = np.broadcast_to(generator.uniform(0, 0.3, (channels, 1, 1)), image.shape).copy()
        for figure, x, y, width, _ in placed:
            inside = drawn(int(figure), np.array([x * size]), np.array([y * size]), np.array([width * size / 2]), size)
            canvas = np.where(inside, generator.uniform(0.6, 1, (channels, 1, 1)), canvas)
        image[:] = np.clip(canvas + noise * generator.standard_normal(canvas.shape), 0, 1)
    return images, boxes.astype(dtype)


def _placed(count: int, size: int, classes: int, generator: np.random.Generator) -> Array:
    """Boxes `[k, 5]` of at most `count` figures, and at least one."""
    placed: list[Array] = []
    for _ in range(count):
        for _ in range(_TRIES):
            width = max(generator.uniform(0.2, 0.4), 4 / size)
            x, y = width / 2 + (1 - width) * generator.random(2)
            box = np.array([generator.integers(0, classes), x, y, width, width])
            if not placed or box_iou(box[None, 1:], np.array(placed)[:, 1:]).max() <= _OVERLAP:
                placed.append(box)
                break
    return np.array(placed)
