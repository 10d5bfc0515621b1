"""The vision transformer: an image read as a sequence of patches."""

from __future__ import annotations

from typing import Any

from compare.errors import InputError
from compare.networks.base import Network
from compare.networks.imagenet import ImageNet
from compare.networks.kit import Kit


class VisionTransformer(Network):
    """Patches as tokens with learned positions after a class token, `depth` encoder blocks of `width` features (layer norm before
    attention and before a perceptron of `4 width` units with GELU), then a linear layer on the class token (Dosovitskiy et al. 2021,
    "An image is worth 16x16 words").

    Dropout of 0.1 after the positions and after every linear layer but those of queries, keys and values, as the paper trains it on
    ImageNet. Positions start from N(0, 0.02), the class token from zeros.
    """

    _patch: int
    """Pixels along the side of a patch."""
    _head: int
    """Features that one head of attention sees, where `width` allows."""

    def _heads(self, width: int) -> int:
        return next(heads for heads in range(max(1, width // self._head), 0, -1) if width % heads == 0)

    def _patches(self, inputs: tuple[int, ...]) -> int:
        """How many patches an image has; `InputError` where they do not cover it."""
        if len(inputs) != 3:
            raise InputError(f"{self.name}: examples must be images (channels, height, width), but their shape is {tuple(inputs)}")
        height, width = inputs[1:]
        if min(height, width) < self._patch or height % self._patch or width % self._patch:
            raise InputError(
                f"{self.name}: images of {height}x{width} are not made of patches of {self._patch}x{self._patch}: each side must be a"
                f" multiple of {self._patch}, at least {self._patch}"
            )
        return (height // self._patch) * (width // self._patch)

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Tokens, blocks of features by heads, classes, for instance `197x768-12x12h-1000`."""
        return f"{1 + self._patches(inputs)}x{width}-{depth}x{self._heads(width)}h-{outputs}"

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`patches`, `dropout`, `blocks`, `norm`, the class token, `classifier`."""
        tokens = 1 + self._patches(inputs)
        projection = kit.Conv2d(inputs[0], width, self._patch, stride=self._patch)
        return kit.named(
            patches=kit.patches(projection, kit.drawn(1, 1, width), kit.drawn(1, tokens, width, std=0.02)),
            dropout=kit.Dropout(0.1),
            blocks=kit.Sequential(*(self._block(kit, width) for _ in range(depth))),
            norm=kit.LayerNorm(width, eps=1e-6),
            token=kit.step(0),
            classifier=kit.Linear(width, outputs),
        )

    def _block(self, kit: Kit, width: int) -> Any:
        block = kit.TransformerEncoderLayer(
            width, self._heads(width), 4 * width, 0.1, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )
        block.self_attn.dropout = 0.0  # the layer would drop attention weights as well
        return block


class ViTB16(ImageNet, VisionTransformer):
    """ViT-Base with patches of 16x16; 86,567,656 parameters."""

    name, family = "vit_b16", "small-vit"
    account = "vision transformer ViT-B/16 (Dosovitskiy 2021); --width features of a token (768), --depth encoder blocks (12)"
    width, depth = 768, 12
    _patch, _head = 16, 64


class SmallViT(VisionTransformer):
    """A vision transformer for images of a few pixels: patches of 2x2."""

    name = "small-vit"
    account = "vision transformer with patches of 2x2 (Dosovitskiy 2021); --width features of a token, --depth encoder blocks"
    width, depth = 12, 1
    optimizer, lr, batch = "adam", 0.01, 32
    _patch, _head = 2, 4


NETWORKS = (SmallViT(), ViTB16())
