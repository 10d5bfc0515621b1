"""Functions of layers without parameters, under PyTorch's names; the same for both engines."""

from diffcore.nn.module import functional_call
from diffcore.ops import activation, log_softmax, lookup, losses, neural, relu, sigmoid, softmax, tanh
from diffcore.ops.activation import *
from diffcore.ops.lookup import *
from diffcore.ops.losses import *
from diffcore.ops.neural import *

__all__ = ["functional_call", "log_softmax", "relu", "sigmoid", "softmax", "tanh"]
__all__ += activation.__all__
__all__ += lookup.__all__
__all__ += losses.__all__
__all__ += neural.__all__
