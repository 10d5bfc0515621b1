"""Tensors as text, the way PyTorch prints them: four digits, one width for all elements, scientific notation where magnitudes differ.

    tensor([[1.0000, 2.5000],
            [0.0000, 1.0000]], requires_grad=True)

Elements are written as `1.` where all are whole numbers, and in scientific notation where the largest magnitude exceeds 1e8 or 1000 times
the smallest, or the smallest (zeros aside) is below 1e-4. Beyond `threshold` elements only
`edgeitems` at both ends of every axis are shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffcore.arrays import is_float


@dataclass(frozen=True)
class PrintOptions:
    """How tensors are printed; see `set_printoptions`."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {"default": PrintOptions(), "short": PrintOptions(precision=2, edgeitems=2), "full": PrintOptions(threshold=math.inf)}
_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are printed from here on.

    **Arguments:** `precision`: digits after the point (4); `threshold`: elements beyond which tensors are shortened (1000); `edgeitems`:
    elements shown at each end of a shortened axis (3); `linewidth`: characters a line (80); `profile`: `"default"`, `"short"` or
    `"full"`, applied first; `sci_mode`: scientific notation always, never, or (`None`) where magnitudes ask for it.
    Raises `ValueError` for an unknown profile.
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: `profile` (={profile!r}) must be one of {', '.join(map(repr, _PROFILES))}")
    given: dict[str, Any] = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options = replace(
        _options if profile is None else _PROFILES[profile], **{k: v for k, v in given.items() if v is not None}, sci_mode=sci_mode
    )


def text_of(array: Any, suffixes: list[str], device: str | None = None) -> str:
    """`tensor(...)` with the values of a numpy array, its dtype where it is not a default one, and `suffixes` at the end."""
    options = _options
    indent = len("tensor(")
    after = [] if device is None else [f"device='{device}'"]
    if array.size == 0:
        body = "[]"
        if array.ndim != 1:
            after.append(f"size={tuple(array.shape)}")
        default = array.dtype == np.float32
    else:
        shortened = array.size > options.threshold
        elements = _Elements(_edges(array, options.edgeitems) if shortened else array, options)
        body = _nested(array, elements, indent, options.edgeitems if shortened else None, options.linewidth)
        default = array.dtype in (np.float32, np.int64, np.bool_)
    if not default:
        after.append(f"dtype=torch.{array.dtype.name}")
    return _with_suffixes(f"tensor({body}", [*after, *suffixes], indent, options.linewidth)


def _edges(array: Any, n: int) -> Any:
    """The elements of a shortened array that are shown: `n` at each end of every axis."""
    for axis, length in enumerate(array.shape):
        if length > 2 * n:
            array = np.take(array, [*range(n), *range(length - n, length)], axis=axis)
    return array


class _Elements:
    """Writes single elements, all in one width and notation, chosen for `shown`."""

    def __init__(self, shown: Any, options: PrintOptions) -> None:
        self.precision = options.precision
        self.is_float = is_float(shown.dtype)
        self.whole, self.scientific, self.width = True, False, 1
        if not self.is_float:
            self.width = max((len(str(value)) for value in shown.reshape(-1).tolist()), default=1)
            return
        values = shown.astype(np.float64).reshape(-1)
        values = values[np.isfinite(values) & (values != 0)]
        if not values.size:
            return
        self.whole = bool(np.all(values == np.ceil(values)))
        least, most = np.abs(values).min(), np.abs(values).max()
        wanted = options.sci_mode
        with np.errstate(over="ignore"):
            self.scientific = bool(most / least > 1000 or most > 1e8 or least < 1e-4) if wanted is None else wanted
        self.width = max(len(self._number(value)) for value in values.tolist())

    def _number(self, value: float) -> str:
        if self.scientific:
            return f"{value:.{self.precision}e}"
        if self.whole:
            return f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return f"{value:.{self.precision}f}"

    def text(self, value: Any) -> str:
        """An element, flush right."""
        return (self._number(value) if self.is_float else str(value)).rjust(self.width)


def _nested(array: Any, elements: _Elements, indent: int, edge: int | None, linewidth: int) -> str:
    """An array as nested brackets; `edge` says how many elements are shown at each end of a long axis."""
    if array.ndim == 0:
        return elements.text(array.tolist())
    cut = edge is not None and array.shape[0] > 2 * edge
    first, last = (array[:edge], array[len(array) - (edge or 0) :]) if cut else (array, array[:0])
    if array.ndim == 1:
        parts = [elements.text(value) for value in first.tolist()]
        parts += [" ..."] if cut else []
        parts += [elements.text(value) for value in last.tolist()]
        per_line = max(1, (linewidth - indent) // (elements.width + 2))
        lines = [", ".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]
        return "[" + f",\n{' ' * (indent + 1)}".join(lines) + "]"
    parts = [_nested(row, elements, indent + 1, edge, linewidth) for row in first]
    parts += ["..."] if cut else []
    parts += [_nested(row, elements, indent + 1, edge, linewidth) for row in last]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _with_suffixes(text: str, suffixes: list[str], indent: int, linewidth: int) -> str:
    """`text` closed by `suffixes`, each on a new line where it would pass the end of the line."""
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > linewidth:
            text += f",\n{' ' * indent}{suffix}"
            used = indent + len(suffix)
        else:
            text += f", {suffix}"
            used += len(suffix) + 2
    return text + ")"


def backward_name(kernel: str) -> str:
    """The name that PyTorch's graph would show for a kernel: `AddBackward0` for `add`, `LogSoftmaxBackward0` for `log_softmax`."""
    return "".join(part[:1].upper() + part[1:] for part in kernel.split("_")) + "Backward0"
