"""What the ways of a plan cost: bytes at the peak by role against the budget, and the parts of operations by phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from compare.planning.records import Way
from compare.report.charts.canvas import fitted, render
from compare.report.palette import PHASES, ROLES, ordered, phase_token, role_token, sentinel
from compare.report.units import operations, size

_BEYOND = 2.0
"""Budgets at which bars are cut off."""


def peaks_chart(ways: Sequence[Way], budget: int) -> str:
    """A bar for each way, stacked by role, on one scale, with the budget as a line."""
    most = min(_BEYOND * budget, 1.06 * max(budget, *(way.nbytes for way in ways)))

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        rows = [(f"{fitted(way.title, 34)}: {size(way.nbytes)}", {} if way.peak is None else way.peak.roles) for way in ways]
        _bars(axis, rows, ROLES, role_token, most)
        axis.plot([budget, budget], [0, len(ways)], color=sentinel("ink"), linewidth=1.3, linestyle=(0, (6, 3)))
        unit = 1.0
        while most / unit >= 1024:
            unit *= 1024
        ticks = [value * unit for value in MaxNLocator(4).tick_values(0, most / unit) if 0 <= value * unit <= most]
        axis.set_xticks(ticks, [size(tick) if tick else "0" for tick in ticks])

    names = "; ".join(f"{way.title}: {size(way.nbytes)}" for way in ways)
    return render(f"Bytes at the peak by role; the budget is {size(budget)}. {names}", 40 + 38 * len(ways), draw)


def operations_chart(ways: Sequence[Way]) -> str:
    """A bar for each way, of full length, parted by phase."""

    def draw(axes: list[Axes]) -> None:
        (axis,) = axes
        rows = []
        for way in ways:
            total = sum(way.flops.values()) or 1
            rows.append((f"{fitted(way.title, 34)}: {operations(total)}", {p: 100 * n / total for p, n in way.flops.items()}))
        _bars(axis, rows, PHASES, phase_token, 100.0)
        axis.set_xticks([0, 25, 50, 75, 100], ["0", "25 %", "50 %", "75 %", "100 %"])

    names = "; ".join(f"{way.title}: {operations(sum(way.flops.values()))}" for way in ways)
    return render(f"FLOPs by phase, as parts of each way's own. {names}", 40 + 38 * len(ways), draw)


def _bars(
    axis: Axes, rows: Sequence[tuple[str, Mapping[str, float]]], known: tuple[str, ...], token: Callable[[str], str], most: float
) -> None:
    axis.set_ylim(len(rows), 0)
    axis.set_xlim(0, most)
    axis.set_yticks([])
    axis.grid(True, axis="x", color=sentinel("grid"), linewidth=0.7)
    for row, (label, parts) in enumerate(rows):
        start = 0.0
        for name in ordered({name for name, amount in parts.items() if amount > 0}, known):
            width = min(parts[name], most - start)
            box = Rectangle((start, row + 0.46), width, 0.4, facecolor=sentinel(token(name)), edgecolor=sentinel("paper"), linewidth=0.6)
            axis.add_patch(box)
            start += width
        axis.text(0, row + 0.38, label, color=sentinel("ink"), va="bottom")
