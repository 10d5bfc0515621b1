"""Images of figures, four filled ones first, at random places and sizes on a noisy ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffcore.data.checking import check_spread, check_whole, float_dtype, generator_of

Array = NDArray[Any]


def _square(u: Array, v: Array) -> Array:
    return np.maximum(abs(u), abs(v)) <= 1


def _band(x: Array) -> Array:
    """Every other of five bands over [-1, 1], the outer ones among them."""
    return np.floor(2.5 * (x + 1)) % 2 == 0


FIGURES: dict[str, Callable[[Array, Array], Array]] = {
    "square": _square,
    "circle": lambda u, v: u * u + v * v <= 1,
    "triangle": lambda u, v: (abs(v) <= 1) & (2 * abs(u) <= v + 1),
    "cross": lambda u, v: _square(u, v) & (np.minimum(abs(u), abs(v)) <= 1 / 3),
    "ring": lambda u, v: (u * u + v * v <= 1) & (u * u + v * v >= 0.36),
    "diamond": lambda u, v: abs(u) + abs(v) <= 1,
    "horizontal stripes": lambda u, v: _square(u, v) & _band(v),
    "vertical stripes": lambda u, v: _square(u, v) & _band(u),
    "checks": lambda u, v: _square(u, v) & (_band(u) == _band(v)),
    "diagonal stripes": lambda u, v: _square(u, v) & _band(u + v),
}
"""Which points belong to a figure, by class: `u` rightwards and `v` downwards from its middle, in halves of its width."""

LEAST_SIZE, MOST_SIZE = 8, 1024
"""Pixels along the side of an image."""


def drawn(figure: int, x: Array, y: Array, radius: Array, size: int) -> Array:
    """Which pixels belong to `figure` with its middle at (`x`, `y`) and half its width `radius` (pixels), each `[m]`: `[m, size, size]`."""
    at = np.arange(size) + 0.5
    u, v = ((at - middle[:, None]) / radius[:, None] for middle in (x, y))
    mask: Callable[[Array, Array], Array] = list(FIGURES.values())[figure]
    return mask(u[:, None, :], v[:, :, None])


def shapes(
    n: int = 1000,
    size: int = 32,
    channels: int = 1,
    classes: int = 4,
    *,
    noise: float = 0.1,
    dtype: Any = np.float32,
    seed: int | np.random.Generator | None = None,
) -> tuple[Array, Array]:
    """Images of one figure each, to be told apart: squares, circles, triangles, crosses, rings, diamonds, stripes across, stripes down,
    checks, slanting stripes (`FIGURES`), the first `classes` of them.

    A figure is 0.5 to 0.9 of the image wide and wholly inside it, anywhere; per channel its brightness is uniform in [0.6, 1) and that of
    the ground in [0, 0.3); then `noise * e` is added to each pixel, and all is cut to [0, 1].

    **Arguments:** `size`: pixels along each side, 8 or more; `channels`: usually 1 or 3; `classes`: 1 to 10. Returns images
    `[n, channels, size, size]` and labels `[n]` (int64, 0 to `classes - 1` in turn).
    """
    n, channels = check_whole("shapes", "n", n), check_whole("shapes", "channels", channels)
    size = check_whole("shapes", "size", size, LEAST_SIZE, MOST_SIZE)
    classes = check_whole("shapes", "classes", classes, 1, len(FIGURES))
    noise, generator = check_spread("shapes", "noise", noise), generator_of(seed)
    images = np.empty((n, channels, size, size), float_dtype("shapes", dtype))
    labels = np.arange(n) % classes
    radius = size * generator.uniform(0.25, 0.45, n)
    x, y = (radius + (size - 2 * radius) * generator.random(n) for _ in range(2))
    bright, dark = generator.uniform(0.6, 1, (n, channels)), generator.uniform(0, 0.3, (n, channels))
    for i in range(n):  # one by one, so that a large set needs no memory beyond its own
        inside = drawn(int(labels[i]), x[i : i + 1], y[i : i + 1], radius[i : i + 1], size)
        image = np.where(inside, bright[i, :, None, None], dark[i, :, None, None])
        images[i] = np.clip(image + noise * generator.standard_normal(image.shape), 0, 1)
    return images, labels
