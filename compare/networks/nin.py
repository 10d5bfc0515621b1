"""Network in network: 1x1 convolutions between the others, and no linear layer at all."""

from __future__ import annotations

from typing import Any

from compare.networks.base import Network
from compare.networks.features import Features, Window
from compare.networks.imagenet import ImageNet
from compare.networks.initialisation import kaiming
from compare.networks.kit import Kit


class NetworkInNetwork(Network):
    """Blocks of a convolution and two 1x1 convolutions, all with ReLU; the maps of the last block are averaged to the outputs
    (Lin, Chen, Yan 2014, "Network in network").

    At full size it is the authors' ImageNet model of the Caffe model zoo: blocks of 96, 256 and 384 maps and a last one of 1024,
    7,595,176 parameters for 1000 classes.
    """

    _first: Window
    _second: Window
    _pool: Window
    _dropout = 0.5

    def _maps(self, width: int, depth: int) -> list[int]:
        """Maps of each block, the last one after the others."""
        raise NotImplementedError

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Maps of the blocks, for instance `96c-256c-384c-1024c-1000`."""
        return "-".join([*(f"{maps}c" for maps in self._maps(width, depth)), str(outputs)])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`features` (the blocks, dropout before the last), then the mean of each map."""
        *blocks, last = self._maps(width, depth)
        features = Features(kit, self.name, inputs)
        for i, maps in enumerate(blocks):
            window = (self._first, self._second)[i] if i < 2 else Window(3, padding=1)
            for kernel in (window, Window(1), Window(1)):
                features.convolution(maps, kernel).add(kit.ReLU())
            features.max_pool(self._pool)
        features.add(kit.Dropout(self._dropout))
        for maps, kernel in ((last, Window(3, padding=1)), (last, Window(1)), (outputs, Window(1))):
            features.convolution(maps, kernel).add(kit.ReLU())
        net = kit.named(features=features.built(), average=kit.AdaptiveAvgPool2d(1), flatten=kit.Flatten())
        kaiming(kit, net)
        return net


class FullNetworkInNetwork(ImageNet, NetworkInNetwork):
    """Network in network as published."""

    name, family = "nin", "small-nin"
    account = "network in network (Lin 2014), the ImageNet model; --width maps in the first block (96), --depth blocks before the last (3)"
    width, depth = 96, 3

    _first, _second, _pool = Window(11, 4), Window(5, 1, 2), Window(3, 2)

    def _maps(self, width: int, depth: int) -> list[int]:
        """`8 width / 3` in the second block, `4 width` in further ones, `32 width / 3` in the last."""
        return [*[width, 8 * width // 3, *[4 * width] * (depth - 2)][:depth], 32 * width // 3]


class SmallNetworkInNetwork(NetworkInNetwork):
    """Network in network for images of a few pixels: 3x3 kernels, pools with a border of one, `3 width` maps in the last block,
    dropout of 0.2, because half of so few maps is too few.
    """

    name = "small-nin"
    account = "network in network for small images (Lin 2014); --width maps in the first block, --depth blocks before the last"
    width, depth = 8, 1
    optimizer, lr, batch = "adam", 0.01, 32

    _first, _second, _pool = Window(3, padding=1), Window(3, padding=1), Window(3, 2, 1)
    _dropout = 0.2

    def _maps(self, width: int, depth: int) -> list[int]:
        """`width` maps, twice as many in further blocks."""
        return [width, *[2 * width] * (depth - 1), 3 * width]


NETWORKS = (SmallNetworkInNetwork(), FullNetworkInNetwork())
