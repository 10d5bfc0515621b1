"""Schedules by name: those of the package `checkpoint-schedules`, and segments of equal length."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from revdiff.checkpointing.schedule import Action, Verb


def segmented(steps: int) -> list[Action]:
    """Every value between steps is stored, so that each step but the last is run twice.

    With `sqrt(n)` steps for `n` layers: Chen, Xu, Zhang, Guestrin 2016, "Training deep nets with sublinear memory cost".
    """
    actions = []
    for i in range(steps - 1):
        actions += [Action(Verb.STORE, i), Action(Verb.ADVANCE, i, i + 1)]
    actions += [Action(Verb.RECORD, steps - 1, steps), Action(Verb.REVERSE, steps - 1, steps)]
    for i in reversed(range(steps - 1)):
        actions += [Action(Verb.RESTORE, i), Action(Verb.DISCARD, i), Action(Verb.RECORD, i, i + 1), Action(Verb.REVERSE, i, i + 1)]
    return actions


def _revolve(steps: int, snapshots: int) -> Any:
    from checkpoint_schedules import MultistageCheckpointSchedule

    return MultistageCheckpointSchedule(steps, snapshots, 0, trajectory="revolve")


def _mixed(steps: int, snapshots: int) -> Any:
    from checkpoint_schedules import MixedCheckpointSchedule, StorageType

    return MixedCheckpointSchedule(steps, snapshots, storage=StorageType.RAM)


LIBRARY: dict[str, Callable[[int, int], Any]] = {"mixed": _mixed, "revolve": _revolve}
"""Those of the package, by name: of so many steps with so many snapshots.

`"revolve"`: binomial checkpointing, the fewest steps run again where all are alike (Griewank and Walther 2000, "Algorithm 799: revolve").
`"mixed"`: a snapshot may also be the residuals of one step (Maddison 2024, "Step-based checkpointing with high-level algorithmic
differentiation").
"""
NAMES = ("optimal", "segments", "sqrt", *LIBRARY)


def from_library(name: str, steps: int, snapshots: int) -> list[Action]:
    """The actions of a schedule of the package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that numba would be faster
        return list(_translated(LIBRARY[name](steps, snapshots), steps))


def _translated(schedule: Iterable[Any], steps: int) -> Iterable[Action]:
    from checkpoint_schedules import Copy, EndReverse, Forward, Move, Reverse

    restartable: set[int] = set()
    for action in schedule:
        if isinstance(action, EndReverse):
            return
        if isinstance(action, Forward):
            start, stop = action.n0, min(action.n1, steps)
            if action.write_ics:
                restartable.add(start)
                yield Action(Verb.STORE, start)
            yield Action(Verb.RECORD if action.write_adj_deps else Verb.ADVANCE, start, stop)
        elif isinstance(action, Reverse):
            yield Action(Verb.REVERSE, action.n0, action.n1)
        elif isinstance(action, Copy | Move) and action.n in restartable:  # else residuals, which lie where they are wanted
            yield Action(Verb.RESTORE, action.n)
            if isinstance(action, Move):
                restartable.discard(action.n)
                yield Action(Verb.DISCARD, action.n)


def usual_snapshots(steps: int) -> int:
    """`ceil(log2 n) + 1`: with so many, binomial checkpointing of `n` steps runs each again about `log2 n / 2` times at most."""
    return max(1, math.ceil(math.log2(max(steps, 1))) + 1)


def evenly(count: int, parts: int) -> list[int]:
    """`count` in `parts` parts that differ by one at most."""
    return [count * (i + 1) // parts - count * i // parts for i in range(parts)]


def as_pytorch(count: int, parts: int) -> list[int]:
    """`count` in `parts` equal parts, the last of which takes the rest, as `torch.utils.checkpoint.checkpoint_sequential` divides."""
    return [count // parts] * (parts - 1) + [count - count // parts * (parts - 1)]
