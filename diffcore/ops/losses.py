"""Losses of `nn.functional`. `reduction` is "mean", "sum" or "none"; anything else is a `ValueError`.

Regression losses broadcast `target` against `input` as PyTorch does, with a warning, since it is rarely meant.
"""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

import numpy as np

from diffcore.arrays import is_array, namespace, values_of
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import activation as _a
from diffcore.kernels import elementwise as _e
from diffcore.kernels import loss as _l
from diffcore.kernels.comparison import equal
from diffcore.ops.axes import Tensor
from diffcore.ops.comparison import array_of
from diffcore.ops.gathering import gather
from diffcore.ops.reduction import log_softmax, mean, sum
from diffcore.ops.shape import permute, reshape
from diffcore.seeds import array_under

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "log_cosh_loss",
    "margin_ranking_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
]


_REDUCTIONS = ("none", "mean", "sum")


def _check_reduction(op: str, reduction: str, allowed: tuple[str, ...] = _REDUCTIONS) -> None:
    if reduction not in allowed:
        raise ValueError(f"{op}: `reduction` (={reduction!r}) must be {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}")


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    return losses if reduction == "none" else mean(losses) if reduction == "mean" else sum(losses)


def _check_same(op: str, input: Tensor, **others: Tensor) -> None:
    for name, other in others.items():
        if tuple(other.shape) != tuple(input.shape):
            raise ShapeError(f"{op}: `{name}` {tuple(other.shape)} must have the shape of `input` {tuple(input.shape)}")


# regression


