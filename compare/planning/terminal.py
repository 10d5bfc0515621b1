"""A plan in a terminal: what each way costs, what is advised, and where that would flip, in 80 columns. Plain when piped."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from compare.planning import words
from compare.planning.records import Way
from compare.planning.result import Plan
from compare.report.terminal import COLUMNS, plain
from compare.report.units import MISSING, size, whole

WIDTHS = (32, 13, 13, 10, 4)
"""Of the columns: the way, its operations, seconds, bytes at the peak, whether it fits."""


def print_plan(plan: Plan, console: Console, *, layers: bool = False, schedule: bool = False) -> None:
    """Print a plan; with `layers` also the layers of the advised way, with `schedule` the drawing of its checkpoints."""
    width = min(console.width, COLUMNS)

    def say(text: str, style: str = "", indent: int = 0) -> None:
        for paragraph in text.splitlines() or [""]:
            for line in textwrap.wrap(paragraph, width - indent, break_on_hyphens=False) or [""]:
                console.print(plain(Text(" " * indent + line, style=style), console), width=width)

    header = plan.header
    say(
        f"{header.network} {header.shape}: {whole(header.parameters)} parameters, inputs {header.inputs}, batch {whole(header.batch)}, "
        f"{header.dtype}, {header.training}",
        "bold",
    )
    say(f"Budget: {size(header.budget)} ({header.budget_of}).")
    told: set[str] = set()
    for computes, title in words.GROUPS.items():
        ways = plan.computing(computes)
        if ways:
            console.print()
            console.print(_row((title, "FLOPs", "time", "peak", "fits"), "bold", console), width=width)
            for way in ways:
                console.print(_row(_cells(way), "" if way.fits else "dim", console), width=width)
                for line in _details(way, told):
                    say(line, "dim", 2)
    console.print()
    for advice in plan.advices.values():
        say(advice.why, "bold")
    if plan.flips:
        say("Where that would flip, all else unchanged:")
        for flip in plan.flips:
            say(words.flip(plan, flip), indent=2)
    if layers:
        console.print()
        for part in _layers(plan, console):
            console.print(part, width=width)
    if schedule:
        console.print()
        console.print(plain(Text(_schedule(plan)), console), width=width)
    console.print()
    for note in header.notes:
        say(note)
    for convention in header.conventions:
        say(convention, "dim")


def as_text(plan: Plan) -> str:
    """The same as text of 80 columns."""
    buffer = io.StringIO()
    print_plan(plan, Console(file=buffer, width=COLUMNS, force_terminal=False, color_system=None))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _row(cells: Sequence[str], style: str, console: Console) -> Table:
    """One line of a group, its columns where those of every other are."""
    table = Table.grid(padding=(0, 1, 0, 0))
    for number, width in enumerate(WIDTHS):
        table.add_column(width=width, justify="right" if number else "left", no_wrap=True)
    table.add_row(*(plain(Text(cell, style=style), console) for cell in cells))
    return table


def _cells(way: Way) -> list[str]:
    if way.peak is None:
        return [way.title, MISSING, MISSING, MISSING, "NO"]
    return [way.title, words.flops(way), words.seconds(way), size(way.nbytes), "yes" if way.fits else "NO"]


def _details(way: Way, told: set[str]) -> list[str]:
    """What the numbers of one way are made of; the reason for none only where it was not `told` of another way already."""
    if way.peak is None and way.reason in told:
        return ["for the same reason"]
    told.add(way.reason)
    lines = ["; ".join(filter(None, [way.reason, words.chunks(way)]))]
    if way.peak is not None:
        lines += [words.phases(way), f"peak: {words.roles(way.peak)}; at {words.place(way.peak)}"]
    return lines


def _layers(plan: Plan, console: Console) -> Iterator[RenderableType]:
    """Operations and bytes of the advised way, or of the first, by layer and phase."""
    way = plan.best or next(iter(plan.ways.values()))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("layer", overflow="fold")
    phases = words.phases_of(way.layers)
    for name in (*phases, "transc.", "bytes made"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, cells in words.by_layer(way.layers, phases):
        table.add_row(*(plain(Text(cell), console) for cell in (name, *cells)))
    yield plain(Text(f"FLOPs by layer and phase, and bytes of all arrays that are made: {way.title}", style="bold"), console)
    yield table


def _schedule(plan: Plan) -> str:
    """The drawing of the checkpoints."""
    way = plan.ways.get("reverse-checkpoint")
    return way.schedule if way is not None and way.schedule else "No schedule of checkpoints keeps this budget."
