"""Indexing, gathering and their transposes, which add into zeros.

An index is normalised by `diffcore.ops`: a tuple without `...`, one entry per axis, integer arrays as plain arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_mutable, namespace
from diffcore.kernels.broadcast import unbroadcast
from diffcore.kernels.families import linear_map
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.shape import transpose

Index = tuple[Any, ...]


def _is_advanced(part: Any) -> bool:
    return is_array(part) and getattr(part, "ndim", 0) >= 0 and not isinstance(part, int)


def _scattered(index: Index) -> bool:
    """Whether integer arrays in `index` have something else between them; numpy then puts their axes first."""
    where = [i for i, part in enumerate(index) if _is_advanced(part) or isinstance(part, int)]
    arrays = [i for i, part in enumerate(index) if _is_advanced(part)]
    return bool(arrays) and where != list(range(where[0], where[-1] + 1))


def _last(lead: int, ndim: int) -> tuple[int, ...]:
    return (*range(lead - ndim, 0), *range(-ndim, lead - ndim))


def _first(lead: int, ndim: int) -> tuple[int, ...]:
    return (*range(-lead, 0), *range(-ndim, -lead))


def _push_getitem(t: Any, call: Call, lead: int) -> Any:
    index = call.params["index"]
    if not _scattered(index):
        return getitem(t, index=(*(slice(None),) * lead, *index))
    moved = getitem(transpose(t, axes=_last(lead, t.ndim)), index=index)
    return transpose(moved, axes=_first(lead, moved.ndim))


def _pull_getitem(g: Any, call: Call, lead: Shape) -> Any:
    index, shape = call.params["index"], call.shapes[0]
    if not _scattered(index):
        return scatter_index(g, index=(*(slice(None),) * len(lead), *index), shape=(*lead, *shape))
    moved = scatter_index(transpose(g, axes=_last(len(lead), g.ndim)), index=index, shape=(*shape, *lead))
    return transpose(moved, axes=_first(len(lead), moved.ndim))


def _whole_first(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    index = params["index"]
    return bool(shapes[0]) and (not index or isinstance(index[0], slice) and index[0] == slice(None)) and not _scattered(index)



def _meeting(x: Any, arrays: Any) -> Any:
    """`x` on jax where one of the index `arrays` is: numpy cannot be indexed by what is traced."""
    xp = namespace((x, *arrays))
    return xp.asarray(x) if xp.__name__ != "numpy" and isinstance(x, np.ndarray) else x


getitem = linear_map("getitem", lambda xp, x, *, index: _meeting(x, index)[index], _pull_getitem, push=_push_getitem, examples=_whole_first)


def _scatter_index(xp: Any, g: Any, *, index: Index, shape: Shape) -> Any:
    g = _meeting(g, index)
    xp = namespace((g,))
    zeros = xp.zeros_like(g, shape=shape)
    if xp.__name__ != "numpy":
        return zeros.at[index].add(g)
    if any(_is_advanced(part) for part in index):
        xp.add.at(zeros, index, g)  # repeated indices add up
    else:
        zeros[index] = g
    return zeros


def _push_scatter_index(t: Any, call: Call, lead: int) -> Any:
    index, shape = call.params["index"], call.params["shape"]
    if not _scattered(index):
        return scatter_index(t, index=(*(slice(None),) * lead, *index), shape=(*t.shape[:lead], *shape))
    moved = scatter_index(transpose(t, axes=_last(lead, t.ndim)), index=index, shape=(*shape, *t.shape[:lead]))
    return transpose(moved, axes=_first(lead, moved.ndim))


def _pull_scatter_index(g: Any, call: Call, lead: Shape) -> Any:
    index = call.params["index"]
    if not _scattered(index):
        return getitem(g, index=(*(slice(None),) * len(lead), *index))
    moved = getitem(transpose(g, axes=_last(len(lead), g.ndim)), index=index)
    return transpose(moved, axes=_first(len(lead), moved.ndim))


scatter_index = linear_map("scatter_index", _scatter_index, _pull_scatter_index, push=_push_scatter_index)


def _with_lead(indices: Any, lead: int) -> Any:
    return indices.reshape((*(1,) * lead, *indices.shape))


def _gather(xp: Any, x: Any, *, indices: Any, axis: int, unique: bool = False) -> Any:
    x = _meeting(x, (indices,))
    return namespace((x,)).take_along_axis(x, indices, axis=axis)


def _scatter_add(xp: Any, g: Any, *, indices: Any, axis: int, size: int, unique: bool = False) -> Any:
    shape = list(g.shape)
    shape[axis] = size
    if unique and is_mutable(g) and is_mutable(indices):  # nothing adds up, so the elements are put, many times faster
        zeros = xp.zeros_like(g, shape=tuple(shape))
        xp.put_along_axis(zeros, indices, g, axis)
        return zeros
    where = tuple(_arange_at(i - g.ndim, n, g.ndim) for i, n in enumerate(g.shape))
    index = tuple(namespace((g, indices)).broadcast_to(indices, g.shape) if i == axis + g.ndim else part for i, part in enumerate(where))
    return _scatter_index(xp, g, index=index, shape=tuple(shape))


def _arange_at(axis: int, n: int, ndim: int) -> Any:
    return np.arange(n).reshape(tuple(n if i - ndim == axis else 1 for i in range(ndim)))


def _other_axis(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return len(shape) > 1 and params["axis"] != -len(shape) and params["indices"].shape[0] == shape[0]


def _pull_gather(g: Any, call: Call, lead: Shape) -> Any:
    axis, shape = call.params["axis"], call.shapes[0]
    params = {**call.params, "indices": _with_lead(call.params["indices"], len(lead))}
    added = scatter_add(g, size=shape[axis], **params)
    return unbroadcast(added, len(shape), shape)


gather = linear_map(
    "gather",
    _gather,
    _pull_gather,
    lift=lambda params, lead: {**params, "indices": _with_lead(params["indices"], len(lead))},
    examples=_other_axis,
)
"""`x[indices]` along `axis`. `unique` promises that no element is taken twice, as when sorting, which makes the adjoint faster."""


def _pull_scatter_add(g: Any, call: Call, lead: Shape) -> Any:
    params = {name: value for name, value in call.params.items() if name != "size"}
    return gather(g, **{**params, "indices": _with_lead(params["indices"], len(lead))})


scatter_add = linear_map(
    "scatter_add",
    _scatter_add,
    _pull_scatter_add,
    lift=lambda params, lead: {**params, "indices": _with_lead(params["indices"], len(lead))},
    examples=_other_axis,
)
