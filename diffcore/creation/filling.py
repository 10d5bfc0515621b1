"""Tensors of one value, of ones on a diagonal, and of evenly spaced numbers."""

from __future__ import annotations

import math
from typing import Any, TypeVar, Unpack

import numpy as np

from diffcore.arrays import devices, is_array
from diffcore.creation.arguments import LikeOptions, Maker, Options, number, size_of, value_fits
from diffcore.dispatch import Boxed
from diffcore.errors import ArgumentError
from diffcore.seeds import array_under
from diffcore.whole import integer

T = TypeVar("T")


class Filling(Maker[T]):
    """`zeros ones full empty eye arange linspace logspace` and `*_like`."""

    def zeros(self, *sizes: Any, size: Any = None, **options: Unpack[Options]) -> T:
        """Zeros of the given size, float32 by default."""
        return self._full("zeros", size_of("zeros", sizes, size), 0, **options)

    def ones(self, *sizes: Any, size: Any = None, **options: Unpack[Options]) -> T:
        """Ones of the given size, float32 by default."""
        return self._full("ones", size_of("ones", sizes, size), 1, **options)

    def empty(self, *sizes: Any, size: Any = None, **options: Unpack[Options]) -> T:
        """A tensor of the given size whose values are whatever the memory held, float32 by default."""
        shape = size_of("empty", sizes, size)
        return self._made("empty", shape, lambda dtype: np.empty(shape, dtype), **options)

    def full(self, size: Any, fill_value: Any, **options: Unpack[Options]) -> T:
        """`fill_value` everywhere; its type sets the default dtype: bool, int64 or float32."""
        value = number("full", "fill_value", fill_value)
        default = np.bool_ if isinstance(value, bool) else np.int64 if isinstance(value, int) else np.float32
        return self._full("full", size_of("full", (size,)), value, default, **options)

    def _full(self, op: str, shape: tuple[int, ...], value: Any, default: Any = np.float32, **options: Unpack[Options]) -> T:
        def build(dtype: np.dtype[Any]) -> Any:
            value_fits(op, value, dtype)
            return np.zeros(shape, dtype) if value == 0 else np.full(shape, value, dtype)

        return self._made(op, shape, build, default, **options)

    def zeros_like(self, input: Any, **options: Unpack[LikeOptions]) -> T:
        """Zeros of the shape, dtype and device of `input`."""
        return self.full_like(input, 0, **options)

    def ones_like(self, input: Any, **options: Unpack[LikeOptions]) -> T:
        """Ones of the shape, dtype and device of `input`."""
        return self.full_like(input, 1, **options)

    def full_like(self, input: Any, fill_value: Any, **options: Unpack[LikeOptions]) -> T:
        """`fill_value` everywhere, in the shape, dtype and device of `input`."""
        shape, complete = like("full_like", input, options)
        return self._full("full_like", shape, number("full_like", "fill_value", fill_value), **complete)

    def empty_like(self, input: Any, **options: Unpack[LikeOptions]) -> T:
        """Whatever the memory held, in the shape, dtype and device of `input`."""
        shape, complete = like("empty_like", input, options)
        return self.empty(shape, **complete)

    def eye(self, n: int, m: int | None = None, **options: Unpack[Options]) -> T:
        """`[n, m]` with ones on the diagonal (`m` is `n` by default), float32 by default."""
        rows, columns = integer("eye", "n", n), integer("eye", "m", n if m is None else m)
        for name, value in (("n", rows), ("m", columns)):
            if value < 0:
                raise ArgumentError(f"eye: `{name}` must be greater or equal to 0, got {value}")
        return self._made("eye", (rows, columns), lambda dtype: np.eye(rows, columns, dtype=dtype), **options)

    def arange(self, start: Any = 0, end: Any = None, step: Any = 1, **options: Unpack[Options]) -> T:
        """`start, start + step, ...` up to but without `end`; `arange(end)` starts at 0. int64 for integers, else float32.

        Raises `ArgumentError` for a step of 0, one that leads away from `end`, and bounds that are not finite.
        """
        if end is None:
            start, end = 0, start
        start, end, step = number("arange", "start", start), number("arange", "end", end), number("arange", "step", step)
        if step == 0:
            raise ArgumentError("arange: step must be nonzero")
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ArgumentError(f"arange: unsupported range: {start} -> {end}")
        if (end - start) * step < 0:
            raise ArgumentError(f"arange: upper bound and lower bound inconsistent with step sign: {start} -> {end} by {step}")
        if all(isinstance(value, int) for value in (start, end, step)):
            n = max(0, -((start - end) // step))
            return self._made("arange", (n,), lambda dtype: np.arange(start, end, step, dtype=np.int64).astype(dtype), np.int64, **options)
        n = math.ceil((end - start) / step)
        return self._made("arange", (n,), lambda dtype: (start + step * np.arange(n, dtype=np.float64)).astype(dtype), **options)

    def linspace(self, start: Any, end: Any, steps: int, **options: Unpack[Options]) -> T:
        """`steps` evenly spaced numbers from `start` to `end`, both included, float32 by default."""
        first, last, n = _line("linspace", start, end, steps)
        return self._made("linspace", (n,), lambda dtype: _spaced(first, last, n).astype(dtype), **options)

    def logspace(self, start: Any, end: Any, steps: int, base: float = 10.0, **options: Unpack[Options]) -> T:
        """`base` to the power of `steps` evenly spaced numbers from `start` to `end`, both included, float32 by default."""
        first, last, n = _line("logspace", start, end, steps)
        power = float(number("logspace", "base", base))
        return self._made("logspace", (n,), lambda dtype: np.power(power, _spaced(first, last, n)).astype(dtype), **options)


def like(op: str, input: Any, options: Any) -> tuple[tuple[int, ...], Any]:
    """The shape of `input`, and `options` with its dtype and device where none are given. Raises `TypeError`."""
    if not (isinstance(input, Boxed) or is_array(input)):
        raise TypeError(f"{op}: argument `input` must be a Tensor, not {type(input).__name__}")
    array = array_under(input)
    complete = dict(options)
    for name, value in (("dtype", array.dtype), ("device", devices.device_of(array))):
        if complete.get(name) is None:
            complete[name] = value
    return tuple(array.shape), complete


def _line(op: str, start: Any, end: Any, steps: Any) -> tuple[float, float, int]:
    n = integer(op, "steps", steps)
    if n < 0:
        raise ArgumentError(f"{op}: number of steps must be non-negative, got {n}")
    return float(number(op, "start", start)), float(number(op, "end", end)), n


def _spaced(start: float, end: float, n: int) -> Any:
    """Evenly spaced float64, counted from both ends so that both are met exactly and the middle is symmetric."""
    if n < 2:
        return np.full(n, start)
    i, step = np.arange(n), (end - start) / (n - 1)
    return np.where(2 * i < n, start + step * i, end - step * (n - 1 - i))
