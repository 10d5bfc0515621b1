"""Casts and moves of a module's tensors, in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from diffcore.arrays import devices, is_float
from diffcore.dispatch import Boxed
from diffcore.errors import DiffError


class Moves:
    """`to type cpu cuda half float double` of a module."""

    # what a module provides
    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        raise NotImplementedError

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        raise NotImplementedError

    def to(self, *targets: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Self:
        """Cast (`dtype`) or move (`device`) all parameters and buffers in place, gradients with them; a cast leaves integers alone.

        What is wanted is told by its kind, `net.to("cuda:0", numpy.float64)`, by a tensor that has both, or named. `non_blocking` is
        accepted and changes nothing. Raises `DeviceError` and `DiffError`; then nothing has changed.
        """
        for target in targets:
            if isinstance(target, Boxed):
                device, dtype = target.device, target.dtype  # type: ignore[attr-defined]  # tensors have them
            elif devices.is_device(target):
                device = target
            elif not isinstance(target, bool):
                dtype = devices.as_dtype(target)
        if device is not None:
            device = devices.checked(device)
            devices.place(np.empty(0), device)  # an error comes before anything is moved
        if dtype is not None:
            dtype = devices.as_dtype(dtype)
            if not is_float(dtype):
                raise DiffError(f"{type(self).__name__}.to only accepts floating point dtypes, got {dtype}")
        for tensor in self._tensors():
            _convert(tensor, device, dtype if tensor.is_floating_point() else None)
        return self

    def type(self, dst_type: Any) -> Self:
        """Cast all parameters and buffers, integers too, to a floating-point dtype in place."""
        dtype = devices.as_dtype(dst_type)
        if not is_float(dtype) and any(parameter.requires_grad for parameter in self.parameters()):
            raise DiffError(f"{type(self).__name__}.type: only floating point dtypes can require gradients, got {dtype}")
        for tensor in self._tensors():
            _convert(tensor, None, dtype)
        return self

    def _tensors(self) -> list[Any]:
        return [*self.parameters(), *self.buffers()]

    def cpu(self) -> Self:
        """Move everything to the CPU, where arrays are numpy's."""
        return self.to("cpu")

    def cuda(self, device: int = 0) -> Self:
        """Move everything to a GPU."""
        return self.to(f"cuda:{device}")

    def half(self) -> Self:
        """Cast everything that is floating point to float16."""
        return self.to(np.float16)

    def double(self) -> Self:
        """Cast everything that is floating point to float64."""
        return self.to(np.float64)

    def float(self) -> Self:
        """Cast everything that is floating point to float32."""
        return self.to(np.float32)


def _convert(tensor: Any, device: Any, dtype: Any) -> None:
    """Move and cast a parameter or buffer in place, its gradient with it."""
    gradient = tensor.grad
    tensor.data = tensor.detach().to(device=device, dtype=dtype)
    if gradient is not None:
        tensor.grad = gradient.to(device=device, dtype=dtype)
