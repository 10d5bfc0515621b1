"""Ridge regression: least squares with small weights."""

from __future__ import annotations

from typing import Any

from compare.networks.linear import LinearRegression, solution

PENALTY = 0.05
"""Weight of the sum of squared weights in the loss."""


class Ridge(LinearRegression):
    """Linear regression whose loss is the mean squared error plus `PENALTY` times the sum of the squared weights; the bias is free."""

    name = "ridge"
    account = "least squares with an L2 penalty (Hoerl, Kennard 1970): one linear layer; has no --width and no --depth"
    data = "diabetes"
    lr = 0.03

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """Mean squared error and penalty."""
        return functional.mse_loss(net(inputs), targets) + PENALTY * (net.weight * net.weight).sum()


def ridge_solution(x: Any, y: Any) -> tuple[Any, Any]:
    """`W` and `b` where the loss is least, in closed form; see `compare.networks.linear.solution`."""
    return solution(x, y, penalty=PENALTY)


NETWORK = Ridge()
