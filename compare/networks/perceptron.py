"""The perceptron: linear units that learn from their mistakes alone."""

from __future__ import annotations

from typing import Any

from compare.networks import units
from compare.networks.base import Network
from compare.networks.kit import Kit


class Perceptron(Network):
    """Linear units and the perceptron criterion: how far the outputs are on the wrong side, 0 for an example that is answered right.

    Of two classes `mean(max(0, -t s))` with one unit's output `s` and `t` 1 or -1; of several `mean(max(s) - s_label)` (Kesler's
    construction; Duda and Hart 1973). A step of gradient descent with batch 1 and learning rate 1 is the perceptron's own
    rule, `update`, by default.
    """

    name = "perceptron"
    account = "perceptron (Rosenblatt 1958), batch 1 and rate 1 for its own rule: linear units; has no --width and no --depth"
    takes, data = "vector", "breast_cancer"
    width, depth, knobs = 1, 1, ()
    lr, momentum = 1.0, 0.0
    steps, batch = 2000, 1

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Inputs and units, for instance `30-1`."""
        return f"{inputs[0]}-{units.count(outputs)}"

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """A `Linear`, with one unit for two classes."""
        return kit.Linear(inputs[0], units.count(outputs))

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """The perceptron criterion."""
        outputs = net(inputs)
        if outputs.shape[1] == 1:
            return functional.relu(-units.signs(functional, outputs, targets) * outputs).mean()
        own = (outputs * functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype)).sum(1)
        return (outputs.amax(1) - own).mean()

    def predict(self, outputs: Any) -> Any:
        """A number for each class."""
        return units.by_class(outputs)


def update(weight: Any, bias: Any, x: Any, label: int) -> tuple[Any, Any]:
    """The perceptron's rule for one example: an answer that is right changes nothing; else the units that erred move by `x`.

    `w <- w + t x`, `b <- b + t`: with `t` 1 or -1 for the one unit of two classes; of several, 1 for the unit that should
    have been largest and -1 for the one that was. **Arguments:** `weight` `[units, features]`, `bias` `[units]`, `x` `[features]`.
    """
    import numpy as np

    outputs = weight @ x + bias
    moves = np.zeros_like(bias)
    if len(bias) == 1:
        sign = 2 * label - 1
        moves[0] = sign if sign * outputs[0] < 0 else 0
    elif outputs.argmax() != label:
        moves[label], moves[outputs.argmax()] = 1, -1
    return weight + np.outer(moves, x), bias + moves


NETWORK = Perceptron()
