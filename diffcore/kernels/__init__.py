"""The shared kernel layer: one record per kernel (value, derivative rules), filled by families. `registered()` lists them."""

from diffcore.kernels import convolution, elementwise, indexing, loss, matmul, normalisation, pooling, reduction, shape
from diffcore.kernels.record import Call, Kernel, registered

__all__ = [
    "Call",
    "Kernel",
    "convolution",
    "elementwise",
    "indexing",
    "loss",
    "matmul",
    "normalisation",
    "pooling",
    "reduction",
    "registered",
    "shape",
]
