"""Convolutions and transposed convolutions, with PyTorch's arguments."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import convolution as _c
from diffcore.ops.arithmetic import add
from diffcore.ops.axes import Tensor
from diffcore.ops.shape import reshape
from diffcore.whole import integer

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

Sizes = int | Sequence[int]


def sizes_of(name: str, argument: str, value: Any, rank: int, least: int) -> tuple[int, ...]:
    """`value` as one whole number per spatial axis. Raises `ValueError` for another length, or below `least`."""
    given = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    try:
        found = tuple(map(operator.index, given))
    except TypeError:
        raise TypeError(f"{name}: `{argument}` (={value!r}) must be an int or a sequence of {rank} ints") from None
    if len(found) not in (1, rank):
        raise ValueError(f"{name}: `{argument}` (={value!r}) must be a single int or a sequence of {rank} to match the spatial dimensions")
    if min(found) < least:
        raise ValueError(f"{name}: `{argument}` (={value!r}) must be at least {least}")
    return found * rank if len(found) == 1 else found


def batched(name: str, input: Tensor, rank: int) -> Tensor:
    """`input` with a batch axis. Raises `ShapeError` unless it has `rank` spatial axes, a channel axis and perhaps a batch axis."""
    if input.ndim == rank + 1:
        return reshape(input, (1, *input.shape))
    if input.ndim != rank + 2:
        raise ShapeError(
            f"{name}: expected {rank + 1}D (unbatched) or {rank + 2}D (batched) `input`, got input of shape {tuple(input.shape)}"
        )
    return input


def _check(name: str, input: Tensor, weight: Tensor, bias: Tensor | None, rank: int, groups: int, transposed: bool) -> None:
    """Raise what is wrong with the operands. A transposed convolution has its input channels in the weight's first axis."""
    if groups < 1:
        raise ValueError(f"{name}: `groups` (={groups}) must be at least 1")
    w = tuple(weight.shape)
    if len(w) != rank + 2:
        raise ShapeError(f"{name}: expected `weight` with {rank + 2} axes, got {w}")
    if w[0] % groups or not w[0]:
        raise ShapeError(f"{name}: `weight` {w} must have a first axis divisible by `groups` (={groups})")
    expected, out = (w[0], w[1] * groups) if transposed else (w[1] * groups, w[0])
    channels = input.shape[-rank - 1]
    if channels != expected:
        raise ShapeError(
            f"{name}: given groups={groups} and `weight` {w}, expected `input` {tuple(input.shape)} to have {expected} channels, "
            f"but got {channels} channels instead"
        )
    if bias is not None and tuple(bias.shape) != (out,):
        raise ShapeError(f"{name}: given `weight` {w}, expected `bias` of shape {(out,)}, got {tuple(bias.shape)}")
    same_dtype(name, input, weight=weight, bias=bias)


def same_dtype(name: str, input: Tensor, **others: Tensor | None) -> None:
    """Raise `DTypeError` unless all `others` have the dtype of `input`, a number type."""
    if input.dtype.kind == "b":
        raise DTypeError(f"{name}: not implemented for bool. Did you mean `input.float()`?")
    for argument, x in others.items():
        if x is not None and x.dtype != input.dtype:
            raise DTypeError(
                f"{name}: `input` has dtype {input.dtype}, but `{argument}` has {x.dtype}: cast one, e.g. `{argument}.to(input.dtype)`"
            )


