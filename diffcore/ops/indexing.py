"""Indexing with numpy's rules: integers, slices (backwards too, which PyTorch refuses), `None`, `...`, integer arrays and masks.

An `...` that stands for no axis separates nothing, as in PyTorch: `x[:, i, ..., j]` of three axes has those of the arrays `i` and `j` where
`i` is, while numpy moves them to the front. Reading at a mask needs its values, which one that `jax.jit` traces has not; writing does not.
"""

from __future__ import annotations

import builtins
import operator
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_mutable, values_of
from diffcore.dispatch import unboxed
from diffcore.errors import ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.kernels import indexing as _i
from diffcore.kernels import shape as _s
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.writing import assignable, fitting, written
from diffcore.seeds import array_under

__all__ = ["index_put", "narrow", "select"]


def getitem(x: Tensor, index: Any) -> Tensor:
    """`x[index]` with numpy's rules for integers, slices, `None`, `...`, integer arrays and boolean masks.

    Raises `IndexError` for an index out of bounds (unless an array of jax's holds it, whose values are not looked at), too many indices,
    or one of another kind.
    """
    x, parts = normalised(index, x)
    first = _integers_apart(parts)
    if first:
        x, parts = _i.getitem(x, index=first), _without_integers(parts)
    return _i.getitem(x, index=parts)


def setitem(x: Tensor, index: Any, value: Any) -> Tensor:
    """A copy of `x` for which `x[index] = value` was done; `value` is cast to the dtype of `x` and broadcast. Both are differentiated.

    Where `index` names an element several times the last value stays, and it alone gets a derivative. Raises `ShapeError` for a value
    that does not broadcast to `x[index]`, `IndexError` as `getitem`.
    """
    value = assignable("setitem", value, x)
    mask = unboxed(index[0] if isinstance(index, tuple) and len(index) == 1 else index)
    if is_array(mask) and mask.dtype == bool and mask.ndim and value.ndim <= x.ndim - mask.ndim:
        _check_mask(mask, x, 0)
        trailing = tuple(x.shape[mask.ndim :])
        value = fitting("setitem", value, trailing)
        return _e.where(mask.reshape((*mask.shape, *(1,) * len(trailing))), value, x)
    inner, parts = normalised(index, x)
    first = _integers_apart(parts)
    if first:
        part = written("setitem", _i.getitem(inner, index=first), _without_integers(parts), value)
        out = _i.set_index(inner, part, index=first)
    else:
        out = written("setitem", inner, parts, value)
    return out if inner is x else _s.reshape(out, shape=tuple(x.shape))


def assign(x: np.ndarray[Any, Any], index: Any, value: Any) -> None:
    """`x[index] = value` in the memory of a numpy array, with the meaning and the errors of `setitem`."""
    inner, parts = normalised(index, x)
    if inner is not x:  # a mask of no axes, say
        x[...] = setitem(x, index, value)
        return
    first = _integers_apart(parts)
    if first:
        x, parts = x[first], _without_integers(parts)
    value = fitting("setitem", assignable("setitem", value, x), _i.indexed_shape(tuple(x.shape), parts))
    x[parts] = value


