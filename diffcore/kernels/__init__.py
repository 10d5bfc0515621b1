"""The shared kernel layer: one record per kernel (value, derivative rules), filled by families. `registered()` lists them."""

from diffcore.kernels import (
    activation,
    comparison,
    elementwise,
    indexing,
    joining,
    loss,
    matmul,
    padding,
    reduction,
    shape,
    softmax,
    strides,
    trigonometric,
)
from diffcore.kernels.record import Call, Kernel, registered

__all__ = [
    "Call",
    "Kernel",
    "activation",
    "comparison",
    "elementwise",
    "indexing",
    "joining",
    "loss",
    "matmul",
    "padding",
    "reduction",
    "registered",
    "shape",
    "softmax",
    "strides",
    "trigonometric",
]
