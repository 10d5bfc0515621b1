"""What training does to all gradients or weights at once; the same for both engines."""

from diffcore.nn import utils
from diffcore.nn.utils import *
from revdiff.nn.utils import rnn

__all__ = ["rnn"]
__all__ += utils.__all__
