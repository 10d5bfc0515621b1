"""Losses that are kernels of their own, because the fused form saves time and residual bytes, or is safe where a composition is not."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable, values_of
from diffcore.kernels.elementwise import clamp, decay, log, log1p, sigmoid, tanh
from diffcore.kernels.families import elementwise, irregular
from diffcore.kernels.record import Call, Derived, Shape
from diffcore.kernels.softmax import softmax

IGNORED = -100
"""The class index that PyTorch leaves out by default."""


def _counted(target: Any) -> Any:
    """Which examples count: all (`None`) where the indices were looked at, else those that are not `IGNORED`, by a mask."""
    return None if is_mutable(target) else target != IGNORED


def _reduce(losses: Any, reduction: str, counted: Any = None) -> Any:
    if reduction == "none":
        return losses
    total = np.add.reduce(losses) if type(losses) is np.ndarray and losses.ndim == 1 else losses.sum(axis=-1)
    if reduction == "sum":
        return total
    return total / (losses.shape[-1] if counted is None else counted.sum())


def _check_target(logits: Any, target: Any) -> None:
    """Class indices in [0, classes). Traced and abstract targets have no values to check."""
    classes = logits.shape[-1]
    target = values_of(target)
    if target is None or not target.size:
        return
    indices = target.astype(np.intp, copy=False).view(np.uintp)  # as an unsigned number a negative index is huge
    if indices[indices.argmax()] >= classes:  # `argmax` takes a third of the time of `max`
        bad = target[(target < 0) | (target >= classes)][0]
        raise IndexError(f"target {bad} is out of bounds: class indices must be in [0, {classes})")


def _forward(xp: Any, logits: Any, target: Any, *, reduction: str = "mean") -> tuple[Any, tuple[Any]]:
    if target.shape != logits.shape[:-1]:
        raise ValueError("one class index per example is needed")
    if logits.ndim > 2:
        out, (each,) = _forward(xp, logits.reshape((-1, logits.shape[-1])), target.reshape(-1), reduction=reduction)
        return out.reshape(target.shape) if reduction == "none" else out, (each.reshape(logits.shape),)
    if is_mutable(logits):
        return _forward_in_columns(logits, target, reduction)
    _check_target(logits, target)
    n = logits.shape[0]
    shifted = logits - logits.max(axis=-1, keepdims=True)
    picked = shifted[np.arange(n), target]
    powers = xp.exp(shifted)
    sums = powers.sum(axis=-1)
    losses, counted = xp.log(sums) - picked, _counted(target)
    if counted is not None:
        losses = xp.where(counted, losses, 0)
    return _reduce(losses, reduction, counted), (powers / sums[:, None],)


def _forward_in_columns(logits: Any, target: Any, reduction: str) -> tuple[Any, tuple[Any]]:
    """`_forward` on numpy, which reduces along the first axis several times faster; and the transposed copy is ours to change."""
    _check_target(logits, target)
    columns = logits.T.copy()
    columns -= np.maximum.reduce(columns, axis=0)
    losses = columns.reshape(-1)[_places(target)]
    sums = np.add.reduce(np.exp(columns, out=columns), axis=0)
    columns /= sums
    np.subtract(np.log(sums), losses, out=losses)
    return _reduce(losses, reduction), (columns.T,)


def _places(target: Any) -> Any:
    """Where in the columns `[c, n]` of the logits the entries of `target` `[n]` lie, counted through, in a dtype that holds them all."""
    n = target.shape[0]
    places = (target.astype(np.intp, copy=False) if is_mutable(target) else target) * n  # traced ones come while `jit` has a step planned
    places += _counting(n)
    return places


@lru_cache(maxsize=64)
def _counting(n: int) -> Any:
    """0 ... n-1, made once per batch size."""
    numbers = np.arange(n)
    numbers.flags.writeable = False
    return numbers


def _flat_residual(softmax: Any, target: Any) -> Any:
    """`_residual` for `[n, c]` in memory that can be changed."""
    columns = softmax.T.copy()  # `[c, n]`, as it was made
    columns.reshape(-1)[_places(target)] -= 1  # one axis is indexed in half the time of two
    return columns.T


def _residual(call: Call) -> Any:
    """softmax(logits) - one_hot(target), shaped like `logits`: the derivative of each example's loss. A new array or tensor."""
    target = call.primals[1]
    (softmax,) = call.aux
    if is_mutable(softmax):
        if softmax.ndim > 2:
            return _flat_residual(softmax.reshape((-1, softmax.shape[-1])), target.reshape(-1)).reshape(softmax.shape)
        return _flat_residual(softmax, target)
    residual = softmax - (target.reshape((*target.shape, 1)) == np.arange(call.shapes[0][-1]))
    counted = _counted(target)
    return residual if counted is None else residual * counted.reshape((*target.shape, 1))


