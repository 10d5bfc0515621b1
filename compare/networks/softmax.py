"""Softmax regression: a linear layer whose outputs are the logarithms of odds."""

from __future__ import annotations

from typing import Any

from compare.networks.base import Network
from compare.networks.kit import Kit


class SoftmaxRegression(Network):
    """`p = softmax(W x + b)` with the least cross-entropy: one linear layer. With two classes, logistic regression."""

    name = "softmax"
    account = "softmax (multinomial logistic) regression (Cox 1966): one linear layer; has no --width and no --depth"
    takes = "vector"
    width, depth, knobs = 1, 1, ()
    steps = 500

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Inputs and classes, for instance `64-10`."""
        return f"{inputs[0]}-{outputs}"

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """A `Linear`."""
        return kit.Linear(inputs[0], outputs)


NETWORK = SoftmaxRegression()
