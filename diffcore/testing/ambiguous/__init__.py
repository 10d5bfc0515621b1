"""The ambiguous points: where mathematics leaves a derivative open, or gives none, and what is answered there, in both modes alike.

One list, which the tests hold against both engines, PyTorch and jax, and which the page of `python -m compare check` shows.
"""

from diffcore.testing.ambiguous import arrays, elementwise
from diffcore.testing.ambiguous.point import Ambiguous, shown

POINTS: list[Ambiguous] = [*elementwise.POINTS, *arrays.POINTS]
"""Every point."""

__all__ = ["POINTS", "Ambiguous", "shown"]
