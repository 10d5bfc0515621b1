"""LeNet-5: the first convolutional network in wide use."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from compare.networks.base import Network
from compare.networks.features import Features, Window
from compare.networks.kit import Kit

SMALL = 12
"""Images below this many rows or columns have a second kernel of 3x3, because 5x5 would not fit."""


class LeNet(Network):
    """Two convolutions, each with tanh and average pooling, then linear layers with tanh (LeCun, Bottou, Bengio, Haffner 1998,
    "Gradient-based learning applied to document recognition").

    With `width` 6 and `depth` 2 on images of 28x28 it is the textbook's of 61,706 parameters: 6 and 16 maps (every map of the
    second convolution sees all 6), 120 and 84 units.
    """

    name = "lenet"
    account = "LeNet-5 (LeCun 1998): two tanh convolutions; --width maps in the first (6 in the paper), --depth hidden linear layers (2)"
    width, depth = 2, 2

    def _maps(self, width: int) -> tuple[int, int]:
        return width, round(width * 16 / 6)

    def _units(self, width: int, depth: int) -> list[int]:
        return [20 * width, *[14 * width] * (depth - 1)]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Maps, then units, for instance `6c-16c-120-84-10`."""
        return "-".join([*(f"{maps}c" for maps in self._maps(width)), *map(str, self._units(width, depth)), str(outputs)])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`features` (convolutions), then `classifier` (linear layers)."""
        first, second = self._maps(width)
        features = Features(kit, self.name, inputs)
        features.convolution(first, Window(5, padding=2)).add(kit.Tanh()).average_pool(Window(2, 2))
        features.convolution(second, Window(3 if min(inputs[1:]) < SMALL else 5)).add(kit.Tanh()).average_pool(Window(2, 2))
        layers: list[Any] = []
        for fan_in, fan_out in pairwise([features.numbers, *self._units(width, depth), outputs]):
            layers += [kit.Linear(fan_in, fan_out), kit.Tanh()]
        return kit.named(features=features.built(), flatten=kit.Flatten(), classifier=kit.Sequential(*layers[:-1]))


NETWORK = LeNet()
