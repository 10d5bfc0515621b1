"""Losses as modules: the functions of `diffcore.ops.losses` with their settings. `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from diffcore.kernels.loss import IGNORED
from diffcore.nn.module import Module
from diffcore.ops import losses


class _Loss(Module):
    """A loss without settings but `reduction`."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return type(self)._op(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """`(input - target)**2`."""

    _op = staticmethod(losses.mse_loss)


class L1Loss(_Loss):
    """`|input - target|`."""

    _op = staticmethod(losses.l1_loss)


class LogCoshLoss(_Loss):
    """`log(cosh(input - target))`. PyTorch has no such loss."""

    _op = staticmethod(losses.log_cosh_loss)


class HingeLoss(_Loss):
    """`max(0, 1 - target * input)` for labels 1 and -1. PyTorch has no such loss."""

    _op = staticmethod(losses.hinge_loss)


class SoftMarginLoss(_Loss):
    """`log(1 + exp(-target * input))` for labels 1 and -1."""

    _op = staticmethod(losses.soft_margin_loss)


class HuberLoss(Module):
    """`d**2 / 2` for `|d| <= delta`, `delta * (|d| - delta / 2)` beyond, of `d = input - target`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__()
        self.reduction, self.delta = reduction, delta

    def forward(self, input: Any, target: Any) -> Any:
        return losses.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(Module):
    """`d**2 / (2 beta)` for `|d| < beta`, `|d| - beta / 2` beyond, of `d = input - target`."""

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__()
        self.reduction, self.beta = reduction, beta

    def forward(self, input: Any, target: Any) -> Any:
        return losses.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HingeEmbeddingLoss(Module):
    """`input` where `target` is 1, `max(0, margin - input)` where it is -1."""

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def forward(self, input: Any, target: Any) -> Any:
        return losses.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(Module):
    """`max(0, margin - target * (input1 - input2))`."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        return losses.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class KLDivLoss(Module):
    """`target * (log(target) - input)` for logarithms of probabilities `input`; "batchmean" divides the sum by the size of axis 0."""

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__()
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Any, target: Any) -> Any:
        return losses.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class _Weighted(Module):
    """A loss with a buffer `weight`, a tensor or `None`."""

    def __init__(self, weight: Any, reduction: str) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.reduction = reduction


class CrossEntropyLoss(_Weighted):
    """`cross_entropy` of logits `[n, c, ...]` and class indices `[n, ...]`, or probabilities `[n, c, ...]`.

    **Arguments:** `weight`: a tensor `[c]`, one factor per class; `ignore_index`: targets that count for nothing; `label_smoothing`:
    how much of the target is spread evenly over all classes.
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = IGNORED,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        return losses.cross_entropy(
            input,
            target,
            self._buffers["weight"],
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Weighted):
    """`-input` at the class indices `target`, for logarithms of probabilities `input` `[n, c, ...]`; arguments as `CrossEntropyLoss`."""

    def __init__(self, weight: Any = None, *, ignore_index: int = IGNORED, reduction: str = "mean") -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        return losses.nll_loss(input, target, self._buffers["weight"], ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(_Weighted):
    """`-target log(input) - (1 - target) log(1 - input)` for probabilities `input`, times `weight`, which broadcasts."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(weight, reduction)

    def forward(self, input: Any, target: Any) -> Any:
        return losses.binary_cross_entropy(input, target, self._buffers["weight"], reduction=self.reduction)


class BCEWithLogitsLoss(_Weighted):
    """`BCELoss` of `sigmoid(input)` without overflow; `pos_weight`, which broadcasts, multiplies the term of `target`."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        own = self._buffers
        return losses.binary_cross_entropy_with_logits(input, target, own["weight"], reduction=self.reduction, pos_weight=own["pos_weight"])
