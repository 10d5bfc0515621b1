"""Attention as one kernel, which keeps no weights: they are made again from the queries, the keys and one number per query.

    out = softmax(query @ key.T * scale) @ value,    softmax(s) = exp(s - log_sum)

On numpy the work is done for as many examples at a time as keep their scores in the cache, so that a step holds no array with a score for
every pair of positions. (Dao et al. 2022, "FlashAttention: fast and memory-efficient exact attention with IO-awareness", has the
recomputation; and the sum over keys of weights times their cotangents is that of the result times its cotangent.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.elementwise import exp, where
from diffcore.kernels.families import irregular
from diffcore.kernels.matmul import matmul
from diffcore.kernels.owned import less, scaled
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.reduction import logsumexp

SCORES = 1 << 17
"""Scores that are worked on at a time."""


def _masked(scores: Any, mask: Any) -> Any:
    return where(mask, scores, -math.inf) if hasattr(mask, "shape") else scores


def _log_sums(query: Any, key: Any, mask: Any, scale: float) -> Any:
    """The logarithm of the sum of exponentials of each query's scores `[..., l, 1]`; of a query that may attend to nothing, of all."""
    scores = matmul(query * scale, key.mT)
    if hasattr(mask, "shape"):
        scores = _masked(scores, mask | ~mask.any(axis=-1, keepdims=True))
    return logsumexp(scores, axis=(-1,), keepdims=True)


def _forward(xp: Any, query: Any, key: Any, value: Any, mask: Any, *, scale: float) -> tuple[Any, tuple[Any]]:
    if _explain(tuple(getattr(x, "shape", ()) for x in (query, key, value, mask)), {}):
        raise ValueError("shapes disagree")
    if xp is not np:
        log_sums = _log_sums(query, key, mask, scale)
        return matmul(_weights(query, key, mask, log_sums, scale), value), (log_sums,)
    *batch, length, _ = query.shape
    dtype = np.result_type(query.dtype, key.dtype, value.dtype)
    # What comes next puts the features of all heads side by side: so they lie.
    heads = len(batch) > 1
    shape = (*batch[:-1], length, batch[-1], value.shape[-1]) if heads else (*batch, length, value.shape[-1])
    out = np.empty_like(query, dtype=dtype, shape=shape)
    out = out.swapaxes(-2, -3) if heads else out
    log_sums = np.empty_like(query, dtype=dtype, shape=(*batch, length, 1))
    for at in _blocks(query, key):
        scores = _scores(query[at], key[at], _part(mask, at, query.ndim), scale)
        top = scores.max(axis=-1, keepdims=True)
        top = np.where(np.isfinite(top), top, 0)
        scores -= top
        np.exp(scores, out=scores)
        sums = scores.sum(axis=-1, keepdims=True)
        sums += sums == 0  # of a query that may attend to nothing
        part = scores @ value[at]
        np.divide(part, sums, out=out[at])
        np.log(sums, out=sums)
        np.add(sums, top, out=log_sums[at])
    return out, (log_sums,)


