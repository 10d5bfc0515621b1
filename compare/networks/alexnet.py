"""AlexNet: the network that won ImageNet in 2012."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from compare.networks.base import Network
from compare.networks.features import Features, Window
from compare.networks.imagenet import ImageNet
from compare.networks.initialisation import kaiming
from compare.networks.kit import Kit


class AlexNet(Network):
    """Convolutions with ReLU and overlapping max pools, then two hidden linear layers with dropout (Krizhevsky, Sutskever, Hinton 2012,
    "ImageNet classification with deep convolutional neural networks").

    In one stream, as in Krizhevsky 2014 ("One weird trick") and in torchvision, whose names its parameters have: 64-192-384-256-256
    maps, 4096 units, 61,100,840 parameters for 1000 classes. The two-stream network of the paper has 96-256-384-384-256 maps in groups
    and 60,965,224. There is no local response normalisation.
    """

    _first: Window
    _second: Window
    _pool: Window
    _dropout = 0.5
    _units: int
    """Hidden units for one of `width`."""

    def _maps(self, width: int, depth: int) -> list[int]:
        return [width, 3 * width, 6 * width, *[4 * width] * (depth - 1)]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Maps, then units, for instance `64c-192c-384c-256c-256c-4096-4096-1000`."""
        units = self._units * width
        return "-".join([*(f"{maps}c" for maps in self._maps(width, depth)), f"{units}-{units}-{outputs}"])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`features` (convolutions), then `classifier` (linear layers), under the names that torchvision gives them."""
        first, second, *further = self._maps(width, depth)
        features = Features(kit, self.name, inputs)
        features.convolution(first, self._first).add(kit.ReLU()).max_pool(self._pool)
        features.convolution(second, self._second).add(kit.ReLU()).max_pool(self._pool)
        for maps in further:
            features.convolution(maps, Window(3, padding=1)).add(kit.ReLU())
        features.max_pool(self._pool)
        units = self._units * width
        layers: list[Any] = []
        for fan_in, fan_out in pairwise([features.numbers, units, units]):
            layers += [kit.Dropout(self._dropout), kit.Linear(fan_in, fan_out), kit.ReLU()]
        classifier = kit.Sequential(*layers, kit.Linear(units, outputs))
        net = kit.named(features=features.built(), flatten=kit.Flatten(), classifier=classifier)
        kaiming(kit, net)
        return net


class FullAlexNet(ImageNet, AlexNet):
    """AlexNet as published."""

    name, family = "alexnet", "small-alexnet"
    account = "AlexNet in one stream (Krizhevsky 2012, 2014); --width maps in the first convolution (64), --depth 3x3 convolutions (3)"
    width, depth = 64, 3

    _first, _second, _pool = Window(11, 4, 2), Window(5, 1, 2), Window(3, 2)
    _units = 64


class SmallAlexNet(AlexNet):
    """AlexNet for images of a few pixels: 3x3 kernels, pools with a border of one, 16 hidden units for one of `width`,
    dropout of 0.2, because half of so few units is too few.
    """

    name = "small-alexnet"
    account = "AlexNet for small images (Krizhevsky 2012), all kernels 3x3; --width maps in the first convolution, --depth after the second"
    width, depth = 2, 2
    optimizer, lr = "adam", 0.01

    _first, _second, _pool = Window(3, padding=1), Window(3, padding=1), Window(3, 2, 1)
    _dropout = 0.2
    _units = 16


NETWORKS = (SmallAlexNet(), FullAlexNet())
