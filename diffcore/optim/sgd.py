"""Stochastic gradient descent with PyTorch's formulas and parameter groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.aliasing import changes
from diffcore.arrays import is_mutable
from diffcore.dispatch import Boxed
from diffcore.ledger import label, state


class Optimizer:
    """Base of optimizers: parameter groups, `zero_grad`, and `step`, which reads `.grad` of each parameter.

    **Arguments:** `params`: tensors, or dicts `{"params": tensors, option: value, ...}`; `defaults`: options of groups that do not set
    them.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Boxed):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor")
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        seen: set[int] = set()
        for group in groups:
            unknown = group.keys() - defaults.keys() - {"params"}
            if unknown:
                raise TypeError(f"optimizer got unexpected options {', '.join(map(repr, sorted(unknown)))} in a parameter group")
            tensors = [group["params"]] if isinstance(group["params"], Boxed) else list(group["params"])
            for tensor in tensors:
                _check(tensor, seen)
            self.param_groups.append({**defaults, **group, "params": tensors})
        self.state: dict[int, Any] = {}

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient; the arithmetic is booked under the phase `update`."""
        outer, state.phase = state.phase, "update"
        try:
            for group in self.param_groups:
                for parameter in group["params"]:
                    gradient = parameter.grad
                    if gradient is not None:
                        parameter.data = self._updated(parameter, gradient.array, group)
                        changes.note(parameter.array, f"{type(self).__name__}.step")
        finally:
            state.phase = outer

    def _updated(self, parameter: Any, gradient: Any, group: dict[str, Any]) -> Any:
        """The new value of a parameter (the same array, changed in place, on numpy)."""
        raise NotImplementedError


def _check(tensor: Any, seen: set[int]) -> None:
    """A parameter must be a leaf tensor that no group has yet; worded like PyTorch's."""
    if not isinstance(tensor, Boxed):
        raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(tensor).__name__}")
    if not tensor.is_leaf:  # type: ignore[attr-defined]
        raise ValueError("can't optimize a non-leaf Tensor")
    if id(tensor) in seen:
        raise ValueError("a parameter appears more than once in the parameter groups")
    seen.add(id(tensor))


class SGD(Optimizer):
    """`v <- momentum * v + (1 - dampening) * (g + weight_decay * w)`, `w <- w - lr * v` (Nesterov: `w - lr * (g + momentum * v)`).

    Raises `ValueError` for a rate, momentum or decay that is negative or NaN, and for Nesterov without momentum or with dampening.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        for name, value in (("learning rate", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if not value >= 0:  # NaN neither
                raise ValueError(f"Invalid {name} value: {value}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov}
        )

    def _updated(self, parameter: Any, gradient: Any, group: dict[str, Any]) -> Any:
        value = parameter.array
        if group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * value
        if group["momentum"]:
            gradient = self._velocity(parameter, gradient, group)
        if is_mutable(value):
            value -= group["lr"] * gradient
            return value
        return value - group["lr"] * gradient

    def _velocity(self, parameter: Any, gradient: Any, group: dict[str, Any]) -> Any:
        velocity = self.state.get(id(parameter))
        if velocity is None:
            velocity = gradient + 0  # PyTorch's first step: no dampening; a copy, since gradients belong to the caller
        elif is_mutable(velocity):
            velocity *= group["momentum"]
            velocity += gradient if not group["dampening"] else (1 - group["dampening"]) * gradient
        else:
            velocity = group["momentum"] * velocity + (1 - group["dampening"]) * gradient
        label(velocity, "optimizer state")
        self.state[id(parameter)] = velocity
        return gradient + group["momentum"] * velocity if group["nesterov"] else velocity
