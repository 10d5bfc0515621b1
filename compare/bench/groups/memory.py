"""Peak bytes of forward mode under a budget, against the budget and what the primal pass needs. By `tracemalloc`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import dualdiff
from compare.bench.contest import Contest, Heard
from compare.bench.records import Entrant, Target
from compare.bench.subjects import MEDIUM, Subject
from compare.bench.wanted import Limits, Wanted
from compare.measure import traced
from diffcore.errors import MemoryBudgetError

OURS, ALLOWED = "dualdiff", "memory + primal"
SUBJECTS = (MEDIUM, Subject("lenet", (1, 28, 28), 6, 2, 4))
PARTS = ((2, "budget 1/2"), (4, "budget 1/4"), (16, "budget 1/16"), (None, "least budget"))
"""Budgets: parts of what all directions at once need, and the least that is accepted, which is for one direction at a time."""


def contests(wanted: Wanted) -> list[Contest]:
    """One for each network and budget."""
    target = Target(OURS, ALLOWED, 1.0)
    return [
        Contest("memory", f"{weighed.subject.title}, {words}", "bytes", (target,), weighed.measuring(part))
        for weighed in map(Weighed, SUBJECTS)
        for part, words in PARTS
    ]


class Weighed:
    """A subject with the bytes that it needs without a budget, and the least budget; measured when they are first asked for."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @cached_property
    def _program(self) -> tuple[Any, Any, Any]:
        """The network, its batch and its loss."""
        return self.subject.net(dualdiff), self.subject.batch_arrays, self.subject.loss(dualdiff)

    def _peak(self, memory: int | None) -> int:
        """Of an evaluation of the loss and its gradient."""
        net, batch, loss = self._program
        evaluate = dualdiff.value_and_grad(loss, seeding="activations", memory=memory)
        return traced(lambda: evaluate(net, *batch))

    @cached_property
    def primal(self) -> int:
        """Peak of an evaluation of the loss alone."""
        net, batch, loss = self._program
        tensors = [dualdiff.tensor(array) for array in batch]

        def evaluate() -> Any:
            with dualdiff.no_grad():
                return loss(net, *tensors)

        return traced(evaluate)

    @cached_property
    def whole(self) -> int:
        """What all directions at once add to that."""
        return self._peak(None) - self.primal

    @cached_property
    def least(self) -> int:
        """The least budget, which is enough for one direction at a time."""
        try:
            self._peak(1)
        except MemoryBudgetError as error:
            return error.least
        return 1

    def measuring(self, part: int | None) -> Callable[[Limits, Heard], list[Entrant]]:
        """Weigh an evaluation under a `part` of what all directions need, or under the least budget."""

        def measure(limits: Limits, heard: Heard) -> list[Entrant]:
            budget = self.least if part is None else max(self.whole // part, self.least)
            peak = self._peak(budget)
            return [
                Entrant(OURS, [float(peak)], note=f"memory={budget:,} bytes, seeding='activations'"),
                Entrant(ALLOWED, [float(budget + self.primal)], note=f"primal {self.primal:,} bytes"),
            ]

        return measure
