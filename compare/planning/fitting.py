"""One way within a budget: run whole where that fits, else by the engine's own means of taking less at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import NamedTuple

import revdiff
from compare.errors import one_line
from compare.planning import ways
from compare.planning.booking import Book, Booked, booked
from compare.planning.recipe import Made
from compare.planning.records import Way as Planned
from compare.planning.ways import Task, Way, Work, result_of
from compare.report.units import counted, size
from diffcore.errors import DiffError, MemoryBudgetError
from diffcore.ledger import unbooked
from revdiff.checkpointing import Action, Schedule
from revdiff.checkpointing.choosing import is_chain

TRIES = 5
"""Times that what an engine is told to keep to is lowered by the bytes that the whole came to be above the budget."""

SPARE = 0.05
"""Of what a budget leaves for tangents, what an engine is not told of at first: the update and what is made beside tangents takes it."""

SCHEDULES = 12
"""Schedules of checkpoints that are tried, each taking less than the one before."""
FAR, ELSEWHERE = 10**3, 10**2
"""A way that costs so many times what reverse mode does, whole, is not planned in chunks; and where an advice would flip, `ELSEWHERE`."""


class _Done(NamedTuple):
    """A way as it would be gone: what it costs, in how many runs, the bytes that the engine is told to keep to, or the rows at a time.

    `least` is the budget that would just do, where that is known; `account` says how the budget is kept, or why it is not.
    """

    booked: Booked
    runs: int = 1
    memory: int | None = None
    rows: int | None = None
    least: int | None = None
    account: str = ""
    schedule: str = ""
    bound: bool = False


class Fitting:
    """Plans ways of a `task` (and of others like it, more roughly) within budgets, and remembers every run.

    If `thorough`, also ways that are far too dear are planned to the end.
    """

    def __init__(self, task: Task | None = None, *, thorough: bool = False) -> None:
        self._task, self._thorough = task, thorough
        self._runs: dict[tuple[str, Task, int | Schedule | None], Booked] = {}
        self._chains: dict[Task, Made] = {}
        self._schedules: dict[tuple[Task, tuple[int, ...], tuple[Action, ...]], Schedule] = {}
        self._planned: dict[tuple[str, Task, int], Planned] = {}

    def run(self, way: Way, task: Task, memory: int | Schedule | None = None) -> Booked:
        """What `way` costs when the engine is told to keep to `memory` (or to a schedule that does), or to nothing."""
        if way is ways.CHECKPOINTS and isinstance(memory, int):
            memory = self._schedule(task, memory)
        key = way.name, task, memory
        if key not in self._runs:
            self._runs[key] = self._booked(way.name, task, lambda book: way.prepare(task, memory, book))
        return self._runs[key]

    def _booked(self, work: str, task: Task, prepare: Callable[[Book], Work]) -> Booked:
        recalled = task.recipe.recalled
        recalled.work = work, task
        return booked(prepare, recalled)

    def _chain(self, task: Task) -> Made:
        """A network to find schedules for. Raises `DiffError` for one that has no parts which could be run again."""
        if task not in self._chains:
            with unbooked():
                self._chains[task] = task.recipe.make(revdiff, task.sizes, lambda role: nullcontext())
        made = self._chains[task]
        if not is_chain(made.net):
            raise DiffError("the network is no sequence of layers, of which parts could be run again")
        return made

    def _schedule(self, task: Task, memory: int) -> Schedule:
        """The cheapest schedule of checkpoints within `memory` bytes; of those that do the same always one."""
        made = self._chain(task)
        with unbooked():
            found = revdiff.checkpoint_schedule(made.net, made.inputs, memory=memory)
        return self._schedules.setdefault((task, found.groups, tuple(found)), found)

    def _values(self, way: Way, task: Task) -> Booked:
        """What computing the values costs that `way` differentiates."""
        key = f"values of the {way.computes}", task, None
        if key not in self._runs:
            self._runs[key] = self._booked(key[0], task, lambda book: way.values(task, book))
        return self._runs[key]

    def plan(self, way: Way, task: Task, budget: int) -> Planned:
        """`way` within `budget` bytes, its directions not counted. A way that cannot be gone has no peak, and the reason."""
        key = way.name, task, budget
        if key not in self._planned:
            try:
                self._planned[key] = _record(way, budget, self._found(way, task, budget))
            except DiffError as error:
                self._planned[key] = Planned(way.name, way.title, way.computes, fits=False, reason=one_line(error))
        return self._planned[key]

    def fits(self, way: Way, task: Task, budget: int) -> bool:
        """Whether `plan` would find that `way` fits, found out in fewer runs where they are many."""
        with suppress(DiffError):
            if way.computes == ways.JACOBIAN and result_of(task) > budget:  # which is there at the end, whatever the chunks
                return False
            if way is ways.BY_ROWS and self._result_fits(task, budget):  # with fewer rows at a time it takes no more
                return any(self.run(way, task, rows).peak.nbytes <= budget for rows in (None, 1))
        return self.plan(way, task, budget).fits

    def known(self, way: Way, task: Task, budget: int) -> int | None:
        """The bytes that `way` was found to need at the least, None where it was not planned within `budget`, or not to the end."""
        found = self._planned.get((way.name, task, budget))
        return None if found is None else found.least

    def least(self, way: Way, task: Task) -> int | None:
        """The least budget with which `way` fits, None where it cannot be gone."""
        try:
            free = self.run(way, task)
            if not way.chunks:
                return free.peak.nbytes
            if way is ways.BY_ROWS:
                return min(free.peak.nbytes, self.run(way, task, 1).peak.nbytes)
            if way.computes == ways.GRADIENT and way is not ways.CHECKPOINTS and (bounded := self._bounded(task, 1, free)) is not None:
                return bounded.least
            try:
                return self.run(way, task, 1).peak.nbytes
            except MemoryBudgetError as error:
                done = self._least(way, task, error.least, "")
            return min(free.peak.nbytes, done.least or free.peak.nbytes)
        except DiffError:
            return None

    def _found(self, way: Way, task: Task, budget: int) -> _Done:
        if way is ways.CHECKPOINTS:
            return self._checkpointed(task, budget)
        free = self.run(way, task)
        if free.peak.nbytes <= budget or not way.chunks:
            return _Done(free, least=free.peak.nbytes)
        return self._by_rows(task, budget, free) if way is ways.BY_ROWS else self._in_chunks(way, task, budget, free)

    def _bounded(self, task: Task, budget: int, free: Booked) -> _Done | None:
        """A way to the gradient that is far too dear, by bounds; None for one that is not.

        To plan chunks for all directions of a large network takes as long as planning everything else. Nobody will go that way, so it is
        enough to know that it costs at least what it costs whole, and whether a direction in all parameters at once fits.
        """
        far = free.operations / max(self.run(ways.REVERSE, task).operations, 1)
        if self._thorough or far < (FAR if self._task in (None, task) else ELSEWHERE):
            return None
        one = self.run(ways.ALONG, task._replace(directions=1))
        account = f"planned by bounds only, because it costs over {far:,.0f} times what reverse does; one direction at a time"
        return _Done(free._replace(peak=one.peak), least=one.peak.nbytes, account=account, bound=True)

    def _in_chunks(self, way: Way, task: Task, budget: int, free: Booked) -> _Done:
        """Tangents in chunks of directions, the primal evaluated anew for each."""
        if way.computes == ways.GRADIENT and (bounded := self._bounded(task, budget, free)) is not None:
            return bounded
        rest = self._values(way, task).peak.nbytes
        result = result_of(task) if way.computes == ways.JACOBIAN else 0
        if result and rest + result > budget:
            return _Done(free, account=f"the Jacobian alone takes {size(result)}")
        rest += result
        memory, found = max(int((1 - SPARE) * (budget - rest)), 1), free
        for number in range(1, TRIES + 1):
            try:
                found = self.run(way, task, memory)
            except MemoryBudgetError as error:
                account = f"one direction at a time, beside the {size(rest)} that the values take"
                return self._least(way, task, error.least, account)
            over = found.peak.nbytes - budget
            if over <= 0:
                return _Done(found, _runs(found, free), memory)
            told, share = memory, (budget - rest) / (found.peak.nbytes - rest)
            memory = max(int(memory * share * (1 - SPARE * number / 2)), 1)
        return _Done(found, _runs(found, free), told, account="chunks of directions do not bring it below")

    def _least(self, way: Way, task: Task, memory: int, account: str) -> _Done:
        """`way` with the engine told to keep to the least that it can."""
        for _ in range(TRIES):
            with suppress(MemoryBudgetError):
                found = self.run(way, task, memory)
                return _Done(found, _runs(found, self.run(way, task)), memory, least=found.peak.nbytes, account=account)
            memory += memory // 10 + 1
        return _Done(self.run(way, task), account=account)

    def _result_fits(self, task: Task, budget: int) -> bool:
        """Whether the Jacobian fits twice: rows that were computed by themselves are put together at the end."""
        return self.run(ways.BY_ROWS, task).resting + 2 * result_of(task) <= budget

    def _by_rows(self, task: Task, budget: int, free: Booked) -> _Done:
        """Rows of the Jacobian in chunks of cotangents, after one forward pass."""
        way, rows = ways.BY_ROWS, ways.outputs_of(task)
        result = result_of(task)
        if not self._result_fits(task, budget):
            least = min(free.peak.nbytes, free.resting + 2 * result)
            return _Done(free, least=least, account=f"the Jacobian alone takes {size(result)}")
        passes, found = 1, free
        while passes < rows:
            passes = min(2 * passes, rows)
            chunk = -(-rows // passes)
            found = self.run(way, task, chunk)
            if found.peak.nbytes <= budget:
                return _Done(found, -(-rows // chunk), rows=chunk, account=f"{counted(chunk, 'row')} at a time")
        return _Done(found, rows, rows=1, least=found.peak.nbytes, account="even row by row")

    def _checkpointed(self, task: Task, budget: int) -> _Done:
        """The cheapest schedule within what parameters, gradients and data leave of the budget."""
        way = ways.CHECKPOINTS
        made = self._chain(task)
        free = self.run(ways.REVERSE, task)
        rest = free.resting + sum(math.prod(p.shape) * p.dtype.itemsize for p in made.net.parameters() if p.requires_grad)
        memory = max(budget - rest, 1)
        for _ in range(SCHEDULES):
            try:
                found = self.run(way, task, memory)
            except MemoryBudgetError as error:
                memory = error.least
                found = self.run(way, task, memory)
                if found.peak.nbytes > budget:
                    return _Done(found, memory=memory, least=found.peak.nbytes, account="by the schedule that takes the least")
            over, schedule = found.peak.nbytes - budget, self._schedule(task, memory)
            if over <= 0:
                again = f"{schedule.recomputed} of {schedule.steps} steps run again"
                return _Done(found, 1, memory, account=again, schedule=str(schedule))
            # Something beside what a schedule bounds was alive, such as what the loss makes: the next schedule must take less.
            memory = max(min(memory, schedule.peak or memory) - over, 1)
        return _Done(free, account="no schedule was found that takes so little less")


def _runs(chunked: Booked, whole: Booked) -> int:
    """How often the values were computed."""
    return max(round(chunked.flops.get("primal", 0) / max(whole.flops.get("primal", 0), 1)), 1)


def _record(way: Way, budget: int, done: _Done) -> Planned:
    cost, peak = done.booked, done.booked.peak.nbytes
    fits = peak <= budget
    account = f": {done.account}" if done.account else ""
    needs = done.least or peak
    reason = f"{size(peak)} of {size(budget)}{account}" if fits else f"needs {size(needs)} of {size(budget)}{account}"
    return Planned(
        way.name,
        way.title,
        way.computes,
        fits=fits,
        reason=reason,
        flops=cost.flops,
        transcendentals=cost.transcendentals,
        peak=cost.peak,
        resting=cost.resting,
        seconds=cost.seconds,
        runs=done.runs,
        memory=done.memory,
        rows=done.rows,
        least=done.least,
        schedule=done.schedule,
        bound=done.bound,
        layers=cost.layers,
    )
