"""Losses that are kernels of their own, because the fused form saves time and residual bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.kernels.elementwise import exp
from diffcore.kernels.families import irregular
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.reduction import logsumexp


def _reduce(losses: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    total = losses.sum(axis=-1)
    return total / losses.shape[-1] if reduction == "mean" else total


def _check_target(target: Any, classes: int) -> None:
    """Class indices must lie in [0, classes). Traced and abstract targets have no values to check."""
    if isinstance(target, np.ndarray) and target.size and target.view(f"u{target.itemsize}").max() >= classes:  # negative: huge
        bad = target[(target < 0) | (target >= classes)][0]
        raise IndexError(f"target {bad} is out of bounds: class indices must be in [0, {classes})")


def _forward(xp: Any, logits: Any, target: Any, *, reduction: str = "mean") -> tuple[Any, tuple[Any]]:
    _check_target(target, logits.shape[-1])
    top = logits.max(axis=-1, keepdims=True)
    lse = xp.log(xp.exp(logits - top).sum(axis=-1, keepdims=True)) + top
    picked = logits[np.arange(logits.shape[0]), target]
    return _reduce(lse.reshape(-1) - picked, reduction), (lse,)


def _residual(call: Call) -> Any:
    """softmax(logits) - one_hot(target), `[n, c]`: the derivative of each example's loss."""
    logits, target = call.primals
    one_hot = target.reshape((-1, 1)) == np.arange(call.shapes[0][-1])
    return exp(logits - call.aux[0]) - one_hot


def _weight(call: Call) -> float:
    return 1 / call.shapes[0][0] if call.params.get("reduction", "mean") == "mean" else 1


def _pushforward(call: Call, tangents: Any) -> Any:
    return _reduce((_residual(call) * tangents[0]).sum(axis=-1), call.params.get("reduction", "mean"))


def _pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    lead = g.shape[: g.ndim - len(call.shape)]
    return ((g * _weight(call)).reshape((*lead, -1, 1)) * _residual(call), None)


def _explain(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
    logits, target = shapes
    if logits[:1] != target:
        return f"expected `target` of shape {logits[:1]} for `input` {logits}, got {target}"
    return None


cross_entropy = irregular(
    "cross_entropy",
    lambda xp, logits, target, *, reduction="mean": _forward(xp, logits, target, reduction=reduction)[0],
    forward=_forward,
    aux={"lse": lambda logits: logsumexp(logits, axis=(-1,), keepdims=True)},
    pushforward=_pushforward,
    pullback=_pullback,
    keeps=(frozenset(("logits", "target", "lse")), frozenset()),
    examples=lambda operand, shapes, shape, params: len(shape) == 1 and operand == 0,
    explain=_explain,
)
"""Cross-entropy of `logits` `[n, c]` and class indices `target` `[n]`; `reduction` is "none", "mean" or "sum" over `n`."""
