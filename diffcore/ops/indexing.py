"""Indexing with numpy's rules, and gathering along an axis."""

from __future__ import annotations

import builtins
import operator
from typing import Any

import numpy as np

from diffcore.arrays import is_array
from diffcore.dispatch import unboxed
from diffcore.kernels import indexing as _i
from diffcore.ops.axes import Tensor, axis_of

__all__ = ["gather"]


def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """`out[i][j] = x[index[i][j]][j]` for `dim=0`, and so on for the other axes."""
    return _i.gather(x, indices=unboxed(index), axis=axis_of(dim, x.ndim))


def getitem(x: Tensor, index: Any) -> Tensor:
    """`x[index]` with numpy's rules for integers, slices, `None`, `...`, integer arrays and boolean masks."""
    return _i.getitem(x, index=_normalised(index if isinstance(index, tuple) else (index,), x))


def _normalised(index: tuple[Any, ...], x: Tensor) -> tuple[Any, ...]:
    """An index without `...`, with arrays for tensors and lists, and positions for boolean masks."""
    parts: list[Any] = []
    masks: list[tuple[int, Any]] = []
    for raw in index:
        part = unboxed(raw)
        if isinstance(part, list | range):
            part = np.asarray(part, dtype=None if len(part) else np.intp)
        if is_array(part) and part.dtype == bool and part.ndim:
            masks.append((len(parts), part))
            parts.extend(part.nonzero())
        elif part is None or part is Ellipsis or isinstance(part, slice) or is_array(part) and part.ndim and part.dtype.kind in "iu":
            parts.append(part)
        else:
            parts.append(_position(part))
    used = _axes_used(parts)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    for at, mask in masks:
        after_ellipsis = builtins.any(part is Ellipsis for part in parts[:at])
        _check_mask(mask, x, x.ndim - _axes_used(parts[at:]) if after_ellipsis else _axes_used(parts[:at]))
    if builtins.any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (x.ndim - used)
        if builtins.any(part is Ellipsis for part in parts):
            raise IndexError("an index can only have a single ellipsis ('...')")
    return tuple(parts)


def _axes_used(parts: list[Any]) -> int:
    return builtins.sum(part is not None and part is not Ellipsis for part in parts)


def _check_mask(mask: Any, x: Tensor, axis: int) -> None:
    if tuple(x.shape[axis : axis + mask.ndim]) != tuple(mask.shape):
        raise IndexError(
            f"The shape of the mask {tuple(mask.shape)} does not match the shape of the indexed tensor {tuple(x.shape)} at axis {axis}"
        )


def _position(part: Any) -> Any:
    if is_array(part) and part.ndim == 0 and part.dtype.kind in "iu":
        return part if not isinstance(part, np.ndarray | np.generic) else int(part)
    try:
        if not isinstance(part, bool):  # which `operator.index` would take for 0 or 1
            return operator.index(part)
    except TypeError:
        pass
    raise IndexError(f"tensors are indexed by integers, slices, None, `...`, integer tensors and boolean masks, not by {part!r}")
