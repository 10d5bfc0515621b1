"""Which way to go: the fastest that fits, among those that compute the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from compare.planning import ways
from compare.planning.fitting import Fitting
from compare.planning.records import Advice
from compare.planning.records import Way as Planned
from compare.planning.ways import Task, Way
from compare.report.units import counted, duration, operations, ratio, size
from diffcore.errors import DiffError

RANKED = {ways.GRADIENT: ways.GRADIENTS, ways.JACOBIAN: (ways.BY_ROWS, ways.BY_COLUMNS)}
"""Ways that can stand for each other, by what they compute."""


def cost(planned: Planned) -> float:
    """What a way is ranked by: predicted seconds, or operations where no seconds can be told."""
    return planned.operations if planned.seconds is None else planned.seconds


def told(planned: Planned) -> str:
    """The cost in words: of operations, as tables tell them, transcendentals apart."""
    return operations(sum(planned.flops.values())) if planned.seconds is None else f"{duration(planned.seconds)} predicted"


class Adviser:
    """Finds the fastest way that fits, at any task and budget, and plans no way that cannot be it."""

    def __init__(self, fitting: Fitting, base: Task) -> None:
        self.fitting = fitting
        self._base = base

    def plan(self, way: Way, task: Task, budget: int) -> Planned:
        """`way` within `budget`."""
        return self.fitting.plan(way, task, budget)

    def least_cost(self, way: Way, task: Task) -> float:
        """A bound from below on what `way` costs: chunks and further runs only add to what it costs whole.

        What a step does is so much for each example, and so much whatever the batch: so of another batch it costs at least the smaller of
        what it costs now and that in proportion. That saves running a way that is far off.
        """
        whole = ways.REVERSE if way is ways.CHECKPOINTS else way
        if whole.computes == ways.GRADIENT and whole is not ways.REVERSE and task._replace(sizes=self._base.sizes) == self._base:
            batch, now = task.sizes.batch, self._base.sizes.batch
            if task.sizes == self._base.sizes._replace(batch=batch):
                return self._whole(whole, self._base) * min(1.0, batch / now)
        return self._whole(whole, task)

    def _whole(self, way: Way, task: Task) -> float:
        try:
            found = self.fitting.run(way, task)
        except DiffError:  # it cannot be gone
            return math.inf
        return found.operations if found.seconds is None else found.seconds

    def fastest(self, among: Sequence[Way], task: Task, budget: int) -> Planned | None:
        """The cheapest of the ways that fit; of equals the first. None where none fits."""
        best: Planned | None = None
        bounds = {way.name: self.least_cost(way, task) for way in among}
        for way in sorted(among, key=lambda way: bounds[way.name]):
            if best is not None and bounds[way.name] >= cost(best):
                break
            planned = self.plan(way, task, budget)
            if planned.fits and (best is None or cost(planned) < cost(best)):
                best = planned
        return best


def advise(planned: Sequence[Planned], computes: str, budget: int) -> Advice:
    """The advice among ways that compute the same, with its reason in numbers."""
    rivals = [way for way in planned if way.computes == computes and way.peak is not None]
    fitting = sorted((way for way in rivals if way.fits), key=cost)
    if not rivals:
        reasons = "; ".join(way.reason for way in planned if way.computes == computes)
        return Advice(computes, None, f"There is no way to the {computes}: {reasons}.")
    if not fitting:
        least = min(rivals, key=lambda way: way.least or way.nbytes)
        return Advice(computes, None, f"None fits: the least takes {least.title}, which {least.reason}.")
    best, *others = fitting
    why = f"{_named(best)} is the fastest that fits: {told(best)}, {size(best.nbytes)} of {size(budget)}"
    faster = sorted((way for way in rivals if not way.fits and cost(way) < cost(best)), key=cost)
    if faster:
        needs = f"needs {size(faster[0].least or faster[0].nbytes)}"
        why += f"; {faster[0].title} would take {ratio(cost(faster[0]) / cost(best), 'x')} of that, but {needs}"
    if others:
        same = cost(others[0]) == cost(best)
        why += f"; {others[0].title} takes {'the same' if same else ratio(cost(others[0]) / cost(best), 'x')}, {size(others[0].nbytes)}"
    elif not faster:
        why += f"; no other of the {counted(len(rivals), 'way')} fits"
    return Advice(computes, best.name, why + ".")


def _named(planned: Planned) -> str:
    return planned.title[:1].upper() + planned.title[1:]
