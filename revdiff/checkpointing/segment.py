"""Segments: functions whose residuals are not kept, but recomputed when a backward pass asks for them.

The first run of a segment leaves lazy nodes on the tape (see `lazy`). A further run records the same operations in the same order; what
it records, number by number, takes the places of the residuals that the first did not keep. A segment inside of another one keeps not
even its inputs: the further run of the outer one brings them.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from typing import Any, NamedTuple

from diffcore import tree
from diffcore.aliasing import changes
from diffcore.dispatch import Boxed, clock
from diffcore.errors import CheckpointError, GradientError
from diffcore.ledger import did, label, state
from diffcore.replay import Moment
from diffcore.seeds import array_under
from diffcore.watch import watch
from revdiff import tape
from revdiff.checkpointing.barrier import barriered
from revdiff.checkpointing.lazy import Lazy, hooks_as_they_were, lazy, stand_in
from revdiff.tape import Node, keep_only


class Invocation(NamedTuple):
    """A function with its arguments, and all else that running it again depends on.

    After `time`, no argument must have changed in place. What has changed after `since` was made by further runs.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    moment: Moment
    time: int
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    check: bool = True
    early_stop: bool = True
    since: int = sys.maxsize

    def run(self) -> Any:
        """Call the function."""
        return self.function(*self.args, **self.kwargs)

    @property
    def tensors(self) -> list[Boxed]:
        """The tensors among the arguments."""
        return [x for x in tree.flatten((self.args, self.kwargs))[0] if isinstance(x, Boxed)]


class Kind(Enum):
    """What a run of a segment is for."""

    FIRST = "the value; lazy nodes are made"
    AGAIN = "the value once more, of which the same lazy nodes are part"
    LOAD = "the residuals of the lazy nodes"


class Enough(BaseException):
    """All that was asked for is there: ends a further run."""


class Run:
    """One run of a segment, which takes over what is recorded in it: numbers it, and makes or loads lazy nodes of it."""

    __slots__ = ("_before", "_invocation", "count", "kind", "segment", "since", "target")

    def __init__(self, segment: Segment, invocation: Invocation, kind: Kind, target: int = -1) -> None:
        self.segment, self._invocation, self.kind, self.target = segment, invocation, kind, target
        self.count = 0
        self._before = next(clock)
        outer = tape.mode.run
        self.since = min(self._before, invocation.since, self._before if outer is None or outer.kind is Kind.FIRST else outer.since)

    def __call__(self) -> Any:
        outer, tape.mode.run = tape.mode.run, self
        watch.add_segment(1)
        self.segment.running += 1
        did("segment", self.kind.name.lower())
        try:
            return self._invocation.run()
        finally:
            self.segment.running -= 1
            watch.add_segment(-1)
            tape.mode.run = outer

    def take(self, node: Node, drop: tuple[int, ...]) -> Node:
        """What an operation of the run carries, which has been recorded as `node` with all its operands."""
        if all(parent is None or self._is_own(parent) for parent in node.parents):
            keep_only(node, drop)  # a derivative taken inside, which ends inside
            return node
        number, self.count = self.count, self.count + 1
        if self.kind is Kind.FIRST:
            made = lazy(node, self.segment, number)
            self.segment.entries.append(weakref.ref(made))
            return made
        found = self._entry(number)
        if not isinstance(found, Lazy) or found.parents is None:  # nothing will ask for it
            keep_only(node, drop)
            return stand_in(node)
        self._check(found, node)
        if self.kind is Kind.LOAD:
            keep_only(node, drop)
            node.parents = None
            found.loaded = node
            self._loaded(number)
        return found

    def nested(self, made: Callable[..., Segment], invocation: Invocation) -> Any:
        """The value of a segment inside of this one."""
        number, self.count = self.count, self.count + 1
        if self.kind is not Kind.FIRST:
            found = self._entry(number)
            if isinstance(found, Segment):
                if self.kind is Kind.LOAD:
                    found.hold(invocation._replace(since=self.since))
                    self._loaded(number)
                return found.again(invocation, self.kind)
            return made(None).first(invocation)  # nothing will ask for it but what is done inside
        segment = made(self.segment, number)
        self.segment.entries.append(weakref.ref(segment))
        out = segment.first(invocation)
        segment.release()
        return out

    def _is_own(self, parent: Node) -> bool:
        """Whether a node was made in this run and has nothing to do with what lies outside."""
        return parent.order > self._before and type(parent) is Node

    def _entry(self, number: int) -> Any:
        entries = self.segment.entries
        if number >= len(entries):
            if self._invocation.check:
                raise different_number(len(entries), "more")
            return None
        return entries[number]()

    def _loaded(self, number: int) -> None:
        self.segment.top = max(number, self.segment.top)
        if number == self.target and self._invocation.early_stop:
            raise Enough

    def _check(self, found: Lazy, node: Node) -> None:
        name = found.kernel.name
        if self._invocation.check and (name != node.kernel.name or found.shape != node.shape or found.dtype != node.dtype):
            raise CheckpointError(
                f"checkpoint: recomputed values have different metadata than during the forward pass: operation {self.count - 1} was "
                f"{name} with a result of shape {tuple(found.shape)}, {found.dtype}, and is now {node.kernel.name} with one of shape "
                f"{tuple(node.shape)}, {node.dtype}. The function must do the same both times: see that nothing it reads has changed"
            )
        if changes.latest > found.order:
            for operand, x in zip(node.kernel.names(len(node.primals)), node.primals, strict=True):
                change = changes.of(array_under(x))
                if change is not None and found.order < change.time < self.since:
                    raise changed(f"the operand `{operand}` of {name}", array_under(x), change)


