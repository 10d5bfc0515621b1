"""Joining any number of tensors along one axis: linear in all of them, and each cotangent is a slice of the result's."""

from __future__ import annotations

import itertools
from typing import Any

from diffcore.kernels.families import linear_joint
from diffcore.kernels.indexing import getitem
from diffcore.kernels.padding import pad
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.shape import broadcast_to
from diffcore.seeds import zeros_of


def _concatenate(xp: Any, *tensors: Any, axis: int, new: bool = False) -> Any:
    return (xp.stack if new else xp.concatenate)(tensors, axis=axis)


def _extents(call: Call) -> list[int]:
    """How much of the axis each operand takes."""
    if call.params.get("new", False):
        return [1] * len(call.shapes)
    axis = call.params["axis"]
    return [shape[axis] for shape in call.shapes]


def _with_axis(t: Any, call: Call) -> Any:
    """A tangent of an operand with the axis of size one that stacking makes."""
    if not call.params.get("new", False):
        return t
    at = t.ndim + 1 + call.params["axis"]
    return t.reshape((*t.shape[:at], 1, *t.shape[at:]))


def _push(call: Call, tangents: Any) -> Any:
    """Tangents joined; neighbours without any share one block of zeros, which takes no memory of its own."""
    axis, extents = call.params["axis"], _extents(call)
    given = [i for i, t in enumerate(tangents) if t is not None]
    if len(given) == len(tangents):
        return concatenate(*tangents, **call.params)
    if len(given) == 1:
        (i,) = given
        widths = ((sum(extents[:i]), sum(extents[i + 1 :])), *((0, 0),) * (-axis - 1))
        return pad(_with_axis(tangents[i], call), widths=widths)
    blocks = []
    for missing, run in itertools.groupby(range(len(tangents)), lambda i: tangents[i] is None):
        if missing:
            like = tangents[given[0]]
            shape = [*like.shape[: _lead(call, given[0], like)], *call.shape]
            shape[axis] = sum(extents[i] for i in run)
            blocks.append(broadcast_to(zeros_of(like, ()), shape=tuple(shape)))
        else:
            blocks += [_with_axis(tangents[i], call) for i in run]
    return concatenate(*blocks, axis=axis)


def _lead(call: Call, operand: int, t: Any) -> int:
    return t.ndim - len(call.shapes[operand])


def _pull(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    axis, new = call.params["axis"], call.params.get("new", False)
    whole, start, found = (slice(None),) * (g.ndim + axis), 0, []
    for need, n in zip(needs, _extents(call), strict=True):
        found.append(getitem(g, index=(*whole, start if new else slice(start, start + n))) if need else None)
        start += n
    return found


def _rows_apart(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return params["axis"] != -len(shape)


def _axis_stays(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    at = len(shape) + params["axis"]
    if params.get("new", False):
        return axis + (axis >= at)
    return None if axis == at else axis


def _explain(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
    axis, first = params["axis"], shapes[0]
    for i, shape in enumerate(shapes):
        if params.get("new", False):
            if shape != first:
                return f"stack expects each tensor to be equal size, but got {first} at entry 0 and {shape} at entry {i}"
        elif len(shape) != len(first):
            both = f"{first} at entry 0 and {shape} at entry {i}"
            return f"tensors must have same number of dimensions: got {len(first)} and {len(shape)}, {both}"
        else:
            for at, (n, m) in enumerate(zip(first, shape, strict=True)):
                if n != m and at != len(first) + axis:
                    return (
                        f"sizes of tensors must match except in dimension {len(first) + axis}: expected size {n} but got size {m} at axis "
                        f"{at}, {first} at entry 0 and {shape} at entry {i}"
                    )
    return None


concatenate = linear_joint(
    "concatenate",
    _concatenate,
    pushforward=_push,
    pullback=_pull,
    examples=_rows_apart,
    carries_axis=_axis_stays,
    arranges=True,
    explain=_explain,
)
"""The operands one after the other along `axis`; with `new`, stacked along a new axis, which `axis` names in the result."""
