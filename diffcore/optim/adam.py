"""Adam and AdamW: steps by running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.optim.arithmetic import averaged, averaged_square, by_stretches, distance_to_one, largest, number, quotient, root
from diffcore.optim.optimizer import Optimizer, descent


class Adam(Optimizer):
    """`m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`, `w <- w - lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)` in step `t`.

    `weight_decay` is added to the gradient as an L2 penalty, or with `decoupled_weight_decay` shrinks the weights by `1 - lr *
    weight_decay` beside the step (`AdamW`). `amsgrad` divides by the largest `v` so far.
    Kingma and Ba 2015, "Adam: a method for stochastic optimization"; Reddi, Kale, Kumar 2018, "On the convergence of Adam and beyond".
    Raises `ValueError` for an option that is negative or NaN, or a beta of 1 or more.
    """

    moments = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        defaults |= {"maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused}
        super().__init__(params, defaults | {"decoupled_weight_decay": decoupled_weight_decay})

    def _moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self.moments if group["amsgrad"] else self.moments[:2]

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry, (beta1, beta2) = self._begun(parameter, value, group), group["betas"]
        entry["step"] += 1
        step = number(entry["step"], value)
        rate, scale = group["lr"] / distance_to_one(beta1, step, value), distance_to_one(beta2, step, value) ** 0.5
        return by_stretches(lambda e, v, g: self._moved(e, v, g, group, rate, scale), entry, value, gradient)

    def _moved(self, entry: dict[str, Any], value: Any, gradient: Any, group: dict[str, Any], rate: Any, scale: Any) -> Any:
        beta1, beta2 = group["betas"]
        value, gradient = decayed(value, gradient, group)
        mean = entry["exp_avg"] = averaged(entry["exp_avg"], gradient, beta1)
        square = entry["exp_avg_sq"] = averaged_square(entry["exp_avg_sq"], gradient, beta2)
        if group["amsgrad"]:
            square = entry["max_exp_avg_sq"] = largest(entry["max_exp_avg_sq"], square, entry["max_exp_avg_sq"])
        change = root(square)
        change /= scale
        change += group["eps"]
        change = quotient(mean, change, change)
        change *= rate
        value -= change
        return value


class AdamW(Adam):
    """`Adam` whose weight decay is no part of the gradient: `w <- (1 - lr * weight_decay) w` before each step.

    Loshchilov and Hutter 2019, "Decoupled weight decay regularization".
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def _restored_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, "decoupled_weight_decay": True}


def decayed(value: Any, gradient: Any, group: dict[str, Any]) -> tuple[Any, Any]:
    """The value and the gradient that a step begins with: weight decay is done to the one or the other."""
    if not group["decoupled_weight_decay"]:
        return value, descent(value, gradient, group)
    if group["weight_decay"]:
        value *= 1 - group["lr"] * group["weight_decay"]
    return value, -gradient if group["maximize"] else gradient
