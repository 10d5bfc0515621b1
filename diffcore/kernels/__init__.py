"""The shared kernel layer: one record per kernel (value, derivative rules), filled by families. `registered()` lists them."""

from diffcore.kernels import elementwise, indexing, joining, loss, matmul, padding, reduction, shape, strides
from diffcore.kernels.record import Call, Kernel, registered

__all__ = [
    "Call",
    "Kernel",
    "elementwise",
    "indexing",
    "joining",
    "loss",
    "matmul",
    "padding",
    "reduction",
    "registered",
    "shape",
    "strides",
]