def _distance(op: str, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """`input - target`, after the checks."""
    _check_reduction(op, reduction)
    if getattr(target, "shape", ()) != input.shape:
        warnings.warn(
            f"{op}: `target` {tuple(getattr(target, 'shape', ()))} is broadcast against `input` {tuple(input.shape)}, "
            f"which is rarely meant: give both the same shape",
            stacklevel=3,
        )
    return _e.sub(input, target)


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """`(input - target)**2`."""
    return _reduced(_e.pow(_distance("mse_loss", input, target, reduction), 2), reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """`|input - target|`; where they are equal the derivative is 0."""
    return _reduced(_e.abs(_distance("l1_loss", input, target, reduction)), reduction)


def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """`d**2 / 2` for `|d| <= delta`, `delta * (|d| - delta / 2)` beyond, of `d = input - target`.

    Raises `ValueError` unless `delta > 0`.
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: `delta` (={delta!r}) must be positive")
    return _reduced(_l.huber(_distance("huber_loss", input, target, reduction), delta=delta), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """`d**2 / (2 beta)` for `|d| < beta`, `|d| - beta / 2` beyond; `beta=0` is `l1_loss`. Raises `ValueError` for a negative `beta`."""
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: `beta` (={beta!r}) must not be negative")
    distance = _distance("smooth_l1_loss", input, target, reduction)
    return _reduced(_e.abs(distance) if beta == 0 else _e.div(_l.huber(distance, delta=beta), beta), reduction)


def log_cosh_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """`log(cosh(input - target))` without overflow. PyTorch has no such loss."""
    return _reduced(_l.log_cosh(_distance("log_cosh_loss", input, target, reduction)), reduction)


# two classes, by sign


def _check_labels(op: str, target: Tensor) -> None:
    """Labels must be 1 or -1. Traced and abstract ones have no values to check."""
    values = values_of(array_of(target))
    if values is not None and values.size and not (np.abs(values) == 1).all():
        raise ValueError(f"{op}: `target` must hold 1 and -1, got {values[np.abs(values) != 1].reshape(-1)[0]!s}")


def hinge_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """`max(0, 1 - target * input)` for labels 1 and -1; on the margin the derivative is 0. PyTorch has no such loss.

    Raises `ShapeError` for differing shapes, `ValueError` for other labels.
    """
    _check_reduction("hinge_loss", reduction)
    _check_same("hinge_loss", input, target=target)
    _check_labels("hinge_loss", target)
    return _reduced(_e.relu(_e.sub(1, _e.mul(target, input))), reduction)


def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """`log(1 + exp(-target * input))` without overflow. Raises `ShapeError` for differing shapes."""
    _check_reduction("soft_margin_loss", reduction)
    _check_same("soft_margin_loss", input, target=target)
    return _reduced(_e.neg(_a.log_sigmoid(_e.mul(target, input))), reduction)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """`input` where `target` is 1, `max(0, margin - input)` where it is -1; on the margin the derivative is -1.

    Raises `ShapeError` for differing shapes, `ValueError` for other labels.
    """
    _check_reduction("hinge_embedding_loss", reduction)
    _check_same("hinge_embedding_loss", input, target=target)
    _check_labels("hinge_embedding_loss", target)
    far = _e.clamp(_e.sub(margin, input), 0, None, inclusive=True)
    return _reduced(_e.where(_e.greater(target, 0), input, far), reduction)


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean") -> Tensor:
    """`max(0, margin - target * (input1 - input2))`; on the margin the loss still slopes.

    Raises `ShapeError` unless all three have as many axes as each other.
    """
    _check_reduction("margin_ranking_loss", reduction)
    shapes = [tuple(x.shape) for x in (input1, input2, target)]
    if len({len(s) for s in shapes}) > 1:
        raise ShapeError(
            f"margin_ranking_loss: `input1` {shapes[0]}, `input2` {shapes[1]} and `target` {shapes[2]} must have as many axes as each other"
        )
    short = _e.sub(margin, _e.mul(target, _e.sub(input1, input2)))
    return _reduced(_e.clamp(short, 0, None, inclusive=True), reduction)


# probabilities


def _weighted(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    return _reduced(losses if weight is None else _e.mul(losses, weight), reduction)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean") -> Tensor:
    """`-target log(input) - (1 - target) log(1 - input)` for probabilities `input`; no logarithm is below -100.

    `weight` broadcasts. Raises `ShapeError` for differing shapes, `ValueError` for an `input` outside [0, 1].
    """
    _check_reduction("binary_cross_entropy", reduction)
    _check_same("binary_cross_entropy", input, target=target)
    values = values_of(array_of(input))
    if values is not None and values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            "binary_cross_entropy: all elements of `input` must be in [0, 1]. Did you mean `binary_cross_entropy_with_logits`?"
        )
    return _weighted(_l.binary_cross_entropy(input, target), weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean", pos_weight: Tensor | None = None
) -> Tensor:
    """`binary_cross_entropy(sigmoid(input), target)` without overflow; `pos_weight` multiplies the term of `target`.

    `weight` and `pos_weight` broadcast. Raises `ShapeError` for differing shapes.
    """
    _check_reduction("binary_cross_entropy_with_logits", reduction)
    _check_same("binary_cross_entropy_with_logits", input, target=target)
    if pos_weight is None:
        losses = _l.binary_cross_entropy_with_logits(input, target)
    else:  # two terms of one sign, so that nothing cancels
        yes = _e.mul(_e.mul(target, pos_weight), _a.log_sigmoid(input))
        losses = _e.neg(_e.add(yes, _e.mul(_e.sub(1, target), _a.log_sigmoid(_e.neg(input)))))
    return _weighted(losses, weight, reduction)


def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """`target * (log(target) - input)` for logarithms of probabilities `input`; with `log_target` of `target` too.

    Where `target` is 0 the loss is 0, and so is the derivative in `target`. "batchmean" divides the sum by the size of axis 0, which is the
    divergence; "mean" divides by the number of elements, as in PyTorch.
    """
    _check_reduction("kl_div", reduction, ("none", "batchmean", "mean", "sum"))
    if log_target:
        losses = _e.mul(_e.exp(target), _e.sub(target, input))
    else:
        positive = _e.greater(target, 0)
        losses = _e.where(positive, _e.mul(target, _e.sub(_e.log(_e.where(positive, target, 1)), input)), 0)
    if reduction == "batchmean":
        return _e.div(sum(losses), max(input.shape[0], 1) if input.ndim else 1)
    return _reduced(losses, reduction)


# many classes


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = _l.IGNORED, reduction: str = "mean"
) -> Tensor:
    """`-weight[target] * input[target]` for log-probabilities `input` `[n, c]`, `[c]` or `[n, c, d1, ...]`.

    **Arguments:** `target`: class indices of that shape without `c`; `weight`: `[c]`; `ignore_index`: examples with this target are left
    out. "mean" divides by the sum of the weights. Raises `ShapeError`, `DTypeError` for a `target` of no integers, `IndexError` for an
    index that is no class.
    """
    _check_reduction("nll_loss", reduction)
    return _picked_loss("nll_loss", input, _indices("nll_loss", target), weight, operator.index(ignore_index), reduction, 0.0)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = _l.IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of unnormalised `input` `[n, c]`, `[c]` or `[n, c, d1, ...]` and `target`.

    **Arguments:** `target`: class indices of that shape without `c`, or probabilities of the same shape; `weight`: `[c]`; `ignore_index`:
    examples with this class index are left out; `label_smoothing`: how much of each target is spread evenly over the classes. "mean"
    divides by the sum of the weights of class indices, or by the number of targets that are probabilities. Raises `ShapeError`,
    `DTypeError`, `IndexError` for an index that is no class, `ValueError` for options out of range.
    """
    ignore_index = operator.index(ignore_index)
    plain = weight is None and not label_smoothing and ignore_index == _l.IGNORED
    if plain and getattr(target, "ndim", 0) == 1 and input.ndim == 2 and target.dtype.kind == "i" and reduction in _REDUCTIONS:
        try:
            return _l.cross_entropy(input, target, reduction=reduction)  # nearly always
        except IndexError:
            pass  # an index that is no class, or the one to be left out
    _check_reduction("cross_entropy", reduction)
    if _is_probability(target, input):
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, _smoothing(label_smoothing))
    target = _indices("cross_entropy", target)
    if plain:
        try:
            return _fused_cross_entropy(input, target, reduction)
        except IndexError:
            seen = values_of(target)
            if seen is None or not np.any(seen == ignore_index):
                raise
    if not input.ndim:
        raise ShapeError("cross_entropy: `input` needs at least one axis, got ()")
    logs = log_softmax(input, _class_axis(input))
    return _picked_loss("cross_entropy", logs, target, weight, ignore_index, reduction, _smoothing(label_smoothing))


def _is_probability(target: Any, input: Tensor) -> bool:
    return hasattr(target, "dtype") and target.dtype.kind == "f" and target.shape == input.shape


def _smoothing(amount: float) -> float:
    if not 0 <= amount <= 1:
        raise ValueError(f"cross_entropy: `label_smoothing` (={amount!r}) must be between 0 and 1")
    return amount


def _indices(op: str, target: Any) -> Any:
    """`target` as an array of class indices."""
    target = unboxed(target)
    target = target if is_array(target) or isinstance(target, Boxed) else np.asarray(target)
    if target.dtype.kind not in "iu":
        soft = ", or probabilities shaped like `input`" if op == "cross_entropy" else ""
        given = f"{target.dtype} {tuple(target.shape)}"
        raise DTypeError(f"{op}: expected `target` to hold class indices (an integer dtype){soft}, got {given}")
    return target


def _class_axis(input: Tensor) -> int:
    return 0 if input.ndim == 1 else 1


def _fused_cross_entropy(input: Tensor, target: Any, reduction: str) -> Tensor:
    if input.ndim == 2:
        return _l.cross_entropy(input, target, reduction=reduction)
    expected = _expected("cross_entropy", input, target)
    if input.ndim > 2:
        return _l.cross_entropy(permute(input, (0, *range(2, input.ndim), 1)), target, reduction=reduction)
    losses = _l.cross_entropy(reshape(input, (1, -1)), target.reshape(-1), reduction=reduction)
    return reshape(losses, expected) if reduction == "none" else losses


def _expected(op: str, input: Tensor, target: Any) -> tuple[int, ...]:
    """The shape of class indices for `input`, which `target` must have."""
    shape = tuple(input.shape)
    if not shape:
        raise ShapeError(f"{op}: `input` needs at least one axis, got ()")
    expected = shape[:-1] if len(shape) == 1 else (shape[0], *shape[2:])
    if tuple(target.shape) != expected:
        raise ShapeError(f"{op}: expected `target` of shape {expected} for `input` {shape}, got {tuple(target.shape)}")
    return expected


def _check_weight(op: str, weight: Tensor | None, classes: int) -> None:
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(f"{op}: expected `weight` of shape ({classes},), one per class, got {tuple(weight.shape)}")


def _check_indices(op: str, target: Any, classes: int, ignore_index: int) -> None:
    """Traced and abstract targets have no values to check."""
    target = values_of(target)
    if target is None:
        return
    bad = ((target < 0) | (target >= classes)) & (target != ignore_index)
    if bad.any():
        allowed = f"[0, {classes}), or `ignore_index` (={ignore_index})"
        raise IndexError(f"{op}: target {target[bad][0]} is out of bounds: class indices must be in {allowed}")


def _picked_loss(op: str, logs: Tensor, target: Any, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float) -> Tensor:
    """The loss of the log-probabilities at the class indices `target`, some of it spread over all classes."""
    shape = _expected(op, logs, target)
    axis = _class_axis(logs)
    classes = logs.shape[axis]
    _check_weight(op, weight, classes)
    _check_indices(op, target, classes, ignore_index)
    counted = target != ignore_index
    safe = namespace((target,)).where(counted, target, 0)
    chosen = reshape(gather(logs, axis, safe.reshape((*shape[:axis], 1, *shape[axis:]))), shape)
    losses, factors = _e.neg(chosen), None
    if weight is not None:
        factors = _e.where(counted, reshape(gather(weight, 0, safe.reshape(-1)), shape), 0)
        losses = _e.mul(losses, factors)
    if smoothing:
        even = _e.neg(sum(_class_weighted(logs, weight, axis), axis))
        losses = _e.add(_e.mul(losses, 1 - smoothing), _e.mul(even, smoothing / classes))
    losses = _e.where(counted, losses, 0)
    if reduction != "mean":
        return _reduced(losses, reduction)
    total = counted.sum().astype(logs.dtype) if factors is None else sum(factors)
    nothing = equal(total, 0)  # then the mean is NaN, but its derivative is 0
    return _e.div(sum(losses), _e.where(nothing, 1, total)) + _e.where(nothing, math.nan, 0 * array_under(total))


def _class_weighted(logs: Tensor, weight: Tensor | None, axis: int) -> Tensor:
    return logs if weight is None else _e.mul(logs, reshape(weight, (-1, *(1,) * (logs.ndim - axis - 1))))


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    if ignore_index != _l.IGNORED:
        raise ValueError(f"cross_entropy: `ignore_index` (={ignore_index}) is for class indices, but `target` holds probabilities")
    if not input.ndim:
        raise ShapeError("cross_entropy: `input` needs at least one axis, got ()")
    axis = _class_axis(input)
    classes = input.shape[axis]
    _check_weight("cross_entropy", weight, classes)
    if smoothing:
        target = _e.add(_e.mul(target, 1 - smoothing), smoothing / classes)
    losses = _e.neg(sum(_e.mul(target, _class_weighted(log_softmax(input, axis), weight, axis)), axis))
    return _reduced(losses, reduction)
