"""One contest: entrants that do the same work, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.bench.records import Entrant, Quantity, Target
from compare.bench.wanted import Limits
from compare.errors import DisagreementError

TOLERANCE = 2e-5
"""Largest difference of results, relative to the largest number of them, at which contestants compute the same in float32."""

Outcome = tuple[Any, dict[str, Any]]
"""What work computes: the value (None where there is none), and derivatives by name."""
Heard = Callable[[float], None]
"""Told which part of a contest is done, from 0 to 1."""


@dataclass(frozen=True)
class Contest:
    """`measure` does the work. What it measures stands in `quantity`."""

    group: str
    subject: str
    quantity: Quantity
    targets: tuple[Target, ...]
    measure: Callable[[Limits, Heard], list[Entrant]]


@dataclass(frozen=True)
class Contestant:
    """One that is timed: `work` computes on the threads of `library`.

    Where the whole would take too long `work` is a `share` of it: its first `covers` derivatives, which `note` says in words.
    """

    name: str
    work: Callable[[], Outcome]
    library: str = "numpy"
    share: float = 1.0
    covers: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Absent:
    """One that cannot take part, and why."""

    name: str
    reason: str


def check(contestants: Sequence[Contestant]) -> dict[str, float]:
    """Seconds that each contestant took to compute it for the first time.

    Raises `DisagreementError` when a contestant does not compute what the first one computes.
    """
    first, *others = contestants
    seconds = dict[str, float]()

    def computed(contestant: Contestant) -> Outcome:
        start = time.perf_counter()
        outcome = contestant.work()
        seconds[contestant.name] = time.perf_counter() - start
        return outcome

    value, derivatives = computed(first)
    expected = _flat(derivatives, derivatives)
    scale = float(abs(expected).max())
    for other in others:
        found_value, found = computed(other)
        flat = _flat(found, derivatives if found.keys() == derivatives.keys() else found)
        wanted = expected[: other.covers]
        if flat.shape != wanted.shape:
            raise DisagreementError(f"bench: {other.name} computes {flat.size} derivatives where {first.name} computes {wanted.size}")
        worst = float(abs(flat - wanted).max()) / scale
        if not worst <= TOLERANCE:
            raise DisagreementError(
                f"bench: derivatives by {other.name} differ from those by {first.name} by {worst:.3g} of the largest;"
                f" at most {TOLERANCE:g} is allowed"
            )
        if found_value is not None and not abs(float(found_value) - float(value)) <= TOLERANCE * max(abs(float(value)), 1.0):
            raise DisagreementError(f"bench: the value by {other.name} is {float(found_value):g}, by {first.name} {float(value):g}")
    return seconds


def _flat(derivatives: dict[str, Any], names: dict[str, Any]) -> Any:
    return np.concatenate([np.asarray(derivatives[name]).astype(np.float64).ravel() for name in names])
