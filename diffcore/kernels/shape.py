"""Kernels that move elements without arithmetic: all linear, most of them views on numpy."""

from __future__ import annotations

from typing import Any

from diffcore.kernels.broadcast import unbroadcast
from diffcore.kernels.families import alone, always, linear_map
from diffcore.kernels.record import Call, Shape


def _lead_shape(params: dict[str, Any], lead: Shape) -> dict[str, Any]:
    return {"shape": (*lead, *params["shape"])}


def _rows_stay(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return bool(shapes[0]) and bool(shape) and shapes[0][0] == shape[0]


def _explain_reshape(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str:
    return f"shape {tuple(params['shape'])} is invalid for input of shape {shapes[0]}: the numbers of elements differ"


reshape = linear_map(
    "reshape",
    lambda xp, x, *, shape: x.reshape(shape),
    lambda g, call, lead: g.reshape((*lead, *call.shapes[0])),
    lift=_lead_shape,
    examples=_rows_stay,
    keeps_order=True,
    view=True,
    moves=True,
    merges=alone,
    explain=_explain_reshape,
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `axes`, both in negative numbers."""
    n = len(axes)
    return tuple(axes.index(i - n) - n for i in range(n))


def _lead_axes(axes: tuple[int, ...], lead: int) -> tuple[int, ...]:
    n = len(axes)
    return (*range(-n - lead, -n), *axes)


def _transpose(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


transpose = linear_map(
    "transpose",
    _transpose,
    lambda g, call, lead: transpose(g, axes=_lead_axes(_inverse(call.params["axes"]), len(lead))),
    lift=lambda params, lead: {"axes": _lead_axes(params["axes"], len(lead))},
    examples=lambda operand, shapes, shape, params: len(shape) > 0 and params["axes"][0] == -len(shape),
    carries_axis=lambda axis, operand, shapes, shape, params: params["axes"].index(axis - len(shape)),
    view=True,
    uniform=always,
    moves=True,
    arranges=True,
    merges=alone,
)


def _axes_keep_their_size(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    after = axis + len(shape) - len(shapes[0])
    return after if shapes[0][axis] == shape[after] else None


def _push_broadcast(t: Any, call: Call, lead: int) -> Any:
    added = len(call.shape) - len(call.shapes[0])
    t = t.reshape((*t.shape[:lead], *(1,) * added, *call.shapes[0]))
    return broadcast_to(t, shape=(*t.shape[:lead], *call.shape))


broadcast_to = linear_map(
    "broadcast_to",
    lambda xp, x, *, shape: x.reshape(shape) if x.shape == shape else xp.broadcast_to(x, shape),  # numpy's cannot be written to
    lambda g, call, lead: unbroadcast(g, len(call.shape), call.shapes[0]),
    push=_push_broadcast,
    examples=lambda operand, shapes, shape, params: len(shapes[0]) == len(shape) > 0 and shapes[0][0] == shape[0],
    carries_axis=_axes_keep_their_size,
    view=True,
    moves=True,
    arranges=True,
    explain=lambda shapes, params: f"shape {shapes[0]} cannot be broadcast to {tuple(params['shape'])}",
)

astype = linear_map(
    "astype",
    lambda xp, x, *, dtype: x.astype(dtype),
    lambda g, call, lead: g,  # the engine gives a cotangent its operand's dtype
    examples=_rows_stay,
    keeps_order=True,
)

clone = linear_map(
    "clone",
    lambda xp, x: x.copy(),
    lambda g, call, lead: g,
    push=lambda t, call, lead: t,
    examples=_rows_stay,
    keeps_order=True,
    moves=True,
    merges=alone,
)
"""The same values in memory of their own."""


def _first_axis_untouched(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return bool(shape) and -len(shape) not in params["axes"]


def _axes_untouched(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return None if axis - len(shape) in params["axes"] else axis


flip = linear_map(
    "flip",
    lambda xp, x, *, axes: xp.flip(x, axes).copy(),  # as in PyTorch, whose `flip` is no view
    lambda g, call, lead: flip(g, **call.params),
    examples=_first_axis_untouched,
    carries_axis=_axes_untouched,
    uniform=always,
    moves=True,
    arranges=True,
    merges=alone,
)
roll = linear_map(
    "roll",
    lambda xp, x, *, shifts, axes: xp.roll(x, shifts, axes),
    lambda g, call, lead: roll(g, shifts=tuple(-n for n in call.params["shifts"]), axes=call.params["axes"]),
    examples=_first_axis_untouched,
    carries_axis=_axes_untouched,
    uniform=always,
    moves=True,
    arranges=True,
    merges=alone,
)
