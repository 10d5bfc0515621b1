"""Where an advice changes when one knob is turned and all else stays: found by planning at other values of it, and told exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from compare.planning import ways
from compare.planning.advising import Adviser, cost
from compare.planning.records import Flip
from compare.planning.records import Way as Planned
from compare.planning.ways import Task, Way

MOST = {"batch": 2**16, "depth": 64, "outputs": 2**16, "budget": 2**44}
"""How far each knob is turned up; down it is turned to 1, and the budget to the bytes that are there before a step begins."""


class Turned(NamedTuple):
    """The task and the budget with one knob at another value."""

    task: Task
    budget: int


class Dial(NamedTuple):
    """One knob: the `values` that it can have, in order, what it is `now`, and what there is to plan `at` each value."""

    knob: str
    values: Sequence[int]
    now: int
    at: Callable[[int], Turned]


class Flips:
    """The flips of one advice: `best` is what is advised now, None where nothing fits."""

    def __init__(self, adviser: Adviser, computes: str, best: str | None, among: Sequence[Way]) -> None:
        self._adviser, self._computes = adviser, computes
        self._among = tuple(among)
        self._best = None if best is None else ways.WAYS[best]

    def along(self, dial: Dial) -> Iterator[Flip]:
        """The change next above what the knob is now, and the one next below; one that says so where there is none."""
        change = self._budgeted if dial.knob == "budget" else self._next
        found = [flip for flip in (change(dial, -1), change(dial, 1)) if flip is not None]
        yield from found or [self._flip(dial, None, None if self._best is None else self._best.name, below=False)]

    def _flip(self, dial: Dial, value: int | None, to: str | None, *, below: bool) -> Flip:
        before = None if self._best is None else self._best.name
        return Flip(self._computes, dial.knob, dial.now, dial.values[0], dial.values[-1], before, to, value, below)

    def _next(self, dial: Dial, sign: int) -> Flip | None:
        """The first value at which the advice is another, between now and one end of the range.

        It is taken for granted that an advice does not change there and back, as costs and bytes are so much for each example, layer or
        output, and so much beside. Where that fails (kernels that go another way at some size, a network whose depth changes its kind),
        the value found is still one at which the advice changes, and so is right with the value before it, but an earlier change that was
        undone in between is missed; and where the advice at the end of the range is the same as now, none is looked for.
        """
        near, last = dial.values.index(dial.now), len(dial.values) - 1 if sign > 0 else 0
        if near == last or self._stands(dial, last, sign):
            return None
        failing = [last]
        for number in range(64):
            far = failing[-1]
            if abs(far - near) <= 1:
                break
            probe = self._probe(dial, near, failing, number)
            if self._stands(dial, probe, sign):
                near = probe
            else:
                failing.append(probe)
        value = dial.values[failing[-1]]
        best = self._adviser.fastest(self._among, *dial.at(value))
        return self._flip(dial, value, None if best is None else best.name, below=sign < 0)

    def _budgeted(self, dial: Dial, sign: int) -> Flip | None:
        """The same along the budget, where an advice changes at the bytes that a way needs, whole or at the least, or between two of these.

        With more, a way that costs less may come to fit; with less, the advised one no longer.
        """
        task, now = dial.at(dial.now)
        needs = sorted(self._needs(task, now, sign))
        steps = [n for n in needs if now < n <= dial.values[-1]] if sign > 0 else [n - 1 for n in reversed(needs) if n <= now]
        near = now
        for far in steps:
            if self._stands(dial, far - dial.values[0], sign):
                near = far
                continue
            while abs(far - near) > 1 and not self._stands(dial, far - sign - dial.values[0], sign):
                middle = (near + far) // 2
                if self._stands(dial, middle - dial.values[0], sign):
                    near = middle
                else:
                    far = middle
            best = self._adviser.fastest(self._among, task, far)
            return self._flip(dial, far, None if best is None else best.name, below=sign < 0)
        return None

    def _needs(self, task: Task, budget: int, sign: int) -> set[int]:
        """Bytes at which an advice may change."""
        adviser, mine = self._adviser, self._best
        if sign < 0:
            rivals: list[Way] = [] if mine is None else [mine]
        elif mine is None:
            rivals = list(self._among)
        else:
            own = cost(adviser.plan(mine, task, budget))
            rivals = [way for way in self._among if way is not mine and adviser.least_cost(way, task) <= own]
        found: set[int] = set()
        for way in rivals:
            least = adviser.fitting.least(way, task)
            if least is not None:
                found |= {least, adviser.fitting.run(way, task).peak.nbytes}
        return found

    def _probe(self, dial: Dial, near: int, failing: list[int], number: int) -> int:
        """Where to look next: where a line through what it needs at the last two values comes to the budget, else in between.

        Where nothing fits, the line is that of a Jacobian that grows, from the bytes that the ways to it need.
        """
        far, sign = failing[-1], 1 if failing[-1] > near else -1
        middle = (near + far) // 2
        if self._best is None:
            steps = self._steps(dial, near, far) if number < _GUESSES else None
            return middle if steps is None else min(max(near + sign * steps, min(near, far) + 1), max(near, far) - 1)
        if len(failing) < 2 or len(failing) > 8:
            return middle
        (x1, y1), (x2, y2) = ((i, self._over(dial, i)) for i in failing[-2:])
        if y1 is None or y2 is None or y1 == y2:
            return middle
        guess = round(x2 - y2 * (x2 - x1) / (y2 - y1))
        return min(max(guess, near + 1), far - 1) if sign > 0 else max(min(guess, near - 1), far + 1)

    def _steps(self, dial: Dial, near: int, far: int) -> int | None:
        """How far from `near`, where nothing fits, the Jacobian is so much smaller that one does; None where what ways need is unknown."""
        if self._computes != ways.JACOBIAN:
            return None
        (task, budget), (other, _) = dial.at(dial.values[near]), dial.at(dial.values[far])
        slope = (ways.result_of(task) - ways.result_of(other)) / abs(near - far)
        needs = [self._adviser.fitting.known(way, task, budget) for way in self._among]
        known = [need for need in needs if need is not None]
        if slope <= 0 or len(known) < len(needs):
            return None
        # Rows that were computed by themselves are put together at the end, so that the Jacobian is there twice.
        return min(math.ceil((n - budget) / slope / (2 if way is ways.BY_ROWS else 1)) for way, n in zip(self._among, known, strict=True))

    def _over(self, dial: Dial, index: int) -> int | None:
        """Bytes by which what the advised way needs is above the budget; None where it fits, or that is not known."""
        assert self._best is not None
        task, budget = dial.at(dial.values[index])
        planned = self._adviser.plan(self._best, task, budget)
        return None if planned.fits or planned.least is None else planned.least - budget

    def _stands(self, dial: Dial, index: int, sign: int) -> bool:
        """Whether the advice is the same with the knob at that value."""
        task, budget = dial.at(dial.values[index])
        adviser, mine = self._adviser, self._best
        if mine is None:
            return not any(adviser.fitting.fits(way, task, budget) for way in self._among)
        own: Planned | None = None
        if sign > 0 or dial.knob == "budget":  # on the way down what fits goes on to fit
            own = adviser.plan(mine, task, budget)
            if not own.fits:
                return False
        for rank, way in enumerate(self._among):
            if way is mine:
                continue
            bound = adviser.least_cost(way, task)
            if own is None and bound > _FAR * adviser.least_cost(mine, task):
                continue
            if self._beats(way, mine, bound, task, budget, earlier=rank < self._among.index(mine)):
                return False
        return True

    def _beats(self, way: Way, mine: Way, bound: float, task: Task, budget: int, *, earlier: bool) -> bool:
        """Whether a rival fits and costs less, or as much if it stands `earlier`."""
        adviser = self._adviser
        if way is ways.REVERSE and mine is ways.CHECKPOINTS:  # which never costs less
            return adviser.plan(way, task, budget).fits
        own = cost(adviser.plan(mine, task, budget))
        if bound > own or bound == own and not earlier:
            return False
        rival = adviser.plan(way, task, budget)
        return rival.fits and (cost(rival) < own or cost(rival) == own and earlier)


_GUESSES = 16
"""Probes after which the next ones are in the middle, whatever a line says."""

_FAR = 8
"""On the way down, a way whose bound is so many times that of the advised one is not compared with it any closer. It is no proof: what the
advised way costs within the budget may be that much above its bound, by chunks or further runs, and then that rival is missed."""
