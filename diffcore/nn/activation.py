"""Activations as modules. They have no parameters, so one class serves both engines."""

from __future__ import annotations

from typing import Any

from diffcore import ops
from diffcore.nn.module import Module
from diffcore.ops import losses


class Tanh(Module):
    """Elementwise hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class ReLU(Module):
    """Elementwise `max(x, 0)`; the derivative at 0 is 0."""

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class Sigmoid(Module):
    """Elementwise `1 / (1 + exp(-x))`."""

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class LogSoftmax(Module):
    """`log_softmax` along `dim`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(LogSoftmax):
    """`softmax` along `dim`."""

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, self.dim)


class CrossEntropyLoss(Module):
    """`cross_entropy` of logits `[n, c]` and class indices `[n]`; `reduction` is "mean", "sum" or "none"."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return losses.cross_entropy(input, target, reduction=self.reduction)
