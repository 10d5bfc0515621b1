"""Initial values of parameters; the same for both engines."""

from diffcore.nn import init
from diffcore.nn.init import *

__all__: list[str] = []
__all__ += init.__all__
