"""Layers that change shapes alone: `Flatten` and `Unflatten`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffcore.nn.module import Module
from diffcore.ops import flatten, unflatten
from diffcore.whole import whole


class Flatten(Module):
    """Merge the axes from `start_dim` to `end_dim`; by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Take axis `dim` apart into axes of the sizes `unflattened_size`, one of which may be -1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        axis = whole(dim)
        if axis is None:
            raise TypeError(f"Unflatten: `dim` (={dim!r}) must be an integer")
        sizes = tuple(n for n in map(whole, unflattened_size) if n is not None) if isinstance(unflattened_size, Sequence) else None
        if sizes is None or len(sizes) < len(unflattened_size):
            raise TypeError(f"Unflatten: `unflattened_size` (={unflattened_size!r}) must be a sequence of integers")
        self.dim, self.unflattened_size = axis, sizes

    def forward(self, x: Any) -> Any:
        return unflatten(x, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
