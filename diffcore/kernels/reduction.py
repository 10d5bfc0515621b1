"""Reductions. Axes are normalised tuples of negative numbers, so that leading direction axes pass through untouched.

Rules reduce with the kernel `sum`: for an operand without axes the tuple is empty, which the method `sum` of a tensor takes for all axes.
"""

from __future__ import annotations

import math
from typing import Any

from diffcore.kernels.elementwise import equal, exp
from diffcore.kernels.families import irregular, linear_map
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.shape import broadcast_to

Axes = tuple[int, ...]


def kept(shape: Shape, axes: Axes) -> Shape:
    """`shape` with the (negative) `axes` of size one."""
    return tuple(1 if i - len(shape) in axes else n for i, n in enumerate(shape))


def spread(g: Any, call: Call, lead: Shape) -> Any:
    """A cotangent of the reduced result, repeated along the axes that were reduced."""
    shape = call.shapes[0]
    return broadcast_to(g.reshape((*lead, *kept(shape, call.params["axis"]))), shape=(*lead, *shape))


def count(shape: Shape, axes: Axes) -> int:
    """How many elements a reduction of `shape` over `axes` combines into one."""
    return math.prod(shape[axis] for axis in axes)


def apart(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    """A reduction keeps examples apart unless it reduces axis 0."""
    axes = params["axis"]
    return len(shapes[operand]) > 1 and -len(shapes[operand]) not in (axes if isinstance(axes, tuple) else (axes,))


def _sum(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
    return x.sum(axis=axis, keepdims=keepdims)


def _mean(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
    return x.sum(axis=axis, keepdims=keepdims) / count(x.shape, axis)


sum = linear_map("sum", _sum, spread, examples=apart)
mean = linear_map("mean", _mean, lambda g, call, lead: spread(g / count(call.shapes[0], call.params["axis"]), call, lead), examples=apart)


def _max(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
    return x.max(axis=axis, keepdims=keepdims)


def _max_share(call: Call) -> Any:
    """1 / (number of maxima) where `x` is maximal, else 0: the gradient is shared evenly among ties."""
    axis = call.params["axis"]
    largest = equal(call.primals[0], call.out.reshape(kept(call.shapes[0], axis)))
    return 1.0 * largest / sum(1.0 * largest, axis=axis, keepdims=True)


def _max_pushforward(call: Call, tangents: Any) -> Any:
    (t,) = tangents
    return sum(t * _same_type(_max_share(call), t), **call.params)


def _max_pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    lead = tuple(g.shape[: g.ndim - len(call.shape)])
    return (g.reshape((*lead, *kept(call.shapes[0], call.params["axis"]))) * _same_type(_max_share(call), g),)


def _same_type(share: Any, like: Any) -> Any:
    return share if share.dtype == like.dtype else share.astype(like.dtype)


max = irregular("max", _max, pushforward=_max_pushforward, pullback=_max_pullback, keeps=(frozenset(("x", "out")),), examples=apart)


def _argmax(xp: Any, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    return x.argmax(axis=axis, keepdims=keepdims)


argmax = irregular("argmax", _argmax)


def shifted(xp: Any, x: Any, axis: Axes) -> tuple[Any, Any]:
    """`x` less its maximum, and that maximum (0 where it is not finite, so that no inf - inf appears)."""
    top = x.max(axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)
    return x - top, top


def _logsumexp(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
    below, top = shifted(xp, x, axis)
    out = xp.log(xp.exp(below).sum(axis=axis, keepdims=True)) + top
    return out if keepdims else out.reshape(tuple(n for i, n in enumerate(x.shape) if i - x.ndim not in axis))


def _softmax_of(call: Call) -> Any:
    x, axis = call.primals[0], call.params["axis"]
    return exp(x - call.out.reshape(kept(call.shapes[0], axis)))


def _logsumexp_pushforward(call: Call, tangents: Any) -> Any:
    return sum(_softmax_of(call) * tangents[0], **call.params)


def _logsumexp_pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    lead = tuple(g.shape[: g.ndim - len(call.shape)])
    return (g.reshape((*lead, *kept(call.shapes[0], call.params["axis"]))) * _softmax_of(call),)


logsumexp = irregular(
    "logsumexp",
    _logsumexp,
    pushforward=_logsumexp_pushforward,
    pullback=_logsumexp_pullback,
    keeps=(frozenset(("x", "out")),),
    examples=apart,
)
