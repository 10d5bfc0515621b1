"""Classes of points that a straight line does not part: XOR, two moons, spirals; and blobs, which it may."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_spread, check_whole, float_dtype, generator_of
from diffcore.errors import ShapeError

Seed = int | np.random.Generator | None
Array = NDArray[Any]


def _noisy(what: str, points: Array, noise: float, dtype: Any, generator: np.random.Generator) -> Array:
    dtype = float_dtype(what, dtype)
    return (points + check_spread(what, "noise", noise) * generator.standard_normal(points.shape)).astype(dtype)


def xor(n: int = 200, *, noise: float = 0.1, dtype: Any = np.float32, seed: Seed = None) -> tuple[Array, Array]:
    """The exclusive or: points around the corners (0,0), (0,1), (1,0), (1,1) in turn, `noise * e` off, labelled `a xor b`.

    With `n=4, noise=0` this is the truth table. Returns points `[n, 2]` and labels `[n]` (int64, 0 or 1).
    """
    corner = np.arange(check_whole("xor", "n", n)) % 4
    a, b = corner // 2, corner % 2
    points = np.stack([a, b], axis=1).astype(np.float64)
    return _noisy("xor", points, noise, dtype, generator_of(seed)), a ^ b


def two_moons(n: int = 200, *, noise: float = 0.1, dtype: Any = np.float32, seed: Seed = None) -> tuple[Array, Array]:
    """Two interleaving half circles: `(cos t, sin t)` and `(1 - cos t, 0.5 - sin t)` for `t` evenly from 0 to pi, each point `noise * e`
    off.

    Returns points `[n, 2]`, the first half of them (rounded down) of class 0, and labels `[n]` (int64, 0 or 1).
    """
    n = check_whole("two_moons", "n", n, 2)
    outer, inner = np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)
    points = np.concatenate([np.stack([np.cos(outer), np.sin(outer)], 1), np.stack([1 - np.cos(inner), 0.5 - np.sin(inner)], 1)])
    labels = np.repeat(np.array([0, 1]), [len(outer), len(inner)])
    return _noisy("two_moons", points, noise, dtype, generator_of(seed)), labels


def spirals(
    n: int = 300, classes: int = 2, *, turns: float = 1.0, noise: float = 0.02, dtype: Any = np.float32, seed: Seed = None
) -> tuple[Array, Array]:
    """Interleaved spirals around the origin: `r (cos a, sin a)` with `a = 2 pi (turns r + c / classes)`, `r` uniform in [0.05, 1), for
    class `c`; each point `noise * e` off.

    Returns points `[n, 2]` and labels `[n]` (int64, 0 to `classes - 1` in turn).
    """
    n, classes = check_whole("spirals", "n", n), check_whole("spirals", "classes", classes)
    turns, generator = check_spread("spirals", "turns", turns), generator_of(seed)
    labels = np.arange(n) % classes
    r = generator.uniform(0.05, 1, n)
    angle = 2 * np.pi * (turns * r + labels / classes)
    points = r[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _noisy("spirals", points, noise, dtype, generator), labels


def blobs(
    n: int = 300,
    classes: int = 3,
    features: int = 2,
    *,
    centers: ArrayLike | None = None,
    noise: float = 1.0,
    dtype: Any = np.float32,
    seed: Seed = None,
) -> tuple[Array, Array]:
    """Normal clouds: `x = center_c + noise * e` for class `c`.

    **Arguments:** `centers` `[classes, features]`, by default uniform in [-10, 10). Returns points `[n, features]` and labels `[n]` (int64,
    0 to `classes - 1` in turn). Raises `ShapeError` for centers that do not fit.
    """
    n, classes, features = (check_whole("blobs", name, value) for name, value in (("n", n), ("classes", classes), ("features", features)))
    generator = generator_of(seed)
    middles = generator.uniform(-10, 10, (classes, features)) if centers is None else np.asarray(centers, np.float64)
    if middles.shape != (classes, features):
        raise ShapeError(f"blobs: `centers` {middles.shape} must be [classes, features] = [{classes}, {features}]")
    labels = np.arange(n) % classes
    return _noisy("blobs", middles[labels], noise, dtype, generator), labels
