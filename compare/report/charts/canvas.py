"""From matplotlib to SVG that belongs to the page: its colours, its font, no identifiers, no references, rounded coordinates.

Figures are 360 units wide, so that their 10-unit text is 10 pixels on a phone and grows with the column on a desk.
Nothing here touches matplotlib's global state for good, and pyplot is never imported.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Polygon
from matplotlib.path import Path

from compare.report.palette import VARIABLES, sentinel

WIDTH = 360.0
"""Width of every figure in its own units."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "diffmodes",
    "text.parse_math": False,
    "lines.scale_dashes": False,
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.0,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "axes.unicode_minus": True,
}


def render(label: str, height: float, draw: Callable[[list[Axes]], None], rows: int = 1, ratios: Sequence[float] | None = None) -> str:
    """One `<svg>` element, `height` units high, of `rows` panels that `draw` fills. `label` is its accessible name."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # The browser draws the text, with fonts of its own, so what matplotlib's font lacks is no loss.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, hspace=0.09)  # type: ignore[union-attr,call-arg]
        axes = list(figure.subplots(rows, 1, height_ratios=ratios, squeeze=False)[:, 0])
        for axis in axes:
            _quiet(axis)
        draw(axes)
        for artist in figure.findobj():
            artist.set_clip_on(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _adopt(buffer.getvalue(), label)


def _quiet(axis: Axes) -> None:
    """Leave what is needed to read values: a base line, faint lines across, muted numbers."""
    for side in ("top", "left", "right"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(sentinel("axis"))
    axis.tick_params(left=False, bottom=False, labelcolor=sentinel("muted"), pad=3)
    axis.grid(True, axis="y", color=sentinel("grid"), linewidth=0.7)
    axis.set_axisbelow(True)
    axis.xaxis.label.set_color(sentinel("muted"))


def fitted(text: str, most: int = 36) -> str:
    """`text` as a figure can show it: what is longer than `most` characters ends in an ellipsis. The tables show it whole."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def heading(axis: Axes, text: str, note: str = "") -> None:
    """Name a panel, or its vertical axis, above its left edge; `note` stands above its right edge."""
    axis.set_title(text, loc="left", color=sentinel("ink"), pad=6)
    if note:
        axis.set_title(note, loc="right", color=sentinel("muted"), pad=6, fontsize=10)


def dots(axis: Axes, points: Iterable[tuple[float, float]], color: str, width: float = 2.0, opacity: float = 1.0) -> None:
    """Draw points as one path of zero-length strokes with round caps: a tenth of the bytes of one element a point."""
    vertices = [point for point in points for _ in range(2)]
    if not vertices:
        return
    path = Path(vertices, [Path.MOVETO, Path.LINETO] * (len(vertices) // 2))
    path.should_simplify = False
    axis.add_patch(PathPatch(path, fill=False, edgecolor=color, linewidth=width, capstyle="round", alpha=opacity))


def area(axis: Axes, lower: Sequence[float], upper: Sequence[float], color: str) -> None:
    """Fill between two step functions, where step `i` reaches from `i` to `i + 1`."""
    there = [(i + side, value) for i, value in enumerate(upper) for side in (0, 1)]
    back = [(i + side, value) for i, value in enumerate(lower) for side in (0, 1)]
    axis.add_patch(Polygon(there + back[::-1], closed=True, facecolor=color, edgecolor=sentinel("paper"), linewidth=0.3))


def _adopt(svg: str, label: str) -> str:
    """Strip what a stand-alone file needs and an inlined figure does not, and hand colours and font over to the page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<defs>.*?</defs>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r' id="[^"]*"', "", body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*"', "", body)
    body = re.sub(r'(?<=[ "])d="([^"]*)"', lambda found: f'd="{_short(found[1])}"', body)
    body = re.sub(r' style="([^"]*)"', lambda found: _restyle(found[1]), body)
    body = re.sub(r'(?<=[ ])([xy])="([^"]*)"', lambda found: f'{found[1]}="{_number(found[2])}"', body)
    while True:
        thinner = re.sub(r"<g>\s*</g>", "", body)
        if thinner == body:
            break
        body = thinner
    body = re.sub(r">\s+<", "><", body)
    view = re.search(r'viewBox="[^"]*"', body)
    head = f'<svg {view[0] if view else ""} role="img" aria-label="{escape(label)}">'
    return head + body[body.index(">") + 1 :].strip()


def _restyle(style: str) -> str:
    """Only what differs from the style sheet's `.chart svg` rules: a colour becomes a custom property, the font is the page's."""
    kept = []
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            size = re.search(r"[\d.]+px", value)
            weight = "font-weight: 700" if "bold" in value or "700" in value else ""
            kept += [weight, f"font-size: {size[0]}" if size else ""]
        elif name and name != "font-family":
            kept.append(f"{name}: {VARIABLES.get(value, value)}")
    text = "; ".join(part for part in kept if part)
    return f' style="{text}"' if text else ""


def _short(path: str) -> str:
    """Path data with coordinates to a hundredth of a unit; a point drawn as a line to itself becomes `h0`."""
    path = re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda found: _number(found[0]), path)
    path = re.sub(r"M (\S+ \S+)\s+L \1(?!\S)", r"M\1h0", path)
    return re.sub(r"\s*\n\s*|\s*(?=[MLz])", "", re.sub(r"([ML]) ", r"\1", path)).strip()


def _number(text: str) -> str:
    short = f"{float(text):.2f}".rstrip("0").rstrip(".")
    return "0" if short in ("-0", "") else short
