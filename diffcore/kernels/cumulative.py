"""Running sums, products and maxima along one (negative) axis, and the linear recurrence that their derivatives are.

`recurrence(a, b)` is `s[i] = a[i] s[i-1] + b[i]`. Products are differentiated by it without dividing, so zeros among the factors do no
harm; it is linear in `b`, and its derivatives are recurrences again. `reverse` runs along the axis from its end.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from diffcore.kernels.broadcast import align, fill, unbroadcast
from diffcore.kernels.elementwise import exp
from diffcore.kernels.families import irregular, linear_map
from diffcore.kernels.indexing import getitem, scatter_index
from diffcore.kernels.record import Call, Kernel
from diffcore.kernels.reduction import apart, axes_kept, kept_of, sum

_OF_JAX = {"add": "cumsum", "multiply": "cumprod", "maximum": "cummax", "minimum": "cummin", "logaddexp": "cumlogsumexp"}


def _accumulate(xp: Any, ufunc: str, x: Any, axis: int, reverse: bool) -> Any:
    if xp is not np:
        return getattr(sys.modules["jax"].lax, _OF_JAX[ufunc])(x, axis % x.ndim, reverse)
    if not reverse:
        return getattr(np, ufunc).accumulate(x, axis=axis)
    return np.flip(getattr(np, ufunc).accumulate(np.flip(x, axis), axis=axis), axis)


def shift(x: Any, axis: int, reverse: bool = False) -> Any:
    """`x` moved one place along `axis` (back with `reverse`), a zero in the place that becomes free."""
    shape = tuple(x.shape)
    n = shape[axis]
    before = (slice(None),) * (len(shape) + axis)
    early, late = (*before, slice(0, max(n - 1, 0))), (*before, slice(1, n))
    source, target = (late, early) if reverse else (early, late)
    return scatter_index(getitem(x, index=source), index=target, shape=shape)


cumsum = linear_map(
    "cumsum",
    lambda xp, x, *, axis, reverse=False: _accumulate(xp, "add", x, axis, reverse),
    lambda g, call, lead: cumsum(g, axis=call.params["axis"], reverse=not call.params.get("reverse", False)),
    examples=apart,
    carries_axis=axes_kept,
)


def _along(axis: int, values: Any) -> Any:
    return values.reshape((-1, *(1,) * (-axis - 1)))


def _recurrence(xp: Any, a: Any, b: Any, *, axis: int, reverse: bool = False) -> Any:
    """In log2(n) rounds, each of which doubles the stretch that `s` (with factors `a`) sums over."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    s = xp.broadcast_to(b, shape)
    if reverse:
        a, s = xp.flip(a, axis), xp.flip(s, axis)
    step, before = 1, (Ellipsis,)
    after = (slice(None),) * (-axis - 1)
    while step < shape[axis]:
        head, tail, late = (*before, slice(0, step), *after), (*before, slice(0, -step), *after), (*before, slice(step, None), *after)
        s = xp.concatenate((s[head], s[late] + a[late] * s[tail]), axis=axis)
        a = xp.concatenate((a[head], a[late] * a[tail]), axis=axis)
        step *= 2
    if step == 1:
        s = s + xp.zeros_like(a)  # a result of its own, in the dtype of both
    return xp.flip(s, axis) if reverse else s


def _recurrence_parts(call: Call) -> tuple[int, bool]:
    return call.params["axis"], call.params.get("reverse", False)


def _push_recurrence(call: Call, tangents: Any) -> Any:
    axis, reverse = _recurrence_parts(call)
    ta, tb = (None if t is None else align(t, len(s), len(call.shape)) for t, s in zip(tangents, call.shapes, strict=True))
    source = None if ta is None else ta * shift(call.out, axis, reverse)
    if tb is not None:
        source = tb if source is None else source + tb
    pushed = recurrence(call.primals[0], source, axis=axis, reverse=reverse)
    return fill(pushed, call.shape, pushed.ndim - len(call.shape))


