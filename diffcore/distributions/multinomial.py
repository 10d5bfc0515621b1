"""The multinomial distribution: how often each category comes up in a number of draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import devices, is_array, random
from diffcore.creation.arguments import check_float, size_of
from diffcore.dispatch import Boxed
from diffcore.errors import ArgumentError
from diffcore.ops import softmax
from diffcore.seeds import array_under
from diffcore.size import Size
from diffcore.whole import integer

__all__ = ["Multinomial"]


class Multinomial:
    """Counts of the categories in `total_count` independent draws.

    **Arguments:** `total_count`: draws; `probs`: a tensor of non-negative weights along the last axis, which are normalised, or `logits`:
    their unnormalised logarithms. Raises `ArgumentError` for weights that are negative, not finite or all zero.
    """

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        weights = softmax(logits, -1) if probs is None else probs
        if not isinstance(weights, Boxed) and not is_array(weights):
            raise TypeError(f"Multinomial: argument `probs` must be a Tensor, not {type(weights).__name__}")
        check_float("Multinomial", weights.dtype)
        self.total_count = integer("Multinomial", "total_count", total_count)
        if self.total_count < 0:
            raise ArgumentError(f"Multinomial: `total_count` must be non-negative, got {self.total_count}")
        values = np.asarray(array_under(weights), np.float64)
        if values.ndim == 0:
            raise ArgumentError("Multinomial: `probs` must be at least one-dimensional")
        if not (np.all((values >= 0) & (values < np.inf)) and np.all(values.max(axis=-1, initial=0) > 0)):
            raise ArgumentError("Multinomial: expected non-negative, finite `probs` that are not all zero")
        scaled = values / values.max(axis=-1, keepdims=True)  # so that no sum overflows
        self._values = scaled / scaled.sum(axis=-1, keepdims=True)
        self.probs: Any = weights / weights.sum(-1, keepdims=True)

    @property
    def batch_shape(self) -> Size:
        """The shape of independent distributions."""
        return Size(self._values.shape[:-1])

    @property
    def event_shape(self) -> Size:
        """The shape of one sample: the number of categories."""
        return Size(self._values.shape[-1:])

    @property
    def mean(self) -> Any:
        """The expected counts."""
        return self.probs * self.total_count

    @property
    def variance(self) -> Any:
        """The variance of each count."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        """Counts `[*sample_shape, *batch_shape, *event_shape]` in the dtype of `probs`, drawn by this thread's generator."""
        shape = size_of("sample", (tuple(sample_shape),))
        drawn = random.counts(self.total_count, self._values, shape).astype(self.probs.dtype)
        placed = devices.place(drawn, devices.device_of(array_under(self.probs)))
        return self.probs.box(placed) if isinstance(self.probs, Boxed) else placed
