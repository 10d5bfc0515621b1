"""A layer of one's own: python -m compare.examples.custom_layer

A linear layer whose weight is the product of two thin matrices, with a learned slope below zero. A layer is a class with parameters and
`forward`; it is written once here and made for the engine it is asked for. Everything else follows: names, saving, derivatives.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import dualdiff
import revdiff


def low_rank(engine: ModuleType) -> Any:
    """The class of the layer, for `engine`."""

    class LowRank(engine.nn.Module):  # type: ignore[name-defined]  # the engine is chosen at run time
        """`leaky(x @ down.T @ up.T + bias)` for `x` `[n, inputs]`; `down` is `[rank, inputs]`, `up` `[outputs, rank]`."""

        def __init__(self, inputs: int, outputs: int, rank: int) -> None:
            super().__init__()
            self.rank = rank
            self.down = engine.nn.Parameter(engine.randn(rank, inputs, dtype=engine.float64) / inputs**0.5)
            self.up = engine.nn.Parameter(engine.randn(outputs, rank, dtype=engine.float64) / rank**0.5)
            self.bias = engine.nn.Parameter(engine.zeros(outputs, dtype=engine.float64))
            self.slope = engine.nn.Parameter(engine.tensor(0.1, dtype=engine.float64))

        def forward(self, x: Any) -> Any:
            y = x @ self.down.T @ self.up.T + self.bias
            return engine.where(y > 0, y, self.slope * y)

        def extra_repr(self) -> str:
            return f"rank={self.rank}"

    return LowRank


def trained(engine: ModuleType, steps: int = 100) -> tuple[Any, list[float], dict[str, Any]]:
    """A net with the layer in it, the losses of its training, and the gradients at its start."""
    engine.manual_seed(0)
    net = engine.nn.Sequential(low_rank(engine)(8, 16, rank=2), engine.nn.Linear(16, 1).double())
    x = engine.tensor(np.random.default_rng(0).normal(size=(64, 8)))
    y = (x[:, :1] * x[:, 1:2]).detach()
    step = engine.value_and_grad(lambda net: ((net(x) - y) ** 2).mean())
    start = step(net)[1]
    optimizer = engine.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(steps):
        loss, gradients = step(net)
        for name, parameter in net.named_parameters():
            parameter.grad = gradients[name]
        optimizer.step()
        losses.append(float(loss))
    return net, losses, start


def main() -> None:
    """Print the net, its losses in both engines and how far their gradients are apart."""
    net, losses, gradients = trained(revdiff)
    _, again, others = trained(dualdiff)
    print(net)
    print(f"revdiff   loss {losses[0]:.6f} to {losses[-1]:.6f}")
    print(f"dualdiff  loss {again[0]:.6f} to {again[-1]:.6f}")
    print(f"gradient by {', '.join(gradients)}")
    print(f"gradients differ by {max(abs(gradients[name] - others[name]).max() for name in gradients):.1e}")


if __name__ == "__main__":
    main()
