"""Pools. Inputs may lack the batch axis."""

from __future__ import annotations

from typing import Any

from diffcore.nn.module import Module
from diffcore.ops import pooling
from diffcore.ops.convolution import Sizes


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element in each window of `[n, c, l]`; arguments as for `MaxPool2d`."""

    def forward(self, x: Any) -> Any:
        return pooling.max_pool1d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)


class MaxPool2d(_MaxPool):
    """The largest element in each window of `[n, c, h, w]`.

    **Arguments:** `kernel_size`, `stride` (by default the window's size), `padding`, `dilation`: a number, or one per axis;
    `return_indices`: also give the positions in the flattened plane; `ceil_mode`: let a last window reach over the end.
    """

    def forward(self, x: Any) -> Any:
        return pooling.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)


class AvgPool1d(Module):
    """The mean of each window of `[n, c, l]`; arguments as for `AvgPool2d`."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = _single(kernel_size), _single(padding)
        self.stride = self.kernel_size if stride is None else _single(stride)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x: Any) -> Any:
        return pooling.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The mean of each window of `[n, c, h, w]`.

    **Arguments:** `kernel_size`, `stride` (by default the window's size), `padding`: a number, or one per axis; `ceil_mode`: let a last
    window reach over the end; `count_include_pad`: padding counts as zeros, rather than not at all; `divisor_override`: divide
    every window's sum by this.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x: Any) -> Any:
        return pooling.avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _single(size: Sizes) -> Sizes:
    return (size,) if isinstance(size, int) else size


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of `output_size` windows over `[n, c, l]`, as equal as can be."""

    def forward(self, x: Any) -> Any:
        return pooling.adaptive_avg_pool1d(x, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of `output_size` windows over `[n, c, h, w]`, as equal as can be; a number, or two, of which `None` keeps an axis."""

    def forward(self, x: Any) -> Any:
        return pooling.adaptive_avg_pool2d(x, self.output_size)


class _AdaptiveMaxPool(_AdaptiveAvgPool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of `output_size` windows over `[n, c, l]`, as equal as can be; with `return_indices` also their positions."""

    def forward(self, x: Any) -> Any:
        return pooling.adaptive_max_pool1d(x, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of `output_size` windows over `[n, c, h, w]`, as equal as can be; with `return_indices` also their positions in the plane."""

    def forward(self, x: Any) -> Any:
        return pooling.adaptive_max_pool2d(x, self.output_size, self.return_indices)
