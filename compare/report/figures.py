"""The figures of the page with the words around them: what is drawn, its legend, and what to know when reading it."""

from __future__ import annotations

from dataclasses import dataclass, field

from compare.report.charts import agreement_chart, arithmetic_chart, memory_chart, timing_chart, training_chart
from compare.report.charts.arithmetic import phases_of
from compare.report.charts.losses import indistinguishable
from compare.report.charts.memory import on_one_scale, phases_seen, roles_of
from compare.report.charts.scales import MOST_POINTS
from compare.report.palette import phase_token, role_token, strategy_token
from compare.report.summary import Cost, Summary, peak_ratio, planned, resting
from compare.report.units import at_most, duration, operations, ratio, scored, size, whole


@dataclass(frozen=True)
class Figure:
    """One figure: `svg` is trusted markup made by `charts`; everything else is plain text that the template escapes."""

    key: str
    title: str
    svg: str
    lead: str
    legend: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    body: list[list[str]] = field(default_factory=list)


def figures(run: Summary) -> list[Figure]:
    """The figures that the records of this run have something for."""
    found = []
    if run.having(lambda cost: cost.time):
        found.append(_timing(run))
    if run.having(lambda cost: cost.memory):
        found.append(_memory(run))
    if run.having(lambda cost: cost.arithmetic):
        found.append(_arithmetic(run))
    if any(pair.losses and pair.loss_differences for pair in run.agreements):
        found.append(_agreement(run))
    if any(cost.training and cost.training.losses for cost in run.costs):
        found.append(_training(run))
    return found


def _strategies(run: Summary, costs: list[Cost]) -> list[tuple[str, list[tuple[str, str]]]]:
    return [("", [(cost.strategy.title, strategy_token(run.place(cost.name))) for cost in costs])]


def _timing(run: Summary) -> Figure:
    costs = run.having(lambda cost: cost.time)
    body = [
        [
            cost.strategy.title,
            *(duration(value) for value in (cost.time.minimum, cost.time.lower, cost.time.median, cost.time.upper, cost.time.maximum)),
        ]
        for cost in costs
        if cost.time
    ]
    warmups = ", ".join(sorted({str(cost.timing.steps_warmup) for cost in costs if cost.timing}))
    rounds = ", ".join(sorted({str(len(cost.timing.rounds)) for cost in costs if cost.timing}))
    return Figure(
        "time",
        "Time per step",
        timing_chart(run),
        "Each dot is one training step. Rounds of all strategies were interleaved, so that a slow moment of the machine hits them alike.",
        notes=[
            f"Samples run from top to bottom in the order measured, in {rounds} rounds after {warmups} steps of warm-up: a slant is drift.",
            "The bar is the median, the shaded box the middle half of the samples (their interquartile range).",
        ],
        head=["", "least", "1st quartile", "median", "3rd quartile", "most"],
        body=body,
    )


def _memory(run: Summary) -> Figure:
    costs = run.having(lambda cost: cost.memory)
    legend = [
        ("bytes kept as", [(role, role_token(role)) for role in roles_of(run)]),
        ("strip below: phase", [(phase, phase_token(phase)) for phase in phases_seen(run)]),
    ]
    notes = [] if len(costs) == 1 else ["All panels share one scale." if on_one_scale(run) else _own_scales(run, costs)]
    if run.reference is not None and len(costs) > 1 and run.reference.memory is not None:
        notes.append(f"The dotted line repeats the peak of {run.phrase(run.reference.name)} in every other panel.")
    if any(cost.memory and cost.memory.measured_peak is not None for cost in costs):
        notes.append("The dashed line is the measured peak; the areas are what the ledger plans from shapes alone.")
    rests = [resting(cost.memory) for cost in costs if cost.memory]
    if any(rests):
        amounts = " or ".join(dict.fromkeys(size(rest) for rest in rests))
        notes.append(
            f"Parameters, batch and optimizer state ({amounts}) are there before the step begins. "
            "A peak is what the step adds to them, so the lines stand on top of them."
        )
    longest = max(len(cost.memory.timeline) for cost in costs if cost.memory)
    if longest > MOST_POINTS // 2:
        notes.append(f"Long timelines are drawn as the highest of each of {MOST_POINTS // 2} equal stretches; no peak is lost.")
    body = []
    for cost in costs:
        if cost.memory is not None:
            shown = "not measured" if cost.memory.measured_peak is None else size(cost.memory.measured_peak)
            top = max(cost.memory.timeline, key=lambda moment: sum(moment.bytes.values()), default=None)
            body.append([cost.strategy.title, shown, size(planned(cost.memory)), top.label if top else ""])
    return Figure(
        "memory",
        "Memory over one step",
        memory_chart(run),
        "Live bytes at every allocation of one step, stacked by what they are kept for.",
        legend,
        notes,
        ["", "measured peak", "planned peak", "where planned"],
        body,
    )


