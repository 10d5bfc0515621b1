"""How the prices of a machine go with its pace, which changes where others use the machine too."""

from __future__ import annotations

KINDS = ("numpy", "engines", "elements", "memory", "streams", "products")
"""Kinds of prices: of calls of numpy's, of what engines and rules do beside these, of elements in the caches, of elements and bytes where
a call touches more than `BEYOND` bytes, the same where it touches more than `STREAM` bytes, and of multiply-adds."""
BEYOND, STREAM = 1 << 20, 1 << 23
GOES = {"numpy": 1.0, "engines": 1.0, "elements": 0.5}
"""How far each kind goes with the pace, which is that of code: where others use a shared machine so that code takes twice as long, elements
in the caches take one and a half times as long, and products and memory hardly any longer."""


def slowed(kind: str, pace: float) -> float:
    """By how much a kind of price takes longer at a pace."""
    return 1 + GOES.get(kind, 0.0) * (pace - 1)
