"""DenseNet: every layer sees the maps of all layers before it."""

from __future__ import annotations

from typing import Any

from compare.errors import InputError
from compare.networks.base import Network
from compare.networks.features import Features, Window
from compare.networks.imagenet import ImageNet
from compare.networks.initialisation import kaiming
from compare.networks.kit import Kit

BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32), 161: (6, 12, 36, 24)}
"""Layers of each dense block, by the number of layers with weights (161: with a growth of 48)."""


class DenseNet(Network):
    """Dense blocks, between them 1x1 convolutions that halve the maps and pools that halve the image, then the mean of each map and a
    linear layer (Huang, Liu, van der Maaten, Weinberger 2017, "Densely connected convolutional networks").

    A layer is batch norm, ReLU, a 1x1 convolution to `4 width` maps, batch norm, ReLU and a 3x3 convolution to `width` maps, put beside
    those that it was given (the paper's DenseNet-BC). Convolutions start by Kaiming's rule.
    """

    def _blocks(self, depth: int) -> tuple[int, ...]:
        if depth not in BLOCKS:
            raise InputError(f"{self.name}: `depth` (={depth}) must be {', '.join(map(str, sorted(BLOCKS)))}, the layers that have weights")
        return BLOCKS[depth]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Layers of each dense block and the maps that they add, for instance `64c-6x32d-12x32d-24x32d-16x32d-1000`."""
        return "-".join([f"{2 * width}c", *(f"{count}x{width}d" for count in self._blocks(depth)), str(outputs)])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`features` (stem, dense layers and transitions), then `classifier` (mean of each map, linear)."""
        features = Features(kit, self.name, inputs)
        self._stem(kit, features, width)
        for i, count in enumerate(self._blocks(depth)):
            if i:
                _unit(kit, features, features.channels // 2, Window(1)).average_pool(Window(2, 2))
            for _ in range(count):
                body = _unit(kit, features.branch(), 4 * width, Window(1))
                _unit(kit, body, width, Window(3, padding=1))
                features.add(kit.concatenated(kit.Sequential(), body.built()), channels=features.channels + width)
        features.add(kit.BatchNorm2d(features.channels), kit.ReLU())
        classifier = kit.Sequential(kit.AdaptiveAvgPool2d(1), kit.Flatten(), kit.Linear(features.channels, outputs))
        net = kit.named(features=features.built(), classifier=classifier)
        kaiming(kit, net.features)
        return net

    def _stem(self, kit: Kit, features: Features, width: int) -> None:
        features.convolution(2 * width, Window(7, 2, 3), bias=False).add(kit.BatchNorm2d(2 * width), kit.ReLU()).max_pool(Window(3, 2, 1))


class DenseNet121(ImageNet, DenseNet):
    """Blocks of 6, 12, 24 and 16 layers; 7,978,856 parameters."""

    name, family = "densenet121", "small-densenet"
    account = "DenseNet-BC (Huang 2017); --width maps that each layer adds (growth, 32), --depth 121, 161, 169 or 201 layers"
    width, depth = 32, 121


class SmallDenseNet(DenseNet):
    """DenseNet for images of a few pixels: a 3x3 stem with a pool of 2x2, two blocks of `depth` layers."""

    name = "small-densenet"
    account = "DenseNet-BC for small images (Huang 2017); --width maps that each of the --depth layers of two dense blocks adds"
    width, depth = 3, 2
    batch = 32

    def _blocks(self, depth: int) -> tuple[int, ...]:
        return (depth,) * 2

    def _stem(self, kit: Kit, features: Features, width: int) -> None:
        features.convolution(2 * width, Window(3, padding=1), bias=False).add(kit.BatchNorm2d(2 * width), kit.ReLU())
        features.max_pool(Window(2, 2))


def _unit(kit: Kit, features: Features, maps: int, window: Window) -> Features:
    """Batch norm, ReLU and a convolution."""
    return features.add(kit.BatchNorm2d(features.channels), kit.ReLU()).convolution(maps, window, bias=False)


NETWORKS = (SmallDenseNet(), DenseNet121())