def _weight(call: Call) -> Any:
    if call.params.get("reduction", "mean") != "mean":
        return 1
    counted = _counted(call.primals[1])
    if counted is None:
        return 1 / max(math.prod(call.shapes[1]), 1)
    number = counted.sum()
    return 1 / (number + (number == 0))  # of no examples the mean is NaN, but its derivative is 0


def _pushforward(call: Call, tangents: Any) -> Any:
    each = (_residual(call) * tangents[0]).sum(axis=-1)
    if call.params.get("reduction", "mean") == "none":
        return each
    return each.sum(axis=tuple(range(-len(call.shapes[1]), 0))) * _weight(call)


def _pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    residual, scale = _residual(call), g * _weight(call)
    if call.shape == () == g.shape and is_mutable(residual):
        residual *= scale
        return residual, None
    return scale.reshape((*scale.shape, *(1,) * (len(call.shapes[0]) - len(call.shape)))) * residual, None


def _explain(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
    logits, target = shapes
    if logits[:-1] != target:
        return f"expected `target` of shape {logits[:-1]} for `input` {logits}, got {target}"
    return None


cross_entropy = irregular(
    "cross_entropy",
    lambda xp, logits, target, *, reduction="mean": _forward(xp, logits, target, reduction=reduction)[0],
    forward=_forward,
    aux={"softmax": Derived(softmax, "logits", {"axis": -1})},
    pushforward=_pushforward,
    pullback=_pullback,
    keeps=(frozenset(("target", "softmax")), frozenset()),
    examples=lambda operand, shapes, shape, params: len(shape) > 0 and operand == 0,
    carries_axis=lambda axis, operand, shapes, shape, params: axis if operand == 0 and axis < len(shape) else None,
    explain=_explain,
)
"""Cross-entropy of `logits` `[n, ..., c]` and class indices `target` `[n, ...]`; `reduction` is "none", "mean" or "sum" over all of these.

An index `IGNORED` is an error on numpy, where indices are looked at. On jax, where they cannot be, its example is left out.
"""


# element by element


def _huber(xp: Any, x: Any, *, delta: float) -> Any:
    near = xp.clip(x, -delta, delta)
    return near * (x - 0.5 * near)


huber = elementwise("huber", _huber, x=lambda x, delta: clamp(x, -delta, delta, inclusive=True))
"""`x^2 / 2` for `|x| <= delta`, from there on the tangent line."""


def _log_cosh(xp: Any, x: Any) -> Any:
    size = xp.abs(x)
    return size + xp.log1p(0.5 * xp.expm1(-2 * size))  # log cosh x = |x| + log((1 + exp(-2 |x|)) / 2)


log_cosh = elementwise("log_cosh", _log_cosh, x=lambda x: tanh(x))


def _binary_cross_entropy(xp: Any, x: Any, target: Any) -> Any:
    with np.errstate(divide="ignore"):  # log 0 is wanted, and clamped
        yes, no = xp.maximum(xp.log(x), -100), xp.maximum(xp.log1p(-x), -100)
    return (target - 1) * no - target * yes


binary_cross_entropy = elementwise(
    "binary_cross_entropy",
    _binary_cross_entropy,
    x=lambda x, target: (x - target) / clamp(x * (1 - x), 1e-12, None, inclusive=True),
    target=lambda x: clamp(log1p(-x), -100.0, None, inclusive=True) - clamp(log(x), -100.0, None, inclusive=True),
)
"""Of probabilities `x`. Logarithms are at least -100 and the slope divides by at least 1e-12, as in PyTorch."""

binary_cross_entropy_with_logits = elementwise(
    "binary_cross_entropy_with_logits",
    lambda xp, x, target: xp.maximum(x, 0) - x * target + xp.log1p(decay(xp, x)),
    x=lambda x, target: sigmoid(x) - target,
    target=lambda x: -x,
)
