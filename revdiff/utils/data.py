"""Data sets and loaders; the same classes for both engines."""

from diffcore import data
from diffcore.data import *

__all__: list[str] = []
__all__ += data.__all__
