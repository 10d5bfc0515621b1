"""Sequences of different lengths; the same for both engines."""

from diffcore.nn.lengths import pad_sequence

__all__ = ["pad_sequence"]
