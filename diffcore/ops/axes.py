"""Axes as users give them (`dim` or `axis`, positive or negative), normalised to negative numbers."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

from diffcore.errors import ShapeError

Tensor = Any
Dims = int | Sequence[int] | None


def axis_of(dim: Any, ndim: int) -> int:
    """`dim` as a negative number. Raises `IndexError` worded like PyTorch's."""
    dim = operator.index(dim)
    span = builtins.max(ndim, 1)
    if not -span <= dim < span:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})")
    return dim if dim < 0 else dim - span


def axes_of(x: Tensor, dim: Dims, axis: Dims) -> tuple[int, ...]:
    """The axes named by `dim` or `axis`, all of them where neither is given. Raises `IndexError`, and `ShapeError` for one named twice."""
    dim = axis if dim is None else dim
    if dim is None or isinstance(dim, Sequence) and not dim:
        return tuple(range(-x.ndim, 0))
    found = tuple(axis_of(d, x.ndim) for d in dim) if isinstance(dim, Sequence) else (axis_of(dim, x.ndim),)
    if len(set(found)) != len(found):
        raise ShapeError(f"dim {tuple(dim)} appears multiple times in the list of dims")  # type: ignore[arg-type]
    return found if x.ndim else ()
