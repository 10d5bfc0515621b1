"""What every source of truth says of itself, and the step that it measures."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from compare.measure import works
from compare.messages import Prepared
from compare.report.summary import RESTING
from compare.settings import Settings
from compare.strategies import Strategy
from diffcore.ledger import Work as Call

BYTES, OPERATIONS = "bytes", "operations"
"""The units."""


class Unavailable(Exception):
    """A truth that cannot be measured here; the message is the reason, a few words."""


@dataclass
class Work:
    """One training step of a strategy, which `step` repeats; `wait` returns when what it computed is there.

    `prepared` is what the ledger says of the step, which runs on arrays of `settings.backend`.
    """

    settings: Settings
    strategy: Strategy
    prepared: Prepared
    step: Callable[[Any, Any], Any]
    wait: Callable[[], None]
    inputs: Any
    targets: Any
    steps: int = 0
    """Steps made so far."""

    def again(self) -> None:
        """Make a step, to its end."""
        self.step(self.inputs, self.targets)
        self.wait()
        self.steps += 1

    def settle(self) -> None:
        """See to it that a step has been made, which sets up what is there from the second one on, and collect what it left."""
        if not self.steps:
            self.again()
        gc.collect()

    @cached_property
    def lowered(self) -> Any:
        """The step as it is handed to XLA. Raises `Unavailable` where it is not compiled."""
        if not hasattr(self.step, "lowered"):
            raise Unavailable(f"the {self.settings.backend} backend compiles nothing")
        self.settle()
        return self.step.lowered(self.inputs, self.targets)

    @cached_property
    def compiled(self) -> Any:
        """The step as XLA compiled it. Raises `Unavailable` where it is not compiled."""
        return self.lowered.compile()

    @cached_property
    def calls(self) -> Counter[Call]:
        """The numpy calls of the step as it is planned; none under jax."""
        if self.settings.backend != "numpy":
            return Counter()
        return works(self.settings, self.strategy, self.settings.dtype, self.prepared.memory)

    @property
    def above_rest(self) -> int:
        """Planned bytes at the peak of the step above what rests before it."""
        timeline = self.prepared.timeline
        first = timeline[0].bytes if timeline else {}
        return self.prepared.planned_peak - sum(first.get(role, 0) for role in RESTING)

    @property
    def flops(self) -> int:
        """Planned operations, without transcendentals."""
        return sum(self.prepared.flops.values())


class Source:
    """One way to measure what the ledger predicts; subclasses describe one in a file of its own.

    `name` is its key in the records, `measures` says in a few words what it measures, `unit` is `BYTES` or `OPERATIONS`. A `dear` one takes
    seconds, whatever the step, and is left to `python -m compare truth`.
    """

    name: str
    measures: str
    unit: str
    dear = False

    def missing(self, work: Work) -> str:
        """Why it cannot measure `work` on this machine, in a few words; empty where it can, so far as can be told beforehand."""
        return ""

    def measure(self, work: Work) -> int:
        """What it measures of one step. Raises `Unavailable` where that turns out not to be possible."""
        raise NotImplementedError

    def planned(self, work: Work) -> int:
        """What the ledger says of the same."""
        raise NotImplementedError
