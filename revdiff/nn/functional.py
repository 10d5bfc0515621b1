"""Functions of layers without parameters; the same for both engines."""

from diffcore.nn import functional
from diffcore.nn.functional import *

__all__: list[str] = []
__all__ += functional.__all__
