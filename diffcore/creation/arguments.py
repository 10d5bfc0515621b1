"""What the functions that make tensors have in common: sizes, dtypes, `out`, devices, and the last step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypedDict, TypeVar

import numpy as np

from diffcore import aliasing
from diffcore.arrays import devices, is_array, is_float
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import ArgumentError, DeviceError, DTypeError, GradientError, ShapeError
from diffcore.seeds import array_under
from diffcore.whole import integer

T = TypeVar("T")


class LikeOptions(TypedDict, total=False):
    """`dtype`; `device` by name; `requires_grad`: make the result a variable."""

    dtype: Any
    device: str | None
    requires_grad: bool


class Options(LikeOptions, total=False):
    """Also `out`: a tensor of the result's shape, which receives the values and is returned."""

    out: Any


def size_of(op: str, sizes: tuple[Any, ...], size: Any = None) -> tuple[int, ...]:
    """The shape given as `op(2, 3)`, `op((2, 3))` or `op(size=(2, 3))`. Raises `TypeError`, `ShapeError`."""
    if size is not None:
        if sizes:
            raise TypeError(f"{op}: got multiple values for argument `size`")
        sizes = (size,)
    if not sizes:
        raise TypeError(f"{op}: missing 1 required argument: `size`")
    given = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) and not isinstance(sizes[0], str) else sizes
    shape = tuple(integer(op, "size", n, "a tuple of ints") for n in given)
    if any(n < 0 for n in shape):
        raise ShapeError(f"{op}: dimension size must be non-negative, got `size` {list(shape)}")
    return shape


def number(op: str, name: str, value: Any) -> Any:
    """`value` as a Python number; tensors and arrays of one element are read. Raises `TypeError`."""
    value = array_under(value)
    if is_array(value) and value.size == 1:
        value = value.item()
    if isinstance(value, bool | int | float):
        return value
    raise TypeError(f"{op}: argument `{name}` must be a number, not {type(value).__name__}")


def dtype_of(op: str, dtype: Any) -> np.dtype[Any]:
    """`dtype` as one that tensors have. Raises `DTypeError`."""
    try:
        found = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "biuf" and not is_float(found):
        raise DTypeError(f"{op}: argument `dtype` must be a dtype such as `float32` or `int64`, not {dtype!r}")
    return found


def check_float(op: str, dtype: Any) -> None:
    """Raises `DTypeError` unless `dtype` is a floating-point one."""
    if not is_float(dtype):
        raise DTypeError(f"{op}: expected a floating-point dtype, got {dtype}")


class Maker(Generic[T]):
    """Base of what makes tensors of class `kind`."""

    def __init__(self, kind: type[T]) -> None:
        self.kind: Any = kind

    def _made(
        self,
        op: str,
        shape: tuple[int, ...],
        build: Callable[[np.dtype[Any]], Any],
        default: Any = np.float32,
        *,
        floats: bool = False,
        out: Any = None,
        dtype: Any = None,
        device: str | None = None,
        requires_grad: bool = False,
    ) -> T:
        """A tensor of `build(dtype)`, a numpy array of shape `shape`, or `out` holding it. Every argument is checked before `build` runs.

        `floats`: whether only floating-point dtypes will do. On `"meta"` nothing is built.
        """
        if dtype is not None:
            chosen = dtype_of(op, dtype)
        else:
            chosen = np.dtype(default) if out is None else out.dtype
        if floats:
            check_float(op, chosen)
        if requires_grad and not is_float(chosen):
            raise GradientError(f"only Tensors of floating point dtype can require gradients, got {chosen}")
        if out is None:
            target = None if device is None else devices.checked(device)
            if target == "meta":
                made = self.kind(AbstractArray(shape, chosen))
            else:
                devices.place(np.empty(0, bool), target)  # an error comes before any number is drawn
                made = self.kind(devices.place(build(chosen), target))
        else:
            made = self._filled(op, out, shape, build, None if dtype is None else chosen, device)
        return made.requires_grad_() if requires_grad else made

    def _filled(self, op: str, out: Any, shape: tuple[int, ...], build: Callable[[np.dtype[Any]], Any], dtype: Any, device: Any) -> T:
        """`out`, changed in place to what is built. Raises before anything changes."""
        if not isinstance(out, self.kind):
            raise TypeError(f"{op}: argument `out` must be a Tensor, not {type(out).__name__}")
        if isinstance(unboxed(out), Boxed):
            raise GradientError(
                f"{op}: functions with out=... arguments don't support automatic differentiation, but `out` requires grad. "
                f"Did you mean `out.data`?"
            )
        if tuple(out.shape) != shape:
            raise ShapeError(f"{op}: `out` has shape {tuple(out.shape)}, but the result has shape {shape}")
        if dtype is not None and out.dtype != dtype:
            raise DTypeError(f"{op}: dtype {dtype} does not match dtype of `out` ({out.dtype})")
        if device is not None and out.device != device:
            raise DeviceError(f"{op}: device {str(device)!r} does not match device of `out` ({str(out.device)!r})")
        if isinstance(out.array, AbstractArray):
            return out
        return aliasing.change(out, op, out._like(devices.place(build(out.dtype), out.device)))


def value_fits(op: str, value: Any, dtype: np.dtype[Any]) -> None:
    """Raises `ArgumentError` where the integer `value` is out of the range of the integer `dtype`."""
    if dtype.kind in "iu" and isinstance(value, int):
        span = np.iinfo(dtype)
        if not span.min <= value <= span.max:
            raise ArgumentError(f"{op}: value {value} cannot be converted to type {dtype} without overflow")
