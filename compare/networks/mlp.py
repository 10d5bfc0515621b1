"""The multilayer perceptron: linear layers with tanh between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


class MultilayerPerceptron:
    """`depth` hidden layers of `width` units and tanh, then a linear layer to the classes."""

    name = "mlp"
    account = "multilayer perceptron with tanh; --width units in each of --depth hidden layers"

    def _sizes(self, features: int, classes: int, width: int, depth: int) -> list[int]:
        return [features, *[width] * depth, classes]

    def shape(self, features: int, classes: int, *, width: int, depth: int) -> str:
        """The layer sizes, for instance `64-32-10`."""
        return "-".join(map(str, self._sizes(features, classes, width, depth)))

    def activation_directions(self, features: int, classes: int, *, width: int, depth: int) -> int:
        """The sum of the layers' outputs, for instance 32 + 10."""
        return sum(self._sizes(features, classes, width, depth)[1:])

    def build(self, nn: Any, features: int, classes: int, *, width: int, depth: int, device: str, dtype: Any) -> Any:
        """`nn.Sequential(Linear, Tanh, ..., Linear)` on `device` in `dtype`."""
        layers: list[Any] = []
        for fan_in, fan_out in pairwise(self._sizes(features, classes, width, depth)):
            layers += [nn.Linear(fan_in, fan_out, device=device, dtype=dtype), nn.Tanh()]
        return nn.Sequential(*layers[:-1])


NETWORK = MultilayerPerceptron()
