"""Linear regression, by gradient descent like every other network, and in closed form beside it."""

from __future__ import annotations

from typing import Any

from compare.networks.base import Network
from compare.networks.kit import Kit


class LinearRegression(Network):
    """`y = W x + b` with the least mean squared error: one linear layer."""

    name = "linear"
    account = "least squares (Legendre 1805, Gauss 1809): one linear layer; has no --width and no --depth"
    takes, task, data = "vector", "regression", "linear"
    width, depth, knobs = 1, 1, ()
    steps, batch = 300, 32

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Inputs and outputs, for instance `10-1`."""
        return f"{inputs[0]}-{outputs}"

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """A `Linear`."""
        return kit.Linear(inputs[0], outputs)


def solution(x: Any, y: Any, *, penalty: float = 0.0) -> tuple[Any, Any]:
    """`W` `[outputs, features]` and `b` `[outputs]` that minimise the mean of `(y - W x - b)^2` plus `penalty` times the sum of `W^2`.

    With centred `X` and `Y`, `W^T = (X^T X + n m penalty I)^-1 X^T Y` for `n` examples of `m` outputs. **Arguments:** `x` `[n, features]`,
    `y` `[n, outputs]`. Without a penalty and for dependent features, the solution of least norm.
    """
    import numpy as np

    means = x.mean(axis=0), y.mean(axis=0)
    centred, wanted = x - means[0], y - means[1]
    if penalty:
        gram = centred.T @ centred + penalty * y.size * np.eye(x.shape[1])
        weight = np.linalg.solve(gram, centred.T @ wanted).T
    else:
        weight = np.linalg.lstsq(centred, wanted, rcond=None)[0].T
    return weight, means[1] - weight @ means[0]


NETWORK = LinearRegression()
