"""What the full-size presets have in common: they are made for ImageNet, as published."""

from __future__ import annotations


class ImageNet:
    """Colour images of 224x224 pixels in 1000 classes (Russakovsky et al. 2015, "ImageNet large scale visual recognition challenge")."""

    inputs: tuple[int, ...] | None = (3, 224, 224)
    outputs: int | None = 1000
    data = "noise-224"
    steps, batch, lr = 10, 2, 0.01
