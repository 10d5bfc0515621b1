"""The page: what the template needs, gathered from the summary of a run. Every number on it comes from a record."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from compare.records import Agreement, Header, Line
from compare.report.figures import Figure, figures
from compare.report.palette import strategy_token
from compare.report.predictions import account, predictions
from compare.report.summary import Summary, flops_ratio, peak_ratio, planned, summarize, time_ratio
from compare.report.units import MISSING, at_most, counted, duration, operations, ratio, scored, size, whole
from compare.report.verdict import agrees, largest, verdict


@dataclass(frozen=True)
class Cell:
    """One cell of the table of costs: its value, what it means, and its ratio to reverse."""

    value: str
    note: str = ""
    ratio: str = ""


@dataclass(frozen=True)
class Row:
    """One strategy of the table of costs."""

    title: str
    token: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Proof:
    """What one proof run says, in words, and the largest difference of each parameter it compared."""

    title: str
    agrees: bool
    statement: str
    differences: dict[str, str]


COLUMNS = ("Time per step", "Peak memory", "FLOPs per step")


def render(records: Iterable[Line]) -> str:
    """The document of a run. Raises `RecordsError` when the records do not make up one."""
    run = summarize(records)
    drawn: list[Figure] = figures(run)
    proofs = [_proof(run, pair) for pair in run.agreements if pair.strategy != pair.reference]
    return template("report.html.jinja").render(
        run=run,
        header=run.header,
        verdict=verdict(run),
        columns=(f"Test {run.header.score}", *COLUMNS),
        rows=[_row(run, number) for number in range(len(run.costs))],
        proofs=proofs,
        compared=list(dict.fromkeys(name for proof in proofs for name in proof.differences)),
        missing=MISSING,
        reference=run.title(run.reference.name) if run.reference else "",
        figures=drawn,
        facts=_facts(run),
        conventions=sorted({cost.arithmetic.convention for cost in run.costs if cost.arithmetic}),
        measured_by=sorted({cost.memory.measured_by for cost in run.costs if cost.memory}),
        predictions=predictions(run),
        predicted=account(predictions(run)),
        timings=[cost for cost in run.costs if cost.timing],
    )


def template(name: str) -> Template:
    """A template of this package; all have the style sheet as `style`."""
    environment = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["pieces"] = pieces
    environment.globals["style"] = _text("report.css")
    return environment.get_template(name)


def _text(name: str) -> str:
    """A file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


_UNBROKEN = re.compile(r"(\b\d[\d.,]*(?:e-?\d+)?(?: (?:%|[kMGTPEZ]?FLOP|[KMGT]iB|B|[nµm]?s|k|M)(?!\w))?|\bn = [\d,]+)")


def pieces(text: str) -> list[str]:
    """`text` cut up so that every other piece, from the second, is a number with its unit, which no line may break."""
    return _UNBROKEN.split(text)


def _row(run: Summary, number: int) -> Row:
    cost, base = run.costs[number], run.reference
    score = time = peak = flops = Cell(MISSING, "not recorded")
    if cost.training is not None:
        unit = run.header.unit
        steps = f"after {counted(len(cost.training.losses), 'step')}; {scored(cost.training.score_train, unit)} on the training set"
        score = Cell(scored(cost.training.score_test, unit), steps)
    if cost.time is not None:
        spread = f"middle half {duration(cost.time.lower)} to {duration(cost.time.upper)}, n = {whole(cost.time.count)}"
        time = Cell(duration(cost.time.median), spread, ratio(time_ratio(cost, base)))
    if cost.memory is not None:
        other = f", planned {size(planned(cost.memory))}" if cost.peak_kind == "measured" else ", not measured"
        peak = Cell(size(cost.peak or 0), cost.peak_kind + other, ratio(peak_ratio(cost, base)))
    if cost.flops is not None:
        apart = f"and {operations(cost.transcendentals or 0, '').strip()} transcendentals"
        flops = Cell(operations(cost.flops), apart, ratio(flops_ratio(cost, base)))
    directions = f"{whole(cost.strategy.directions)} directions" if cost.strategy.directions is not None else ""
    note = "; ".join(part for part in (directions, cost.strategy.note) if part)
    return Row(cost.strategy.title, strategy_token(number), note, (score, time, peak, flops))


def _proof(run: Summary, pair: Agreement) -> Proof:
    worst, good = largest(pair), agrees(pair)
    bound = "are exactly equal" if worst == 0 else f"differ by at most {at_most(worst)}"
    relation = "within" if good else "more than"
    names = f"{run.phrase(pair.strategy)} and {run.phrase(pair.reference)}"
    statement = (
        f"{names[0].upper()}{names[1:]}: after {counted(pair.steps, 'training step')} in {pair.dtype} from one seed all parameters "
        f"{bound}, {relation} the tolerance of {pair.tolerance:g}."
    )
    return Proof(run.title(pair.strategy), good, statement, {name: f"{value:.2g}" for name, value in pair.differences.items()})


def _outputs(header: Header) -> str:
    """What the outputs of the network stand for."""
    if header.task == "regression":
        return "one number" if header.outputs == 1 else f"{whole(header.outputs)} numbers"
    return f"{whole(header.outputs)} {'different tokens' if header.task == 'language' else 'classes'}"


def _extent(shape: tuple[int, ...]) -> str:
    return f"{whole(shape[0])} numbers" if len(shape) == 1 else "x".join(map(str, shape)) + " numbers"


def _facts(run: Summary) -> list[tuple[str, str]]:
    header = run.header
    return [
        ("network", f"{header.network} {header.shape}, {whole(header.parameters)} parameters"),
        ("data", f"{header.data}: {whole(header.examples)} examples of {_extent(header.inputs)}"),
        ("task", f"{header.task}: {_outputs(header)}"),
        ("training", f"{header.optimizer}, batch {whole(header.batch)}, seed {header.seed}"),
        ("arrays", f"{header.backend}, {header.dtype}"),
        ("made", header.created),
    ]
