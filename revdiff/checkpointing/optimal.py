"""The cheapest schedule within a memory budget, for steps of different sizes.

Dynamic programming over parts of the chain (Beaumont, Eyraud-Dubois, Herrmann, Joly, Shilova 2019, "Optimal checkpointing for
heterogeneous chains: how to train deep neural networks with limited memory"). A part is the forward and backward pass of steps `s:t`, whose
first value is there. Its ways: to record step `s` and go on with `s+1:t` in what its residuals leave; or to run on to a value `c`, do `c:t`
while value `s` is stored, and then `s:c` from there. What a step's residuals share with the values around it counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffcore.errors import MemoryBudgetError
from revdiff.checkpointing.schedule import Action, Verb
from revdiff.checkpointing.sizes import Sizes

UNITS = 500
"""Parts of the budget that the search tells apart; what a step takes is rounded up to whole ones."""
SPARE = 80
"""Units beyond the budget with which schedules are looked for: so many may have been lost by rounding up."""
STEPS = 48
"""Steps at most that the search tells apart, since its work grows with their third power."""


class Way(NamedTuple):
    """One way through a part: the value to run on to, or -1 to record the first step.

    `most` are the bytes that it takes itself. It leads through the parts `then`, each with the bytes that are held meanwhile, and costs
    `cost` operations besides these.
    """

    to: int
    most: int
    then: tuple[tuple[Part, int], ...]
    cost: int


class Part(NamedTuple):
    """Steps `start:stop`; `held` says whether the value before them is held by others anyway, so that it takes no bytes here."""

    start: int
    stop: int
    held: bool


class Search:
    """The parts of a chain, and the ways through them."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self.count = len(sizes.steps)
        self._values = [sizes.values[base] for base in sizes.bases]
        self._before = [0, *accumulate(step.advancing.total for step in sizes.steps)]
        # running on from value s to value c takes at most `_going[s][c - s - 1]` bytes besides value s
        self._going = [
            list(accumulate((sizes.steps[k].advance + (self._values[k] if k > s else 0) for k in range(s, self.count)), max))
            for s in range(self.count)
        ]

    @property
    def whole(self) -> Part:
        """All of the chain, whose input is the caller's."""
        return Part(0, self.count, held=True)

    def parts(self) -> Iterator[Part]:
        """All parts, shorter ones first."""
        for length in range(1, self.count + 1):
            for start in range(self.count - length + 1):
                yield Part(start, start + length, held=False)
                yield Part(start, start + length, held=True)

    def ways(self, part: Part) -> Iterator[Way]:
        """The ways through a part."""
        s, t, held = part
        step = self._sizes.steps[s]
        before = 0 if held else self._values[s]
        waiting = self._sizes.cotangents[t]
        kept = step.residual + (before if step.keeps_before else 0)
        after = self._values[s + 1] if step.keeps_after else 0
        most = max(before + step.record + waiting, kept + after + step.reverse)
        then = ((Part(s + 1, t, held=step.keeps_after), kept + after),) if t > s + 1 else ()
        yield Way(-1, most, then, step.recording.total)
        for c, going in enumerate(self._going[s][: t - s - 1], s + 1):
            both = (Part(c, t, held=False), before), (Part(s, c, held), 0)
            yield Way(c, before + going + waiting, both, self._before[c] - self._before[s])

    @cached_property
    def least(self) -> dict[Part, int]:
        """The bytes without which there is no way through a part."""
        least: dict[Part, int] = {}
        for part in self.parts():
            least[part] = min(_need(way, least) for way in self.ways(part))
        return least

    def thriftiest(self, part: Part) -> Way:
        """The way that needs least."""
        return min(self.ways(part), key=lambda way: _need(way, self.least))


def _need(way: Way, least: dict[Part, int]) -> int:
    return max(way.most, *(held + least[part] for part, held in way.then), 0)


class Plan:
    """The cheapest way through every part of a chain, for every number of units of memory."""

    def __init__(self, search: Search, budget: int) -> None:
        self._search, self._unit = search, max(budget / UNITS, 1.0)
        self.units = int(budget / self._unit) + SPARE
        self._costs: dict[Part, NDArray[np.float64]] = {}
        for part in search.parts():
            self._costs[part] = np.min([self._cost(way) for way in search.ways(part)], axis=0)

    def _units(self, nbytes: int) -> int:
        return min(int(np.ceil(nbytes / self._unit)), self.units + 1)

    def _cost(self, way: Way) -> NDArray[np.float64]:
        """What a way costs, for every memory; infinite where there is too little."""
        total = np.full(self.units + 1, float(way.cost))
        for part, held in way.then:
            taken = self._units(held)
            total[taken:] += self._costs[part][: self.units + 1 - taken]
            total[:taken] = np.inf
        total[: self._units(way.most)] = np.inf
        return total

    def _way(self, part: Part, memory: int) -> Way:
        """The cheapest way with so many units; where rounding to units has left none, the one that needs least."""
        if not np.isfinite(self._costs[part][memory]):
            return self._search.thriftiest(part)
        return min(self._search.ways(part), key=lambda way: self._cost_with(way, memory))

    def _cost_with(self, way: Way, memory: int) -> float:
        """What a way costs with so many units."""
        if memory < self._units(way.most):
            return np.inf
        left = [(part, memory - self._units(held)) for part, held in way.then]
        return way.cost + sum(float(self._costs[part][units]) if units >= 0 else np.inf for part, units in left)

    def actions(self, part: Part, memory: int, stored: bool = False) -> Iterator[Action]:
        """What to do for a part, standing at the value before it, which is `stored` or not."""
        way = self._way(part, memory)
        rest = [(each, max(0, memory - self._units(held))) for each, held in way.then]
        s = part.start
        if way.to < 0:
            if stored:
                yield Action(Verb.DISCARD, s)
            yield Action(Verb.RECORD, s, s + 1)
            for each, left in rest:
                yield from self.actions(each, left)
            yield Action(Verb.REVERSE, s, s + 1)
            return
        if not stored:
            yield Action(Verb.STORE, s)
        yield Action(Verb.ADVANCE, s, way.to)
        (behind, left), (again, whole) = rest
        yield from self.actions(behind, left)
        yield Action(Verb.RESTORE, s)
        yield from self.actions(again, whole, stored=True)


def cheapest(sizes: Sizes, budget: int) -> list[Action]:
    """The actions of the cheapest schedule that takes `budget` bytes at most. Raises `MemoryBudgetError` if there is none."""
    search = Search(sizes)
    least = search.least[search.whole]
    if budget < least:
        raise too_small(budget, least)
    plan = Plan(search, budget)
    for memory in range(plan.units, 0, -4):
        actions = list(plan.actions(search.whole, memory))
        if max(live for _, live in sizes.walk(actions)) <= budget:
            return actions
    return list(plan.actions(search.whole, 0))


def too_small(budget: int, least: int) -> MemoryBudgetError:
    """The error for a budget that cannot be kept."""
    return MemoryBudgetError(
        f"checkpoint: `memory` (={budget} bytes) is below what one segment needs: at least {least} bytes would do", least
    )
