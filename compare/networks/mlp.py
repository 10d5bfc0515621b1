"""The multilayer perceptron: linear layers with tanh between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from compare.networks.base import Network
from compare.networks.kit import Kit


class MultilayerPerceptron(Network):
    """`depth` hidden layers of `width` units and tanh, then a linear layer to the classes."""

    name = "mlp"
    account = "multilayer perceptron with tanh, --width units in each of --depth hidden layers (Rumelhart, Hinton, Williams 1986)"
    takes = "vector"
    tasks = ("regression",)
    width, depth = 32, 1

    def _sizes(self, inputs: tuple[int, ...], outputs: int, width: int, depth: int) -> list[int]:
        return [*inputs, *[width] * depth, outputs]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """The layer sizes, for instance `64-32-10`."""
        return "-".join(map(str, self._sizes(inputs, outputs, width, depth)))

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`Sequential(Linear, Tanh, ..., Linear)`."""
        layers: list[Any] = []
        for fan_in, fan_out in pairwise(self._sizes(inputs, outputs, width, depth)):
            layers += [kit.Linear(fan_in, fan_out), kit.Tanh()]
        return kit.Sequential(*layers[:-1])


NETWORK = MultilayerPerceptron()
