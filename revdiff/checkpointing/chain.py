"""Chains: sequences of steps, each with the value before it as its input, run forward and backward by a schedule."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from diffcore import tree
from diffcore.aliasing import changes
from diffcore.dispatch import Boxed, clock
from diffcore.ledger import label
from diffcore.replay import Moment
from diffcore.seeds import array_under
from revdiff import tape
from revdiff.checkpointing.barrier import barriered
from revdiff.checkpointing.lazy import Lazy, gone
from revdiff.checkpointing.schedule import Action, Schedule, Verb
from revdiff.checkpointing.segment import Invocation, Kind, Segment, changed, check_unchanged, further

Step = Callable[[Any], Any]


class Steps:
    """The function that a chain computes: `layers` one after another, in the groups of a schedule."""

    __slots__ = ("schedule", "steps")

    def __init__(self, layers: Sequence[Step], schedule: Schedule) -> None:
        self.schedule = schedule
        self.steps = grouped(layers, schedule.groups)


def grouped(layers: Sequence[Step], groups: Sequence[int]) -> list[Step]:
    """Steps of so many layers each."""
    steps: list[Step] = []
    start = 0
    for count in groups:
        group = layers[start : start + count]
        steps.append(group[0] if count == 1 else _Composed(group))
        start += count
    return steps


class _Composed:
    """Layers as one step."""

    __slots__ = ("_layers",)

    def __init__(self, layers: Sequence[Step]) -> None:
        self._layers = layers

    def __call__(self, x: Any) -> Any:
        for layer in self._layers:
            x = layer(x)
        return x


class _Snapshot:
    """A value between two steps, to go on from.

    Nodes without residuals are referred to weakly: they hold their chain, which holds this.
    """

    __slots__ = ("_build", "_leaves", "_time")

    def __init__(self, value: Any) -> None:
        leaves, self._build = tree.flatten(value)
        self._leaves = [_without_nodes(x) for x in leaves]
        self._time = next(clock)

    def value(self, number: int) -> Any:
        """The value. Raises `GradientError` if it has been changed in place."""
        leaves = [_with_nodes(x) for x in self._leaves]
        for x in leaves:
            array = array_under(x)
            change = changes.of(array)
            if change is not None and change.time > self._time:
                raise changed(f"value {number} of the chain", array, change)
        return self._build(leaves)


def _without_nodes(x: Any) -> Any:
    if not isinstance(x, Boxed):
        return x
    if not isinstance(x.primal, Boxed):
        label(x.primal, "residual", only="activation")
    node = weakref.ref(x.carried) if isinstance(x.carried, Lazy) else x.carried
    return x.box, x.level, _without_nodes(x.primal), node


def _with_nodes(kept: Any) -> Any:
    if not isinstance(kept, tuple):
        return kept
    box, level, primal, node = kept
    if isinstance(node, weakref.ref):
        node = node() or gone()
    return box(_with_nodes(primal), level, node)


class Chain(Segment):
    """A sequence of steps under a schedule. Each step that is not recorded at once is a segment, which asks its chain for a further run.

    The schedule goes on as the backward pass asks for older and older steps. When one asks for a newer step again, as another backward pass
    does, the schedule starts anew.
    """

    __slots__ = ("_moments", "_next", "_segments", "_since", "_snapshots", "_value")

    def __init__(self, owner: Any = None, place: int = -1) -> None:
        super().__init__(owner, place)
        self._segments: dict[int, weakref.ref[Segment]] = {}
        self._moments: dict[int, Moment] = {}
        self._snapshots: dict[int, _Snapshot] = {}
        self._next = 0
        self._since = sys.maxsize
        self._value: Any = None

    # as a segment
    def first(self, invocation: Invocation) -> Any:
        self.invocation = invocation
        return self._forward(Kind.FIRST)

    def again(self, invocation: Invocation, kind: Kind) -> Any:
        outer, self.invocation = self.invocation, invocation
        try:
            return self._forward(kind)
        finally:
            self.invocation = outer

    def hold(self, invocation: Invocation) -> None:
        super().hold(invocation)
        self._next = 0

    def kept(self) -> Iterator[tuple[str, Any]]:
        yield from super().kept()
        for number, snapshot in self._snapshots.items():
            for leaf in tree.flatten(snapshot.value(number))[0]:
                if isinstance(leaf, Boxed):
                    yield f"value {number}", array_under(leaf)

    def release(self) -> None:
        super().release()
        self._snapshots.clear()
        self._next, self._value = 0, None

    # the run forward
    def _forward(self, kind: Kind) -> Any:
        """The value, by the part of the schedule that stands before the first reversal."""
        (x,) = self._invocation.args
        schedule, steps = self._function.schedule, self._function.steps
        stores = kind is Kind.LOAD or kind is Kind.FIRST and self.owner is None
        for verb, start, stop in schedule[: schedule.first_reverse]:
            if verb is Verb.STORE:
                if stores:
                    self._store(start, x)
                continue
            for i in range(start, stop):
                if kind is Kind.FIRST and i in schedule.resumed:
                    self._moments[i] = Moment(self._invocation.moment.start is not None)
                x = self._step(i, x, kind) if verb is Verb.ADVANCE else steps[i](x)
        self._next = schedule.first_reverse if stores else 0
        return x

    def _step(self, i: int, x: Any, kind: Kind) -> Any:
        """The value of step `i`, without residuals."""
        if kind is Kind.FIRST:
            segment = Segment(self, i)
            self._segments[i] = weakref.ref(segment)
            out = segment.first(self._call(i, x))
            segment.release()
            return out
        return self._segment(i).again(self._call(i, x), kind)

    def _store(self, number: int, x: Any) -> None:
        if number:  # the input is kept anyway
            self._snapshots[number] = _Snapshot(x)

    @property
    def _invocation(self) -> Invocation:
        assert self.invocation is not None
        return self.invocation

    @property
    def _function(self) -> Steps:
        function = self._invocation.function
        assert isinstance(function, Steps)
        return function

    def _segment(self, i: int) -> Segment:
        """That of step `i`; if it is gone, nothing will ask for it, and a new one takes its place."""
        found = self._segments[i]() if i in self._segments else None
        return Segment(self, i) if found is None else found

    def _call(self, i: int, x: Any) -> Invocation:
        return self._invocation._replace(function=self._function.steps[i], args=(x,), time=next(clock), since=self._since)

    # further runs
    def bring(self, inner: Segment, index: int, after: Any) -> None:
        if self.invocation is None:
            self.owner.load(self.place, after)
        schedule = self._function.schedule
        check_unchanged(self._invocation)
        if not any(_records(action, inner.place) for action in schedule[self._next :]):
            self._snapshots.clear()
            self._next = 0
        if self._next in (0, schedule.first_reverse):
            self._since = min(next(clock), self._invocation.since)
        live = [node for step in self._segments if tape.watched_nodes for node in self._segment(step).live()]
        with further(self._invocation, live):
            if not self._next:
                self._resume(0, after)
            while True:
                action = schedule[self._next]
                self._next += 1
                self._follow(action, inner, index, after)
                if _records(action, inner.place):
                    return

    def _resume(self, number: int, after: Any) -> None:
        """Stand at a value that was kept, with the random numbers as they were there."""
        x = self._snapshots[number].value(number) if number else self._invocation.args[0]
        resumed = barriered(self._invocation._replace(args=(x,), moment=self._moments[number]), after)
        (self._value,) = resumed.args
        resumed.moment.draw()

    def _follow(self, action: Action, asked: Segment, index: int, after: Any) -> None:
        """Do what one action of the schedule says."""
        verb, start, stop = action
        if verb is Verb.STORE:
            self._store(start, self._value)
        elif verb is Verb.RESTORE:
            self._resume(start, after)
        elif verb is Verb.DISCARD:
            self._snapshots.pop(start, None)
        elif verb is Verb.REVERSE:
            for i in range(start, stop):
                self._segment(i).unload()
        elif verb is Verb.ADVANCE:
            for i in range(start, stop):
                self._rerun(i, Kind.AGAIN)
        elif not self._function.schedule.last_recorded < self._next <= self._function.schedule.first_reverse:
            for i in range(start, stop):
                self._rerun(i, Kind.LOAD, index if i == asked.place else -1)

    def _rerun(self, i: int, kind: Kind, target: int = -1) -> None:
        x, self._value = self._value, None
        segment = self._segment(i)
        self._value = segment.run_within(self._call(i, x), kind if segment.entries else Kind.FIRST, target)


def _records(action: Action, step: int) -> bool:
    return action.verb is Verb.RECORD and action.start <= step < action.stop
