"""The shared kernel layer: one record per kernel (value, derivative rules), filled by families. `registered()` lists them."""

from diffcore.kernels import cumulative, einsum, elementwise, indexing, linalg, loss, matmul, reduction, shape, sorting
from diffcore.kernels.record import Call, Kernel, registered

__all__ = [
    "Call",
    "Kernel",
    "cumulative",
    "einsum",
    "elementwise",
    "indexing",
    "linalg",
    "loss",
    "matmul",
    "reduction",
    "registered",
    "shape",
    "sorting",
]
