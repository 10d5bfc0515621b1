"""The page of the benchmark: every ratio with its bound, group by group. From records alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compare.bench.records import Line, Measured
from compare.bench.summary import ABSENT, MET, MISSED, OPEN, Benchmark, Row, amount, shown, summarize, told
from compare.report.charts.bounds import TOKENS, bounds_chart
from compare.report.page import template
from compare.report.units import MISSING, duration, whole

MARKS = {MET: "✓", MISSED: "✗", OPEN: "", ABSENT: ""}
KINDS = {MET: "yes", MISSED: "no", OPEN: "nothing", ABSENT: "nothing"}
ACCOUNTS = {
    "reverse-numpy": "The loss and the gradient by all parameters, float32. The hand-written pass is what a person writes in numpy for "
    "this network and no other: no graph, no generality. PyTorch is eager, with its own kernels; HIPS autograd runs on numpy as "
    "revdiff does.",
    "reverse-jax": "The same networks as a compiled program. XLA removes what tracing costs, so a ratio other than 1 means that the "
    "program itself is another.",
    "forward": "The same loss and gradient without a tape: one direction for every feature that a layer puts out, shared by the batch. "
    "jax’s forward mode carries one direction for every parameter.",
    "jvp": "Operations of the function and its derivative along one direction, over those of the function alone. A tangent that is zero "
    "because nothing before it depends on the variable is never computed.",
    "jacobian": "Ten inputs and 100,000 outputs: ten directions do. Reverse mode needs a pass for every output; some of them are "
    "measured, and scaled.",
    "residuals": "What is alive between the forward and the backward pass, the network and its loss in training mode. Buffers are "
    "counted once however many arrays share them; parameters, buffers of modules, inputs and targets are there anyway and are left out on "
    "both sides. Networks with dropout are wanted at 0.9×, with max pooling at 0.6×.",
    "memory": "The peak by tracemalloc of a loss and its gradient, result and Python objects included, over what is allowed: the budget "
    "and what the loss alone needs.",
    "prediction": "A step is predicted from a calibration of the machine, call by call of numpy’s and operation by operation of the "
    "engines, and timed as by compare run. What is shown is the share of cells of the grid whose prediction is within 30% of that; every "
    "cell is in the records.",
}
"""What the rows of a group mean."""


@dataclass(frozen=True)
class Entry:
    """One row of the table: the two that are compared and what was measured of them, the ratio, what was wanted, and a mark."""

    pair: str
    amounts: str
    ratio: str
    spread: str
    wanted: str
    mark: str
    kind: str


@dataclass(frozen=True)
class Part:
    """One group on the page: a block for each contest, and a figure where there are bounds."""

    name: str
    title: str
    account: str
    contests: list[tuple[str, list[Entry]]]
    svg: str


def render(lines: Iterable[Line]) -> str:
    """The document: one page that loads nothing, the same text for the same records.

    Raises `RecordsError` when they do not make up a run.
    """
    run = summarize(lines)
    return template("bench.html.jinja").render(
        run=run,
        facts=_facts(run),
        parts=[_part(run, name, title) for name, title in run.header.groups.items()],
        legend=[("kept", TOKENS[True]), ("missed", TOKENS[False])],
    )


def _facts(run: Benchmark) -> list[tuple[str, str]]:
    rounds = sorted({row.rounds for row in run.rows if row.timed and row.ratio is not None})
    spans = "none" if not rounds else str(rounds[0]) if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    return [
        ("rows", f"{whole(len(run.rows))} ratios of {whole(len(run.contests))} contests, in {duration(run.header.seconds)}"),
        ("timing", f"float32, one process; {spans} interleaved rounds; medians of the ratio within a round"),
        ("threads", run.environment.get("threads", "unknown")),
        ("made", run.header.created),
    ]


def _part(run: Benchmark, name: str, title: str) -> Part:
    contests = run.of(name)
    bounded = [row for _, rows in contests for row in rows if row.distance is not None]
    svg = bounds_chart(bounded, [_name(row) for row in bounded]) if bounded else ""
    entries = [(measured.subject, [_entry(measured, row) for row in rows]) for measured, rows in contests if rows]
    return Part(name, title, ACCOUNTS.get(name, ""), entries, svg)


def _name(row: Row) -> str:
    """A row in the figure: the subject, and of the pair what the table does not say by itself."""
    return row.measured.subject if len(row.measured.targets) == 1 else f"{row.measured.subject}: {_pair(row)}"


def _pair(row: Row) -> str:
    return f"{row.target.work} / {row.target.against}"


def _entry(measured: Measured, row: Row) -> Entry:
    head = _pair(row) if len(measured.targets) > 1 else f"{measured.subject}: {_pair(row)}"
    if row.ratio is None or row.lower is None or row.upper is None:
        return Entry(head, row.absence, MISSING, "", row.wanted, MARKS[row.state], KINDS[row.state])
    spread = f"{shown(row.lower)} to {shown(row.upper)}" if row.timed else ""
    amounts = "; ".join((f"{amount(measured, row.work)} / {amount(measured, row.against)}", *row.notes))
    return Entry(head, amounts, f"{told(row)}×", spread, row.wanted, MARKS[row.state], KINDS[row.state])
