"""What the experiments share: both engines, the distance of what they compute, operations, bytes, seconds and slopes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import dualdiff
import revdiff
from diffcore import tree
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import Ledger

ENGINES: dict[str, ModuleType] = {"reverse": revdiff, "forward": dualdiff}
"""Both engines, by mode."""

TOKENS = {"reverse": "strategy-0", "forward": "strategy-1"}
"""The colour of each mode, on every figure the same."""


def difference(actual: Any, expected: Any) -> float:
    """The largest distance of two structures of arrays, each array's relative to its largest element expected (or to 1e-300)."""
    pairs = zip(tree.flatten(actual)[0], tree.flatten(expected)[0], strict=True)
    return max((_distance(np.asarray(a), np.asarray(e)) for a, e in pairs), default=0.0)


def _distance(actual: Any, expected: Any) -> float:
    if actual.shape != expected.shape:
        return float("inf")
    if not expected.size:
        return 0.0
    gap = np.abs(actual - expected).max()
    return float(gap / max(np.abs(expected).max(), 1e-300)) if gap else 0.0


@dataclass(frozen=True)
class Cost:
    """What a program costs by the ledger: operations (transcendentals among them), peak bytes, and the peak of each role."""

    flops: int
    peak: int
    roles: dict[str, int]


def planned(program: Callable[..., Any], *shapes: tuple[int, ...]) -> Cost:
    """The cost of `program` on arrays of `shapes`, float64, counted on abstract arrays; its operands are not in the peak."""
    operands = [AbstractArray(shape, np.dtype(np.float64)) for shape in shapes]
    gc.collect()
    with Ledger() as ledger:
        out = program(*operands)
    del out
    return Cost(sum(ledger.flops.values()) + sum(ledger.transcendentals.values()), ledger.peak, dict(ledger.peaks))


def fastest(program: Callable[[], Any], *, repeats: int = 5, seconds: float = 0.5) -> float:
    """Seconds of the fastest of `repeats` runs after a first one; after three no further one is begun once `seconds` have passed."""
    program()
    best, end = float("inf"), time.perf_counter() + seconds
    for done in range(1, repeats + 1):
        start = time.perf_counter()
        program()
        best = min(best, time.perf_counter() - start)
        if done >= 3 and time.perf_counter() > end:
            break
    return best


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The exponent `a` of the power law `y = c x^a` that fits best (least squares of the logarithms)."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def crossing(x: Sequence[float], falling: Sequence[float], rising: Sequence[float]) -> float | None:
    """Where `rising` first overtakes `falling`, interpolated on logarithmic axes; `None` where it does not."""
    gaps = np.log(np.asarray(rising, float)) - np.log(np.asarray(falling, float))
    for i in range(1, len(gaps)):
        if gaps[i - 1] < 0 <= gaps[i]:
            share = -gaps[i - 1] / (gaps[i] - gaps[i - 1])
            return float(np.exp(np.log(x[i - 1]) + share * np.log(x[i] / x[i - 1])))
    return None


def numbers(values: Any) -> list[float | None]:
    """An array as a list of numbers."""
    return [float(value) for value in np.asarray(values, float).ravel()]
