"""Softmax and its logarithm along one axis. Both keep their result and nothing else, and both Jacobians are made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.elementwise import exp
from diffcore.kernels.families import irregular
from diffcore.kernels.record import Call
from diffcore.kernels.reduction import apart, axes_kept, shifted


def _softmax(xp: Any, x: Any, *, axis: int) -> Any:
    if not x.shape[axis]:
        return xp.zeros_like(x)
    out, _ = shifted(xp, x, (axis,))
    if not is_mutable(out):
        out = xp.exp(out)
        return out / out.sum(axis=axis, keepdims=True)
    np.exp(out, out=out)
    out /= out.sum(axis=axis, keepdims=True)
    return out


def _along(call: Call, t: Any) -> Any:
    """`t` times the Jacobian, which is symmetric: `out * (t - <out, t>)`."""
    out = call.out
    weighted = out * t
    total = weighted.sum(axis=call.params["axis"], keepdims=True)
    if is_mutable(weighted) and is_mutable(t) and t.dtype == weighted.dtype:
        np.subtract(t, total, out=weighted)  # ours to change
        weighted *= out
        return weighted
    return weighted - out * total


softmax = irregular(
    "softmax",
    _softmax,
    pushforward=lambda call, tangents: _along(call, tangents[0]),
    pullback=lambda call, g, needs: (_along(call, g),),
    keeps=(frozenset(("out",)),),
    examples=apart,
    carries_axis=axes_kept,
)


def _log_softmax(xp: Any, x: Any, *, axis: int) -> Any:
    if not x.shape[axis]:
        return xp.zeros_like(x)
    out, _ = shifted(xp, x, (axis,))
    log_sum = xp.log(xp.exp(out).sum(axis=axis, keepdims=True))
    if is_mutable(out):
        out -= log_sum
        return out
    return out - log_sum


def _log_softmax_pushforward(call: Call, tangents: Any) -> Any:
    (t,) = tangents
    return t - (exp(call.out) * t).sum(axis=call.params["axis"], keepdims=True)


def _log_softmax_pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    return (g - exp(call.out) * g.sum(axis=call.params["axis"], keepdims=True),)


log_softmax = irregular(
    "log_softmax",
    _log_softmax,
    pushforward=_log_softmax_pushforward,
    pullback=_log_softmax_pullback,
    keeps=(frozenset(("out",)),),
    examples=apart,
    carries_axis=axes_kept,
)
