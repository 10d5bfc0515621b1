"""ResNet: blocks that learn what to add to their input."""

from __future__ import annotations

from typing import Any, NamedTuple

from compare.errors import InputError
from compare.networks.base import Network
from compare.networks.features import Features, Window
from compare.networks.imagenet import ImageNet
from compare.networks.initialisation import kaiming
from compare.networks.kit import Kit


class Plan(NamedTuple):
    """`blocks` of each stage; bottleneck blocks widen four times."""

    blocks: tuple[int, ...]
    bottleneck: bool = False


PLANS = {
    18: Plan((2, 2, 2, 2)),
    34: Plan((3, 4, 6, 3)),
    50: Plan((3, 4, 6, 3), True),
    101: Plan((3, 4, 23, 3), True),
    152: Plan((3, 8, 36, 3), True),
}
"""Table 1 of the paper, by the number of layers with weights."""


class ResNet(Network):
    """Stages of residual blocks, each stage halving the image and doubling the maps, then their mean and a linear layer
    (He, Zhang, Ren, Sun 2016, "Deep residual learning for image recognition").

    A block's convolutions have batch norm; where its result has another shape the shortcut is a 1x1 convolution with batch norm. Of a
    bottleneck the 3x3 convolution has the stride ("v1.5", as in torchvision; in the paper the first 1x1 one has it, with equally many
    parameters). Convolutions start by Kaiming's rule.
    """

    account = "ResNet (He 2016), stride on the 3x3 as in torchvision; --width maps in the first stage (64), --depth 18, 34, 50, 101 or 152"
    width = 64

    def _plan(self, depth: int) -> Plan:
        if depth not in PLANS:
            raise InputError(f"{self.name}: `depth` (={depth}) must be {', '.join(map(str, PLANS))}, the layers that have weights")
        return PLANS[depth]

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Blocks of each stage and the maps that they give, for instance `64c-2x64r-2x128r-2x256r-2x512r-1000`."""
        plan = self._plan(depth)
        stages = [f"{count}x{2**i * width * (4 if plan.bottleneck else 1)}r" for i, count in enumerate(plan.blocks)]
        return "-".join([f"{width}c", *stages, str(outputs)])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`features` (stem, then for each block a residual sum and ReLU), then `classifier` (mean of each map, linear)."""
        features = Features(kit, self.name, inputs)
        self._stem(kit, features, width)
        plan = self._plan(depth)
        for i, count in enumerate(plan.blocks):
            for j in range(count):
                _block(kit, features, 2**i * width, stride=2 if i and not j else 1, bottleneck=plan.bottleneck)
        classifier = kit.Sequential(kit.AdaptiveAvgPool2d(1), kit.Flatten(), kit.Linear(features.channels, outputs))
        net = kit.named(features=features.built(), classifier=classifier)
        kaiming(kit, net.features)
        return net

    def _stem(self, kit: Kit, features: Features, width: int) -> None:
        _unit(kit, features, width, Window(7, 2, 3)).add(kit.ReLU()).max_pool(Window(3, 2, 1))


class ResNet18(ImageNet, ResNet):
    """Two basic blocks in each of four stages; 11,689,512 parameters."""

    name, family, depth = "resnet18", "small-resnet", 18


class ResNet50(ImageNet, ResNet):
    """3, 4, 6 and 3 bottleneck blocks; 25,557,032 parameters."""

    name, family, depth = "resnet50", "small-resnet", 50


class SmallResNet(ResNet):
    """The paper's ResNet for CIFAR-10 (section 4.2): a 3x3 stem and three stages of `depth` basic blocks, so `6 depth + 2` layers."""

    name = "small-resnet"
    account = "ResNet for small images (He 2016, section 4.2); --width maps in the first of three stages of --depth basic blocks"
    width, depth = 3, 1
    batch = 32

    def _plan(self, depth: int) -> Plan:
        return Plan((depth,) * 3)

    def _stem(self, kit: Kit, features: Features, width: int) -> None:
        _unit(kit, features, width, Window(3, padding=1)).add(kit.ReLU())


def _unit(kit: Kit, features: Features, maps: int, window: Window) -> Features:
    """A convolution with batch norm."""
    return features.convolution(maps, window, bias=False).add(kit.BatchNorm2d(maps))


def _block(kit: Kit, features: Features, maps: int, *, stride: int, bottleneck: bool) -> None:
    body, shortcut = features.branch(), None
    if bottleneck:
        _unit(kit, body, maps, Window(1)).add(kit.ReLU())
        _unit(kit, body, maps, Window(3, stride, 1)).add(kit.ReLU())
        _unit(kit, body, 4 * maps, Window(1))
    else:
        _unit(kit, body, maps, Window(3, stride, 1)).add(kit.ReLU())
        _unit(kit, body, maps, Window(3, padding=1))
    if stride != 1 or body.channels != features.channels:
        shortcut = _unit(kit, features.branch(), body.channels, Window(1, stride)).built()
    # A stride of 2 over a 3x3 window with a border gives the size that it gives over a 1x1 one.
    block = kit.Sequential(kit.residual(body.built(), shortcut), kit.ReLU())
    features.add(block, windows=(Window(1, stride),), channels=body.channels)


NETWORKS = (SmallResNet(), ResNet18(), ResNet50())