def changed(what: str, array: Any, change: Any) -> GradientError:
    """The error for an array that a further run needs as it was."""
    return GradientError(
        f"one of the variables needed for gradient computation has been modified by an inplace operation: checkpoint has to recompute "
        f"from {what}, a tensor of shape {tuple(array.shape)}, whose memory was changed afterwards by `{change.name}` on a tensor of shape "
        f"{change.shape} (version {change.version}). Change a copy instead (`x.clone()`)"
    )


def different_number(first: int, now: str) -> CheckpointError:
    """The error for a function that does more or less than in its first run."""
    return CheckpointError(
        f"checkpoint: a different number of tensors was saved during the original forward and recomputation: {first} operations were "
        f"recorded then, {now} now. The function must do the same both times: see that nothing it reads has changed"
    )


class Segment:
    """A function that was run without keeping residuals; `entries` are weak references to its lazy nodes and inner segments.

    (Weak, because each of these holds its segment.) `invocation` is how to run it again. Inside of another segment, `owner`, where it is
    number `place`, it is not kept.
    """

    __slots__ = ("__weakref__", "entries", "invocation", "owner", "place", "running", "top")
    invocation: Invocation | None

    def __init__(self, owner: Any = None, place: int = -1) -> None:
        self.owner, self.place = owner, place
        self.entries: list[weakref.ref[Any]] = []
        self.top = -1
        self.running = 0
        self.invocation = None

    def first(self, invocation: Invocation) -> Any:
        """The value, in the first run."""
        self.invocation = invocation
        return Run(self, invocation, Kind.FIRST)()

    def again(self, invocation: Invocation, kind: Kind) -> Any:
        """The value, in a further run of the segment around this one."""
        return Run(self, invocation, Kind.AGAIN)()

    def hold(self, invocation: Invocation) -> None:
        """Keep `invocation`, which the segment around this one has brought."""
        self.invocation = invocation

    def kept(self) -> Iterator[tuple[str, Any]]:
        """The arrays that are kept for further runs, each under a name."""
        if self.invocation is not None:
            for x in self.invocation.tensors:
                yield "input", array_under(x)

    @property
    def is_held(self) -> bool:
        """Whether this segment can run again as it is."""
        return self.invocation is not None

    def release(self) -> None:
        """Let go of the inputs until they are asked for again."""
        self.invocation = None

    def load(self, index: int, after: Any = None) -> None:
        """Have what entry `index` asks for there, by a further run if it is not; what lies above it, a backward pass is done with.

        Where jax is tracing, the further run waits for `after`.
        """
        entry: Any = self.entries[index]()
        if not entry.is_held:
            if self.invocation is None:
                self.owner.bring(self, index, after)
            else:
                self.run(self.invocation, Kind.LOAD, index, after)
        if not self.running:
            for reference in self.entries[index + 1 : self.top + 1]:
                above = reference()
                if above is not None:
                    above.release()
            self.top = index

    def bring(self, inner: Segment, index: int, after: Any) -> None:
        """Have entry `index` of a segment inside of this one there, by a further run of this one and then of that one."""
        self.load(inner.place, after)
        assert inner.invocation is not None
        inner.run(inner.invocation, Kind.LOAD, index, after)

    def unload(self) -> None:
        """Let go of all that further runs have brought."""
        for reference in self.entries:
            entry = reference()
            if entry is not None:
                entry.release()
        self.top = -1

    def run(self, invocation: Invocation, kind: Kind, target: int = -1, after: Any = None) -> Any:
        """A further run, which ends early when entry `target` is there."""
        check_unchanged(invocation)
        invocation = barriered(invocation, after)
        with further(invocation, self.live()):
            return self.run_within(invocation, kind, target)

    def run_within(self, invocation: Invocation, kind: Kind, target: int = -1) -> Any:
        """The same where all is as for a further run."""
        try:
            out = Run(self, invocation, kind, target)()
        except Enough:
            return None
        if target >= 0 and not ((entry := self.entries[target]()) is not None and entry.is_held):
            raise different_number(len(self.entries), "fewer")
        return out

    def live(self) -> list[Lazy]:
        """The lazy nodes that may have hooks."""
        return [entry for reference in self.entries if isinstance(entry := reference(), Lazy)] if tape.watched_nodes else []


