"""What a layer was called with that is no tensor: looked at only after a call has failed."""

from __future__ import annotations

import inspect
from typing import Any

from diffcore.arrays import is_array
from diffcore.dispatch import Boxed


def refusal(layer: Any, args: tuple[Any, ...]) -> TypeError | None:
    """The error for a layer of ours that was called with something else than tensors, worded like PyTorch's; None where it was not.

    A `forward` of the user's own may take anything, and so may a container, whose layers tell for themselves.
    """
    forward = type(layer).forward
    home = getattr(forward, "__module__", "") or ""
    if not home.startswith("diffcore.nn.") or home == "diffcore.nn.container" or "forward" in layer.__dict__:
        return None
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    for position, (parameter, value) in enumerate(zip(parameters, args, strict=False), 1):
        if parameter.default is parameter.empty and not isinstance(value, Boxed) and not is_array(value):
            name = "input" if parameter.name == "x" else parameter.name
            fix = ": make a tensor of it, as in `tensor([...])`" if isinstance(value, list | tuple | int | float) else ""
            return TypeError(
                f"{type(layer).__name__}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}{fix}"
            )
    return None