def _integers_apart(parts: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The index that takes the integers among `parts` first, as PyTorch does; `None` where that changes nothing.

    numpy takes an integer for an array among arrays, so that something between them moves the axes of all to the front.
    """
    if not builtins.any(type(part) is int for part in parts) or not _i.is_scattered(parts):
        return None
    return tuple(part if type(part) is int else slice(None) for part in parts if part is not None)


def _without_integers(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(part for part in parts if type(part) is not int)


def index_put(x: Tensor, indices: tuple[Any, ...], values: Any, accumulate: bool = False) -> Tensor:
    """A copy of `x` for which `x[indices] = values` was done; with `accumulate`, values at the same element are added up and to it."""
    if not accumulate:
        return setitem(x, tuple(indices), values)
    inner, parts = normalised(tuple(indices), x)
    shape = tuple(inner.shape)
    target = _i.indexed_shape(shape, parts)
    value = _s.broadcast_to(fitting("index_put", assignable("index_put", values, x), target), shape=target)
    out = _e.add(inner, _i.scatter_index(value, index=parts, shape=shape))
    return out if inner is x else _s.reshape(out, shape=tuple(x.shape))


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """The `length` positions of `x` along `dim` from `start` (negative: from the end): a view on numpy."""
    if not x.ndim:
        raise ShapeError("narrow: cannot be applied to a 0-dim tensor")
    axis = axis_of(dim, x.ndim)
    n, start, length = x.shape[axis], operator.index(start), operator.index(length)
    if not -n <= start <= n:
        raise IndexError(f"narrow: start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if length < 0:
        raise ShapeError(f"narrow: length must be non-negative, got {length}")
    if start + length > n:
        raise ShapeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})")
    return _i.getitem(x, index=along(x, axis, slice(start, start + length)))


def select(x: Tensor, dim: int, index: int) -> Tensor:
    """`x` at position `index` of `dim`, without that axis: a view on numpy."""
    if not x.ndim:
        raise IndexError("select: cannot be applied to a 0-dim tensor")
    axis, index = axis_of(dim, x.ndim), operator.index(index)
    if not -x.shape[axis] <= index < x.shape[axis]:
        raise IndexError(f"select: index {index} out of range for tensor of size {tuple(x.shape)} at dimension {dim}")
    return _i.getitem(x, index=along(x, axis, index))


def along(x: Tensor, axis: int, part: Any) -> tuple[Any, ...]:
    """The normalised index that takes `part` of the (negative) `axis`."""
    return (*(slice(None),) * (x.ndim + axis), part)


class _Flag:
    """A 0-d boolean in an index: a new axis of size one or zero."""

    def __init__(self, value: Any) -> None:
        self.places = np.zeros(int(bool(value)), np.intp)


def normalised(index: Any, x: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
    """`x` and `index` without `...`, with arrays for tensors and lists, and positions for boolean masks.

    A 0-d boolean becomes an array along an axis of size one, which `x` is given for it.
    """
    parts: list[Any] = []
    masks: list[tuple[int, Any]] = []
    flags = dots = False
    for raw in index if isinstance(index, tuple) else (index,):
        if type(raw) is int or type(raw) is slice:  # the common kinds, at once
            parts.append(raw)
            continue
        part = unboxed(raw)
        if isinstance(part, list | range | tuple):
            part = np.asarray(part, dtype=None if len(part) else np.intp)
        if is_array(part) and part.dtype == np.uint8 and part.ndim:
            part = part.astype(bool)  # a mask, as in PyTorch
        if is_array(part) and part.dtype == bool and part.ndim:
            masks.append((len(parts), part))
            parts.extend(part.nonzero())
        elif part is None or part is Ellipsis or isinstance(part, slice) or is_array(part) and part.ndim and part.dtype.kind in "iu":
            parts.append(part)
            dots = dots or part is Ellipsis
        elif isinstance(part, bool) or is_array(part) and part.dtype == bool:
            parts.append(_Flag(part))
            flags = True
        else:
            parts.append(_position(part))
    used = _axes_used(parts)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    for at, mask in masks:
        after_ellipsis = builtins.any(part is Ellipsis for part in parts[:at])
        _check_mask(mask, x, x.ndim - _axes_used(parts[at:]) if after_ellipsis else _axes_used(parts[:at]))
    if dots:
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (x.ndim - used)
        if builtins.any(part is Ellipsis for part in parts):
            raise IndexError("an index can only have a single ellipsis ('...')")
    if flags:
        shape = list(x.shape)
        for i in range(len(parts) - 1, -1, -1):
            if isinstance(parts[i], _Flag):
                shape.insert(_axes_used(parts[:i]), 1)
        parts = [part.places if isinstance(part, _Flag) else part for part in parts]
        x = _s.reshape(x, shape=tuple(shape))
    if not is_mutable(array_under(x)):
        _check_bounds(parts, tuple(x.shape))
    return x, tuple(parts)


def _axes_used(parts: list[Any]) -> int:
    return builtins.sum(part is not None and part is not Ellipsis and not isinstance(part, _Flag) for part in parts)


def _check_mask(mask: Any, x: Tensor, axis: int) -> None:
    if tuple(x.shape[axis : axis + mask.ndim]) != tuple(mask.shape):
        raise IndexError(
            f"The shape of the mask {tuple(mask.shape)} does not match the shape of the indexed tensor {tuple(x.shape)} at axis {axis}"
        )


def _check_bounds(parts: list[Any], shape: tuple[int, ...]) -> None:
    """numpy refuses an index out of bounds, jax takes the nearest element: refuse what is known to be so there too."""
    axis = 0
    for part in parts:
        known = isinstance(part, int | np.ndarray)
        seen: Any = values_of(part) if isinstance(part, np.ndarray) else part
        if known and np.size(seen) and not -shape[axis] <= np.min(seen) <= np.max(seen) < shape[axis]:
            bad = seen if isinstance(seen, int) else next(int(i) for i in seen.flat if not -shape[axis] <= i < shape[axis])
            raise IndexError(f"index {bad} is out of bounds for dimension {axis} with size {shape[axis]}")
        axis += part is not None


def _position(part: Any) -> Any:
    if is_array(part) and part.ndim == 0 and part.dtype.kind in "iu":
        return part if not isinstance(part, np.ndarray | np.generic) else int(part)
    try:
        return operator.index(part)
    except TypeError:
        raise IndexError(
            f"tensors are indexed by integers, slices, None, `...`, integer tensors and boolean masks, not by {_shown(part)}"
        ) from None


def _shown(part: Any) -> str:
    return f"{part.dtype} of shape {tuple(part.shape)}" if is_array(part) else repr(part)
