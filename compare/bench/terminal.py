"""The table in a terminal: every ratio with its bound, in at most 80 columns. Plain when piped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.bench.records import Line, Measured
from compare.bench.summary import ABSENT, MET, MISSED, OPEN, Benchmark, Row, amount, shown, summarize, told
from compare.report.terminal import COLUMNS, plain, sign

WORDS = {MET: "yes", MISSED: "NO", OPEN: "", ABSENT: ""}
STYLES = {MET: "green", MISSED: "bold red", OPEN: "dim", ABSENT: "dim"}
WIDTHS = (36, 8, 15, 14, 3)
"""Of the columns: what is compared, the ratio, its quartiles, the bound, whether it is kept."""
LEGEND = (
    "Ratio of times: the median over interleaved rounds of the ratio within a round, with its quartiles. Operations and bytes are counted, "
    "once. A row without a bound is for orientation."
)


def print_table(lines: Iterable[Line], console: Console) -> None:
    """Print a run of the benchmark to `console`."""
    run, width = summarize(lines), min(console.width, COLUMNS)

    def say(text: str, style: str = "dim") -> None:
        console.print(plain(Text(text, style=style), console), width=width)

    for name, title in run.header.groups.items():
        say(f"{name}: {title}", "bold")
        for measured, rows in run.of(name):
            if not rows:
                continue
            several = len(rows) > 1 or measured.quantity == "seconds"
            if several:
                say(f"{measured.subject}: {_amounts(measured)}", "")
            table = _table()
            for row in rows:
                head = f"  {row.target.work} / {row.target.against}" if several else measured.subject
                table.add_row(*(plain(Text(cell, style=style), console) for cell, style in _cells(row, head, sign(console))))
            console.print(table, width=width)
        for note in _notes(run, name):
            say(note)
        console.print()
    say(LEGEND)
    say(f"Threads: {run.environment.get('threads', 'unknown')}.")
    say(run.verdict, "bold")


def _table() -> Table:
    """Lines of one contest, their columns where those of every other are."""
    table = Table.grid(padding=(0, 1, 0, 0))
    for width, side in zip(WIDTHS, ("left", "right", "right", "right", "left"), strict=True):
        table.add_column(width=width, justify=cast(Any, side), overflow="fold")
    return table


def _amounts(measured: Measured) -> str:
    return ", ".join(f"{entrant.name} {amount(measured, entrant)}" for entrant in measured.entrants if not entrant.absent)


def _cells(row: Row, head: str, times: str) -> list[tuple[str, str]]:
    if row.ratio is None or row.lower is None or row.upper is None:
        return [(head, ""), ("", ""), (row.absence, STYLES[ABSENT]), (row.wanted, ""), ("", "")]
    spread = f"{shown(row.lower)} to {shown(row.upper)}" if row.timed else ""
    return [(head, ""), (told(row) + times, ""), (spread, "dim"), (row.wanted, ""), (WORDS[row.state], STYLES[row.state])]


def _notes(run: Benchmark, group: str) -> list[str]:
    """How entrants were timed or their operations counted, each way said once; of bytes there is more than a terminal has room for."""
    found = [note for measured, rows in run.of(group) if measured.quantity != "bytes" for row in rows for note in row.notes]
    return list(dict.fromkeys(f"{note}." for note in found))
