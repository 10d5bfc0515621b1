"""Tensors of random numbers. What is drawn is constant: no derivative flows to a mean or a probability.

All functions take `generator` (a `Generator`; by default the one of this thread, see `manual_seed`). Equal seeds give equal numbers in
both engines, on every device and, up to rounding, in every dtype.
"""

from __future__ import annotations

from typing import Any, TypeVar, Unpack

import numpy as np

from diffcore.arrays import devices, is_array, is_float, random
from diffcore.creation.arguments import LikeOptions, Maker, Options, check_float, number, size_of
from diffcore.creation.filling import like
from diffcore.dispatch import Boxed
from diffcore.errors import ArgumentError, ShapeError
from diffcore.seeds import array_under
from diffcore.whole import integer

T = TypeVar("T")


class Drawing(Maker[T]):
    """`rand randn randint normal randperm bernoulli multinomial` and `*_like`."""

    def rand(self, *sizes: Any, size: Any = None, generator: Any = None, **options: Unpack[Options]) -> T:
        """Uniform numbers in [0, 1), float32 by default."""
        shape, source = size_of("rand", sizes, size), random.checked(generator)
        return self._made("rand", shape, lambda dtype: random.uniform(0, 1, shape, dtype, source), floats=True, **options)

    def randn(self, *sizes: Any, size: Any = None, generator: Any = None, **options: Unpack[Options]) -> T:
        """Standard normal numbers, float32 by default."""
        shape, source = size_of("randn", sizes, size), random.checked(generator)
        return self._made("randn", shape, lambda dtype: random.normal(shape, dtype, source), floats=True, **options)

    def randint(self, *bounds: Any, size: Any = None, high: Any = None, low: Any = None, generator: Any = None, **options: Any) -> T:
        """`randint(high, size)` or `randint(low, high, size)`: uniform integers in [low, high), int64 by default.

        Raises `ArgumentError` for an empty range, and for one that the dtype does not hold.
        """
        given = list(bounds)
        if size is None and given and len(given) + (high is not None) + (low is not None) > 1:
            size = given.pop()
        if high is None and given:
            high = given.pop()
        if low is None and given:
            low = given.pop()
        if given or high is None or size is None:
            raise TypeError("randint: expected `randint(high, size)` or `randint(low, high, size)`")
        return self._integers("randint", 0 if low is None else low, high, size_of("randint", (size,)), generator, **options)

    def _integers(self, op: str, low: Any, high: Any, shape: tuple[int, ...], generator: Any, **options: Any) -> T:
        first, stop, source = integer(op, "low", low), integer(op, "high", high), random.checked(generator)
        if first >= stop:
            raise ArgumentError(f"{op}: expected `low` to be less than `high`, but got low={first} >= high={stop}")

        def build(dtype: np.dtype[Any]) -> Any:
            span = (0, 1) if dtype == np.bool_ else None if is_float(dtype) else (np.iinfo(dtype).min, np.iinfo(dtype).max)
            if span is not None and not span[0] <= first <= stop - 1 <= span[1]:
                raise ArgumentError(f"{op}: low={first} or high - 1={stop - 1} is out of bounds for {dtype}")
            return random.integers(first, stop, shape, source).astype(dtype)

        return self._made(op, shape, build, np.int64, **options)

    def rand_like(self, input: Any, *, generator: Any = None, **options: Unpack[LikeOptions]) -> T:
        """Uniform numbers in [0, 1) in the shape, dtype and device of `input`."""
        shape, complete = like("rand_like", input, options)
        return self.rand(shape, generator=generator, **complete)

    def randn_like(self, input: Any, *, generator: Any = None, **options: Unpack[LikeOptions]) -> T:
        """Standard normal numbers in the shape, dtype and device of `input`."""
        shape, complete = like("randn_like", input, options)
        return self.randn(shape, generator=generator, **complete)

    def randint_like(self, input: Any, low: Any, high: Any = None, *, generator: Any = None, **options: Unpack[LikeOptions]) -> T:
        """Uniform integers in [low, high), or in [0, low) where one bound is given, in the shape, dtype and device of `input`."""
        low, high = (0, low) if high is None else (low, high)
        shape, complete = like("randint_like", input, options)
        return self._integers("randint_like", low, high, shape, generator, **complete)

    def normal(self, mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, **options: Unpack[Options]) -> T:
        """Normal numbers of the given mean and standard deviation, each a number or a tensor.

        Two numbers need a `size`; tensors broadcast and set the shape, and the dtype is theirs. Raises `ArgumentError` for a negative
        deviation, `ShapeError` where the shapes do not broadcast.
        """
        source, arrays = random.checked(generator), [array_under(x) for x in (mean, std) if isinstance(x, Boxed) or is_array(x)]
        if arrays:
            if size is not None:
                raise TypeError("normal: `size` is for a `mean` and `std` that are numbers; tensors have their shape")
            shape = _broadcast([tuple(x.shape) for x in arrays])
            dtype, at = np.result_type(*(x.dtype for x in arrays)), next(iter({devices.device_of(x): 0 for x in arrays}))
            check_float("normal", dtype)
            if options.get("device") is None and options.get("out") is None:
                options["device"] = at
        else:
            if size is None:
                raise TypeError("normal: `size` is needed where `mean` and `std` are numbers")
            shape, dtype = size_of("normal", (size,)), np.dtype(np.float32)
            mean, std = number("normal", "mean", mean), number("normal", "std", std)
            if not std >= 0:
                raise ArgumentError(f"normal expects std >= 0.0, but found std {std}")

        def build(dtype: np.dtype[Any]) -> Any:
            center, spread = (np.asarray(array_under(x), np.float64) for x in (mean, std))
            if not np.all(spread >= 0):
                raise ArgumentError("normal expects all elements of std >= 0.0")
            return (center + spread * random.normal(shape, np.float64, source)).astype(dtype)

        return self._made("normal", shape, build, dtype, floats=True, **options)

    def randperm(self, n: int, *, generator: Any = None, **options: Unpack[Options]) -> T:
        """0 ... n-1 in random order, int64 by default."""
        (count,), source = size_of("randperm", (integer("randperm", "n", n),)), random.checked(generator)
        return self._made("randperm", (count,), lambda dtype: random.permutation(count, source).astype(dtype), np.int64, **options)

    def bernoulli(self, input: Any, p: float | None = None, *, generator: Any = None, out: Any = None) -> T:
        """1 with probability `input` (or `p`, in the shape of `input`), else 0; in the dtype of `input`.

        Raises `ArgumentError` for a probability outside [0, 1], NaN included.
        """
        shape, options = like("bernoulli", input, {})
        check_float("bernoulli", options["dtype"])
        source = random.checked(generator)

        def build(dtype: np.dtype[Any]) -> Any:
            chance = np.asarray(array_under(input), np.float64) if p is None else np.float64(number("bernoulli", "p", p))
            if not np.all((chance >= 0) & (chance <= 1)):  # NaN neither
                raise ArgumentError("bernoulli: expected probabilities in [0, 1]")
            return (random.uniform(0, 1, shape, np.float64, source) < chance).astype(dtype)

        return self._made("bernoulli", shape, build, **(options if out is None else {"out": out}))

    def multinomial(self, input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Any = None) -> T:
        """Positions drawn in proportion to the weights in each row of `input` (`[c]` or `[n, c]`): `[num_samples]` or `[n, num_samples]`.

        Raises `ArgumentError` for weights that are negative, not finite or all zero, and for more samples without replacement than
        there are positive weights; `ShapeError` for other axes.
        """
        shape, options = like("multinomial", input, {})
        check_float("multinomial", options["dtype"])
        n, source = integer("multinomial", "num_samples", num_samples), random.checked(generator)
        if len(shape) not in (1, 2) or shape[-1] == 0:
            raise ShapeError(f"multinomial: `input` must have 1 or 2 axes and at least one category, got shape {shape}")
        if n <= 0:
            raise ArgumentError(f"multinomial: cannot sample num_samples <= 0 samples, got {n}")

        def build(dtype: np.dtype[Any]) -> Any:
            weights = np.asarray(array_under(input), np.float64).reshape(-1, shape[-1])
            _check_weights(weights, n, replacement)
            scaled = weights / weights.max(axis=-1, keepdims=True)  # so that no sum overflows
            return random.categories(scaled, n, replacement, source).reshape(*shape[:-1], n).astype(dtype)

        options = {"dtype": np.int64, "device": options["device"]} if out is None else {"dtype": np.int64, "out": out}
        return self._made("multinomial", (*shape[:-1], n), build, **options)


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"normal: shapes of `mean` {shapes[0]} and `std` {shapes[1]} do not broadcast") from None


def _check_weights(weights: Any, n: int, replacement: bool) -> None:
    if not np.all((weights >= 0) & (weights < np.inf)):
        raise ArgumentError("multinomial: weights contain either `inf`, `nan` or an element < 0")
    least = (weights > 0).sum(axis=-1).min(initial=weights.shape[-1])
    if least == 0:
        raise ArgumentError("multinomial: invalid multinomial distribution (sum of probabilities <= 0)")
    if not replacement and n > least:
        raise ArgumentError(
            f"multinomial: cannot sample num_samples > number of positive weights without replacement: {n} > {least}. "
            f"Did you mean `replacement=True`?"
        )
