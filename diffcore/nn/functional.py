"""Functions of layers without parameters, under PyTorch's names; the same for both engines."""

from diffcore.nn.module import functional_call
from diffcore.ops import log_softmax, relu, sigmoid, softmax, tanh
from diffcore.ops.lookup import embedding, one_hot
from diffcore.ops.neural import cross_entropy, linear, pad

__all__ = [
    "cross_entropy",
    "embedding",
    "functional_call",
    "linear",
    "log_softmax",
    "one_hot",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
