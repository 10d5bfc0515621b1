"""Devices: `"cpu"` is numpy, `"jax"` / `"jax:cpu"` / `"cuda:0"` / `"gpu:0"` / `"tpu:0"` are jax's, `"meta"` has shapes only."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

from diffcore.arrays import Array, backend, is_array
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import DeviceError, DTypeError

_JAX = re.compile(r"(jax|jax:cpu|(?:jax:)?(?:cuda|gpu|tpu)(?::\d+)?)\Z")

_EXPECTED = '"cpu" (numpy), "jax", "jax:cpu", "cuda:0", "gpu:0", "tpu:0" or "meta"'


class device(str):
    """A device by name, `device("cuda:0")` or `device("cuda", 0)`: equal to the plain text, printed by `repr` as in PyTorch.

    `type` is its kind and `index` its number, or `None`. The device need not be there. Raises `DeviceError` for an unknown name.
    """

    __slots__ = ()

    def __new__(cls, type: str | int, index: int | None = None) -> device:
        text = f"cuda:{type}" if isinstance(type, int) else str(type)
        if index is not None:
            if _parts(text)[1] is not None:
                raise DeviceError(f"type (string) must not include an index because index was passed explicitly: {text}")
            text = f"{text}:{index}"
        return super().__new__(cls, checked(text))

    @property
    def type(self) -> str:
        """The device without its number: `"cuda"` for `"cuda:0"`."""
        return _parts(self)[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]  # `str.index` is of no use on the name of a device
        """The number of the device among those of its type; `None` where none is named."""
        return _parts(self)[1]

    def __repr__(self) -> str:
        kind, number = _parts(self)
        return f"device(type={kind!r})" if number is None else f"device(type={kind!r}, index={number})"

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (str(self),)


def _parts(text: str) -> tuple[str, int | None]:
    """Type and number of a device."""
    kind, _, number = text.rpartition(":")
    return (kind, int(number)) if number.isdecimal() else (str(text), None)


def checked(text: Any) -> str:
    """`text`, which must name a device. Raises `DeviceError`."""
    if not is_device(text):
        raise DeviceError(f"device {text!r} is unknown: expected {_EXPECTED}")
    return text


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
    device = str(checked(device))  # messages show the plain text
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


def gpu_count() -> int:
    """How many GPUs jax sees. Loads jax."""
    try:
        import jax

        return len(jax.devices("gpu"))
    except (ImportError, RuntimeError):  # jax has its own error for a platform that is not there, a RuntimeError
        return 0


CPU, META = device("cpu"), device("meta")
_named = lru_cache(device)


def device_of(array: Array) -> device:
    """The device of an array as this package spells it."""
    kind = backend(array)
    if kind != "jax":
        return CPU if kind == "numpy" else META
    try:
        (held,) = array.devices()
    except Exception:  # a tracer has no device: it lives wherever the compiled program will run
        return _named("jax")
    return _named(f"jax:{held.platform}" if held.platform == "cpu" else f"{held.platform.replace('gpu', 'cuda')}:{held.id}")


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
