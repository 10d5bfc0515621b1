"""Functions of layers without parameters, under PyTorch's names; the same for both engines."""

from typing import Any

from diffcore import ops
from diffcore.nn.module import functional_call
from diffcore.ops import (
    activation,
    attention,
    convolution,
    dropouts,
    log_softmax,
    lookup,
    losses,
    neural,
    normalisation,
    pooling,
    sigmoid,
    softmax,
    tanh,
)
from diffcore.ops.activation import *
from diffcore.ops.attention import *
from diffcore.ops.convolution import *
from diffcore.ops.dropouts import *
from diffcore.ops.lookup import *
from diffcore.ops.losses import *
from diffcore.ops.neural import *
from diffcore.ops.normalisation import *
from diffcore.ops.pooling import *


def relu(input: Any, inplace: bool = False) -> Any:
    """`max(input, 0)`, with `inplace` in the memory of `input`; the derivative at 0 is 0."""
    return input.relu_() if inplace else ops.relu(input)


__all__ = ["functional_call", "log_softmax", "relu", "sigmoid", "softmax", "tanh"]
__all__ += activation.__all__
__all__ += attention.__all__
__all__ += convolution.__all__
__all__ += dropouts.__all__
__all__ += lookup.__all__
__all__ += losses.__all__
__all__ += neural.__all__
__all__ += normalisation.__all__
__all__ += pooling.__all__