def _pull_recurrence(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    axis, reverse = _recurrence_parts(call)
    gb = recurrence(shift(call.primals[0], axis, not reverse), g, axis=axis, reverse=not reverse)
    ga = unbroadcast(gb * shift(call.out, axis, reverse), len(call.shape), call.shapes[0]) if needs[0] else None
    return ga, unbroadcast(gb, len(call.shape), call.shapes[1]) if needs[1] else None


recurrence = irregular(
    "recurrence",
    _recurrence,
    pushforward=_push_recurrence,
    pullback=_pull_recurrence,
    keeps=(frozenset(("a", "out")), frozenset(("a",))),
    examples=lambda operand, shapes, shape, params: len(shapes[operand]) == len(shape) > -params["axis"] and shapes[operand][0] == shape[0],
)
"""`s[i] = a[i] s[i-1] + b[i]` along `axis`, along which `a` and `b` are equally long; their other axes broadcast."""


def exclusive(x: Any, axis: int, reverse: bool = False) -> Any:
    """The product of all elements before each one (after it with `reverse`)."""
    n = x.shape[axis]
    return shift(cumprod(x, axis=axis, reverse=reverse), axis, reverse) + _along(axis, np.arange(n) == (n - 1 if reverse else 0))


def _push_cumprod(call: Call, tangents: Any) -> Any:
    x, (axis, reverse) = call.primals[0], _recurrence_parts(call)
    return recurrence(x, tangents[0] * exclusive(x, axis, reverse), axis=axis, reverse=reverse)


def _pull_cumprod(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    x, (axis, reverse) = call.primals[0], _recurrence_parts(call)
    return (recurrence(shift(x, axis, not reverse), g, axis=axis, reverse=not reverse) * exclusive(x, axis, reverse),)


cumprod = irregular(
    "cumprod",
    lambda xp, x, *, axis, reverse=False: _accumulate(xp, "multiply", x, axis, reverse),
    pushforward=_push_cumprod,
    pullback=_pull_cumprod,
    keeps=(frozenset(("x",)),),
    examples=apart,
    carries_axis=axes_kept,
)


def others(x: Any, axis: int) -> Any:
    """For each element the product of all others along `axis`, without dividing."""
    return exclusive(x, axis) * exclusive(x, axis, True)


prod = irregular(
    "prod",
    lambda xp, x, *, axis, keepdims=False: x.prod(axis=axis, keepdims=keepdims),
    pushforward=lambda call, tangents: sum(others(call.primals[0], call.params["axis"][0]) * tangents[0], **call.params),
    pullback=lambda call, g, needs: (kept_of(g, call) * others(call.primals[0], call.params["axis"][0]),),
    keeps=(frozenset(("x",)),),
    examples=apart,
    carries_axis=axes_kept,
)
"""The product over one axis, `axis=(-1,)`."""


def _running_weights(call: Call) -> tuple[Any, Any]:
    """Of `out[i] = log(exp(out[i-1]) + exp(x[i]))`: the derivatives with respect to `out[i-1]` and `x[i]`."""
    x, out, axis = call.primals[0], call.out, call.params["axis"]
    first = np.where(_along(axis, np.arange(call.shape[axis]) == 0), -np.inf, 0).astype(out.dtype)
    return exp(shift(out, axis) + first - out), exp(x - out)


def _push_logcumsumexp(call: Call, tangents: Any) -> Any:
    before, now = _running_weights(call)
    return recurrence(before, now * tangents[0], axis=call.params["axis"])


def _pull_logcumsumexp(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    axis = call.params["axis"]
    before, now = _running_weights(call)
    return (recurrence(shift(before, axis, True), g, axis=axis, reverse=True) * now,)


logcumsumexp = irregular(
    "logcumsumexp",
    lambda xp, x, *, axis: _accumulate(xp, "logaddexp", x, axis, False),
    pushforward=_push_logcumsumexp,
    pullback=_pull_logcumsumexp,
    keeps=(frozenset(("x", "out")),),
    examples=apart,
    carries_axis=axes_kept,
)


def _arg_cumulative(name: str, ufunc: str) -> Kernel:
    def compute(xp: Any, x: Any, *, axis: int) -> Any:
        attained = (x == _accumulate(xp, ufunc, x, axis, False)) | (x != x)
        positions = xp.where(attained, _along(axis, np.arange(x.shape[axis])), 0)
        return _accumulate(xp, "maximum", positions, axis, False)

    return irregular(name, compute)


argcummax = _arg_cumulative("argcummax", "maximum")
"""Position of the largest element so far, the last of several; NaN counts as larger than all others."""
argcummin = _arg_cumulative("argcummin", "minimum")
"""Position of the smallest element so far, the last of several; NaN counts as smaller than all others."""
