"""NAdam: Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.optim.adam import decayed
from diffcore.optim.arithmetic import averaged, averaged_square, counter, distance_to_one, number, quotient, root
from diffcore.optim.optimizer import Optimizer


class NAdam(Optimizer):
    """`w <- w - lr * ((1 - mu_t) / (1 - M_t) g + mu_{t+1} / (1 - M_{t+1}) m) / (sqrt(v / (1 - b2^t)) + eps)`.

    `m` and `v` are Adam's running means, `mu_t = b1 (1 - 0.96^(t momentum_decay) / 2)` and `M_t` is the product of the first `t` of them.
    Dozat 2016, "Incorporating Nesterov momentum into Adam".
    Raises `ValueError` for an option that is negative or NaN, or a beta of 1 or more.
    """

    scalars = ("step", "mu_product")
    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay}
        defaults |= {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach}
        super().__init__(params, defaults | {"capturable": capturable, "differentiable": differentiable})

    def _begun(self, parameter: Any, value: Any, group: dict[str, Any]) -> dict[str, Any]:
        entry = self.state[parameter]
        if not entry:
            entry["step"], entry["mu_product"] = counter(value), counter(value, 1.0, value.dtype)
        return super()._begun(parameter, value, group)

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        entry, (beta1, beta2), lr = self._begun(parameter, value, group), group["betas"], group["lr"]
        entry["step"] += 1
        step, decay = number(entry["step"], value), group["momentum_decay"]
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
        entry["mu_product"] = _multiplied(entry["mu_product"], mu)
        product = number(entry["mu_product"], value)
        value, gradient = decayed(value, gradient, group)
        mean = entry["exp_avg"] = averaged(entry["exp_avg"], gradient, beta1)
        square = entry["exp_avg_sq"] = averaged_square(entry["exp_avg_sq"], gradient, beta2)
        scale = square / distance_to_one(beta2, step, value)
        scale = root(scale, scale)
        scale += group["eps"]
        change = gradient * (lr * (1 - mu) / (1 - product))
        change /= scale
        value -= change
        change = quotient(mean, scale, change)
        change *= lr * mu_next / (1 - product * mu_next)
        value -= change
        return value


def _multiplied(product: Any, factor: Any) -> Any:
    """`product * factor` as an array of the same dtype."""
    dtype = product.dtype
    product *= factor
    return product if product.dtype == dtype else product.astype(dtype)
