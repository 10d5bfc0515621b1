"""Linear regression from scratch: python -m compare.examples.linear_regression

The model, the loss and the descent are written out with tensors and their derivatives alone, once for both engines; the closed form
stands beside it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import dualdiff
import revdiff
from diffcore.data import synthetic

EXAMPLES, RATE, BATCH, EPOCHS = 1000, 0.03, 10, 3


def data() -> tuple[Any, Any]:
    """Inputs `[1000, 2]` and targets `[1000, 1]`: `x @ [2, -3.4] + 4.2` and some noise."""
    return synthetic.linear_regression(EXAMPLES, 2, weight=[2.0, -3.4], bias=4.2, noise=0.01, seed=0)


def train(engine: ModuleType, x: Any, y: Any) -> tuple[Any, float]:
    """Weight `[2]` and bias after mini-batch descent on the squared error."""
    w = engine.zeros(2, 1, dtype=engine.float64, requires_grad=True)
    b = engine.zeros(1, dtype=engine.float64, requires_grad=True)
    order = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for rows in np.split(order.permutation(len(x)), len(x) // BATCH):
            loss = ((engine.tensor(x[rows]) @ w + b - engine.tensor(y[rows])) ** 2).sum() / (2 * BATCH)
            loss.backward()  # reverse mode walks back now; forward mode only delivers what it carried along
            with engine.no_grad():
                for parameter in (w, b):
                    parameter -= RATE * parameter.grad
                    parameter.grad = None
    return w.detach().numpy().ravel(), b.item()


def closed_form(x: Any, y: Any) -> tuple[Any, float]:
    """The minimum itself, from the normal equations."""
    inputs = np.hstack([x, np.ones((len(x), 1))])
    *w, b = np.linalg.solve(inputs.T @ inputs, inputs.T @ y).ravel()
    return np.array(w), float(b)


def main() -> None:
    """Print the weights found by each engine, and the exact ones."""
    x, y = data()
    for name, (w, b) in {
        "revdiff": train(revdiff, x, y),
        "dualdiff": train(dualdiff, x, y),
        "closed form": closed_form(x, y),
    }.items():
        print(f"{name:11}  weight {w[0]:.6f} {w[1]:.6f}  bias {b:.6f}")


if __name__ == "__main__":
    main()
