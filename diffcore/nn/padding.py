"""Borders around the last axes: zeros, a constant, a mirror image, the edge repeated, or the other end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from diffcore.nn.module import Module
from diffcore.ops import neural
from diffcore.whole import whole


class _Pad(Module):
    """Borders of widths `padding`: one for all sides, or (before, after) for the last axis, then for the axis before it, and so on."""

    rank: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        given = padding if isinstance(padding, Sequence) else (padding,) * (2 * self.rank)
        widths = tuple(n for n in map(whole, given) if n is not None)
        if not len(widths) == len(given) == 2 * self.rank:
            raise ValueError(f"{type(self).__name__}: `padding` (={padding!r}) must be an int or have {2 * self.rank} entries, all ints")
        self.padding = widths

    def forward(self, x: Any) -> Any:
        return neural.pad(x, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_Pad):
    """Zeros at both ends of the last axis."""

    rank, mode = 1, "constant"


class ZeroPad2d(_Pad):
    """Zeros around the last two axes."""

    rank, mode = 2, "constant"


class ReflectionPad1d(_Pad):
    """A mirror image, the edge itself not repeated, at both ends of the last axis."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """A mirror image, the edge itself not repeated, around the last two axes."""

    rank, mode = 2, "reflect"


class ReplicationPad1d(_Pad):
    """The edge repeated at both ends of the last axis."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The edge repeated around the last two axes."""

    rank, mode = 2, "replicate"


class CircularPad1d(_Pad):
    """The other end at both ends of the last axis."""

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The other ends around the last two axes."""

    rank, mode = 2, "circular"


class ConstantPad1d(_Pad):
    """`value` at both ends of the last axis."""

    rank, mode = 1, "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, x: Any) -> Any:
        return neural.pad(x, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """`value` around the last two axes."""

    rank = 2
