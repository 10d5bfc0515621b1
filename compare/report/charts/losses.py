"""Loss curves: of the training runs, and of the runs that prove that the strategies compute the same."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from compare.records import Agreement
from compare.report.charts.canvas import dots, heading, render
from compare.report.charts.scales import decades, extremes
from compare.report.palette import sentinel, strategy_token
from compare.report.summary import Summary
from compare.report.units import at_most, power, whole

_WIDE, _NARROW, _DASH = 5.0, 2.2, 14.0
"""The first strategy is a wide line, the others take turns as dashes of this length on it: curves that coincide can all be seen."""


def training_chart(run: Summary) -> str:
    """The training loss of every strategy over its steps, the curves lying over each other."""
    costs = run.having(lambda cost: cost.training)

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        for cost in costs:
            if cost.training is not None:
                _curve(axis, cost.training.losses, run, cost.name)
        _steps(axis, max(len(cost.training.losses) for cost in costs if cost.training))
        heading(axis, "Loss of each step's batch")

    names = "; ".join(f"{cost.strategy.title}: {whole(len(cost.training.losses))} steps" for cost in costs if cost.training)
    return render(f"Training loss. {names}", 210, draw)


def agreement_chart(run: Summary) -> str:
    """Loss curves of the proof runs over each other, and below them their difference on a logarithmic axis."""
    pairs = list(run.agreements)

    def draw(axes: list[Axes]) -> None:
        longest = max(len(pair.losses) for pair in pairs)
        curves = {pair.strategy: pair.losses for pair in pairs} | {pair.reference: pair.losses for pair in pairs if indistinguishable(pair)}
        for name in sorted(curves, key=run.place):
            _curve(axes[0], curves[name], run, name)
        _steps(axes[0], longest)
        axes[0].set_xlabel("")
        heading(axes[0], f"Loss in {' and '.join(sorted({pair.dtype for pair in pairs}))}")
        _differences(axes[1], run, pairs)
        _steps(axes[1], longest)
        heading(axes[1], "Absolute difference of the losses, logarithmic")

    largest = max([0.0, *(value for pair in pairs for value in pair.loss_differences)])
    return render(f"Losses of the proof runs and their difference, at most {at_most(largest)}", 330, draw, 2, (1, 1.1))


def indistinguishable(pair: Agreement) -> bool:
    """Whether the reference's curve, which the records hold as a difference only, lies within a hundredth of a pixel of the strategy's."""
    return max(pair.loss_differences, default=math.inf) <= 1e-4 * max(pair.losses, default=0.0)


def _differences(axis: Axes, run: Summary, pairs: list[Agreement]) -> None:
    """A dot for each step; a logarithmic axis has no zero, so exact zeros lie on a marked line below it."""
    values = [value for pair in pairs for value in pair.loss_differences if value > 0 and math.isfinite(value)]
    lowest = math.floor(math.log10(min(values))) if values else -17
    highest = max(math.ceil(math.log10(max(values))) if values else -15, lowest + 1)
    floor = lowest - max(0.12 * (highest - lowest), 0.5)
    exponents = decades(lowest, highest)
    axis.set_ylim(floor - 0.06 * (highest - floor), highest)
    axis.set_yticks([floor, *exponents], ["exactly 0", *(power(exponent) for exponent in exponents)])
    longest = max(len(pair.loss_differences) for pair in pairs)
    axis.plot([0, max(longest - 1, 1)], [floor, floor], color=sentinel("axis"), linewidth=0.9, linestyle=(0, (2, 2)))
    for index, pair in enumerate(pairs):
        points = [
            (step, math.log10(value) if value > 0 else floor) for step, value in extremes(pair.loss_differences) if math.isfinite(value)
        ]
        dots(axis, points, sentinel(strategy_token(run.place(pair.strategy))), width=3.0 - 0.8 * min(index, 2))


def _curve(axis: Axes, losses: list[float], run: Summary, name: str) -> None:
    place = run.place(name)
    points = [(step, value) for step, value in extremes(losses) if math.isfinite(value)]
    if not points:
        return
    color, width = sentinel(strategy_token(place)), _NARROW if place else _WIDE
    if len(points) == 1:
        dots(axis, points, color, width=width + 2)
        axis.update_datalim(points)
        axis.autoscale_view()
        return
    steps, values = zip(*points, strict=True)
    dashes = (-_DASH * (place - 1), (_DASH, _DASH * (len(run.costs) - 1))) if place else "solid"
    axis.plot(steps, values, color=color, linewidth=width, linestyle=dashes, dash_capstyle="butt", solid_capstyle="round")


def _steps(axis: Axes, longest: int) -> None:
    axis.set_xlim(0, max(longest - 1, 1))
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.xaxis.set_major_formatter(lambda value, _: whole(round(value)))
    axis.set_xlabel("training step")
    low, high = axis.get_ylim()
    if low > 0:
        axis.set_ylim(0, high)

