"""What layers and losses need beyond the rest: the functions of `nn.functional`."""

from __future__ import annotations

import numpy as np

from diffcore.arrays import is_array
from diffcore.dispatch import unboxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import loss as _l
from diffcore.kernels import matmul as _m
from diffcore.ops.axes import Tensor
from diffcore.ops.shape import permute, reshape

__all__ = ["cross_entropy", "linear"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` for `x` `[..., in]`, `weight` `[out, in]`, `bias` `[out]` or `None`."""
    if x.ndim < 2:
        if x.ndim == 0:
            raise ShapeError("linear: `input` needs at least one axis, got ()")
        return reshape(linear(reshape(x, (1, -1)), weight, bias), (-1,))
    return _m.linear_unbiased(x, weight) if bias is None else _m.linear(x, weight, bias)


def cross_entropy(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Cross-entropy of unnormalised `input` `[n, c]`, `[c]` or `[n, c, d1, ...]` and class indices `target` of that shape without `c`."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"cross_entropy: `reduction` (={reduction!r}) must be 'none', 'mean' or 'sum'")
    target = unboxed(target)
    target = target if is_array(target) else np.asarray(target)
    if target.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: expected `target` to hold class indices (an integer dtype), got {target.dtype}")
    if input.ndim == 2:
        return _l.cross_entropy(input, target, reduction=reduction)
    shape = tuple(input.shape)
    if not shape:
        raise ShapeError("cross_entropy: `input` needs at least one axis, got ()")
    expected = shape[:-1] if len(shape) == 1 else (shape[0], *shape[2:])
    if tuple(target.shape) != expected:
        raise ShapeError(f"cross_entropy: expected `target` of shape {expected} for `input` {shape}, got {tuple(target.shape)}")
    if input.ndim > 2:
        input = permute(input, (0, *range(2, input.ndim), 1))
    losses = _l.cross_entropy(reshape(input, (-1, input.shape[-1])), target.reshape(-1), reduction=reduction)
    return reshape(losses, expected) if reduction == "none" else losses
