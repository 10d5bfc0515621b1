"""A noisy sine over time, and the windows that a model predicts the next value from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_spread, check_whole, float_dtype, generator_of
from diffcore.errors import ArgumentError

Array = NDArray[Any]


def time_series(
    n: int = 1000, *, period: float = 100.0, noise: float = 0.2, dtype: Any = np.float32, seed: int | np.random.Generator | None = None
) -> Array:
    """A noisy sine: `x_t = sin(2 pi t / period) + noise * e_t` for `t` from 0 to `n - 1`: `[n]`."""
    n, noise = check_whole("time_series", "n", n), check_spread("time_series", "noise", noise)
    if check_spread("time_series", "period", period) == 0:
        raise ArgumentError(f"time_series: `period` (={period!r}) must be positive")
    values = np.sin(2 * np.pi * np.arange(n) / period) + noise * generator_of(seed).standard_normal(n)
    return values.astype(float_dtype("time_series", dtype))


def windows(series: ArrayLike, length: int = 4, horizon: int = 1) -> tuple[Array, Array]:
    """Every stretch of `length` consecutive values, and the value `horizon` steps after it: what autoregression learns from.

    **Arguments:** `series`: `[n]` or `[n, channels]`. Returns inputs `[n - length - horizon + 1, length, channels]` (batch, time, channel)
    and targets `[n - length - horizon + 1, channels]`; a series `[n]` has one channel. Raises `ArgumentError` for one that is too short.
    """
    values = np.asarray(series)
    if values.ndim not in (1, 2):
        raise ArgumentError(f"windows: `series` {values.shape} must be [n] or [n, channels]")
    length, horizon = check_whole("windows", "length", length), check_whole("windows", "horizon", horizon)
    count = len(values) - length - horizon + 1
    if count < 1:
        raise ArgumentError(f"windows: `series` of {len(values)} values has none with `length` {length} and a target {horizon} later")
    values = values.reshape(len(values), -1)
    inside = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)[:count]
    return np.ascontiguousarray(inside.transpose(0, 2, 1)), values[length + horizon - 1 :].copy()
