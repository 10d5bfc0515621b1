"""Schedules: which values between the steps of a chain are kept, and which steps are run again, in what order.

A chain is a sequence of steps; value `i` is the input of step `i`, so value 0 is the input of the chain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from revdiff.checkpointing.sizes import Cost, Sizes


class Verb(StrEnum):
    """What an action does."""

    STORE = "store"
    RESTORE = "restore"
    DISCARD = "discard"
    ADVANCE = "advance"
    RECORD = "record"
    REVERSE = "reverse"


class Action(NamedTuple):
    """`STORE`, `RESTORE` or `DISCARD` value `start`; or `ADVANCE` (no residuals), `RECORD` (residuals) or `REVERSE` steps `start:stop`."""

    verb: Verb
    start: int
    stop: int = -1

    def __str__(self) -> str:
        where = f"{self.start}" if self.stop < 0 else f"{self.start}:{self.stop}"
        return f"{self.verb} {where}"


class Schedule(Sequence[Action]):
    """The actions by which a chain is run forward and backward, in order; all before the first `REVERSE` belong to the first run.

    `peak` is the most bytes alive at once that the call makes, `recomputed` the number of steps that are run once more than in a plain
    run, `flops` the operations of those (`None`: not measured), each told as by the ledger. What `memory=` bounds is `peak`.
    """

    def __init__(self, name: str, actions: Sequence[Action], groups: Sequence[int], sizes: Sizes | None = None) -> None:
        self.name, self.sizes = name, sizes
        self._actions = tuple(actions)
        self.groups = tuple(groups)
        """The number of layers in each step."""

    def __len__(self) -> int:
        return len(self._actions)

    def __getitem__(self, index: Any) -> Any:
        return self._actions[index]

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.groups)

    @cached_property
    def first_reverse(self) -> int:
        """Where the first run ends."""
        return next(i for i, action in enumerate(self) if action.verb is Verb.REVERSE)

    @cached_property
    def last_recorded(self) -> int:
        """Where the last recordings of the first run begin: the steps that another first run would not have to do."""
        i = self.first_reverse
        while i and self[i - 1].verb is Verb.RECORD:
            i -= 1
        return i

    @cached_property
    def resumed(self) -> frozenset[int]:
        """The values that further runs start from."""
        return frozenset({0} | {action.start for action in self if action.verb is Verb.RESTORE})

    @cached_property
    def runs(self) -> Counter[int]:
        """How often each step is run."""
        return Counter(step for action in self if action.verb in (Verb.ADVANCE, Verb.RECORD) for step in range(action.start, action.stop))

    @property
    def recomputed(self) -> int:
        """Steps that are run beyond once each."""
        return self.runs.total() - self.steps

    @property
    def snapshots(self) -> int:
        """The most values that are stored at once, the input included."""
        most = now = 0
        for action in self:
            now += (action.verb is Verb.STORE) - (action.verb is Verb.DISCARD)
            most = max(most, now)
        return most

    @cached_property
    def _recomputing(self) -> Cost | None:
        """Operations of the further runs."""
        if self.sizes is None:
            return None
        further = [action for action in self[self.first_reverse :] if action.verb in (Verb.ADVANCE, Verb.RECORD)]
        costs = [
            self.sizes.steps[step].advancing if action.verb is Verb.ADVANCE else self.sizes.steps[step].recording
            for action in further
            for step in range(action.start, action.stop)
        ]
        return Cost(sum(cost.flops for cost in costs), sum(cost.transcendentals for cost in costs))

    @property
    def flops(self) -> int | None:
        """Operations of the steps that are run again, without transcendentals."""
        return None if self._recomputing is None else self._recomputing.flops

    @property
    def cost(self) -> int | None:
        """The same with transcendentals: by which the cheapest schedule is chosen."""
        return None if self._recomputing is None else self._recomputing.total

    @cached_property
    def peak(self) -> int | None:
        """The most bytes alive at once."""
        return None if self.sizes is None else max((live for _, live in self.sizes.walk(self)), default=0)

    def to_dict(self) -> dict[str, Any]:
        """What it comes to and every action, as numbers and texts, for JSON."""
        live = [nbytes for _, nbytes in self.sizes.walk(self)] if self.sizes is not None else [None] * len(self)
        actions = [{"verb": str(a.verb), "start": a.start, "stop": a.stop, "bytes": n} for a, n in zip(self, live, strict=True)]
        counts = {"snapshots": self.snapshots, "recomputed": self.recomputed, "flops": self.flops, "peak": self.peak}
        return {"schedule": self.name, "groups": list(self.groups), **counts, "actions": actions}

    def __repr__(self) -> str:
        return f"<schedule {self.name}: {self.steps} steps, {self.snapshots} snapshots, {self.recomputed} recomputed>"

    def __str__(self) -> str:
        from revdiff.checkpointing.diagram import diagram

        return diagram(self)


@dataclass
class Walk:
    """The state of a chain while a schedule is followed: what is stored, where it stands, what is recorded, and what is to be reversed."""

    stored: set[int]
    recorded: set[int]
    at: int
    pending: int

    @classmethod
    def along(cls, actions: Sequence[Action], steps: int) -> Iterator[tuple[Action, Walk]]:
        """Every action with the state before it."""
        state = cls(set(), set(), 0, steps)
        for action in actions:
            yield action, state
            state._follow(action)

    def _follow(self, action: Action) -> None:
        verb, start, stop = action
        if verb is Verb.STORE:
            self.stored.add(start)
        elif verb is Verb.RESTORE:
            self.at = start
        elif verb is Verb.DISCARD:
            self.stored.discard(start)
        elif verb is Verb.REVERSE:
            self.recorded -= set(range(start, stop))
            self.pending, self.at = start, -1
        else:
            self.at = stop
            if verb is Verb.RECORD:
                self.recorded |= set(range(start, stop))
