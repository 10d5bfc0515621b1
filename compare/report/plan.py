"""The page of a plan: what each way costs, which is advised, and where that would flip. From records alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compare.planning import words
from compare.planning.records import Line, Way
from compare.planning.result import Plan
from compare.report.charts.planned import operations_chart, peaks_chart
from compare.report.figures import Figure
from compare.report.page import Cell, template
from compare.report.palette import PHASES, ROLES, ordered, phase_token, role_token
from compare.report.units import MISSING, size, whole

COLUMNS = ("FLOPs", "Predicted time", "Peak memory", "Fits")


@dataclass(frozen=True)
class Row:
    """One way: what it is, and its numbers."""

    title: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Ways that compute the same."""

    key: str
    title: str
    rows: list[Row]


def render(lines: Iterable[Line]) -> str:
    """The document: one page that loads nothing, the same text for the same records. Raises `RecordsError` when they are no plan."""
    plan = Plan(lines)
    shown = plan.best or next(iter(plan.ways.values()))
    phases = words.phases_of(shown.layers)
    checkpoints = plan.ways.get("reverse-checkpoint")
    return template("plan.html.jinja").render(
        header=plan.header,
        headline=plan.advices["gradient"].why if "gradient" in plan.advices else plan.header.network,
        facts=_facts(plan),
        advices=[advice for computes, advice in plan.advices.items() if computes != "gradient"],
        flips=[words.flip(plan, flip) for flip in plan.flips],
        columns=COLUMNS,
        groups=[
            Group(computes.lower(), title, [_row(way) for way in plan.computing(computes)])
            for computes, title in words.GROUPS.items()
            if plan.computing(computes)
        ],
        figures=_figures(plan),
        layers_of=shown.title[:1].upper() + shown.title[1:],
        phases=phases,
        layers=list(words.by_layer(shown.layers, phases)),
        schedule=checkpoints.schedule if checkpoints is not None else "",
        environment=plan.environment,
    )


def _facts(plan: Plan) -> list[tuple[str, str]]:
    header = plan.header
    return [
        ("network", f"{header.network} {header.shape}, {whole(header.parameters)} parameters"),
        ("batch", f"{whole(header.batch)} examples of {header.inputs}, {header.dtype}"),
        ("training", header.training),
        ("budget", f"{size(header.budget)} ({header.budget_of})"),
        ("ranked by", "predicted seconds" if header.ranked_by == "seconds" else "operations"),
        ("made", header.created),
    ]


def _row(way: Way) -> Row:
    note = words.chunks(way)
    if way.peak is None:
        return Row(way.title, note, (*(Cell(MISSING),) * 3, Cell("no", way.reason)))
    time = Cell(MISSING, "no calibration") if way.seconds is None else Cell(words.seconds(way))
    peak = Cell(size(way.nbytes), f"at {words.place(way.peak)}")
    return Row(way.title, note, (Cell(words.flops(way), words.phases(way)), time, peak, Cell(_fits(way), way.reason)))


def _fits(way: Way) -> str:
    return "yes" if way.fits else "no"


def _figures(plan: Plan) -> list[Figure]:
    ways = [way for way in plan.ways.values() if way.peak is not None]
    roles = ordered({role for way in ways if way.peak is not None for role, count in way.peak.roles.items() if count > 0}, ROLES)
    phases = ordered({phase for way in ways for phase in way.flops}, PHASES)
    return [
        Figure(
            "memory",
            "Bytes at the peak, by role",
            peaks_chart(ways, plan.header.budget),
            "What is alive at the moment at which the most is: parameters, batch and optimizer state, what is kept for the way back "
            "(residuals), what is carried forward (tangents) or back (cotangents), and the workspace of single operations.",
            [("bytes kept as", [(role, role_token(role)) for role in roles])],
            ["The dashed line is the budget. Bars beyond twice the budget are cut off there."],
        ),
        Figure(
            "flops",
            "Operations by phase",
            operations_chart(ways),
            "The part that each phase has in a way's own FLOPs.",
            [("phase", [(phase, phase_token(phase)) for phase in phases])],
            ["Ways differ by orders of magnitude, so that each bar is drawn at full length; its number stands above it."],
        ),
    ]
