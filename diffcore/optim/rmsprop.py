"""RMSprop: gradients divided by a running root mean square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.optim.arithmetic import averaged, averaged_square, by_stretches, quotient, root
from diffcore.optim.optimizer import Optimizer, descent


class RMSprop(Optimizer):
    """`s <- alpha s + (1 - alpha) g^2`, `w <- w - lr * g / (sqrt(s) + eps)`.

    `centered` divides by the running standard deviation, `sqrt(s - m^2)` with `m <- alpha m + (1 - alpha) g`; with `momentum` the quotient
    goes into `v <- momentum * v + quotient` and `w <- w - lr * v`.
    Tieleman and Hinton 2012, lecture 6.5 of "Neural networks for machine learning"; centered: Graves 2013, "Generating sequences with
    recurrent neural networks". Raises `ValueError` for an option that is negative or NaN.
    """

    moments = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered}
        defaults |= {"weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize}
        super().__init__(params, defaults | {"differentiable": differentiable})

    def _moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        needed = {"square_avg": True, "momentum_buffer": group["momentum"], "grad_avg": group["centered"]}
        return tuple(name for name in self.moments if needed[name])

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry = self._begun(parameter, value, group)
        entry["step"] += 1
        return by_stretches(lambda e, v, g: self._moved(e, v, g, group), entry, value, gradient)

    def _moved(self, entry: dict[str, Any], value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        alpha = group["alpha"]
        gradient = descent(value, gradient, group)
        square = entry["square_avg"] = averaged_square(entry["square_avg"], gradient, alpha)
        if group["centered"]:
            mean = entry["grad_avg"] = averaged(entry["grad_avg"], gradient, alpha)
            change = mean * mean
            change *= -1
            change += square
            change = root(change, change)
        else:
            change = root(square)
        change += group["eps"]
        change = quotient(gradient, change, change)
        if group["momentum"]:
            velocity = entry["momentum_buffer"]
            velocity *= group["momentum"]
            velocity += change
            entry["momentum_buffer"] = velocity
            change = group["lr"] * velocity
        else:
            change *= group["lr"]
        value -= change
        return value
