"""Live bytes over one step, by role, with the measured peak."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from compare.records import Memory, Moment
from compare.report.charts.canvas import area, fitted, heading, render
from compare.report.charts.scales import highest_of_bins
from compare.report.palette import PHASES, ROLES, ordered, phase_token, role_token, sentinel, strategy_token
from compare.report.summary import Cost, Summary, planned, resting
from compare.report.units import size, whole

_FAR_APART = 4
"""Largest over smallest peak above which each strategy has a scale of its own."""


def roles_of(run: Summary) -> list[str]:
    """The roles that any strategy has bytes in, in the order they are stacked."""
    found = {role for cost in run.costs if cost.memory for moment in cost.memory.timeline for role, count in moment.bytes.items() if count}
    return ordered(found, ROLES)


def phases_seen(run: Summary) -> list[str]:
    """The phases that any timeline passes through."""
    return ordered({phase_of(moment) for cost in run.costs if cost.memory for moment in cost.memory.timeline}, PHASES)


def phase_of(moment: Moment) -> str:
    """The phase a moment belongs to: the first word of its label."""
    return moment.label.partition(" ")[0]


def summit(memory: Memory) -> float:
    """The highest value a panel of this strategy has to show, in bytes."""
    totals = [sum(moment.bytes.values()) for moment in memory.timeline]
    return max([resting(memory) + (memory.measured_peak or 0), memory.planned_peak, *totals])


def on_one_scale(run: Summary) -> bool:
    """Whether the strategies' peaks are near enough to be drawn on one scale."""
    summits = [summit(cost.memory) for cost in run.costs if cost.memory]
    return min(summits) > 0 and max(summits) / min(summits) <= _FAR_APART


def memory_chart(run: Summary) -> str:
    """Stacked areas of live bytes by role over the allocation events of a step, one panel for each strategy."""
    costs = run.having(lambda cost: cost.memory)
    shared = on_one_scale(run)
    tallest = max(summit(cost.memory) for cost in costs if cost.memory)
    roles = roles_of(run)

    def draw(axes: list[Axes]) -> None:
        for axis, cost in zip(axes, costs, strict=True):
            if cost.memory is not None:
                _panel(axis, run, cost, cost.memory, roles, tallest if shared else summit(cost.memory))
        axes[-1].set_xlabel("allocation events of one step")

    names = "; ".join(f"{cost.strategy.title}: {size(cost.peak or 0)} {cost.peak_kind}" for cost in costs)
    return render(f"Live bytes over one step by role. Peaks: {names}", 24 + 128 * len(costs), draw, len(costs))


def _panel(axis: Axes, run: Summary, cost: Cost, memory: Memory, roles: list[str], top: float) -> None:
    top = max(top, 1.0) * 1.06
    totals = [sum(moment.bytes.values()) for moment in memory.timeline]
    kept = highest_of_bins(totals)
    moments = [memory.timeline[index] for index in kept]
    lower = [0.0] * len(moments)
    for role in roles:
        upper = [below + moment.bytes.get(role, 0) for below, moment in zip(lower, moments, strict=True)]
        if upper != lower:
            area(axis, lower, upper, sentinel(role_token(role)))
        lower = upper
    width = max(len(moments), 1)
    axis.set_xlim(0, width)
    axis.set_ylim(0, top)
    _phase_strip(axis, [phase_of(moment) for moment in moments], top)
    _byte_ticks(axis, top)
    _event_ticks(axis, len(totals), width)
    reference = run.reference
    if reference is not None and reference.memory is not None and cost is not reference:
        color = sentinel(strategy_token(run.place(reference.name)))
        axis.plot([0, width], [resting(memory) + _like(reference.memory, memory)] * 2, color=color, linewidth=1.6, linestyle=(0, (1.6, 2)))
    if memory.measured_peak is not None:
        axis.plot([0, width], [resting(memory) + memory.measured_peak] * 2, color=sentinel("ink"), linewidth=1.3, linestyle=(0, (6, 3)))
    heading(axis, fitted(cost.strategy.title, 32), f"{cost.peak_kind} peak {size(cost.peak or 0)}")


def _like(reference: Memory, memory: Memory) -> int:
    """The reference's peak of the kind that both have: measured, else planned."""
    if reference.measured_peak is not None and memory.measured_peak is not None:
        return reference.measured_peak
    return planned(reference)


def _phase_strip(axis: Axes, phases: Sequence[str], top: float) -> None:
    """A thin band under the areas: which phase the step is in."""
    start = 0
    for index in range(1, len(phases) + 1):
        if index == len(phases) or phases[index] != phases[start]:
            color = sentinel(phase_token(phases[start]))
            axis.add_patch(Rectangle((start, -0.075 * top), index - start, 0.05 * top, facecolor=color, linewidth=0))
            start = index


def _byte_ticks(axis: Axes, top: float) -> None:
    unit = 1.0
    while top / unit >= 1024:
        unit *= 1024
    ticks = [value * unit for value in MaxNLocator(3).tick_values(0, top / unit) if 0 <= value * unit <= top]
    axis.set_yticks(ticks, [size(tick) if tick else "0" for tick in ticks])


def _event_ticks(axis: Axes, events: int, width: int) -> None:
    ticks = [round(value) for value in MaxNLocator(5, integer=True).tick_values(0, max(events, 1)) if 0 <= value <= events]
    axis.set_xticks([tick * width / max(events, 1) for tick in ticks], [whole(tick) for tick in ticks])
    axis.tick_params(axis="x", pad=9)
