"""The cheapest schedule within a memory budget, for steps of different sizes.

Dynamic programming over parts of the chain (Beaumont, Eyraud-Dubois, Herrmann, Joly, Shilova 2019, "Optimal checkpointing for
heterogeneous chains: how to train deep neural networks with limited memory"). A part is the forward and backward pass of steps `s:t`, whose
first value is there. Its ways: to record step `s` and go on with `s+1:t` in what its residuals leave; or to run on to a value `c`, do `c:t`
while value `s` is stored, and then `s:c` from there. What a step's residuals share with the values around it counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
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
        self._before = np.cumsum([0, *(step.advancing.total for step in sizes.steps)])
        # running on from value s to value c takes at most `_going[s][c - s - 1]` bytes besides value s
        self._going = [
            np.maximum.accumulate([sizes.steps[k].advance + (self._values[k] if k > s else 0) for k in range(s, self.count)])
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

    def recording(self, part: Part) -> Way:
        """The way that records the first step."""
        s, t, held = part
        step = self._sizes.steps[s]
        before = 0 if held else self._values[s]
        waiting = self._sizes.cotangents[t]
        kept = step.residual + (before if step.keeps_before else 0)
        after = self._values[s + 1] if step.keeps_after else 0
        most = max(before + step.record + waiting, kept + after + step.reverse)
        then = ((Part(s + 1, t, held=step.keeps_after), kept + after),) if t > s + 1 else ()
        return Way(-1, most, then, step.recording.total)

    def ways(self, part: Part) -> Iterator[Way]:
        """The ways through a part."""
        yield self.recording(part)
        yield from (self.going(part, number) for number in range(part.stop - part.start - 1))

    def going(self, part: Part, number: int) -> Way:
        """Of the ways that run on, the one with that number."""
        s, t, held = part
        before, mosts, costs = self.split(part)
        to = s + 1 + number
        return Way(to, int(mosts[number]), ((Part(to, t, held=False), before), (Part(s, to, held), 0)), int(costs[number]))

    def split(self, part: Part) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
        """Of the ways that run on, to every value in turn: the bytes held meanwhile, those that each takes itself, and its cost."""
        s, t, held = part
        before = 0 if held else self._values[s]
        most = self._going[s][: t - s - 1] + (before + self._sizes.cotangents[t])
        return before, most, self._before[s + 1 : t] - self._before[s]

    @cached_property
    def _least(self) -> NDArray[np.int64]:
        """The bytes without which there is no way through a part, by start, stop and whether the value before it is held."""
        least = np.zeros((self.count + 1, self.count + 1, 2), np.int64)
        for part in self.parts():
            s, t, held = part
            before, most, _ = self.split(part)
            needs = np.maximum(np.maximum(most, before + least[s + 1 : t, t, 0]), least[s, s + 1 : t, int(held)])
            least[s, t, int(held)] = min(self._need(self.recording(part), least), int(needs.min(initial=_MOST)))
        return least

    def least(self, part: Part) -> int:
        """The bytes without which there is no way through a part."""
        return int(self._least[part.start, part.stop, int(part.held)])

    def thriftiest(self, part: Part) -> Way:
        """The way that needs least."""
        return min(self.ways(part), key=lambda way: self._need(way, self._least))

    def _need(self, way: Way, least: NDArray[np.int64]) -> int:
        return max(way.most, *(held + int(least[part.start, part.stop, int(part.held)]) for part, held in way.then), 0)


_MOST = np.iinfo(np.int64).max


@lru_cache(maxsize=8)
def _search(sizes: Sizes) -> Search:
    """The search, which one budget after another is asked of."""
    return Search(sizes)


class Plan:
    """The cheapest way through every part of a chain, for every number of units of memory."""

    def __init__(self, search: Search, budget: int) -> None:
        self._search, self._unit = search, max(budget / UNITS, 1.0)
        self.units = int(budget / self._unit) + SPARE
        size = search.count + 1
        self._numbers = np.arange(self.units + 1)
        self._ways: dict[tuple[Part, int], Way] = {}
        self._costs = np.zeros((size, size, 2, self.units + 1))
        for part in search.parts():
            self._costs[part.start, part.stop, int(part.held)] = self._cheapest(part)

    def _units(self, nbytes: int) -> int:
        return min(int(np.ceil(nbytes / self._unit)), self.units + 1)

    def _of(self, part: Part) -> NDArray[np.float64]:
        """What a part costs, for every memory."""
        return self._costs[part.start, part.stop, int(part.held)]

    def _cheapest(self, part: Part) -> NDArray[np.float64]:
        """What the cheapest way through a part costs, for every memory; infinite where there is too little."""
        s, t, held = part
        way = self._search.recording(part)
        best = np.full(self.units + 1, float(way.cost))
        for rest, bytes_held in way.then:
            _add_shifted(best, self._of(rest), self._units(bytes_held))
        best[: self._units(way.most)] = np.inf
        if t == s + 1:
            return best
        before, mosts, costs = self._search.split(part)
        running, taken = np.empty((t - s - 1, self.units + 1)), self._units(before)
        running[:, :taken] = np.inf
        np.add(self._costs[s + 1 : t, t, 0, : self.units + 1 - taken], costs[:, None], out=running[:, taken:])
        running += self._costs[s, s + 1 : t, int(held)]
        np.copyto(running, np.inf, where=self._numbers < self._lacking(mosts)[:, None])
        return np.minimum(best, running.min(axis=0))

    def _lacking(self, mosts: NDArray[np.int64]) -> NDArray[np.float64]:
        """`_units` of several."""
        found: NDArray[np.float64] = np.minimum(np.ceil(mosts / self._unit), self.units + 1)
        return found

    def _way(self, part: Part, memory: int) -> Way:
        """The cheapest way with so many units; where rounding to units has left none, the one that needs least."""
        key = part, memory
        if key not in self._ways:
            self._ways[key] = self._cheapest_way(part, memory) if np.isfinite(self._of(part)[memory]) else self._search.thriftiest(part)
        return self._ways[key]

    def _cheapest_way(self, part: Part, memory: int) -> Way:
        """The first of the cheapest ways with so many units."""
        s, t, held = part
        way = self._search.recording(part)
        before, mosts, costs = self._search.split(part)
        left = memory - self._units(before)
        if t == s + 1 or left < 0:
            return way
        found = costs + (self._costs[s + 1 : t, t, 0, left] + self._costs[s, s + 1 : t, int(held), memory])
        found[memory < self._lacking(mosts)] = np.inf
        to = int(found.argmin())
        return self._search.going(part, to) if found[to] < self._cost_with(way, memory) else way

    def _cost_with(self, way: Way, memory: int) -> float:
        """What a way costs with so many units."""
        if memory < self._units(way.most):
            return np.inf
        left = [(part, memory - self._units(held)) for part, held in way.then]
        return way.cost + sum(float(self._of(part)[units]) if units >= 0 else np.inf for part, units in left)

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


def _add_shifted(total: NDArray[np.float64], costs: NDArray[np.float64], taken: int) -> None:
    """Add what a part costs of which others hold so many units meanwhile; it is infinite where there is too little."""
    total[taken:] += costs[: len(costs) - taken]
    total[:taken] = np.inf


@lru_cache(maxsize=32)
def cheapest(sizes: Sizes, budget: int) -> tuple[Action, ...]:
    """The actions of the cheapest schedule that takes `budget` bytes at most. Raises `MemoryBudgetError` if there is none."""
    search = _search(sizes)
    least = search.least(search.whole)
    if budget < least:
        raise too_small(budget, least)
    plan = Plan(search, budget)
    before = None
    for memory in range(plan.units, 0, -4):
        actions = tuple(plan.actions(search.whole, memory))
        if actions != before and max(live for _, live in sizes.walk(actions)) <= budget:
            return actions
        before = actions
    return tuple(plan.actions(search.whole, 0))


def too_small(budget: int, least: int) -> MemoryBudgetError:
    """The error for a budget that cannot be kept."""
    return MemoryBudgetError(
        f"checkpoint: `memory` (={budget} bytes) is below what one segment needs: at least {least} bytes would do", least
    )
