"""Stochastic gradient descent with PyTorch's formulas and parameter groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.arrays import is_mutable
from diffcore.ledger import label
from diffcore.optim.arithmetic import by_stretches
from diffcore.optim.optimizer import Optimizer, descent


class SGD(Optimizer):
    """`v <- momentum * v + (1 - dampening) * (g + weight_decay * w)`, `w <- w - lr * v` (Nesterov: `w - lr * (g + momentum * v)`).

    The first `v` is the gradient itself, undampened. Without momentum `weight_decay` is an L2 penalty: `w <- (1 - lr * weight_decay) w -
    lr * g`. Raises `ValueError` for a rate, momentum or decay that is negative or NaN, and for Nesterov without momentum or with dampening.
    """

    scalars = ()
    moments = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        defaults |= {"nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused}
        super().__init__(params, defaults)

    def _moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self.moments if group["momentum"] else ()

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry = self.state[parameter] if group["momentum"] else {}
        if group["momentum"] and "momentum_buffer" not in entry:
            return self._moved(entry, value, gradient, group)
        return by_stretches(lambda e, v, g: self._moved(e, v, g, group), entry, value, gradient)

    def _moved(self, entry: dict[str, Any], value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        if group["maximize"] or group["weight_decay"]:
            gradient = descent(value, gradient, group)
        if group["momentum"]:
            gradient = self._velocity(entry, gradient, group)
        if is_mutable(value):
            value -= group["lr"] * gradient
            return value
        return value - group["lr"] * gradient

    def _velocity(self, entry: dict[str, Any], gradient: Any, group: dict[str, Any]) -> Any:
        velocity = entry.get("momentum_buffer")
        if velocity is None:
            velocity = gradient + 0  # a copy, since gradients belong to the caller
            label(velocity, "optimizer state")
        else:
            velocity *= group["momentum"]
            velocity += gradient if not group["dampening"] else (1 - group["dampening"]) * gradient
        entry["momentum_buffer"] = velocity
        return gradient + group["momentum"] * velocity if group["nesterov"] else velocity
