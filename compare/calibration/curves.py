"""Measured quantities between the sizes at which they were measured: straight lines in logarithms, and never falling."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A quantity at `sizes`, which rise; its `values` are above 0 and do not fall.

    Below the first size it is as there; beyond the last one it grows by the power `beyond` of the size.
    """

    sizes: list[float]
    values: list[float]
    beyond: float = 0.0

    def __post_init__(self) -> None:
        if not self.sizes or len(self.sizes) != len(self.values):
            raise ValueError("a curve needs as many values as sizes")
        if not all(a < b for a, b in pairwise(self.sizes)) or not all(a <= b for a, b in pairwise(self.values)):
            raise ValueError("sizes must rise and values must not fall")
        if not (self.sizes[0] > 0 and self.values[0] > 0 and math.isfinite(self.values[-1])):
            raise ValueError("sizes and values must be finite numbers above 0")

    def at(self, size: float) -> float:
        """The quantity at a size."""
        i = bisect.bisect_right(self.sizes, size)
        if i == 0:
            return self.values[0]
        if i == len(self.sizes):
            return self.values[-1] * (size / self.sizes[-1]) ** self.beyond
        part = math.log(size / self.sizes[i - 1]) / math.log(self.sizes[i] / self.sizes[i - 1])
        return self.values[i - 1] * (self.values[i] / self.values[i - 1]) ** part


def rising(sizes: Sequence[float], values: Sequence[float], *, least: float = 1e-12, beyond: float = 0.0) -> Curve:
    """The curve that is nearest to what was measured among those that do not fall, in logarithms: where values fall, their means."""
    return Curve([float(size) for size in sizes], not_falling([max(value, least) for value in values]), beyond)


def not_falling(values: Sequence[float]) -> list[float]:
    """The sequence nearest to `values` in logarithms that does not fall (isotonic regression by pooling adjacent violators)."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([math.log(value), 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            total = pools[-1][1] + count
            pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * count) / total, total]
    return list(accumulate((math.exp(mean) for mean, count in pools for _ in range(int(count))), max))


class Products(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds of products of matrices, by rows, columns and terms: `seconds[i][j][k]` of `sizes[i]`, `sizes[j]`, `sizes[k]`."""

    sizes: list[int]
    seconds: list[list[list[float]]]

    def __post_init__(self) -> None:
        n = len(self.sizes)
        if n < 2 or not all(a < b for a, b in pairwise(self.sizes)) or self.sizes[0] < 1:
            raise ValueError("sizes of products must rise")
        if len(self.seconds) != n or any(len(plane) != n or any(len(row) != n for row in plane) for plane in self.seconds):
            raise ValueError("seconds of products must be a cube")
        if not all(0 < value < math.inf for plane in self.seconds for row in plane for value in row):
            raise ValueError("seconds must be finite numbers above 0")

    def at(self, *dims: int) -> float:
        """Seconds of one product: between sizes linear in logarithms, beyond the largest in proportion."""
        factor, places = 1.0, []
        for n in dims:
            last = self.sizes[-1]
            factor *= max(n, 1) / last if n > last else 1.0
            n = min(max(n, 1), last)
            i = min(bisect.bisect_right(self.sizes, n), len(self.sizes) - 1)
            low, high = self.sizes[i - 1], self.sizes[i]
            places.append((i, math.log(n / low) / math.log(high / low)))
        total = 0.0
        (a, u), (b, v), (c, w) = places
        for da, x in ((1, 1 - u), (0, u)):
            for db, y in ((1, 1 - v), (0, v)):
                for dc, z in ((1, 1 - w), (0, w)):
                    if x * y * z:
                        total += x * y * z * math.log(self.seconds[a - da][b - db][c - dc])
        return math.exp(total) * factor
