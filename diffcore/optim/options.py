"""Options of optimizers: which values make sense, and which names a parameter group may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffcore.dispatch import Boxed

NOTES = frozenset(("params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum"))
"""What a parameter group may hold beside options: names, and what schedules write down."""

_NOT_NEGATIVE = {
    "lr": "learning rate",
    "eps": "epsilon value",
    **{
        name: f"{name} value"
        for name in "momentum weight_decay lr_decay initial_accumulator_value alpha momentum_decay l1 damping".split()
    },
}


def checked(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` of an optimizer of class `kind`, single numbers in tensors as numbers.

    Raises `ValueError` worded like PyTorch's for a value out of its range, NaN included, and `TypeError` for what is no number.
    """
    found = {name: _plain(name, value) for name, value in options.items()}
    try:
        for name, described in _NOT_NEGATIVE.items():
            if name in found and not found[name] >= 0:  # NaN neither
                raise ValueError(f"Invalid {described}: {found[name]}")
        if "rho" in found and not 0 <= found["rho"] <= 1:
            raise ValueError(f"Invalid rho value: {found['rho']}")
        if "betas" in found:
            _check_betas(kind, found["betas"])
        if found.get("nesterov") and (found["momentum"] <= 0 or found["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
    except TypeError as error:
        raise TypeError(f"{kind}: options must be numbers: {error}") from None
    if found.get("differentiable"):
        raise ValueError(
            f"{kind}: `differentiable` (=True): steps are not recorded; write the update with tensors and differentiate that function"
        )
    if found.get("fused") and found.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    return found


def _plain(name: str, value: Any) -> Any:
    if name == "betas" and isinstance(value, list):
        return tuple(value)
    if name == "lr" and (isinstance(value, Boxed) or hasattr(value, "numel")):
        if value.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        return value.item()
    return value


def _check_betas(kind: str, betas: Any) -> None:
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise ValueError(f"{kind}: `betas` (={betas!r}) must be a pair of numbers, each at least 0 and below 1")
    for index, beta in enumerate(betas):
        if not 0 <= beta < 1:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
