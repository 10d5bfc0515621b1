"""Tensors around data that is there already, and the typed constructors."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from diffcore.arrays import devices, is_array
from diffcore.creation.arguments import Maker, dtype_of, size_of
from diffcore.dispatch import Boxed, mixed_engines
from diffcore.dtypes import TYPE_NAMES
from diffcore.errors import DTypeError
from diffcore.whole import whole

T = TypeVar("T")


class Wrapping(Maker[T]):
    """`as_tensor asarray from_numpy`, `is_tensor numel is_floating_point`, and `FloatTensor` and its kind."""

    def from_numpy(self, array: Any) -> T:
        """A tensor around a numpy array, sharing its memory. Raises `TypeError` for anything else, `DTypeError` for text and objects."""
        if not isinstance(array, np.ndarray):
            raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
        if array.dtype.kind not in "biuf":
            raise DTypeError(f"from_numpy: cannot make a tensor of {array.dtype} elements")
        return self.kind(array)

    def as_tensor(self, data: Any, dtype: Any = None, device: str | None = None) -> T:
        """`data` as a tensor: a tensor as it is, derivative included, an array without copying, else a copy. A change of dtype is
        recorded.
        """
        if isinstance(data, self.kind):
            made: Any = data if dtype is None else data.to(dtype_of("as_tensor", dtype))
            return made if device is None else made.to(device)
        if isinstance(data, Boxed):
            if not data.is_constant:
                raise mixed_engines(self.kind.engine, data.engine)
            data = data.array  # type: ignore[attr-defined]
        if not is_array(data):
            return self.kind(devices.new_array(data, dtype, device))
        if dtype is not None and data.dtype != dtype_of("as_tensor", dtype):
            data = data.astype(dtype)
        return self.kind(devices.place(data, device))

    def asarray(
        self, obj: Any, *, dtype: Any = None, device: str | None = None, copy: bool | None = None, requires_grad: bool = False
    ) -> T:
        """`obj` as a tensor that is a leaf. `copy`: always (`True`), never (`False`, which raises `ValueError` where one is needed), or
        where needed (`None`).
        """
        if isinstance(obj, Boxed):
            obj = obj.array  # type: ignore[attr-defined]
        made = self.as_tensor(obj, dtype, device)
        shares = made.array is obj  # type: ignore[attr-defined]
        if copy is False and not shares:
            raise ValueError("asarray: cannot share memory with `obj` in this dtype and on this device; `copy=None` copies where needed")
        if copy and shares:
            made = self.kind(devices.new_array(obj))
        return made.requires_grad_() if requires_grad else made  # type: ignore[attr-defined]

    def is_tensor(self, obj: Any) -> bool:
        """Whether `obj` is a tensor of this engine."""
        return isinstance(obj, self.kind)

    def is_floating_point(self, input: Any) -> bool:
        """Whether the elements of `input` are floating-point numbers."""
        return input.is_floating_point()

    def numel(self, input: Any) -> int:
        """Number of elements."""
        return input.numel()

    # PyTorch's typed constructors: `FloatTensor([1, 2])` of values, `FloatTensor(2, 3)` of a size
    def HalfTensor(self, *data: Any) -> T:
        """float16 values, or an empty tensor of a size."""
        return self._typed("HalfTensor", data)

    def FloatTensor(self, *data: Any) -> T:
        """float32 values, or an empty tensor of a size."""
        return self._typed("FloatTensor", data)

    def DoubleTensor(self, *data: Any) -> T:
        """float64 values, or an empty tensor of a size."""
        return self._typed("DoubleTensor", data)

    def CharTensor(self, *data: Any) -> T:
        """int8 values, or an empty tensor of a size."""
        return self._typed("CharTensor", data)

    def ShortTensor(self, *data: Any) -> T:
        """int16 values, or an empty tensor of a size."""
        return self._typed("ShortTensor", data)

    def IntTensor(self, *data: Any) -> T:
        """int32 values, or an empty tensor of a size."""
        return self._typed("IntTensor", data)

    def LongTensor(self, *data: Any) -> T:
        """int64 values, or an empty tensor of a size."""
        return self._typed("LongTensor", data)

    def ByteTensor(self, *data: Any) -> T:
        """uint8 values, or an empty tensor of a size."""
        return self._typed("ByteTensor", data)

    def BoolTensor(self, *data: Any) -> T:
        """bool values, or an empty tensor of a size."""
        return self._typed("BoolTensor", data)

    def _typed(self, name: str, data: tuple[Any, ...]) -> T:
        dtype: np.dtype[Any] = TYPE_NAMES[name]
        if len(data) == 1 and (isinstance(data[0], Boxed) or whole(data[0]) is None):
            (values,) = data
            return self.kind(devices.new_array(values.array if isinstance(values, Boxed) else values, dtype))  # type: ignore[attr-defined]
        shape = size_of(name, data) if data else (0,)
        return self.kind(np.empty(shape, dtype))
