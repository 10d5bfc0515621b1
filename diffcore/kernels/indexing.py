"""Indexing, gathering and their transposes, which add into zeros.

An index is normalised by `diffcore.ops`: a tuple without `...`, one entry per axis, integer arrays as plain arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_mutable, namespace
from diffcore.dispatch import unboxed
from diffcore.kernels.broadcast import align, fill, unbroadcast
from diffcore.kernels.elementwise import not_equal, where
from diffcore.kernels.families import linear_joint, linear_map, multilinear
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.shape import transpose

Index = tuple[Any, ...]


def _is_advanced(part: Any) -> bool:
    return is_array(part) and getattr(part, "ndim", 0) >= 0 and not isinstance(part, int)


def is_scattered(index: Index) -> bool:
    """Whether integer arrays in `index` have something else between them; numpy then puts their axes first."""
    where = [i for i, part in enumerate(index) if _is_advanced(part) or isinstance(part, int)]
    arrays = [i for i, part in enumerate(index) if _is_advanced(part)]
    return bool(arrays) and where != list(range(where[0], where[-1] + 1))


def arrays_at(index: Index) -> int:
    """Where in `x[index]` the axes of its integer arrays begin."""
    if is_scattered(index):
        return 0
    return next(i for i, part in enumerate(index) if _is_advanced(part) or isinstance(part, int))


def _last(lead: int, ndim: int) -> tuple[int, ...]:
    return (*range(lead - ndim, 0), *range(-ndim, lead - ndim))


def _first(lead: int, ndim: int) -> tuple[int, ...]:
    return (*range(-lead, 0), *range(-ndim, -lead))


def _push_getitem(t: Any, call: Call, lead: int) -> Any:
    index = call.params["index"]
    if not is_scattered(index):
        return getitem(t, index=(*(slice(None),) * lead, *index))
    moved = getitem(transpose(t, axes=_last(lead, t.ndim)), index=index)
    return transpose(moved, axes=_first(lead, moved.ndim))


def _pull_getitem(g: Any, call: Call, lead: Shape) -> Any:
    index, shape = call.params["index"], call.shapes[0]
    if not is_scattered(index):
        return scatter_index(g, index=(*(slice(None),) * len(lead), *index), shape=(*lead, *shape))
    moved = scatter_index(transpose(g, axes=_last(len(lead), g.ndim)), index=index, shape=(*shape, *lead))
    return transpose(moved, axes=_first(len(lead), moved.ndim))


def _whole_first(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    index = params["index"]
    return bool(shapes[0]) and (not index or isinstance(index[0], slice) and index[0] == slice(None)) and not is_scattered(index)


def _axis_through(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    """Where `axis` is after indexing that takes the whole of it."""
    at = after = 0
    for part in params["index"]:
        if _is_advanced(part):
            return None
        if part is not None:
            if at == axis:
                return after if part == slice(None) else None
            at += 1
        after += part is None or isinstance(part, slice)
    return after + axis - at


def _meeting(x: Any, arrays: Any) -> Any:
    """`x` on jax where one of the index `arrays` is: numpy cannot be indexed by what is traced."""
    xp = namespace((x, *arrays))
    return xp.asarray(x) if xp.__name__ != "numpy" and isinstance(x, np.ndarray) else x


def _getitem(xp: Any, x: Any, *, index: Index) -> Any:
    x = _meeting(x, index)
    return x[(*index, ...)]  # with `...` an element too is a view, not a number of its own


def _add_at(call: Call, g: Any, total: Any) -> Any:
    """`total` with the cotangent `g` added where it was taken from."""
    index, lead = call.params["index"], g.ndim - len(call.shape)
    if any(_is_advanced(part) for part in index):
        return total + _pull_getitem(g, call, tuple(g.shape[:lead]))
    inner = (*(slice(None),) * lead, *index, ...)
    if not is_mutable(total):
        return total + _pull_getitem(g, call, tuple(g.shape[:lead]))
    part = total[inner]
    part += g
    return total


def _by_slices(params: dict[str, Any]) -> bool:
    return not any(map(_is_advanced, params["index"]))


getitem = linear_map(
    "getitem",
    _getitem,
    _pull_getitem,
    push=_push_getitem,
    examples=_whole_first,
    carries_axis=_axis_through,
    view=True,
    moves=True,
    arranges=True,
    uniform=_by_slices,
    merges=lambda operand, shapes, shape, params: _by_slices(params),
    accumulate=_add_at,
)


def _padding(index: Index, shape: Shape) -> tuple[Shape, list[tuple[int, int, int]]] | None:
    """For `x[index]` of an array of `shape` by numbers and slices: its shape with an axis for every one of `x`, and the zeros around it and
    between its elements that make `x` of it. `None` for other indices.
    """
    kept, edges = list[int](), list[tuple[int, int, int]]()
    rest = [*index, *[slice(None)] * (len(shape) - len(index))]
    if len(rest) != len(shape):
        return None
    for part, n in zip(rest, shape, strict=True):
        if isinstance(part, int):
            part = slice(part % n, part % n + 1)
        if not isinstance(part, slice):
            return None
        start, stop, step = part.indices(n)
        count = len(range(start, stop, step))
        if step < 1 or not count:
            return None
        kept.append(count)
        edges.append((start, n - start - (count - 1) * step - 1, step - 1))
    return tuple(kept), edges


def _padded(g: Any, kept: Shape, edges: list[tuple[int, int, int]]) -> Any:
    """For jax: `g` with zeros around it, which a compiler makes where they are read."""
    from jax import lax

    return lax.pad(g.reshape(kept), np.zeros((), g.dtype), edges)


def _scatter_index(xp: Any, g: Any, *, index: Index, shape: Shape, unique: bool = False) -> Any:
    g = _meeting(g, index)
    xp = namespace((g,))
    if xp.__name__ != "numpy":
        padding = _padding(index, shape)
        return xp.zeros_like(g, shape=shape).at[index].add(g, unique_indices=unique) if padding is None else _padded(g, *padding)
    zeros = xp.zeros_like(g, shape=shape)
    if not unique and any(_is_advanced(part) for part in index):
        xp.add.at(zeros, index, g)  # repeated indices add up
    else:
        zeros[index] = g
    return zeros


def _push_scatter_index(t: Any, call: Call, lead: int) -> Any:
    index, shape, unique = call.params["index"], call.params["shape"], call.params.get("unique", False)
    if not is_scattered(index):
        return scatter_index(t, index=(*(slice(None),) * lead, *index), shape=(*t.shape[:lead], *shape), unique=unique)
    moved = scatter_index(transpose(t, axes=_last(lead, t.ndim)), index=index, shape=(*shape, *t.shape[:lead]), unique=unique)
    return transpose(moved, axes=_first(lead, moved.ndim))


def _pull_scatter_index(g: Any, call: Call, lead: Shape) -> Any:
    index = call.params["index"]
    if not is_scattered(index):
        return getitem(g, index=(*(slice(None),) * len(lead), *index))
    moved = getitem(transpose(g, axes=_last(len(lead), g.ndim)), index=index)
    return transpose(moved, axes=_first(len(lead), moved.ndim))


scatter_index = linear_map("scatter_index", _scatter_index, _pull_scatter_index, push=_push_scatter_index)
"""`g` added into zeros at `index`. `unique` promises that no element is named twice, so that the elements are put, which is faster."""


def indexed_shape(shape: Shape, index: Index) -> Shape:
    """The shape of `x[index]` for `x` of `shape`. Raises `IndexError` for an index out of bounds, as far as its values are known."""
    zero = np.zeros((), np.intp)  # broadcast, and so in no memory
    stand_ins = tuple(np.broadcast_to(zero, part.shape) if _is_advanced(part) and type(part) is not np.ndarray else part for part in index)
    return np.empty(shape, "V0")[stand_ins].shape


def _set_index(xp: Any, x: Any, value: Any, *, index: Index) -> Any:
    x = _meeting(x, (*index, value))
    if namespace((x,)).__name__ != "numpy":
        return x.at[index].set(value if is_array(value) and value.dtype == x.dtype else namespace((x,)).asarray(value, x.dtype))
    out = x.copy() if is_mutable(x) else np.array(x)
    out[index] = value
    return out


def _push_set_index(call: Call, tangents: Any) -> Any:
    index, shape = call.params["index"], call.shapes[0]
    changed, value = tangents
    t = value if changed is None else changed
    lead = t.ndim - len(call.shapes[1] if changed is None else shape)
    if value is not None:
        target = indexed_shape(shape, index)
        value = fill(align(value, len(call.shapes[1]), len(target)), target, lead)
    if not is_scattered(index):
        inner = (*(slice(None),) * lead, *index)
        if changed is None:
            return scatter_index(value, index=inner, shape=(*t.shape[:lead], *shape))
        return set_index(changed, 0 if value is None else value, index=inner)
    value = value if value is None else transpose(value, axes=_last(lead, value.ndim))
    if changed is None:
        moved = scatter_index(value, index=index, shape=(*shape, *t.shape[:lead]))
    else:
        moved = set_index(transpose(changed, axes=_last(lead, changed.ndim)), 0 if value is None else value, index=index)
    return transpose(moved, axes=_first(lead, moved.ndim))


def _pull_set_index(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    index = call.params["index"]
    lead = g.ndim - len(call.shape)
    changed = value = None
    scattered = is_scattered(index)
    moved = transpose(g, axes=_last(lead, g.ndim)) if scattered else g
    inner = index if scattered else (*(slice(None),) * lead, *index)
    if needs[0]:
        changed = set_index(moved, 0, index=inner)
        changed = transpose(changed, axes=_first(lead, g.ndim)) if scattered else changed
    if needs[1]:
        value = getitem(moved, index=inner)
        value = transpose(value, axes=_first(lead, value.ndim)) if scattered else value
        value = unbroadcast(value, value.ndim - lead, call.shapes[1])
    return changed, value


def _rows_set(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    if not _whole_first(0, shapes, shape, params):
        return False
    value = shapes[1]
    return operand == 0 or bool(value) and value[0] == shape[0] and len(value) == len(indexed_shape(shape, params["index"]))


set_index = linear_joint(
    "set_index", _set_index, pushforward=_push_set_index, pullback=_pull_set_index, examples=_rows_set, arranges=True
)
"""A copy of `x` with `x[index] = value`, which is broadcast. No element may be named twice: `diffcore.ops.setitem` sees to that."""


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


def _all_other_axes(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return None if axis - len(shape) == params["axis"] or shapes[0][axis] != shape[axis] else axis


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
    carries_axis=_all_other_axes,
    moves=True,
    arranges=True,
    merges=lambda operand, shapes, shape, params: bool(params.get("unique", False)),
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
    carries_axis=_all_other_axes,
)


def _embedding(xp: Any, indices: Any, weight: Any, *, padding: int | None = None) -> Any:
    return _meeting(weight, (indices,))[indices]


def _unpadded(t: Any, indices: Any, padding: int | None) -> Any:
    """`t` `[*lead, *indices.shape, features]` with zeros for the entries that are padding."""
    return t if padding is None else where(not_equal(indices, padding).reshape((*indices.shape, 1)), t, 0)


def _push_embedding(call: Call, operand: int, t: Any) -> Any:
    indices = unboxed(call.primals[0])
    return _unpadded(getitem(t, index=(*(slice(None),) * (t.ndim - 2), indices)), indices, call.params.get("padding"))


def _adjoint_embedding(g: Any, call: Call, indices: Any) -> Any:
    indices = unboxed(indices)
    lead = tuple(g.shape[: g.ndim - len(call.shape)])
    g = _unpadded(g, indices, call.params.get("padding"))
    return scatter_index(g, index=(*(slice(None),) * len(lead), indices), shape=(*lead, *call.shapes[1]))


embedding = multilinear(
    "embedding",
    _embedding,
    push=_push_embedding,
    sites=(1,),
    indices=lambda g, call: None,
    weight=_adjoint_embedding,
)
"""Rows of `weight` `[rows, features]` by `indices` of any shape. The row `padding` gets no derivative, as in PyTorch."""
