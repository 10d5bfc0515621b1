"""GoogLeNet: modules of parallel convolutions of several sizes."""

from __future__ import annotations

from typing import Any

from compare.errors import InputError
from compare.networks.base import Network
from compare.networks.features import Features, Window
from compare.networks.imagenet import ImageNet
from compare.networks.kit import Kit

MODULES = (
    (64, (96, 128), (16, 32), 32),
    (128, (128, 192), (32, 96), 64),
    (192, (96, 208), (16, 48), 64),
    (160, (112, 224), (24, 64), 64),
    (128, (128, 256), (24, 64), 64),
    (112, (144, 288), (32, 64), 64),
    (256, (160, 320), (32, 128), 128),
    (256, (160, 320), (32, 128), 128),
    (384, (192, 384), (48, 128), 128),
)
"""Maps of the inception modules 3a to 5b where `width` is 64, by branch: 1x1; 1x1 then 3x3; 1x1 then a second 3x3; a pool then 1x1."""
POOLED = (2, 7)
"""How many modules stand before the pools between them."""
FULL = 64


class GoogLeNet(Network):
    """A stem of convolutions, `depth` inception modules and a linear layer to the classes (Szegedy et al. 2015, "Going deeper with
    convolutions").

    As torchvision has it: every convolution is followed by batch norm (Ioffe, Szegedy 2015), the branch of the paper's 5x5 convolution
    has a 3x3 one, and there are no auxiliary classifiers: 6,624,904 parameters for 1000 classes. The paper's own, with 5x5 and biases
    instead of batch norm, has 6,998,552.
    """

    def _modules(self, width: int, depth: int) -> list[tuple[int, tuple[int, int], tuple[int, int], int]]:
        if depth > len(MODULES):
            raise InputError(f"{self.name}: `depth` (={depth}) must be at most {len(MODULES)}, the inception modules that there are")

        def scaled(maps: int) -> int:
            return max(1, maps * width // FULL)

        return [
            (scaled(a), (scaled(b), scaled(c)), (scaled(d), scaled(e)), scaled(f)) for a, (b, c), (d, e), f in MODULES[:depth]
        ]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Maps after the stem and after each inception module (i), for instance `192c-256i-480i-10`."""
        modules = [f"{one + three[1] + second[1] + pooled}i" for one, three, second, pooled in self._modules(width, depth)]
        return "-".join([f"{3 * width}c", *modules, str(outputs)])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`features` (stem and inception modules), then `classifier` (mean of each map, dropout, linear)."""
        features = Features(kit, self.name, inputs)
        self._stem(kit, features, width)
        for i, maps in enumerate(self._modules(width, depth)):
            if i in POOLED:
                features.max_pool(Window(3, 2, 1))
            _inception(kit, features, maps)
        classifier = kit.Sequential(kit.AdaptiveAvgPool2d(1), kit.Flatten(), kit.Dropout(0.4), kit.Linear(features.channels, outputs))
        return kit.named(features=features.built(), classifier=classifier)

    def _stem(self, kit: Kit, features: Features, width: int) -> None:
        raise NotImplementedError


class FullGoogLeNet(ImageNet, GoogLeNet):
    """GoogLeNet as published."""

    name, family = "googlenet", "small-googlenet"
    account = "GoogLeNet with batch norm, 3x3 for 5x5 (Szegedy 2015, torchvision); --width 64 and --depth 9 inception modules as published"
    width, depth = FULL, 9

    def _stem(self, kit: Kit, features: Features, width: int) -> None:
        _unit(kit, features, width, Window(7, 2, 3)).max_pool(Window(3, 2, 1))
        _unit(kit, features, width, Window(1))
        _unit(kit, features, 3 * width, Window(3, padding=1)).max_pool(Window(3, 2, 1))


class SmallGoogLeNet(GoogLeNet):
    """GoogLeNet for images of a few pixels: one 3x3 convolution and one pool before the inception modules."""

    name = "small-googlenet"
    account = "GoogLeNet with batch norm for small images (Szegedy 2015); --width 64 as published, --depth inception modules"
    width, depth = 3, 2
    lr, batch = 0.03, 32

    def _stem(self, kit: Kit, features: Features, width: int) -> None:
        _unit(kit, features, 3 * width, Window(3, padding=1)).max_pool(Window(3, 2, 1))


def _unit(kit: Kit, features: Features, maps: int, window: Window) -> Features:
    """A convolution with batch norm and ReLU."""
    return features.convolution(maps, window, bias=False).add(kit.BatchNorm2d(maps, eps=1e-3), kit.ReLU())


def _inception(kit: Kit, features: Features, maps: tuple[int, tuple[int, int], tuple[int, int], int]) -> None:
    """Four branches of the same image, their maps side by side."""
    one, three, second, pooled = maps
    branches = [features.branch() for _ in range(4)]
    _unit(kit, branches[0], one, Window(1))
    for branch, (narrow, wide) in ((branches[1], three), (branches[2], second)):
        _unit(kit, branch, narrow, Window(1))
        _unit(kit, branch, wide, Window(3, padding=1))
    _unit(kit, branches[3].max_pool(Window(3, padding=1)), pooled, Window(1))
    features.add(kit.concatenated(*(branch.built() for branch in branches)), channels=sum(branch.channels for branch in branches))


NETWORKS = (SmallGoogLeNet(), FullGoogLeNet())
