"""Adadelta: steps in units of earlier steps, so that no rate need be chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.optim.arithmetic import averaged_square, root
from diffcore.optim.optimizer import Optimizer, descent


class Adadelta(Optimizer):
    """`s <- rho s + (1 - rho) g^2`, `d = sqrt(u + eps) / sqrt(s + eps) * g`, `u <- rho u + (1 - rho) d^2`, `w <- w - lr * d`.

    Zeiler 2012, "ADADELTA: an adaptive learning rate method".
    Raises `ValueError` for an option that is negative or NaN, or a `rho` above 1.
    """

    moments = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults | {"capturable": capturable, "foreach": foreach, "differentiable": differentiable})

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry, rho, eps = self._begun(parameter, value, group), group["rho"], group["eps"]
        entry["step"] += 1
        gradient = descent(value, gradient, group)
        square = entry["square_avg"] = averaged_square(entry["square_avg"], gradient, rho)
        scale = square + eps
        scale = root(scale, scale)
        change = entry["acc_delta"] + eps
        change = root(change, change)
        change /= scale
        change *= gradient
        entry["acc_delta"] = averaged_square(entry["acc_delta"], change, rho)
        change *= group["lr"]
        value -= change
        return value
