"""Sequences of different lengths as one tensor: `nn.utils.rnn.pad_sequence`. Packed sequences are not supported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diffcore.errors import ShapeError
from diffcore.ops import pad, stack

__all__ = ["pad_sequence"]


def pad_sequence(
    sequences: Iterable[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences `[l_i, *features]` as one tensor `[max l, n, *features]`, or `[n, max l, *features]` with `batch_first`.

    Shorter ones end in `padding_value`, or begin with it for `padding_side="left"`. Raises `ShapeError` for no sequences, for scalars and
    for features that differ, `ValueError` for another side.
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f"pad_sequence: `padding_side` (={padding_side!r}) should be 'right' or 'left'")
    given = list(sequences)
    shapes = [tuple(x.shape) for x in given]
    if not given or not all(shapes) or len({shape[1:] for shape in shapes}) > 1:
        raise ShapeError(f"pad_sequence: expected one or more sequences [l, *features] with the same features, got shapes {shapes}")
    longest = max(shape[0] for shape in shapes)
    padded = []
    for x, shape in zip(given, shapes, strict=True):
        missing = longest - shape[0]
        widths = (0, missing) if padding_side == "right" else (missing, 0)
        padded.append(pad(x, (*(0, 0) * (len(shape) - 1), *widths), value=padding_value) if missing else x)
    return stack(padded, 0 if batch_first else 1)
