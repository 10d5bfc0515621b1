"""Operations of one step, by phase."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from compare.report.charts.canvas import fitted, heading, render
from compare.report.palette import PHASES, ordered, phase_token, sentinel
from compare.report.summary import Cost, Summary, flops_ratio
from compare.report.units import operations, ratio

_FAR_APART = 12
"""Largest over smallest total above which a second panel shows each strategy as shares of its own total."""


def phases_of(run: Summary) -> list[str]:
    """The phases that any strategy has operations in, in the order they are stacked."""
    found = {phase for cost in run.costs if cost.arithmetic for phase, count in cost.arithmetic.flops.items() if count}
    return ordered(found, PHASES)


def arithmetic_chart(run: Summary) -> str:
    """Stacked bars of FLOPs by phase on one scale; with totals far apart, also as shares of each total."""
    costs = run.having(lambda cost: cost.flops)
    totals = [cost.flops or 0 for cost in costs]
    far = min(totals) > 0 and max(totals) / min(totals) > _FAR_APART

    def total(cost: Cost) -> str:
        times = flops_ratio(cost, run.reference)
        note = f" ({ratio(times)} reverse)" if times is not None and cost is not run.reference else ""
        return f"{fitted(cost.strategy.title)}: {operations(cost.flops or 0)}{note}"

    def draw(axes: list[Axes]) -> None:
        heading(axes[0], "FLOPs of one step" + (", all on one scale" if far else ""))
        _bars(axes[0], costs, total, lambda _: 1.0, most=max(totals) or 1)
        axes[0].xaxis.set_major_locator(MaxNLocator(4))
        axes[0].xaxis.set_major_formatter(lambda value, _: operations(value) if value else "0")
        if far:
            heading(axes[1], "The same as shares of each strategy's own total")
            _bars(axes[1], costs, lambda cost: fitted(cost.strategy.title), lambda cost: 100 / (cost.flops or 1), most=100)
            axes[1].set_xticks([0, 25, 50, 75, 100], ["0", "25 %", "50 %", "75 %", "100 %"])

    names = "; ".join(f"{cost.strategy.title}: {operations(cost.flops or 0)}" for cost in costs)
    rows = 2 if far else 1
    return render(f"FLOPs of one step by phase. {names}", (48 + 38 * len(costs)) * rows, draw, rows)


def _bars(axis: Axes, costs: list[Cost], label: Callable[[Cost], str], factor: Callable[[Cost], float], most: float) -> None:
    axis.set_ylim(len(costs), 0)
    axis.set_xlim(0, most)
    axis.set_yticks([])
    axis.grid(True, axis="x", color=sentinel("grid"), linewidth=0.7)
    for row, cost in enumerate(costs):
        start = 0.0
        flops = cost.arithmetic.flops if cost.arithmetic else {}
        for phase in ordered(set(flops), PHASES):
            width = flops[phase] * factor(cost)
            color = sentinel(phase_token(phase))
            axis.add_patch(Rectangle((start, row + 0.46), width, 0.4, facecolor=color, edgecolor=sentinel("paper"), linewidth=0.6))
            start += width
        axis.text(0, row + 0.38, label(cost), color=sentinel("ink"), va="bottom")
