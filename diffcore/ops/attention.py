"""Attention, composed of products and a softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_float
from diffcore.errors import DTypeError, ShapeError
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
    return attended("scaled_dot_product_attention", query, key, value, attn_mask, dropout_p, is_causal, scale)[0]


def attended(
    name: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """`scaled_dot_product_attention` and the weights in it, `[..., l, s]`, as they were applied; `name` is what errors are told in."""
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
    # the scores are scaled and not the query: a scaled query would be kept for the backward pass beside that which is there
    scores = mul(matmul(query, transpose(key, -1, -2)), 1 / math.sqrt(shapes[0][-1]) if scale is None else scale)
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


def _masked(scores: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
    """Attention weights under a mask, and which queries attend to anything; the weights of others are arbitrary."""
    values = array_under(mask)
    allowed = values if values.dtype.kind == "b" else values > -math.inf
    attends = allowed.any(axis=-1, keepdims=True)
    if values.dtype.kind != "b":
        scores = add(scores, where(allowed, mask, 0))
    return softmax(where(allowed | ~attends, scores, -math.inf), -1), attends
