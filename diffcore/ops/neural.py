"""What layers need beyond the rest: functions of `nn.functional`."""

from __future__ import annotations

from diffcore.errors import ShapeError
from diffcore.kernels import matmul as _m
from diffcore.ops.axes import Tensor
from diffcore.ops.shape import reshape

__all__ = ["linear"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` for `x` `[..., in]`, `weight` `[out, in]`, `bias` `[out]` or `None`."""
    if x.ndim < 2:
        if x.ndim == 0:
            raise ShapeError("linear: `input` needs at least one axis, got ()")
        return reshape(linear(reshape(x, (1, -1)), weight, bias), (-1,))
    return _m.linear_unbiased(x, weight) if bias is None else _m.linear(x, weight, bias)
