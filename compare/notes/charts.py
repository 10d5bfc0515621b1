"""The figures of the claims: lines, dots and bars, linear or logarithmic, in the look of the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from compare.report.charts.canvas import dots, heading, render
from compare.report.charts.scales import decades, log_ticks
from compare.report.palette import sentinel
from compare.report.units import power, size

Values = Sequence[float | None]

_MOST_PLACES, _MOST_TICKS = 16, 7
"""A logarithmic axis has ticks at the values that were tried where these are at most so many, and at most so many ticks of them."""


@dataclass(frozen=True)
class Curve:
    """One line: its points, its colour by token; `dots` draws the points only, `dashed` a line of dashes."""

    x: Values
    y: Values
    token: str
    kind: str = "line"
    """`line` (with a dot at each of few points), `plain`, `dashed` or `dots`."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes: `title` names what is above it (the vertical axis), `x` what is below. `log` names logarithmic axes: `"x"`, `"xy"`.

    Curves on a logarithmic axis leave out what is not positive. `level` are horizontal lines with a word each.
    """

    title: str
    x: str
    curves: list[Curve]
    log: str = ""
    note: str = ""
    levels: list[tuple[float, str]] = field(default_factory=list)
    y_from: float | None = None
    ticks: Callable[[float], str] | None = None
    """How numbers of the vertical axis are written."""


@dataclass(frozen=True)
class Bars:
    """Groups of horizontal bars: `rows` pairs a name with the values of the series, whose colours are `tokens`."""

    title: str
    x: str
    rows: list[tuple[str, list[float | None]]]
    tokens: list[str]
    show: Callable[[float], str]
    note: str = ""
    log: bool = False


def draw(label: str, *panels: Panel | Bars, height: float = 165) -> str:
    """One `<svg>` of the panels, one under the other; `label` is its accessible name."""
    heights = [height if isinstance(panel, Panel) else 46 + 15.0 * sum(len(values) + 0.7 for _, values in panel.rows) for panel in panels]

    def fill(axes: list[Axes]) -> None:
        for axis, panel in zip(axes, panels, strict=True):
            if isinstance(panel, Panel):
                _panel(axis, panel)
            else:
                _bars(axis, panel)

    return render(label, sum(heights) + 14, fill, len(panels), heights)


def _panel(axis: Axes, panel: Panel) -> None:
    for curve in panel.curves:
        pairs = zip(curve.x, curve.y, strict=True)
        points = [(x, y) for x, y in pairs if _drawable(x, "x" in panel.log) and _drawable(y, "y" in panel.log)]
        moved = [(_moved(x, "x" in panel.log), _moved(y, "y" in panel.log)) for x, y in points]
        if not moved:
            continue
        color = sentinel(curve.token)
        if curve.kind != "dots":
            style: Any = (0, (4, 3)) if curve.kind == "dashed" else "solid"
            xs, ys = zip(*moved, strict=True)
            axis.plot(xs, ys, color=color, linewidth=1.7, linestyle=style)
        if curve.kind == "dots" or (curve.kind == "line" and len(moved) <= 24):
            dots(axis, moved, color, width=4.2 if curve.kind == "line" else 3.0)
            axis.update_datalim(moved)
            axis.autoscale_view()
    if panel.y_from is not None:
        axis.set_ylim(bottom=panel.y_from)
    for value, word in panel.levels:
        height = _moved(value, "y" in panel.log)
        axis.axhline(height, color=sentinel("muted"), linewidth=1.0, linestyle=(0, (1.5, 2)))
        axis.annotate(
            word, (1, height), xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points", ha="right", va="bottom",
            color=sentinel("muted"), fontsize=9,
        )  # fmt: skip
    if "y" in panel.log:
        _log_axis(axis.set_yticks, axis.get_ylim(), panel.ticks)
    else:
        axis.yaxis.set_major_locator(MaxNLocator(5))
        if panel.ticks is not None:
            low, high = axis.get_ylim()
            ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
            axis.set_yticks(ticks, [panel.ticks(tick) for tick in ticks])
    places = sorted({x for curve in panel.curves for x in curve.x if x is not None and _drawable(x, True)})
    if "x" in panel.log and 1 < len(places) <= _MOST_PLACES:
        # The values that were tried, every second one where there are many, so that the last is always there.
        some = places[::-1][:: math.ceil(len(places) / _MOST_TICKS)]
        tiny = min(some) < 1e-3
        axis.set_xticks([_moved(x, True) for x in some], [power(round(math.log10(x))) if tiny else _plain(x) for x in some])
    elif "x" in panel.log:
        _log_axis(axis.set_xticks, axis.get_xlim(), None)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(7, integer=all(x is None or x == int(x) for curve in panel.curves for x in curve.x)))
    axis.set_xlabel(panel.x)
    heading(axis, panel.title, panel.note)


def _drawable(value: float | None, logarithmic: bool) -> bool:
    return value is not None and math.isfinite(value) and (value > 0 or not logarithmic)


def _moved(value: float | None, logarithmic: bool) -> float:
    assert value is not None
    return math.log10(value) if logarithmic else value


def _log_axis(place: Callable[[list[float], list[str]], Any], limits: tuple[float, float], ticks: Callable[[float], str] | None) -> None:
    """Ticks at round values where they span few decades, at powers of ten where they span many."""
    low, high = limits
    if high - low > 3.4 and ticks is None:
        exponents = decades(math.ceil(low), math.floor(high))
        place([float(exponent) for exponent in exponents], [power(exponent) for exponent in exponents])
        return
    values = _binary_ticks(low, high) if ticks is size else log_ticks(10.0**low, 10.0**high)
    place([math.log10(value) for value in values], [ticks(value) if ticks else _plain(value) for value in values])


def _binary_ticks(low: float, high: float) -> list[float]:
    """Powers of two between powers of ten, at most six."""
    exponents = range(math.ceil(low / math.log10(2)), math.floor(high / math.log10(2)) + 1)
    every = next(step for step in (1, 2, 3, 4, 5, 10, 20) if len(exponents) / step <= 6)
    return [2.0**exponent for exponent in exponents if exponent % every == 0]


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 and value == round(value) else f"{value:.3g}"


def _bars(axis: Axes, panel: Bars) -> None:
    """Bars with their value at the end; on a logarithmic axis they begin at the least value's decade."""
    values = [value for _, row in panel.rows for value in row if _drawable(value, panel.log)]
    floor = math.floor(math.log10(min(value for value in values if value))) - 0.3 if panel.log and values else 0.0
    place, ends = 0.0, []
    places, names = [], []
    for name, row in panel.rows:
        places.append(place + (len(row) - 1) / 2)
        names.append(name)
        for value, token in zip(row, panel.tokens, strict=True):
            if _drawable(value, panel.log):
                assert value is not None
                end = _moved(value, panel.log)
                axis.barh([place], [end - floor], left=floor, height=0.82, color=sentinel(token), linewidth=0)
                ends.append((place, end, panel.show(value)))
            else:
                ends.append((place, floor, "none"))
            place += 1
        place += 0.7
    high = max((end for _, end, _ in ends), default=1.0)
    span = (high - floor) or 1.0
    for y, end, text in ends:
        axis.text(end + 0.015 * span, y, text, va="center", ha="left", color=sentinel("ink"), fontsize=9)
    axis.set_xlim(floor, floor + 1.22 * span)
    axis.set_ylim(place - 0.6, -0.7)
    axis.set_yticks(places, names)
    axis.grid(False, axis="y")
    axis.set_xticks([])
    axis.set_xlabel(panel.x)
    heading(axis, panel.title, panel.note)
