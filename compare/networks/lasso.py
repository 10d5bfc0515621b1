"""The lasso: least squares with few weights."""

from __future__ import annotations

from typing import Any

from compare.networks.linear import LinearRegression

PENALTY = 0.1
"""Weight of the sum of absolute weights in the loss."""


class Lasso(LinearRegression):
    """Linear regression whose loss is the mean squared error plus `PENALTY` times the sum of the absolute weights; the bias is free.

    There is no closed form. Gradient steps bring weights near 0 that the optimum has at 0, and do not make them exactly 0.
    """

    name = "lasso"
    account = "least squares with an L1 penalty (Tibshirani 1996): one linear layer; has no --width and no --depth"
    data = "diabetes"
    lr = 0.01

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """Mean squared error and penalty."""
        return functional.mse_loss(net(inputs), targets) + PENALTY * net.weight.abs().sum()


NETWORK = Lasso()
