"""Products of matrices and vectors."""

from __future__ import annotations

from diffcore.errors import ShapeError
from diffcore.kernels import matmul as _m
from diffcore.ops.axes import Tensor
from diffcore.ops.shape import reshape

__all__ = ["matmul"]


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product with PyTorch's rules: vectors are rows or columns as they fit, leading axes are batches."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: both operands need at least one axis, got {tuple(a.shape)} and {tuple(b.shape)}")
    row, column = a.ndim == 1, b.ndim == 1
    out = _m.matmul(reshape(a, (1, -1)) if row else a, reshape(b, (-1, 1)) if column else b)
    if not (row or column):
        return out
    shape = tuple(out.shape)
    return reshape(out, (*shape[:-2], *(() if row else shape[-2:-1]), *(() if column else shape[-1:])))