def check_unchanged(invocation: Invocation) -> None:
    """Raise `GradientError` when an argument has been changed in place."""
    if changes.latest > invocation.time:
        for x in invocation.tensors:
            change = changes.of(array_under(x))
            if change is not None and change.time > invocation.time:
                raise changed("its input", array_under(x), change)


@contextmanager
def further(invocation: Invocation, live: list[Lazy]) -> Iterator[None]:
    """For further runs from the moment of `invocation`, which may come to the hooks of the nodes `live`."""
    with invocation.moment.again(), invocation.context(), hooks_as_they_were(live), recomputing(invocation.tensors):
        yield


@contextmanager
def recomputing(tensors: Sequence[Boxed]) -> Iterator[None]:
    """For a further run: derivatives are followed as in the first, and a ledger books it as what it is."""
    modes = {mode for x in tensors if (mode := getattr(x, "_mode", None)) is not None} | {tape.mode}
    outer = [(mode, mode.enabled) for mode in modes]
    phase, kernel, state.phase, state.kernel = state.phase, state.kernel, "recompute", ""
    for mode in modes:
        mode.enabled = True
    try:
        yield
    finally:
        state.phase, state.kernel = phase, kernel
        for mode, enabled in outer:
            mode.enabled = enabled


def evaluated(made: Callable[..., Segment], invocation: Invocation) -> Any:
    """The value of a new segment, made by `made(owner, place)`, inside of the one that is under way, if any."""
    run = tape.mode.run
    if run is not None:
        return run.nested(made, invocation)
    for x in invocation.tensors:
        label(array_under(x), "residual", only="activation")
    return made(None).first(invocation)
