"""Convolutions and transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from diffcore.errors import ShapeError
from diffcore.nn import initial
from diffcore.ops import convolution, neural
from diffcore.ops.convolution import Sizes, sizes_of

_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class _Convolution(initial.Initialised):
    """What all convolutions have: sizes, and parameters drawn from U(-b, b) with `b = 1 / sqrt(weight.shape[1] * taps)`."""

    rank: ClassVar[int]
    transposed: ClassVar[bool] = False
    _op: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: Sizes | str,
        dilation: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        output_padding: Sizes,
        device: str | None,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        in_channels, out_channels, groups = initial.checked_counts(
            name, in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        for argument, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name}: `{argument}` (={channels}) must be divisible by `groups` (={groups})")
        if padding_mode not in _MODES:
            modes = ", ".join(map(repr, _MODES))
            raise ValueError(f"{name}: `padding_mode` (={padding_mode!r}) must be one of {modes}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, self.rank, 1)
        self.stride = sizes_of(name, "stride", stride, self.rank, 1)
        self.dilation = sizes_of(name, "dilation", dilation, self.rank, 1)
        self.output_padding = sizes_of(name, "output_padding", output_padding, self.rank, 0)
        self.padding: tuple[int, ...] | str = padding if isinstance(padding, str) else sizes_of(name, "padding", padding, self.rank, 0)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"{name}: `padding` (={padding!r}) must be an int, a sequence of ints, 'same' or 'valid'")
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(f"{name}: padding='same' is not supported for strided convolutions, got `stride` {self.stride}")
        self.padding_mode = padding_mode
        self._biased = bool(bias)
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        first, second = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        shape = (first, second // self.groups, *self.kernel_size)
        bound = initial.fan_in_bound(math.prod(shape[1:]))
        return {
            "weight": initial.uniform(bound, shape, device, dtype),
            "bias": initial.uniform(bound, (self.out_channels,), device, dtype) if self._biased else None,
        }

    def extra_repr(self) -> str:
        none = (0,) * self.rank
        bias = self._parameters["bias"] is None
        shown = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        shown += [f"padding={self.padding}"] if self.padding != none else []
        shown += [f"dilation={self.dilation}"] if self.dilation != (1,) * self.rank else []
        shown += [f"output_padding={self.output_padding}"] if self.output_padding != none else []
        shown += [f"groups={self.groups}"] if self.groups != 1 else []
        shown += ["bias=False"] if bias else []
        shown += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join(shown)


class _Forward(_Convolution):
    """A convolution; see `Conv2d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, 0, device, dtype)
        self._borders: tuple[int, ...] | None = None
        if padding_mode != "zeros":
            self._borders = tuple(n for pair in reversed(self._pairs()) for n in pair)

    def _pairs(self) -> list[tuple[int, int]]:
        """Borders before and after each spatial axis."""
        if isinstance(self.padding, tuple):
            return [(n, n) for n in self.padding]
        totals = [d * (k - 1) if self.padding == "same" else 0 for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]

    def forward(self, x: Any) -> Any:
        own, padding = self._parameters, self.padding
        if self._borders is not None:
            x, padding = neural.pad(x, self._borders, _MODES[self.padding_mode]), 0  # type: ignore[assignment]
        return type(self)._op(x, own["weight"], own["bias"], self.stride, padding, self.dilation, self.groups)


class Conv1d(_Forward):
    """Cross-correlation of `[n, in_channels, l]` (`n` may be missing); `weight` `[out_channels, in_channels / groups, k]`, `bias` `[out]`.

    Arguments as for `Conv2d`.
    """

    rank = 1
    _op = staticmethod(convolution.conv1d)


class Conv2d(_Forward):
    """Cross-correlation of `[n, in_channels, h, w]` (`n` may be missing) with `weight` `[out_channels, in_channels / groups, kh, kw]`.

    An axis of `n` elements becomes one of `floor((n + 2 padding - dilation (k - 1) - 1) / stride) + 1`. Weight and `bias` `[out_channels]`
    are drawn from U(-b, b) with `b = 1 / sqrt(in_channels / groups * kh * kw)`.

    **Arguments:** `kernel_size`, `stride`, `padding`, `dilation`: a number, or one per axis; `padding` also "same" (the size stays) or
    "valid" (none); `groups`: of channels that do not mix; `padding_mode`: what the borders hold, "zeros", "reflect", "replicate" or
    "circular". Raises `ValueError` for sizes that cannot be.
    """

    rank = 2
    _op = staticmethod(convolution.conv2d)


class Conv3d(_Forward):
    """Cross-correlation of `[n, in_channels, d, h, w]` (`n` may be missing); `weight` `[out_channels, in_channels / groups, kd, kh, kw]`.

    Arguments as for `Conv2d`.
    """

    rank = 3
    _op = staticmethod(convolution.conv3d)


class _Transposed(_Convolution):
    """A transposed convolution; see `ConvTranspose2d`."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'{type(self).__name__}: only "zeros" padding mode is supported, got `padding_mode` (={padding_mode!r})')
        if isinstance(padding, str):
            raise TypeError(f"{type(self).__name__}: `padding` (={padding!r}) must be an int or a sequence of {self.rank} ints")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            output_padding,
            device,
            dtype,
        )

    def forward(self, x: Any, output_size: Sequence[int] | None = None) -> Any:
        own = self._parameters
        extra = self.output_padding if output_size is None else self._extra(x, output_size)
        return type(self)._op(x, own["weight"], own["bias"], self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, x: Any, output_size: Sequence[int]) -> tuple[int, ...]:
        """The `output_padding` with which the spatial axes get the sizes `output_size`."""
        name, wanted = type(self).__name__, tuple(output_size)
        if len(wanted) == x.ndim:
            wanted = wanted[x.ndim - self.rank :]
        if len(wanted) != self.rank:
            raise ShapeError(f"{name}: `output_size` (={output_size!r}) must have {self.rank} or {x.ndim} entries")
        spatial = x.shape[x.ndim - self.rank :]
        sizes = zip(spatial, self.stride, map(int, self.padding), self.dilation, self.kernel_size, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in sizes]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not low <= n <= high for low, n, high in zip(least, wanted, most, strict=True)):
            raise ShapeError(
                f"{name}: requested an output size of {wanted}, but valid sizes range from {least} to {most} (for an input of "
                f"{tuple(spatial)})"
            )
        return tuple(n - low for n, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_Transposed):
    """The adjoint of `Conv1d` in its input: `[n, in_channels, l]` (`n` may be missing); `weight` `[in_channels, out_channels / groups, k]`.

    Arguments as for `ConvTranspose2d`.
    """

    rank = 1
    _op = staticmethod(convolution.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """The adjoint of `Conv2d` in its input, for `[n, in_channels, h, w]` (`n` may be missing).

    An axis of `n` elements becomes one of `(n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`; a call may name the sizes
    wanted instead (`output_size`). `weight` `[in_channels, out_channels / groups, kh, kw]` and `bias` `[out_channels]` are drawn from
    U(-b, b) with `b = 1 / sqrt(out_channels / groups * kh * kw)`. Raises `ValueError` for sizes that cannot be.
    """

    rank = 2
    _op = staticmethod(convolution.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """The adjoint of `Conv3d` in its input, for `[n, in_channels, d, h, w]` (`n` may be missing).

    Arguments as for `ConvTranspose2d`; `weight` `[in_channels, out_channels / groups, kd, kh, kw]`.
    """

    rank = 3
    _op = staticmethod(convolution.conv_transpose3d)
