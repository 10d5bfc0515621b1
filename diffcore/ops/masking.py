"""Masks: choosing, filling and reading where a condition holds.

What depends on how many elements are chosen (`nonzero`, `masked_select`) reads values, so it does not work under `jax.jit`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_array, namespace
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.kernels import indexing as _i
from diffcore.kernels import shape as _s
from diffcore.kernels.promotion import DEFAULT
from diffcore.ops.axes import Tensor
from diffcore.ops.gathering import scalar
from diffcore.ops.out import with_out
from diffcore.ops.writing import assignable
from diffcore.seeds import array_under

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero", "where"]

_MISSING: Any = object()


@with_out
def where(condition: Tensor, input: Any = _MISSING, other: Any = _MISSING) -> Any:
    """`input` where `condition` holds, else `other`, broadcast; with `condition` alone, `nonzero(condition, as_tuple=True)`.

    Raises `DTypeError` unless a condition with values is boolean.
    """
    if input is _MISSING and other is _MISSING:
        return nonzero(condition, as_tuple=True)
    if input is _MISSING or other is _MISSING:
        raise DTypeError("where: expected a condition alone, or a condition, `input` and `other`")
    kind = getattr(condition, "dtype", type(condition))
    if kind not in (bool, np.bool_):
        found = getattr(kind, "__name__", kind)
        raise DTypeError(f"where: expected `condition` to be a boolean tensor, got {found}. Did you mean `condition != 0`?")
    if float in (type(input), type(other)) and isinstance(input, int | float) and isinstance(other, int | float):
        input = np.asarray(input, DEFAULT)
    return _e.where(condition, input, other)


def nonzero(x: Tensor, as_tuple: bool = False) -> Any:
    """The positions of the elements that are not zero, `[n, axes]` in row-major order; with `as_tuple`, one vector for each axis.

    A scalar has no axes: `[n, 0]`, and as a tuple one vector. Without derivative.
    """
    array = array_under(x)
    if as_tuple:
        return tuple(_constant(x, part) for part in (array if array.ndim else array.reshape(1)).nonzero())
    if not array.ndim:
        return _constant(x, namespace((array,)).zeros((int(bool(array)), 0), int))
    return _constant(x, namespace((array,)).stack(array.nonzero(), axis=-1))


def argwhere(x: Tensor) -> Tensor:
    """The positions of the elements that are not zero, `[n, axes]` in row-major order."""
    return nonzero(x)


def _constant(x: Tensor, array: Any) -> Tensor:
    """`array` as what `x` is: a tensor of its engine and level, or an array."""
    return x.box(array, x.level) if isinstance(x, Boxed) else array


def _mask(op: str, x: Tensor, mask: Any) -> tuple[Any, tuple[int, ...]]:
    """`mask` as an array, and the shape that it and `x` broadcast to. Raises `DTypeError` unless it is boolean, `ShapeError`."""
    mask = unboxed(mask)
    if not is_array(mask) or mask.dtype != bool:
        raise DTypeError(f"{op}: only supports boolean masks, but got {getattr(mask, 'dtype', type(mask).__name__)}")
    try:
        return mask, np.broadcast_shapes(tuple(x.shape), tuple(mask.shape))
    except ValueError:
        raise ShapeError(f"{op}: `mask` {tuple(mask.shape)} and `input` {tuple(x.shape)} do not broadcast") from None


def masked_fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`x` with `value`, a number or 0-d tensor, where `mask` holds; they are broadcast.

    Raises `DTypeError` for a mask that is not boolean, or a fraction to be put among integers, `ShapeError` for a value with axes.
    """
    mask, _ = _mask("masked_fill", x, mask)
    if isinstance(value, float) and x.dtype.kind in "iu" and not value.is_integer():
        raise DTypeError(f"masked_fill: `value` (={value}) cannot be converted to {x.dtype} without loss")
    return _e.where(mask, scalar("masked_fill", value, x), x)


@with_out
def masked_select(x: Tensor, mask: Tensor) -> Tensor:
    """The elements of `x` where `mask` holds, in row-major order; they are broadcast."""
    mask, shape = _mask("masked_select", x, mask)
    if not shape:
        x, mask, shape = _s.reshape(x, shape=(1,)), mask.reshape(1), (1,)
    x = x if tuple(x.shape) == shape else _s.broadcast_to(x, shape=shape)
    return _i.getitem(x, index=tuple(namespace((mask,)).broadcast_to(mask, shape).nonzero()))


def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`x` with the elements of `source`, in order, where `mask` holds. Raises `ShapeError` where there are not enough."""
    mask, shape = _mask("masked_scatter", x, mask)
    source = assignable("masked_scatter", source, x)
    places = tuple(namespace((mask,)).broadcast_to(mask, shape).nonzero()) if shape else ()
    count, given = len(places[0]) if shape else int(bool(mask)), math.prod(source.shape)
    if given < count:
        raise ShapeError(f"masked_scatter: `source` has {given} elements, but `mask` holds at {count}")
    x = x if tuple(x.shape) == shape else _s.broadcast_to(x, shape=shape)
    if not count:
        return x
    values = _i.getitem(_s.reshape(source, shape=(given,)), index=(slice(0, count),))
    return _i.set_index(x, values if shape else _s.reshape(values, shape=()), index=places)
