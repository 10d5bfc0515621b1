"""Adamax: Adam with the largest gradient in the place of the root mean square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.optim.arithmetic import averaged, distance_to_one, largest, magnitude, number, quotient
from diffcore.optim.optimizer import Optimizer, descent


class Adamax(Optimizer):
    """`m <- b1 m + (1 - b1) g`, `u <- max(b2 u, |g| + eps)`, `w <- w - lr / (1 - b1^t) * m / u` in step `t`.

    Kingma and Ba 2015, "Adam: a method for stochastic optimization", section 7.1.
    Raises `ValueError` for an option that is negative or NaN, or a beta of 1 or more.
    """

    moments = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach}
        super().__init__(params, defaults | {"maximize": maximize, "differentiable": differentiable, "capturable": capturable})

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry, (beta1, beta2) = self._begun(parameter, value, group), group["betas"]
        entry["step"] += 1
        gradient = descent(value, gradient, group)
        mean = entry["exp_avg"] = averaged(entry["exp_avg"], gradient, beta1)
        bound = entry["exp_inf"]
        bound *= beta2
        change = magnitude(gradient)
        change += group["eps"]
        bound = entry["exp_inf"] = largest(bound, change, bound)
        change = quotient(mean, bound, change)
        change *= group["lr"] / distance_to_one(beta1, number(entry["step"], value), value)
        value -= change
        return value
