"""Initial values of parameters: PyTorch's distributions, drawn from the shared seeded generator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import devices, random
from diffcore.arrays.abstract import AbstractArray
from diffcore.nn.module import Module
from diffcore.whole import whole

Shape = tuple[int, ...]


def uniform(bound: float, shape: Shape, device: Any, dtype: Any) -> Any:
    """Numbers from U(-`bound`, `bound`)."""
    return _made(lambda: random.uniform(-bound, bound, shape, dtype), shape, device, dtype)


def normal(shape: Shape, device: Any, dtype: Any) -> Any:
    """Numbers from N(0, 1)."""
    return _made(lambda: random.normal(shape, dtype), shape, device, dtype)


def constant(value: float, shape: Shape, device: Any, dtype: Any) -> Any:
    """`value` everywhere."""
    return _made(lambda: np.full(shape, value, np.float32 if dtype is None else dtype), shape, device, dtype)


def _made(draw: Any, shape: Shape, device: Any, dtype: Any) -> Any:
    """`draw()` on `device`; where only shapes are wanted, nothing is drawn."""
    if device is not None and devices.checked(device) == "meta":
        return AbstractArray(shape, np.dtype(np.float32 if dtype is None else dtype))
    return devices.place(draw(), device)


def fan_in_bound(fan_in: int) -> float:
    """`1 / sqrt(fan_in)`, PyTorch's bound for weights and biases: its `kaiming_uniform_` with `a=sqrt(5)`. 0 for a fan of 0."""
    return 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0


class Initialised(Module):
    """A module whose parameters start from values that `_initial` draws."""

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        """New values by parameter name, in the order of registration; `None` for a parameter that is absent."""
        raise NotImplementedError

    def _begin(self, device: Any, dtype: Any) -> None:
        """Register the parameters."""
        for name, array in self._initial(device, dtype).items():
            self.register_parameter(name, None if array is None else self._parameter(array))

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        held = next(self.parameters(recurse=False), None)
        if held is not None:
            for name, array in self._initial(held.device, held.dtype).items():
                if array is not None:
                    self._parameters[name].data = array


def checked_counts(layer: str, least: int = 1, **counts: Any) -> list[int]:
    """All `counts` as integers. Raises `ValueError` unless they are whole numbers of at least `least`."""
    found = {name: whole(value, least) for name, value in counts.items()}
    for name, value in found.items():
        if value is None:
            kind = "non-negative" if least == 0 else "positive"
            raise ValueError(f"{layer}: `{name}` (={counts[name]!r}) must be a {kind} integer")
    return list(found.values())  # type: ignore[arg-type]  # none of them is `None`
