"""Learning-rate schedules; the same classes for both engines."""

from diffcore.optim import lr_scheduler
from diffcore.optim.lr_scheduler import *

__all__: list[str] = []
__all__ += lr_scheduler.__all__
