"""Chunks of directions under a memory budget, planned by running the same engine on abstract arrays.

A run with no directions gives the peak of the primal pass, and runs with some directions of one seed what these add to it. That is a
maximum over program points of functions linear in the number of directions, so it is convex, and the chord between one direction
and `k` bounds it in between; peaks of several seeds add up at most. Seeds are packed into chunks in program order under that bound.
`memory=B` therefore means: the peak is at most that of the primal pass plus B.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from diffcore.errors import MemoryBudgetError
from diffcore.ledger import Ledger
from dualdiff.seeding import Key, Seeding, Window

Windows = dict[Key, Window]

class _Cost(NamedTuple):
    """Bytes above the primal pass: `first` for one direction of a seed, at most `further` for each more up to `most`; `size` in all."""

    key: Key
    size: int
    most: int
    first: int
    further: int

    def count(self, free: int) -> int:
        """How many directions fit into `free` bytes."""
        return 0 if free < self.first else min(self.most, 1 + (free - self.first) // self.further)


def plan(run: Callable[[Seeding], object], mode: str, budget: int) -> list[Windows]:
    """Windows of as few runs as fit `budget` bytes each; together they cover every direction once.

    `run(seeding)` runs the function on abstract arrays. Raises `MemoryBudgetError` stating the least budget that would do.
    """
    seeding = Seeding(mode, {}, planning=True)
    primal = _peak(run, seeding)
    costs = []
    for key, size in (seeding.sizes or {}).items():
        if size:
            costs.append(_cost(key, size, budget, lambda k, key=key: _peak(run, Seeding(mode, {key: (0, k)})) - primal))  # type: ignore[misc]
    least = max((cost.first for cost in costs), default=0)
    allowed = budget
    while True:
        if least > allowed:
            raise MemoryBudgetError(f"memory (={budget} bytes) is below what one direction needs: at least {least} bytes would do", least)
        chunks = _packed(costs, allowed)
        excess = max((_peak(run, Seeding(mode, windows)) - primal - budget for windows in _distinct(chunks)), default=0)
        if excess <= 0:
            return chunks or [{}]
        allowed -= max(excess, 1)


def _cost(key: Key, size: int, budget: int, added: Callable[[int], int]) -> _Cost:
    """The cost of one seed, by chords that are shortened until they end near what fits the budget."""
    first, most = added(1), size
    while True:
        further = max(-(-(added(most) - first) // max(most - 1, 1)), 1)
        fitting = _Cost(key, size, most, first, further).count(budget)
        if 4 * fitting >= most or fitting <= 1:
            return _Cost(key, size, max(min(most, 2 * fitting), 1), first, further)
        most = 2 * fitting


def _peak(run: Callable[[Seeding], object], seeding: Seeding) -> int:
    with Ledger() as ledger:
        run(seeding)
    return ledger.peak


def _packed(costs: list[_Cost], budget: int) -> list[Windows]:
    chunks: list[Windows] = []
    free = 0
    for cost in costs:
        start = 0
        while start < cost.size:
            count = cost.count(free) if chunks and cost.key not in chunks[-1] else 0
            if count == 0:
                chunks.append({})
                free = budget
                count = cost.count(free)
            stop = min(start + count, cost.size)
            chunks[-1][cost.key] = (start, stop)
            free -= cost.first + (stop - start - 1) * cost.further
            start = stop
    return chunks


def _distinct(chunks: list[Windows]) -> list[Windows]:
    """One of every kind of chunk: chunks with the same seeds and numbers of directions cost the same."""
    kinds = {tuple((key, stop - start) for key, (start, stop) in windows.items()): windows for windows in chunks}
    return list(kinds.values())
