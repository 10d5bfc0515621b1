"""Ratios in parts of their bounds: what lies left of the line keeps its bound."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from compare.bench.summary import MET, Row, shown
from compare.report.charts.canvas import dots, fitted, heading, render
from compare.report.charts.scales import log_ticks
from compare.report.palette import sentinel, strategy_token

TOKENS = {True: strategy_token(2), False: strategy_token(1)}
"""Colours of bounds kept and missed."""


def bounds_chart(rows: list[Row], names: list[str]) -> str:
    """One dot for each row at its ratio in parts of its bound, with its quartiles, on a logarithmic axis. Needs rows with a distance."""
    values = [row.distance for row in rows if row.distance is not None]
    ends = [end for row in rows if row.reach is not None for end in row.reach]
    lowest, highest = min(*values, *ends, 0.7) / 1.15, max(*values, *ends, 1.4) * 1.15

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        axis.set_xlim(math.log10(lowest), math.log10(highest))
        axis.set_ylim(len(rows), -0.15)
        axis.set_yticks([])
        axis.grid(True, axis="x", color=sentinel("grid"), linewidth=0.7)
        ticks = log_ticks(lowest, highest)
        axis.set_xticks([math.log10(tick) for tick in ticks], [f"{tick:.3g}" for tick in ticks])
        axis.set_xlabel("ratio in parts of its bound, logarithmic")
        axis.axvline(0, color=sentinel("ink"), linewidth=1.2)
        heading(axis, "Kept is left of the line", "missed is right")
        for place, (row, name) in enumerate(zip(rows, names, strict=True)):
            _row(axis, place, row, name, math.log10(lowest))

    told = "; ".join(f"{name}: {shown(value)} of its bound" for name, value in zip(names, values, strict=True))
    return render(f"Ratios in parts of their bounds. {told}", 56 + 27 * len(rows), draw)


def _row(axis: Axes, place: int, row: Row, name: str, left: float) -> None:
    """One ratio: its name, a line from quartile to quartile, and its dot."""
    assert row.distance is not None
    color, height = sentinel(TOKENS[row.state == MET]), place + 0.72
    if row.reach is not None and row.timed:
        axis.plot([math.log10(end) for end in row.reach], [height, height], color=color, linewidth=1.6)
    dots(axis, [(math.log10(row.distance), height)], color, width=6.0)
    axis.text(left, place + 0.3, fitted(name, 62), color=sentinel("muted"), fontsize=9, va="center", ha="left")
