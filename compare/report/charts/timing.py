"""Time per step: every sample of every strategy, in the order measured, with median and quartiles."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from compare.report.charts.canvas import dots, fitted, heading, render
from compare.report.charts.scales import log_ticks
from compare.report.palette import sentinel, strategy_token
from compare.report.summary import Cost, Summary
from compare.report.units import duration, whole

_MANY = 5_000
"""Samples above which those that fall on one pixel are drawn once."""


def timing_chart(run: Summary) -> str:
    """Strip chart of seconds per step on a logarithmic axis. Needs one strategy with samples."""
    costs = run.having(lambda cost: cost.time)
    every = sum(cost.time.count for cost in costs if cost.time)
    lowest = min(_positive(cost.time.minimum) for cost in costs if cost.time)
    highest = max(_positive(cost.time.maximum) for cost in costs if cost.time)
    lowest, highest = lowest / 1.12, highest * 1.12
    low, high = math.log10(lowest), math.log10(highest)

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        axis.set_xlim(low, high)
        axis.set_ylim(len(costs), 0)
        axis.set_yticks([])
        axis.grid(True, axis="x", color=sentinel("grid"), linewidth=0.7)
        ticks = log_ticks(lowest, highest)
        axis.set_xticks([math.log10(tick) for tick in ticks], [duration(tick) for tick in ticks])
        axis.set_xlabel("seconds per step, logarithmic")
        heading(axis, "Every timed step, first at the top of its band")
        for row, cost in enumerate(costs):
            _band(axis, row, cost, sentinel(strategy_token(run.place(cost.name))), coarse=every > _MANY, edges=(low, high))

    names = "; ".join(f"{cost.strategy.title}: median {duration(cost.time.median)}" for cost in costs if cost.time)
    return render(f"Time per step of every sample. {names}", 52 + 58 * len(costs), draw)


def _band(axis: Axes, row: int, cost: Cost, color: str, *, coarse: bool, edges: tuple[float, float]) -> None:
    """One strategy: its name, its samples from top to bottom, the middle half shaded, the median a bar."""
    if cost.time is None or cost.timing is None:
        return
    top, bottom = row + 0.36, row + 0.94
    left, right = math.log10(_positive(cost.time.lower)), math.log10(_positive(cost.time.upper))
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, facecolor=color, alpha=0.22, linewidth=0))
    rounds = [samples for samples in cost.timing.rounds if samples]
    points: dict[tuple[float, float], None] = {}
    for number, samples in enumerate(rounds):
        for place, sample in enumerate(samples):
            height = top + (bottom - top) * (number + (place + 0.5) / len(samples)) / len(rounds)
            point = (math.log10(_positive(sample)), height)
            points[_pixel(point, edges) if coarse else point] = None
    dots(axis, points, color, width=2.0 if cost.time.count <= 400 else 1.4, opacity=0.75)
    median = math.log10(_positive(cost.time.median))
    axis.plot([median, median], [top - 0.04, bottom + 0.04], color=sentinel("ink"), linewidth=1.6)
    text = f"{fitted(cost.strategy.title)}: median {duration(cost.time.median)}, n = {whole(cost.time.count)}"
    axis.text(edges[0], row + 0.28, text, color=sentinel("ink"), va="bottom", ha="left")


def _pixel(point: tuple[float, float], edges: tuple[float, float]) -> tuple[float, float]:
    """The point moved onto a grid of one unit of the figure across and one fiftieth of a band down."""
    width = (edges[1] - edges[0]) / 340
    return edges[0] + round((point[0] - edges[0]) / width) * width, round(point[1] * 58) / 58


def _positive(seconds: float) -> float:
    """A clock may read no time at all; a logarithmic axis cannot: one nanosecond stands for it."""
    return max(seconds, 1e-9)