def _own_scales(run: Summary, costs: list[Cost]) -> str:
    factors = [(cost, peak_ratio(cost, run.reference)) for cost in costs if cost is not run.reference]
    told = ", ".join(f"{run.phrase(cost.name)} peaks at {ratio(factor)}" for cost, factor in factors if factor is not None)
    return "Each panel has a scale of its own" + (f": {told} of {run.phrase(run.reference.name)}." if told and run.reference else ".")


def _arithmetic(run: Summary) -> Figure:
    costs = run.having(lambda cost: cost.arithmetic)
    phases = phases_of(run)
    body = []
    for cost in costs:
        if cost.arithmetic is not None:
            counts = [cost.arithmetic.flops.get(phase, 0) for phase in phases]
            cells = [operations(count, "").strip() if count else "0" for count in (*counts, cost.flops or 0, cost.transcendentals or 0)]
            body.append([cost.strategy.title, *cells])
    return Figure(
        "flops",
        "Arithmetic of one step",
        arithmetic_chart(run),
        "Floating-point operations by phase: the primal computes values, the tangent phase carries derivatives forward, the adjoint phase "
        "carries them back, " + ("the recompute phase runs layers again whose values were not kept, " if "recompute" in phases else "")
        + "the update moves the parameters.",
        [("phase", [(phase, phase_token(phase)) for phase in phases])],
        ["Transcendental functions (exp, log, tanh) are counted apart, in the last column, and are not in the bars."],
        ["FLOPs", *phases, "all", "transcendentals"],
        body,
    )


def _agreement(run: Summary) -> Figure:
    pairs = [pair for pair in run.agreements if pair.losses and pair.loss_differences]
    worst = max(value for pair in pairs for value in pair.loss_differences)
    zeros = sum(value == 0 for pair in pairs for value in pair.loss_differences)
    every = sum(len(pair.loss_differences) for pair in pairs)
    notes = [f"{whole(zeros)} of {whole(every)} differences are exactly zero. A logarithmic axis has no zero: they lie on the marked line."]
    if any(indistinguishable(pair) for pair in pairs):
        phrases = ", ".join(sorted({run.phrase(pair.reference) for pair in pairs}))
        notes.append(f"The wide curve is {phrases}; it lies within {at_most(worst)} of the others, far less than the width of a line.")
    dtypes = ", ".join(sorted({pair.dtype for pair in pairs}))
    names = {name for pair in pairs for name in ((pair.strategy, pair.reference) if indistinguishable(pair) else (pair.strategy,))}
    return Figure(
        "agreement",
        "Loss curves over each other, and their difference",
        agreement_chart(run),
        f"The same training in {dtypes} from the same seed. The losses differ by at most {at_most(worst)}.",
        _strategies(run, [cost for cost in run.costs if cost.name in names]),
        notes,
    )


def _training(run: Summary) -> Figure:
    costs = [cost for cost in run.costs if cost.training and cost.training.losses]
    longest = max(len(cost.training.losses) for cost in costs if cost.training)
    short = [cost for cost in costs if cost.training and len(cost.training.losses) < longest and cost.strategy.note]
    notes = [f"{cost.strategy.title}: {cost.strategy.note}." for cost in short]
    if any(len(cost.training.losses) > MOST_POINTS for cost in costs if cost.training):
        notes.append(f"Long curves are drawn as the least and the greatest loss of each of {MOST_POINTS // 2} equal stretches.")
    body = [
        [
            cost.strategy.title,
            whole(len(cost.training.losses)),
            f"{cost.training.losses[0]:.4g}",
            f"{cost.training.losses[-1]:.4g}",
            scored(cost.training.score_train, run.header.unit),
            scored(cost.training.score_test, run.header.unit),
        ]
        for cost in costs
        if cost.training
    ]
    return Figure(
        "training",
        "Training runs",
        training_chart(run),
        f"The runs in {run.header.dtype} that reached the scores of the table.",
        _strategies(run, costs),
        notes,
        ["", "steps", "first loss", "last loss", f"training {run.header.score}", f"test {run.header.score}"],
        body,
    )
