"""Proximal gradient steps: penalties that are not differentiable, and set weights to zero exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.optim.arithmetic import soft_threshold
from diffcore.optim.optimizer import Optimizer, descent


class ProximalSGD(Optimizer):
    """`w <- S(w - lr * (g + weight_decay * w), lr * l1)` with `S(x, a) = sign(x) max(|x| - a, 0)`: descent on `loss + l1 |w|_1`.

    With the gradient of the whole loss this is ISTA, the iterative soft-thresholding algorithm: for a squared error the lasso, with
    `weight_decay` (an L2 penalty) the elastic net. Weights whose gradient stays below `l1` become exactly zero. It converges for `lr`
    at most 1 / the largest curvature of the loss. Give `l1` to a parameter group to leave biases alone.
    Daubechies, Defrise, De Mol 2004, "An iterative thresholding algorithm for linear inverse problems with a sparsity constraint".
    Raises `ValueError` for an option that is negative or NaN.
    """

    scalars = ()

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, l1: float = 0, weight_decay: float = 0, *, maximize: bool = False
    ) -> None:
        super().__init__(params, {"lr": lr, "l1": l1, "weight_decay": weight_decay, "maximize": maximize})

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        value -= group["lr"] * descent(value, gradient, group)
        return soft_threshold(value, group["lr"] * group["l1"]) if group["l1"] else value
