"""`python -m compare truth`: every source of truth beside the ledger, for every strategy, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.errors import WorkerError
from compare.messages import Prepare, Prepared, Weigh, Weighed
from compare.records import Truth
from compare.report.terminal import COLUMNS, plain
from compare.report.units import MISSING, operations, size
from compare.settings import Settings
from compare.truth.source import BYTES
from compare.workers import Workers

WIDTHS = (22, 13, 13, 8)
"""Of the columns: the source, what it measured, what the ledger planned, the ratio of the two."""


@dataclass(frozen=True)
class Told:
    """What was measured under some settings, which differ in their backend, and the ledger's convention."""

    settings: tuple[Settings, ...]
    truths: tuple[Truth, ...]
    convention: str


def measure(settings: Sequence[Settings], heard: Callable[[int], None]) -> Told:
    """What every source says of one step under each of `settings`, each strategy in a process of its own; `heard` counts them.

    Raises `InputError` for a step that is too dear, `WorkerError` when a process fails.
    """
    found: list[Truth] = []
    convention, done = "", 0
    for each in settings:
        with Workers([strategy.name for strategy in each.strategies], backend=each.backend) as workers:
            for name, worker in workers.items():
                prepared = worker.ask(Prepare(each, name))
                weighed = worker.ask(Weigh(dear=True))
                if not isinstance(prepared, Prepared) or not isinstance(weighed, Weighed):
                    raise WorkerError(f"the worker for {name} replied {type(weighed).__name__} where Weighed was due")
                convention = prepared.convention
                found += weighed.truths
                heard(done := done + 1)
    return Told(tuple(settings), tuple(found), convention)


def compared(truth: Truth) -> float | None:
    """What the ledger planned over what was measured; None where nothing was."""
    return truth.planned / truth.measured if truth.measured else None


def as_json(told: Told) -> dict[str, Any]:
    """All of it; units are bytes and operations, `ratio` is planned over measured, null where `why` tells that nothing was measured."""
    first = told.settings[0]
    return {
        "network": first.network,
        "shape": first.shape,
        "batch": first.batch,
        "dtype": first.dtype,
        "convention": told.convention,
        "truths": [
            {**{k: v for k, v in msgspec.to_builtins(truth).items() if k != "kind"}, "ratio": compared(truth)} for truth in told.truths
        ],
    }


def print_table(told: Told, console: Console) -> None:
    """A table for each strategy on each backend, with what could not be measured and why; then the conventions."""
    first, width = told.settings[0], min(console.width, COLUMNS)

    def say(text: str, style: str = "dim") -> None:
        console.print(plain(Text(text, style=style), console), width=width)

    say(f"{first.network} {first.shape}, batch {first.batch}, {first.dtype}", "bold")
    for (backend, strategy), truths in groupby(told.truths, lambda truth: (truth.backend, truth.strategy)):
        say(f"\n{strategy} on {backend}", "bold")
        table = Table.grid(padding=(0, 1, 0, 0))
        for number, column in enumerate(WIDTHS):
            table.add_column(width=column, justify="right" if number else "left", no_wrap=bool(number))
        table.add_row(*(Text(head, style="dim") for head in ("", "measured", "ledger", "ratio")))
        missing = []
        for truth in truths:
            if truth.measured is None:
                missing.append(f"  no {truth.source}: {truth.why}")
                continue
            cells = (f"  {truth.source}", _amount(truth, truth.measured), _amount(truth, truth.planned))
            found = compared(truth)
            table.add_row(*(plain(Text(cell), console) for cell in (*cells, MISSING if found is None else f"{found:.3f}")))
        console.print(table, width=width)
        for line in missing:
            say(line)
    say("")
    for source, measures in dict.fromkeys((truth.source, truth.measures) for truth in told.truths if truth.measured is not None):
        say(f"{source}: {measures}.")
    say(f"Ratio: ledger over measured. {told.convention}")


def _amount(truth: Truth, amount: int) -> str:
    return size(amount) if truth.unit == BYTES else operations(amount, "").strip()
