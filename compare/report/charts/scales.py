"""Scales of the figures: logarithmic ticks that stay few, and series thinned without losing their extremes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

MOST_POINTS = 600
"""Points of one curve above which only the extremes of equal bins are drawn: more than a figure has pixels."""


def log_ticks(lowest: float, highest: float) -> list[float]:
    """At most six round values within `lowest` to `highest` (both positive), evenly spaced when the two are close."""
    if highest < 3 * lowest:
        return _even_ticks(lowest, highest)
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**exponent for exponent in range(first, last + 1) for digit in digits]
        ticks = [tick for tick in ticks if lowest <= tick <= highest]
        if len(ticks) <= 6:
            return ticks
    every = math.ceil(len(ticks) / 6)
    return ticks[::every]


def _even_ticks(lowest: float, highest: float) -> list[float]:
    rough = (highest - lowest) / 5
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(digit * scale for digit in (1, 2, 5, 10) if digit * scale >= rough)
    return [number * step for number in range(math.ceil(lowest / step), math.floor(highest / step) + 1)]


def decades(lowest: int, highest: int, most: int = 6) -> list[int]:
    """At most `most` exponents from `lowest` to `highest`, evenly spaced."""
    every = math.ceil((highest - lowest + 1) / most)
    return list(range(lowest, highest + 1, every))


def extremes(values: Sequence[float], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """`(index, value)` of every value, or of the least and greatest of each of `most / 2` equal bins when there are more."""
    if len(values) <= most:
        return list(enumerate(values))
    bins, kept = most // 2, []
    for number in range(bins):
        span = range(number * len(values) // bins, (number + 1) * len(values) // bins)
        kept += sorted({min(span, key=values.__getitem__), max(span, key=values.__getitem__)})
    return [(index, values[index]) for index in kept]


def highest_of_bins(totals: Sequence[float], most: int = MOST_POINTS // 2) -> list[int]:
    """Indices to keep of `totals`: all, or where each of `most` equal bins is highest, so that no peak is lost."""
    if len(totals) <= most:
        return list(range(len(totals)))
    edges = [number * len(totals) // most for number in range(most + 1)]
    return [max(range(low, high), key=totals.__getitem__) for low, high in pairwise(edges)]
