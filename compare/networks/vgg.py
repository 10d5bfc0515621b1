"""VGG: depth from blocks of small convolutions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from compare.errors import InputError
from compare.networks.base import Network
from compare.networks.features import Features, Window, too_small
from compare.networks.imagenet import ImageNet
from compare.networks.initialisation import kaiming
from compare.networks.kit import Kit

BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions per block, by the number of layers with weights: configurations A, B, D and E of the paper."""


class VGG(Network):
    """Blocks of 3x3 convolutions with ReLU, each halving the image and doubling the maps up to `8 width`, then two hidden linear layers
    with dropout (Simonyan, Zisserman 2015, "Very deep convolutional networks for large-scale image recognition").

    Its parameters have the names that torchvision gives them.
    """

    account = "VGG (Simonyan & Zisserman 2015); --width maps in the first block (64), --depth layers with weights: 11, 13, 16 or 19"
    width = 64
    _dropout = 0.5
    _units = 64
    """Hidden units for one of `width`."""

    def _blocks(self, depth: int) -> tuple[int, ...]:
        if depth not in BLOCKS:
            raise InputError(f"{self.name}: `depth` (={depth}) must be {', '.join(map(str, BLOCKS))}, the layers that have weights")
        return BLOCKS[depth]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Convolutions of each block and their maps, then units, for instance `1x64c-1x128c-2x256c-2x512c-2x512c-4096-4096-1000`."""
        self._halved(inputs, len(self._blocks(depth)))
        blocks = [f"{count}x{min(2**i, 8) * width}c" for i, count in enumerate(self._blocks(depth))]
        return "-".join([*blocks, f"{self._units * width}-{self._units * width}-{outputs}"])

    def _halved(self, image: tuple[int, ...], times: int) -> None:
        """Raise `InputError` for an image that cannot be halved so often."""
        if min(image[-2:], default=0) >> times < 1:
            raise too_small(self.name, image[-2:], 2**times)

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`features` (convolutions), then `classifier` (linear layers)."""
        features = Features(kit, self.name, inputs)
        for i, count in enumerate(self._blocks(depth)):
            for _ in range(count):
                features.convolution(min(2**i, 8) * width, Window(3, padding=1)).add(kit.ReLU())
            features.max_pool(Window(2, 2))
        units = self._units * width
        layers: list[Any] = []
        for fan_in, fan_out in pairwise([features.numbers, units, units]):
            layers += [kit.Linear(fan_in, fan_out), kit.ReLU(), kit.Dropout(self._dropout)]
        classifier = kit.Sequential(*layers, kit.Linear(units, outputs))
        net = kit.named(features=features.built(), flatten=kit.Flatten(), classifier=classifier)
        kaiming(kit, net)
        return net


class VGG11(ImageNet, VGG):
    """Configuration A; 132,863,336 parameters."""

    name, family, depth = "vgg11", "small-vgg", 11


class VGG16(ImageNet, VGG):
    """Configuration D; 138,357,544 parameters."""

    name, family, depth = "vgg16", "small-vgg", 16


class SmallVGG(VGG):
    """VGG for images of a few pixels: `depth` blocks of two convolutions, 4 hidden units for one of `width`, dropout of 0.2,
    because half of so few units is too few.
    """

    name = "small-vgg"
    account = "VGG for small images (Simonyan & Zisserman 2015); --width maps in the first of --depth blocks of two 3x3 convolutions"
    width, depth = 4, 2
    optimizer, lr = "adam", 0.01
    _dropout = 0.2
    _units = 4

    def _blocks(self, depth: int) -> tuple[int, ...]:
        return (2,) * depth


NETWORKS = (SmallVGG(), VGG11(), VGG16())
