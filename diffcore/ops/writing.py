"""Writing values at a normalised index. Where it names an element several times, the last value stays and it alone gets a derivative.

numpy writes in order, XLA in whatever order it likes. So known indices are first cut down to the last writes, and traced ones
are turned around: for each element of the result it is worked out which value, if any, was written there last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_traced, namespace
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.kernels import indexing as _i
from diffcore.kernels import shape as _s
from diffcore.ops.axes import Tensor

Index = tuple[Any, ...]


def assignable(op: str, value: Any, x: Tensor) -> Tensor:
    """`value` as a tensor in the dtype of `x`. Raises `DTypeError` for complex numbers and for what is no number."""
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    if value.dtype.kind not in "biuf" and value.dtype.name != "bfloat16":
        raise DTypeError(f"{op}: a value of {value.dtype} cannot be written into a tensor of {x.dtype}")
    return value if value.dtype == x.dtype else _s.astype(value, dtype=x.dtype)


def fitting(op: str, value: Tensor, target: tuple[int, ...]) -> Tensor:
    """`value` without leading axes of size one that are too many. Raises `ShapeError` where it does not broadcast to `target`."""
    shape = tuple(value.shape)
    added = max(len(shape) - len(target), 0)
    try:
        if math.prod(shape[:added]) == 1 and np.broadcast_shapes(shape[added:], target) == target:
            return _s.reshape(value, shape=shape[added:]) if added else value
    except ValueError:
        pass
    raise ShapeError(f"{op}: shape mismatch: value of shape {shape} cannot be broadcast to indexing result of shape {target}")


def written(op: str, x: Tensor, index: Index, value: Tensor) -> Tensor:
    """A copy of `x` with `value` written at `index`."""
    target = _i.indexed_shape(tuple(x.shape), index)
    value = fitting(op, value, target)
    arrays = [part for part in index if is_array(part)]
    if any(map(is_traced, arrays)):
        return _in_order(x, index, value, target)
    if arrays and not any(isinstance(part, AbstractArray) for part in arrays):
        index = tuple(np.asarray(part) if is_array(part) else part for part in index)
        keep = _last_writes(index, tuple(x.shape))
        if keep is not None:
            index, value = _cut(index, value, target, keep)
    return _i.set_index(x, value, index=index)


def _last_writes(index: Index, shape: tuple[int, ...]) -> Any:
    """Where in the flattened integer arrays of `index` the last write to each element is; `None` when nothing is written twice."""
    flat: Any = np.zeros((), np.intp)
    cells, axis = 1, 0
    for part in index:
        if part is None:
            continue
        if isinstance(part, np.ndarray):
            flat = flat * shape[axis] + part % shape[axis] if part.size else flat + part
            cells *= shape[axis]
        axis += 1
    order = np.arange(flat.size)
    flat = flat.reshape(-1)
    last = np.empty(cells if flat.size else 0, np.intp)
    last[flat] = order
    keep = last[flat] == order
    return None if keep.all() else np.flatnonzero(keep)


def _cut(index: Index, value: Tensor, target: tuple[int, ...], keep: Any) -> tuple[Index, Tensor]:
    """`index` with its integer arrays flattened and cut down to `keep`, and the values that remain."""
    merged = np.broadcast_shapes(*(part.shape for part in index if isinstance(part, np.ndarray)))
    at = _i.arrays_at(index)
    value = _s.broadcast_to(value, shape=target)
    value = _s.reshape(value, shape=(*target[:at], math.prod(merged), *target[at + len(merged) :]))
    index = tuple(np.broadcast_to(part, merged).reshape(-1)[keep] if isinstance(part, np.ndarray) else part for part in index)
    return index, _i.getitem(value, index=(*(slice(None),) * at, keep))


def _in_order(x: Tensor, index: Index, value: Tensor, target: tuple[int, ...]) -> Tensor:
    """Each element of `x`, or the last value written there; a write out of bounds is left out, as jax has it."""
    xp = namespace(index)
    size = math.prod(x.shape)
    places = xp.arange(size).reshape(tuple(x.shape)).at[index].get(mode="fill", fill_value=size)
    last = xp.full(size, -1).at[places.reshape(-1)].max(xp.arange(math.prod(target)), mode="drop").reshape(tuple(x.shape))
    flat = _s.reshape(_s.broadcast_to(value, shape=target), shape=(math.prod(target),))
    if not math.prod(target):
        return x
    return _e.where(last >= 0, _i.getitem(flat, index=(xp.maximum(last, 0),)), x)
