"""Adagrad: rates that shrink with the gradients seen so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.optim.arithmetic import number, quotient, root
from diffcore.optim.optimizer import Optimizer, descent


class Adagrad(Optimizer):
    """`s <- s + g^2`, `w <- w - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)` in step `t`; `s` begins at `initial_accumulator_value`.

    Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization".
    Raises `ValueError` for an option that is negative or NaN.
    """

    moments = ("sum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        defaults |= {"initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize}
        super().__init__(params, defaults | {"differentiable": differentiable, "fused": fused})
        for group in self.param_groups:
            for parameter in group["params"]:
                self._begun(parameter, parameter.array, group)

    def _begun(self, parameter: Any, value: Any, group: dict[str, Any]) -> dict[str, Any]:
        fresh = "sum" not in self.state[parameter]
        entry = super()._begun(parameter, value, group)
        if fresh:
            entry["sum"] += group["initial_accumulator_value"]
        return entry

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry = self._begun(parameter, value, group)
        entry["step"] += 1
        gradient = descent(value, gradient, group)
        change = gradient * gradient
        entry["sum"] += change
        change = root(entry["sum"], change)
        change += group["eps"]
        change = quotient(gradient, change, change)
        change *= group["lr"] / (1 + (number(entry["step"], value) - 1) * group["lr_decay"])
        value -= change
        return value
