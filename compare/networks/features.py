"""The part of a network that turns an image into features: layers put together one by one, while the image's size is followed."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from compare.errors import InputError
from compare.networks.kit import Kit


class Window(NamedTuple):
    """How a convolution or pool moves over an image: `kernel`, `stride` and zeros around, alike in both directions."""

    kernel: int
    stride: int = 1
    padding: int = 0

    def outputs(self, size: int) -> int:
        """`(size - kernel + 2 padding) / stride + 1`, rounded down; below 1 where the window does not fit."""
        return (size - self.kernel + 2 * self.padding) // self.stride + 1

    def needs(self, outputs: int) -> int:
        """The least size that gives `outputs`."""
        return max(1, (outputs - 1) * self.stride + self.kernel - 2 * self.padding)


def too_small(network: str, image: tuple[int, ...], least: int) -> InputError:
    """The error for an image of which nothing would be left."""
    given = "x".join(map(str, image))
    return InputError(f"{network}: images of {given} are too small for its convolutions and pools: at least {least}x{least}")


class Features:
    """Layers for images of shape `inputs` `[channels, height, width]`; `network` is whose they are, for messages.

    `channels` and `size` (height and width) are those after the layers added so far. Raises `InputError` for `inputs` that are no image.
    """

    def __init__(self, kit: Kit, network: str, inputs: tuple[int, ...]) -> None:
        if len(inputs) != 3:
            raise InputError(f"{network}: examples must be images (channels, height, width), but their shape is {tuple(inputs)}")
        self._kit, self._network, self._image = kit, network, inputs[1:]
        self._layers: list[Any] = []
        self._windows: list[Window] = []
        self.channels = inputs[0]

    def add(self, *layers: Any, windows: tuple[Window, ...] = (), channels: int | None = None) -> Self:
        """Append layers; `windows` say how they change the size and `channels` how many they give, where they change them."""
        self._layers += layers
        self._windows += windows
        self.channels = self.channels if channels is None else channels
        return self

    def convolution(self, channels: int, window: Window, **options: Any) -> Self:
        """Append a `Conv2d` with the options of one."""
        kernel, stride, padding = window
        layer = self._kit.Conv2d(self.channels, channels, kernel, stride=stride, padding=padding, **options)
        return self.add(layer, windows=(window,), channels=channels)

    def max_pool(self, window: Window) -> Self:
        """Append a `MaxPool2d`."""
        return self.add(self._kit.MaxPool2d(*window), windows=(window,))

    def average_pool(self, window: Window) -> Self:
        """Append an `AvgPool2d`."""
        return self.add(self._kit.AvgPool2d(*window), windows=(window,))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width after the layers so far. Raises `InputError` naming the least image where this one is too small."""
        height, width = self._image
        least = 1
        for window in self._windows:
            height, width = (window.outputs(size) if size > 0 else 0 for size in (height, width))
        if min(height, width) < 1:
            for window in reversed(self._windows):
                least = window.needs(least)
            raise too_small(self._network, self._image, least)
        return height, width

    @property
    def numbers(self) -> int:
        """How many numbers an image has become."""
        height, width = self.size
        return self.channels * height * width

    def branch(self) -> Features:
        """Layers to come for the image as it is now; what they are joined with is for the caller."""
        branch = Features(self._kit, self._network, (self.channels, *self._image))
        branch._windows += self._windows
        return branch

    def built(self) -> Any:
        """The layers in a `Sequential`. Raises `InputError` for an image that is too small."""
        _ = self.size
        return self._kit.Sequential(*self._layers)