def _blocks(query: Any, key: Any) -> Iterator[tuple[Any, ...]]:
    """Indices of parts of the batch axes: as many inner ones as fit are taken whole, the next is cut, the outer ones are gone through."""
    batch = query.shape[:-2]
    axis, scores = len(batch), max(query.shape[-2] * key.shape[-2], 1)
    while axis and scores * batch[axis - 1] <= SCORES:
        axis -= 1
        scores *= max(batch[axis], 1)
    if not axis:
        yield ()
        return
    size = max(1, SCORES // scores)
    for outer in np.ndindex(batch[: axis - 1]):
        for start in range(0, batch[axis - 1], size):
            yield (*outer, slice(start, start + size))


def _part(mask: Any, at: tuple[Any, ...], ndim: int) -> Any:
    """Of a mask that broadcasts against scores with `ndim` axes, what is for the part `at`."""
    if not hasattr(mask, "shape"):
        return mask
    missing = ndim - mask.ndim
    whole = [i if n > 1 else 0 if isinstance(i, int) else slice(None) for i, n in zip(at[missing:], mask.shape[:-2], strict=False)]
    return mask[tuple(whole)]


def _scores(query: Any, key: Any, mask: Any, scale: float) -> Any:
    """Arrays of numpy's: a new one."""
    scores = np.matmul(query * scale, key.mT)
    if hasattr(mask, "shape"):
        np.copyto(scores, -math.inf, where=~mask)
    return scores


def _weights(query: Any, key: Any, mask: Any, log_sums: Any, scale: float) -> Any:
    """The attention weights `[..., l, s]`: a new array or tensor."""
    if is_mutable(query) and is_mutable(key) and is_mutable(log_sums):
        scores = _scores(query, key, mask, scale)
        scores -= log_sums
        return np.exp(scores, out=scores)
    return exp(_masked(matmul(query * scale, key.mT), mask) - log_sums)


def _centred(weights: Any, scores: Any, means: Any) -> Any:
    """`weights * (scores - means)`: the derivative of the softmax times `scores`, in whose memory it is made where that can be."""
    return scaled(less(scores, means), weights)


def _pushforward(call: Call, tangents: Any) -> Any:
    query, key, value, mask = call.primals
    scale = call.params["scale"]
    tq, tk, tv = tangents[:3]
    weights = _weights(query, key, mask, call.aux[0], scale)
    scores = None if tq is None else matmul(tq * scale, key.mT)
    if tk is not None:
        term = matmul(query * scale, tk.mT)
        scores = term if scores is None else scores + term
    out = None if tv is None else matmul(weights, tv)
    if scores is None:
        return out
    pushed = matmul(_centred(weights, scores, (weights * scores).sum(axis=-1, keepdims=True)), value)
    return pushed if out is None else pushed + out


def _pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    query, key, value, mask = call.primals
    (log_sums,), scale, out = call.aux, call.params["scale"], call.out
    read = [x for x in (query, key, value, log_sums, out, g) if x is not None]
    if g.ndim > query.ndim or not all(map(is_mutable, read)):
        return (*_pulled(query, key, value, mask, log_sums, out, g, scale, needs), None)
    found = [np.empty_like(g, shape=shape) if need else None for shape, need in zip(call.shapes[:3], needs, strict=False)]
    for at in _blocks(query, key):
        v, o = (None if x is None else x[at] for x in (value, out))
        parts = _pulled(query[at], key[at], v, _part(mask, at, query.ndim), log_sums[at], o, g[at], scale, needs)
        for whole, part in zip(found, parts, strict=True):
            if whole is not None:
                whole[at] = part
    return (*found, None)


def _pulled(
    query: Any, key: Any, value: Any, mask: Any, log_sums: Any, out: Any, g: Any, scale: float, needs: tuple[bool, ...]
) -> tuple[Any, Any, Any]:
    """The cotangents of queries, keys and values."""
    weights = _weights(query, key, mask, log_sums, scale)
    gv = matmul(weights.mT, g) if needs[2] else None
    if not (needs[0] or needs[1]):
        return None, None, gv
    scores = _centred(weights, matmul(g, value.mT), (g * out).sum(axis=-1, keepdims=True))
    gq = matmul(scores, key) * scale if needs[0] else None
    return gq, matmul(scores.mT, query * scale) if needs[1] else None, gv


def _batch_stays(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return axis if axis < len(shape) - 2 or operand == 0 and axis == len(shape) - 2 else None


def _explain(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
    query, key, value, mask = shapes
    short = min(len(query), len(key), len(value)) < 2
    if short or query[-1] != key[-1] or key[-2] != value[-2] or not query[:-2] == key[:-2] == value[:-2]:
        return f"expected `query` [..., l, e], `key` [..., s, e] and `value` [..., s, v], got {query}, {key} and {value}"
    scores = (*query[:-1], key[-2])
    if mask and (len(mask) > len(scores) or any(m not in (1, n) for m, n in zip(reversed(mask), reversed(scores), strict=False))):
        return f"`mask` {mask} does not broadcast to the scores {scores}"
    if not key[-2]:
        return f"expected a key or more, got `key` {key}"
    return None


_KEPT = frozenset(("query", "key", "mask", "log_sums"))

attention = irregular(
    "attention",
    lambda xp, query, key, value, mask, *, scale: _forward(xp, query, key, value, mask, scale=scale)[0],
    forward=_forward,
    aux={"log_sums": _log_sums},
    pushforward=_pushforward,
    pullback=_pullback,
    keeps=(_KEPT | {"value", "out"}, _KEPT | {"value", "out"}, _KEPT, frozenset()),
    carries_axis=_batch_stays,
    explain=_explain,
)
"""`softmax(query @ key.mT * scale) @ value` for `query` `[..., l, e]`, `key` `[..., s, e]`, `value` `[..., s, v]`, with equal batch axes.

`mask` is the number 0, or an array of booleans that broadcasts to `[..., l, s]` and says which keys a query may attend to. A query that
may attend to nothing has zeros. Kept are the operands, the result and one number per query.
"""
