"""What data and the numbers that describe it must be: checks that say which value is wrong and where."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore.arrays import random
from diffcore.errors import ArgumentError, DTypeError, ShapeError
from diffcore.seeds import array_under
from diffcore.whole import whole


def check_finite(data: Any, name: str = "data") -> None:
    """Raise `ArgumentError` where the array or tensor `data` holds a NaN or an infinity.

    The message calls the data `name` and says where the first bad value stands (the row is the position along the first axis, the column
    that along the second) and how many there are. Whole numbers and booleans are finite. Raises `DTypeError` for text and objects.
    """
    values = np.asarray(array_under(data))
    if values.dtype.kind not in "biuf":
        raise DTypeError(f"check_finite: `{name}` must be numbers, got elements of {values.dtype}")
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), values.shape))
    axes = ("row", "column")
    where = ", ".join(f"{axes[i] if i < 2 else f'axis {i}'} {at}" for i, at in enumerate(first))
    count, value = int(bad.sum()), float(values[first])
    more = f", the first of {count} values that are not finite" if count > 1 else ""
    raise ArgumentError(f"`{name}` {values.shape} holds {value}{f' at {where}' if where else ''}{more}: remove or replace such rows first")


def check_whole(what: str, name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value` as an integer of at least `least` and at most `most`. Raises `ArgumentError` saying that argument `name` of `what` is not."""
    found = whole(value, least)
    if found is None or (most is not None and found > most):
        expected = f"an integer of {least} or more" if most is None else f"an integer from {least} to {most}"
        raise ArgumentError(f"{what}: `{name}` (={value!r}) must be {expected}")
    return found


def check_spread(what: str, name: str, value: Any) -> float:
    """`value` as a finite number of at least 0. Raises `ArgumentError`."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 <= value < np.inf:
        raise ArgumentError(f"{what}: `{name}` (={value!r}) must be a finite number of 0 or more")
    return float(value)


def check_lengths(what: str, **parts: Any) -> None:
    """Raise `ShapeError` unless all `parts` are equally long, `ArgumentError` where they are empty."""
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        shown = " and ".join(f"`{name}` {np.shape(part)}" for name, part in parts.items())
        raise ShapeError(f"{what}: {shown} disagree: {' != '.join(map(str, lengths.values()))} examples")
    if 0 in lengths.values():
        raise ArgumentError(f"{what}: the data set is empty")


def float_dtype(what: str, dtype: Any) -> np.dtype[Any]:
    """`dtype` as a floating-point dtype. Raises `DTypeError`."""
    found = np.dtype(dtype)
    if found.kind != "f":
        raise DTypeError(f"{what}: `dtype` (={found}) must be a floating-point dtype")
    return found


def generator_of(seed: int | np.random.Generator | None) -> np.random.Generator:
    """The source of random numbers that `seed` names: an integer starts a new one, a generator is taken on, `None` is the shared one."""
    if seed is None:
        return random.default_generator()
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(check_whole("seeding", "seed", seed, 0))