def _padding(name: str, padding: Any, rank: int, taps: Sequence[int], stride: Any, dilation: Any) -> _c.Pairs:
    if not isinstance(padding, str):
        return tuple((n, n) for n in sizes_of(name, "padding", padding, rank, 0))
    if padding == "valid":
        return ((0, 0),) * rank
    if padding != "same":
        raise ValueError(f"{name}: `padding` (={padding!r}) must be an int, a sequence of ints, 'same' or 'valid'")
    if max(stride) > 1:
        raise ValueError(f"{name}: padding='same' is not supported for strided convolutions, got `stride` {stride}")
    totals = [d * (t - 1) for t, d in zip(taps, dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _conv(
    name: str, rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Any, dilation: Sizes, groups: int
) -> Tensor:
    x = batched(name, input, rank)
    groups = integer(name, "groups", groups)
    _check(name, x, weight, bias, rank, groups, transposed=False)
    steps, gaps = sizes_of(name, "stride", stride, rank, 1), sizes_of(name, "dilation", dilation, rank, 1)
    taps = tuple(weight.shape[2:])
    pairs = _padding(name, padding, rank, taps, steps, gaps)
    padded = tuple(n + lo + hi for n, (lo, hi) in zip(x.shape[2:], pairs, strict=True))
    reach = tuple(d * (t - 1) + 1 for t, d in zip(taps, gaps, strict=True))
    if 0 in taps or any(n < r for n, r in zip(padded, reach, strict=True)):
        raise ShapeError(
            f"{name}: padded input size per channel {padded}, kernel size {reach}: kernel size can't be greater than the input's"
        )
    params = {"stride": steps, "padding": pairs, "dilation": gaps, "groups": groups}
    out = _c.conv_unbiased(x, weight, **params) if bias is None else _c.conv(x, weight, bias, **params)
    return out if x is input else reshape(out, tuple(out.shape[1:]))


def _conv_transpose(
    name: str,
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Tensor:
    x = batched(name, input, rank)
    groups = integer(name, "groups", groups)
    _check(name, x, weight, bias, rank, groups, transposed=True)
    steps, gaps = sizes_of(name, "stride", stride, rank, 1), sizes_of(name, "dilation", dilation, rank, 1)
    cut, extra = sizes_of(name, "padding", padding, rank, 0), sizes_of(name, "output_padding", output_padding, rank, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, gaps, strict=True)):
        raise ValueError(
            f"{name}: `output_padding` (={output_padding!r}) must be smaller than either "
            f"`stride` (={stride!r}) or `dilation` (={dilation!r})"
        )
    whole = tuple((n - 1) * s + d * (t - 1) + 1 for n, s, d, t in zip(x.shape[2:], steps, gaps, weight.shape[2:], strict=True))
    size = tuple(n - 2 * p + e for n, p, e in zip(whole, cut, extra, strict=True))
    if min(size) < 1:
        raise ShapeError(
            f"{name}: given input size per channel {tuple(x.shape[2:])}, calculated output size {size}: output size is too small"
        )
    pairs = tuple((p, p - e) for p, e in zip(cut, extra, strict=True))
    out = _c.conv_transpose(x, weight, stride=steps, padding=pairs, dilation=gaps, groups=groups, size=size)
    if bias is not None:
        out = add(out, reshape(bias, (-1, *(1,) * rank)))
    return out if x is input else reshape(out, tuple(out.shape[1:]))


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Any = 0, dilation: Sizes = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of `input` `[n, c, l]` with `weight` `[o, c / groups, k]`, plus `bias` `[o]`.

    The batch axis may be missing. `padding` is a number of zeros at both ends, one per axis, or "same" or "valid". Raises `ShapeError`,
    `DTypeError` and `ValueError`.
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Any = 0, dilation: Sizes = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of `input` `[n, c, h, w]` with `weight` `[o, c / groups, kh, kw]`, plus `bias` `[o]`.

    The batch axis may be missing. `padding` is a number of zeros at both ends, one per axis, or "same" or "valid". Raises `ShapeError`,
    `DTypeError` and `ValueError`.
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Any = 0, dilation: Sizes = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of `input` `[n, c, d, h, w]` with `weight` `[o, c / groups, kd, kh, kw]`, plus `bias` `[o]`.

    The batch axis may be missing. `padding` is a number of zeros at both ends, one per axis, or "same" or "valid". Raises `ShapeError`,
    `DTypeError` and `ValueError`.
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The adjoint of `conv1d` in its input: `input` `[n, c, l]`, `weight` `[c, o / groups, k]`, plus `bias` `[o]`.

    The batch axis may be missing. `output_padding` adds elements at the end of each axis. Raises as `conv1d` does.
    """
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The adjoint of `conv2d` in its input: `input` `[n, c, h, w]`, `weight` `[c, o / groups, kh, kw]`, plus `bias` `[o]`.

    The batch axis may be missing. `output_padding` adds elements at the end of each axis. Raises as `conv2d` does.
    """
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The adjoint of `conv3d` in its input: `input` `[n, c, d, h, w]`, `weight` `[c, o / groups, kd, kh, kw]`, plus `bias` `[o]`.

    The batch axis may be missing. `output_padding` adds elements at the end of each axis. Raises as `conv3d` does.
    """
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
