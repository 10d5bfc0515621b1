"""What layers and losses need beyond the rest: the functions of `nn.functional`."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import matmul as _m
from diffcore.kernels import padding as _p
from diffcore.ops.arithmetic import add
from diffcore.ops.axes import Tensor
from diffcore.ops.contraction import einsum
from diffcore.ops.shape import reshape

__all__ = ["bilinear", "linear", "pad"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` for `x` `[..., in]`, `weight` `[out, in]`, `bias` `[out]` or `None`."""
    if x.ndim < 2:
        if x.ndim == 0:
            raise ShapeError("linear: `input` needs at least one axis, got ()")
        return reshape(linear(reshape(x, (1, -1)), weight, bias), (-1,))
    return _m.linear_unbiased(x, weight) if bias is None else _m.linear(x, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`out[..., o] = sum_ij input1[..., i] weight[o, i, j] input2[..., j] + bias[o]`. Raises `ShapeError` for shapes that do not fit."""
    shapes = tuple(input1.shape), tuple(input2.shape), tuple(weight.shape)
    fits = len(shapes[2]) == 3 and len(shapes[0]) > 0 and shapes[0][:-1] == shapes[1][:-1]
    if not fits or (shapes[0][-1], shapes[1][-1]) != shapes[2][1:]:
        raise ShapeError(
            f"bilinear: expected `input1` [..., i], `input2` [..., j] and `weight` [o, i, j], got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )
    if bias is not None and tuple(bias.shape) != shapes[2][:1]:
        raise ShapeError(f"bilinear: given `weight` {shapes[2]}, expected `bias` of shape {shapes[2][:1]}, got {tuple(bias.shape)}")
    rows = (-1,) if len(shapes[0]) != 2 else shapes[0][:1]
    out = einsum("ni,oij,nj->no", reshape(input1, (*rows, shapes[2][1])), weight, reshape(input2, (*rows, shapes[2][2])))
    out = out if bias is None else add(out, bias)
    return reshape(out, (*shapes[0][:-1], shapes[2][0]))


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = 0.0) -> Tensor:
    """`input` with borders: `pad` is (before, after) for the last axis, then for the axis before it, and so on.

    **Arguments:** `mode`: `"constant"` (filled with `value`), `"reflect"` (mirrored, the edge itself not repeated), `"replicate"` (the edge
    repeated) or `"circular"`; every mode takes any number of axes. Negative widths crop: in `"circular"` before the borders are copied,
    otherwise afterwards. Raises `ShapeError` for an odd number of widths, more pairs than axes, a border wider than there are elements to
    fill it from, or a result of negative size; `ValueError` for another mode, or a `value` with a mode that takes none.
    """
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(f"pad: `mode` (={mode!r}) must be 'constant', 'reflect', 'replicate' or 'circular'")
    if mode != "constant" and value:
        raise ValueError(f'pad: padding mode "{mode}" doesn\'t take in value argument, got `value` (={value!r})')
    widths = _pairs(pad, tuple(input.shape))
    if mode == "constant" or not widths:
        return _p.pad(input, widths=widths, mode="constant", value=value or 0)
    borders = tuple((max(before, 0), max(after, 0)) for before, after in widths)
    crops = tuple((min(before, 0), min(after, 0)) for before, after in widths)
    if mode == "circular":
        input = _p.pad(input, widths=crops) if crops != _none(widths) else input
    out = _p.pad(input, widths=borders, mode=mode)
    return _p.pad(out, widths=crops) if mode != "circular" and crops != _none(widths) else out


def _none(widths: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return ((0, 0),) * len(widths)


def _pairs(pad: Sequence[int], shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """PyTorch's list of widths, last axis first, as a pair for each of the last axes in order."""
    try:
        flat = tuple(operator.index(n) for n in pad)
    except TypeError:
        raise DTypeError(f"pad: `pad` (={pad!r}) must be a sequence of whole numbers, two for each padded axis") from None
    if len(flat) % 2:
        raise ShapeError(f"pad: padding length must be divisible by 2, got `pad` (={flat})")
    if len(flat) > 2 * len(shape):
        raise ShapeError(f"pad: `pad` (={flat}) has {len(flat) // 2} pairs, but `input` {shape} has only {len(shape)} axes")
    pairs = tuple(zip(flat[::2], flat[1::2], strict=True))[::-1]
    for n, (before, after) in zip(shape[len(shape) - len(pairs) :], pairs, strict=True):
        if n + min(before, 0) + min(after, 0) < 0:
            lost = -min(before, 0) - min(after, 0)
            raise ShapeError(f"pad: `pad` (={flat}) crops more than there is of `input` {shape}: an axis of size {n} cannot lose {lost}")
    return pairs
