"""How parameters start where the layers' own defaults are too small for a deep network with ReLU."""

from __future__ import annotations

from typing import Any

from compare.networks.kit import Kit


def kaiming(kit: Kit, *nets: Any) -> None:
    """Draw the weights of all convolutions and linear layers of `nets` from `N(0, 2 / fan_in)`, and make their biases 0.

    Behind ReLU this keeps the variance from layer to layer (He, Zhang, Ren, Sun 2015, "Delving deep into rectifiers").
    """
    if kit.device == "meta":  # shapes alone: nothing to draw
        return
    init = kit.engine.nn.init
    for module in (module for net in nets for module in net.modules()):
        if type(module).__name__ in ("Conv2d", "Linear"):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
