"""Devices: `"cpu"` is numpy, `"jax"` / `"jax:cpu"` / `"cuda:0"` / `"gpu:0"` / `"tpu:0"` are jax's, `"meta"` has shapes only."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from diffcore.arrays import Array, backend, is_array
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import DeviceError, DTypeError

_JAX = re.compile(r"(jax|jax:cpu|(?:jax:)?(?:cuda|gpu|tpu)(?::\d+)?)\Z")

_EXPECTED = '"cpu" (numpy), "jax", "jax:cpu", "cuda:0", "gpu:0", "tpu:0" or "meta"'


def is_device(text: Any) -> bool:
    """Whether `text` names a device (it need not be there)."""
    return isinstance(text, str) and (text in ("cpu", "meta") or _JAX.match(text) is not None)


def as_dtype(target: Any) -> np.dtype[Any]:
    """`target` as a dtype. Raises `DeviceError` for what is neither a dtype nor a device."""
    try:
        if target is not None:
            return np.dtype(target)
    except TypeError:
        pass
    raise DeviceError(f"{target!r} is neither a dtype nor a device: expected one like `numpy.float32`, or {_EXPECTED}")


def place(array: Array, device: str | None) -> Array:
    """`array` on `device`; where it is already there, the array itself. `None` leaves it. Raises `DeviceError`."""
    if device is None or device == device_of(array):
        return array
    if not is_device(device):
        raise DeviceError(f"device {device!r} is unknown: expected {_EXPECTED}")
    if device == "meta":
        return AbstractArray(tuple(array.shape), array.dtype)
    if isinstance(array, AbstractArray):
        raise DeviceError(f'a "meta" tensor has no data, so it cannot be moved to {device!r}')
    if device == "cpu":
        return np.array(array)  # a copy: what jax lends is read-only
    import jax

    return jax.device_put(array, _jax_device(device))


def _jax_device(device: str) -> Any:
    import jax

    if device == "jax":
        return jax.devices()[0]
    kind, _, number = device.removeprefix("jax:").partition(":")
    try:
        return jax.devices("gpu" if kind == "cuda" else kind)[int(number or 0)]
    except (RuntimeError, IndexError):
        there = ", ".join(f"{d.platform}:{d.id}" for d in jax.devices())
        raise DeviceError(f"device {device!r} is not there; jax has {there}") from None


def device_of(array: Array) -> str:
    """The device of an array as this package spells it."""
    kind = backend(array)
    if kind != "jax":
        return "cpu" if kind == "numpy" else "meta"
    try:
        (device,) = array.devices()
    except Exception:  # a tracer has no device: it lives wherever the compiled program will run
        return "jax"
    return f"jax:{device.platform}" if device.platform == "cpu" else f"{device.platform.replace('gpu', 'cuda')}:{device.id}"


def new_array(data: Any, dtype: Any = None, device: str | None = None) -> Array:
    """A copy of `data` (nested lists, numbers, an array) on `device`, with PyTorch's default dtype for Python floats: float32."""
    if isinstance(data, AbstractArray) or is_array(data) and backend(data) == "jax":
        return place(data if dtype is None else data.astype(dtype), device)
    array = np.array(data, dtype=dtype)
    if dtype is None and array.dtype == np.float64 and not is_array(data) and not _holds_array(data):
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiubc":
        raise DTypeError(f"tensor: cannot make a tensor of {array.dtype} elements from {type(data).__name__}")
    return place(array, device)


def _holds_array(data: Any) -> bool:
    """Whether a nested list has arrays (whose dtype then stands) at its bottom."""
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return is_array(data)
