"""The report in a terminal: one table of at most 80 columns, what the proof runs say, and the verdict. Plain when piped."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.records import Line
from compare.report.predictions import account, predictions
from compare.report.summary import Cost, Summary, flops_ratio, peak_ratio, summarize, time_ratio
from compare.report.units import MISSING, at_most, counted, duration, operations, ratio, scored, size, whole
from compare.report.verdict import agrees, largest, verdict

COLUMNS = 80
"""The table never needs more columns than this."""


def print_report(records: Iterable[Line], console: Console) -> None:
    """Print a run to `console`: per strategy its score, time per step, peak bytes, FLOPs and their ratios to reverse; then the verdict."""
    run = summarize(records)
    header = run.header
    subject = f"{header.network} {header.shape}: {whole(header.parameters)} parameters, {header.data}, batch {header.batch}, {header.dtype}"
    width = min(console.width, COLUMNS)
    console.print(plain(Text(subject, style="bold"), console), width=width)
    console.print(_table(run, console), width=width)
    for text in (*_notes(run), Text(verdict(run, sign(console)), style="bold")):
        console.print(plain(text, console), width=width)


def _table(run: Summary, console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("strategy", min_width=16, max_width=20)
    for name in (run.header.score.replace(" ", "\n"), "time per step", "peak memory", "FLOPs per step"):
        table.add_column(plain(Text(name), console), justify="right", no_wrap=True)
    for number, cost in enumerate(run.costs):
        if number:
            table.add_row()
        table.add_row(*(plain(Text("\n".join(lines)), console) for lines in _cells(run, cost)))
    return table


def _cells(run: Summary, cost: Cost) -> list[list[str]]:
    """The cells of one strategy, each as its lines."""
    base = run.reference if cost is not run.reference else None
    score = [MISSING]
    if cost.training is not None:
        score = [scored(cost.training.score_test, run.header.unit), "on test", counted(len(cost.training.losses), "step")]
    time = [MISSING]
    if cost.time is not None:
        time = [duration(cost.time.median), f"IQR {duration(cost.time.interquartile)}", *_ratio(time_ratio(cost, base))]
    peak = [MISSING] if cost.peak is None else [size(cost.peak), cost.peak_kind, *_ratio(peak_ratio(cost, base))]
    flops = [MISSING]
    if cost.flops is not None:
        flops = [operations(cost.flops), f"+ {operations(cost.transcendentals or 0, '').strip()} transc.", *_ratio(flops_ratio(cost, base))]
    return [[cost.strategy.title], score, time, peak, flops]


def _ratio(value: float | None) -> list[str]:
    return [] if value is None else [f"{ratio(value, 'x')} reverse"]


def _notes(run: Summary) -> list[Text]:
    lines = [f"{cost.strategy.title}: {cost.strategy.note}" for cost in run.costs if cost.strategy.note]
    for pair in run.agreements:
        if pair.strategy == pair.reference:
            continue
        state = "agrees with" if agrees(pair) else "DISAGREES with"
        lines.append(
            f"{run.phrase(pair.strategy)} {state} {run.phrase(pair.reference)}: parameters after {counted(pair.steps, 'step')} "
            f"in {pair.dtype} differ by at most {at_most(largest(pair))} (tolerance {pair.tolerance:g})"
        )
    if text := account(predictions(run), "x"):
        lines.append(text)
    lines.append("Time: median and interquartile range (IQR) of all samples. Peak: bytes that a step adds to what rests before it.")
    return [Text(line) for line in (*lines, "")]


def shows_unicode(console: Console) -> bool:
    """Whether the terminal's encoding has more than ASCII."""
    return console.encoding.lower().startswith("utf")


def sign(console: Console) -> str:
    """The sign of a factor."""
    return "×" if shows_unicode(console) else "x"


def plain(text: Text, console: Console) -> Text:
    """The text with what the terminal's encoding cannot show replaced, so that printing never fails."""
    shown = text.plain if sign(console) == "×" else text.plain.replace("µ", "u").replace("×", "x").replace("²", "^2").replace(MISSING, "-")
    shown = shown.encode(console.encoding, "replace").decode(console.encoding)
    return Text(shown, style=text.style)
