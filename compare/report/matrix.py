"""The coverage matrix in a terminal: one line a kernel, in at most 80 columns, every disagreement, and the counts. Plain when piped."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.check.records import Line
from compare.check.summary import BAD, GOOD, LEFT_OUT, NONE, Coverage, summarize
from compare.errors import one_line
from compare.report.terminal import COLUMNS, plain, shows_unicode
from compare.report.units import whole

HEADS = {
    "rules": "rul",
    "forward": "fwd",
    "reverse": "rev",
    "forward over reverse": "f/r",
    "reverse over forward": "r/f",
    "reverse over reverse": "r/r",
    "forward over forward": "f/f",
    "float32": "f32",
    "jax": "jax",
    "abstract": "abs",
    "jax oracle": "=jx",
    "torch oracle": "=to",
    "misuse": "mis",
}
"""Heads of three letters."""
LEGEND = (
    "rul: the rules are adjoint, and the derivative of the value; fwd, rev: forward and reverse mode on numpy; f/r, r/f, r/r, f/f: second "
    "derivatives, forward over reverse and so on; f32: in float32; jax: on jax arrays, under jit; abs: on arrays without values; "
    "=jx, =to: held against jax and PyTorch; mis: misuse is refused in one line."
)
SIGNS = {GOOD: "✓", BAD: "✗", NONE: "–", LEFT_OUT: "·"}
ASCII = {GOOD: "+", BAD: "X", NONE: "-", LEFT_OUT: "."}
STYLES = {GOOD: "green", BAD: "bold red", NONE: "dim", LEFT_OUT: "dim"}


def print_matrix(lines: Iterable[Line], console: Console) -> None:
    """Print a run of the checks to `console`."""
    run, width = summarize(lines), min(console.width, COLUMNS)
    signs = SIGNS if shows_unicode(console) else ASCII
    console.print(_table(run, console, signs), width=width)
    meaning = f"{signs[GOOD]} agrees, {signs[BAD]} disagrees, {signs[NONE]} nothing to check, {signs[LEFT_OUT]} not run"
    for text in (f"{meaning}. {LEGEND}", *_notes(run)):
        console.print(plain(Text(text, style="dim"), console), width=width)
    for checked in run.kernels:
        for failure in checked.failures:
            said = one_line(failure.message.splitlines()[0] if failure.message else "")
            console.print(plain(Text(f"{checked.kernel}, row {failure.row!r}, {failure.check}: {said}", style="red"), console), width=width)
    console.print(plain(Text(f"{run.verdict}\n{counts(run)}", style="bold"), console), width=width)


def counts(run: Coverage) -> str:
    """The counts of a run, in a line."""
    return (
        f"Kernels {whole(len(run.kernels))}, rows {whole(run.rows)}, misuses {whole(run.misuses)}, checks {whole(run.checks)}, "
        f"seconds {run.header.seconds:.0f}, oracles: {run.oracles}."
    )


def _table(run: Coverage, console: Console, signs: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column("kernel", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    for column in run.columns:
        table.add_column(HEADS.get(column, column[:3]), justify="center", no_wrap=True, min_width=3)
    for checked in run.kernels:
        states = [run.cell(checked, column).state for column in run.columns]
        cells = [Text(signs[state], style=STYLES[state]) for state in states]
        table.add_row(plain(Text(checked.kernel), console), str(checked.rows), *cells)
    return table


def _notes(run: Coverage) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, reason in run.header.left_out.items():
        reasons.setdefault(reason, []).append(name)
    notes = [f"Not run ({reason}): {', '.join(names)}." for reason, names in reasons.items()]
    if run.methods:
        parts = ", ".join(f"{method} ({whole(count)})" for method, count in run.methods)
        notes.append(f"Derivatives estimated from values by (kernels): {parts}.")
    return notes
