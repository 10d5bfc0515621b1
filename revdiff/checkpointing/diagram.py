"""A schedule as text, 80 columns wide at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revdiff.checkpointing.schedule import Verb, Walk

if TYPE_CHECKING:
    from revdiff.checkpointing.schedule import Schedule

WIDTH = 80
ROWS = 40
"""Actions that are shown; of longer schedules the first and the last."""
LEGEND = "o stored   > advanced   # recorded   + residuals held   < reversed"


def diagram(schedule: Schedule) -> str:
    """What it comes to, and a line for each action: what happens along the chain, the bytes alive, and the action in words."""
    head = f"{schedule.name}: {_count(sum(schedule.groups), 'layer')} in {_count(schedule.steps, 'step')}"
    lines = [f"{head}, {_count(schedule.snapshots, 'snapshot')}, {_count(schedule.recomputed, 'step')} run again"]
    if schedule.peak is not None and schedule.flops is not None and schedule.sizes is not None:
        whole = sum(step.advancing.flops for step in schedule.sizes.steps)
        share = f" ({schedule.flops / whole:.0%} of a forward pass)" if whole else ""
        lines.append(f"peak {_bytes(schedule.peak)}, {_flops(schedule.flops)} recomputed{share}")
    lines += ["", LEGEND, ""]
    live = [_bytes(nbytes) for _, nbytes in schedule.sizes.walk(schedule)] if schedule.sizes is not None else [""] * len(schedule)
    words = [str(action) for action in schedule]
    columns = WIDTH - max(map(len, live)) - max(map(len, words)) - 4
    steps = schedule.steps
    per = -(-steps // columns)  # steps in a column of the drawing
    rows = []
    for (action, state), nbytes, word in zip(Walk.along(schedule, steps), live, words, strict=True):
        marks = [" "] * steps
        for i in state.recorded:
            marks[i] = "+"
        for i in state.stored:
            marks[i] = "o"
        verb, start, stop = action
        if verb in _MARKS:
            marks[start : stop if stop >= 0 else start + 1] = _MARKS[verb] * (stop - start if stop >= 0 else 1)
        drawn = "".join(max(marks[i : i + per], key=_RANK.index) for i in range(0, steps, per))
        rows.append(f"{drawn:<{-(-steps // per)}}  {nbytes:>{max(map(len, live))}}  {word}".rstrip())
    if len(rows) > ROWS:
        half = ROWS // 2
        rows = [*rows[:half], f"... {len(rows) - 2 * half} more actions ...", *rows[-half:]]
    return "\n".join(lines + rows)


_MARKS = {Verb.STORE: "o", Verb.RESTORE: "o", Verb.ADVANCE: ">", Verb.RECORD: "#", Verb.REVERSE: "<"}
_RANK = " +o><#"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + "s" * (n != 1)


def _bytes(n: int) -> str:
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n >= factor:
            return f"{n / factor:.1f} {unit}"
    return f"{n} B"


def _flops(n: int) -> str:
    for factor, unit in ((10**9, "GFLOP"), (10**6, "MFLOP"), (10**3, "kFLOP")):
        if n >= factor:
            return f"{n / factor:.1f} {unit}"
    return f"{n} FLOP"
