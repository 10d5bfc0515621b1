"""The shared kernel layer: one record per kernel (value, derivative rules), filled by families. `registered()` lists them."""

from diffcore.kernels import (
    activation,
    attention,
    cells,
    comparison,
    convolution,
    cumulative,
    einsum,
    elementwise,
    indexing,
    joining,
    linalg,
    loss,
    matmul,
    normalisation,
    padding,
    pooling,
    recurrent,
    reduction,
    shape,
    softmax,
    sorting,
    strides,
    trigonometric,
)
from diffcore.kernels.record import Call, Kernel, registered

__all__ = [
    "OURS",
    "Call",
    "Kernel",
    "activation",
    "attention",
    "cells",
    "comparison",
    "convolution",
    "cumulative",
    "einsum",
    "elementwise",
    "indexing",
    "joining",
    "linalg",
    "loss",
    "matmul",
    "normalisation",
    "padding",
    "pooling",
    "recurrent",
    "reduction",
    "registered",
    "shape",
    "softmax",
    "sorting",
    "strides",
    "trigonometric",
]

OURS = frozenset(registered().values())
"""The kernels of this package. Theirs are the only lines of code (`Kernel.inline`) that are ever run: what is registered later, or made by
a `Function` or from one of these with other lines, is called like any function."""
