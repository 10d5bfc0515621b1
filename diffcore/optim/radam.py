"""RAdam: Adam that waits until the variance of its rates can be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.arrays import namespace
from diffcore.optim.adam import decayed
from diffcore.optim.arithmetic import averaged, averaged_square, distance_to_one, number, quotient, root
from diffcore.optim.optimizer import Optimizer


class RAdam(Optimizer):
    """`w <- w - lr * m / (1 - b1^t) * r_t sqrt(1 - b2^t) / (sqrt(v) + eps)` where `rho_t > 5`, before that `w <- w - lr * m / (1 - b1^t)`.

    `m` and `v` are Adam's running means, `rho_t = rho - 2 t b2^t / (1 - b2^t)`, `rho = 2 / (1 - b2) - 1`, and
    `r_t^2 = (rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t)`.
    Liu, Jiang, He, Chen, Liu, Gao, Han 2020, "On the variance of the adaptive learning rate and beyond".
    Raises `ValueError` for an option that is negative or NaN, or a beta of 1 or more.
    """

    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        defaults |= {"foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, defaults | {"differentiable": differentiable})

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry, (beta1, beta2) = self._begun(parameter, value, group), group["betas"]
        entry["step"] += 1
        step = number(entry["step"], value)
        value, gradient = decayed(value, gradient, group)
        mean = entry["exp_avg"] = averaged(entry["exp_avg"], gradient, beta1)
        square = entry["exp_avg_sq"] = averaged_square(entry["exp_avg_sq"], gradient, beta2)
        rate = group["lr"] / distance_to_one(beta1, step, value)
        correction = distance_to_one(beta2, step, value)
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * (1 - correction) / correction
        if isinstance(length, float):
            if length <= 5:
                value -= rate * mean
                return value
            rectified, certain = length, None
        else:  # a traced number: both cases are computed, the one not taken with a number that is harmless
            xp = namespace((length,))
            certain = length > 5
            rectified = xp.where(certain, length, 5.0)
        factor = ((rectified - 4) * (rectified - 2) * longest / ((longest - 4) * (longest - 2) * rectified)) ** 0.5
        change = root(square)
        change += group["eps"]
        change = quotient(mean, change, change)
        change *= rate * factor * correction**0.5
        value -= change if certain is None else xp.where(certain, change, rate * mean)
        return value
