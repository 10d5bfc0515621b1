"""Attention, composed of products and a softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_float
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import attention as _p
from diffcore.ops.arithmetic import add, mul
from diffcore.ops.axes import Tensor
from diffcore.ops.dropouts import dropout
from diffcore.ops.linalg import matmul
from diffcore.ops.masking import where
from diffcore.ops.reduction import softmax
from diffcore.ops.shape import transpose
from diffcore.seeds import array_under

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """`softmax(query @ key.mT * scale + mask) @ value` for `query` `[..., l, e]`, `key` `[..., s, e]` and `value` `[..., s, v]`.

    `scale` is `1 / sqrt(e)` by default. A boolean `attn_mask` says which keys a query may attend to, a floating one is added to the
    scores; `is_causal` allows keys up to the query's own position. A query that may attend to nothing has zeros. Weights are
    dropped out with probability `dropout_p`, whatever the mode. Raises `ShapeError`, `DTypeError` and `ValueError`.
    """
    return attended("scaled_dot_product_attention", query, key, value, attn_mask, dropout_p, is_causal, scale, weighted=False)[0]


def attended(
    name: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    weighted: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """`scaled_dot_product_attention` and the weights in it, `[..., l, s]`, as they were applied; `name` is what errors are told in.

    Unless `weighted` they may be `None`: one kernel that keeps none does it, where there is neither dropout nor a mask of numbers.
    """
    shapes = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    if min(map(len, shapes)) < 2 or shapes[0][-1] != shapes[1][-1] or shapes[1][-2] != shapes[2][-2]:
        raise ShapeError(
            f"{name}: expected `query` [..., l, e], `key` [..., s, e] and `value` [..., s, v], got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    if not is_float(query.dtype):
        raise DTypeError(f"{name}: expected a floating-point `query`, got {query.dtype}")
    if is_causal and attn_mask is not None:
        raise ValueError(f"{name}: `attn_mask` must not be set when `is_causal` is: put both into the mask")
    if is_causal:
        attn_mask = np.tri(shapes[0][-2], shapes[1][-2], dtype=bool)
    scale = 1 / math.sqrt(shapes[0][-1]) if scale is None else scale
    if not weighted and _is_one_kernel(shapes, attn_mask, dropout_p):
        mask = 0 if attn_mask is None else array_under(attn_mask)
        return _p.attention(query, key, value, mask, scale=scale), None
    # the scores are scaled and not the query: a scaled query would be kept for the backward pass beside that which is there
    scores = mul(matmul(query, transpose(key, -1, -2)), scale)
    if attn_mask is None:
        weights = dropout(softmax(scores, -1), dropout_p)
        return matmul(weights, value), weights
    if attn_mask.dtype.kind != "b" and attn_mask.dtype != query.dtype:
        raise DTypeError(f"{name}: expected `attn_mask` of dtype bool or {query.dtype} like `query`, got {attn_mask.dtype}")
    try:
        np.broadcast_shapes(tuple(attn_mask.shape), tuple(scores.shape))
    except ValueError:
        raise ShapeError(f"{name}: `attn_mask` {tuple(attn_mask.shape)} does not broadcast to the scores {tuple(scores.shape)}") from None
    weights, attends = _masked(scores, attn_mask)
    weights = dropout(where(attends, weights, 0), dropout_p)
    return matmul(weights, value), weights


def _is_one_kernel(shapes: tuple[tuple[int, ...], ...], mask: Tensor | None, dropout_p: float) -> bool:
    """Whether the kernel `attention` does it: with equal batch axes, keys, no dropout, and no mask of numbers."""
    query, key, value = shapes
    if not query[:-2] == key[:-2] == value[:-2] or not key[-2] or dropout_p != 0 or not query[-1]:
        return False
    if mask is None:
        return True
    scores, masked = (*query[:-1], key[-2]), tuple(mask.shape)
    fits = len(masked) <= len(scores) and all(m in (1, n) for m, n in zip(reversed(masked), reversed(scores), strict=False))
    return mask.dtype.kind == "b" and fits and masked != ()


def _masked(scores: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
    """Attention weights under a mask, and which queries attend to anything; the weights of others are arbitrary."""
    values = array_under(mask)
    allowed = values if values.dtype.kind == "b" else values > -math.inf
    attends = allowed.any(axis=-1, keepdims=True)
    if values.dtype.kind != "b":
        scores = add(scores, where(allowed, mask, 0))
    return softmax(where(allowed | ~attends, scores, -math.inf), -1), attends
