"""Programs that more than one claim is shown on."""

from __future__ import annotations

from typing import Any

from diffcore import ops


def network_loss(parameters: tuple[Any, ...], x: Any) -> Any:
    """A loss of the weights of a network with tanh between its layers."""
    for weight in parameters[:-1]:
        x = ops.tanh(ops.linear(x, weight))
    return ops.mean(ops.square(ops.linear(x, parameters[-1])))
