"""Making tensors: filled, counted, drawn at random or taken from other data. Written once; each engine binds it to its own tensor.

    _new = Creation(Tensor)
    zeros = _new.zeros

Names, argument names and defaults are PyTorch's. Sizes are ints or one tuple, list or `Size`.
"""

from typing import TypeVar

from diffcore.creation.drawing import Drawing
from diffcore.creation.filling import Filling
from diffcore.creation.wrapping import Wrapping

T = TypeVar("T")


class Creation(Filling[T], Drawing[T], Wrapping[T]):
    """All functions that make tensors of one class."""


__all__ = ["Creation"]
