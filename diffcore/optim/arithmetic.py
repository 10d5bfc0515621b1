"""The arithmetic that updates are written with: into memory that is there already on numpy, into new arrays on jax.

An augmented assignment (`x *= y`) does both by itself. The functions here are for what has no such operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from diffcore.arrays import is_contiguous, is_mutable, namespace
from diffcore.ledger import spans

STRETCH = 1 << 15
"""Elements that are updated at a time: few enough to stay in the cache, with what is made of them."""


def by_stretches(update: Callable[..., Any], entry: dict[str, Any], value: Any, gradient: Any) -> Any:
    """The new value, `update(entry, value, gradient)`, where that works element by element and in the memory of what it is given.

    On numpy it is done stretch by stretch: memory is passed over once, however many operations there are, and what they make
    is as small as a stretch. `entry` is the state of the parameter: arrays shaped like it, and numbers.
    """
    if value.size <= STRETCH or not is_mutable(value):
        return update(entry, value, gradient)
    moments = {name: x for name, x in entry.items() if x.shape == value.shape}
    if not all(map(is_contiguous, (value, gradient, *moments.values()))):
        return update(entry, value, gradient)
    flat, slopes = value.reshape(-1), gradient.reshape(-1)
    moments = {name: x.reshape(-1) for name, x in moments.items()}
    for start, stop in spans(value.size, STRETCH, value):
        at = slice(start, stop)
        update({**entry, **{name: x[at] for name, x in moments.items()}}, flat[at], slopes[at])
    return value


def product(x: Any, y: Any, into: Any) -> Any:
    """`x * y`."""
    return np.multiply(x, y, out=into) if is_mutable(into) else x * y


def quotient(x: Any, y: Any, into: Any) -> Any:
    """`x / y`."""
    return np.divide(x, y, out=into) if is_mutable(into) else x / y


def root(x: Any, into: Any = None) -> Any:
    """The square root of `x`, in a new array unless there is memory for it."""
    return np.sqrt(x, out=into) if is_mutable(into) else namespace((x,)).sqrt(x)


def largest(x: Any, y: Any, into: Any) -> Any:
    """The larger of `x` and `y`, element by element."""
    return np.maximum(x, y, out=into) if is_mutable(into) else namespace((x, y)).maximum(x, y)


def magnitude(x: Any) -> Any:
    """`|x|` in a new array."""
    return namespace((x,)).abs(x)


def averaged(average: Any, x: Any, beta: float) -> Any:
    """`beta * average + (1 - beta) * x`, in the memory of `average`."""
    step = x - average
    step *= 1 - beta
    average += step
    return average


def averaged_square(average: Any, x: Any, beta: float) -> Any:
    """`beta * average + (1 - beta) * x^2`, in the memory of `average`."""
    square = x * x
    square *= 1 - beta
    average *= beta
    average += square
    return average


def soft_threshold(x: Any, threshold: Any) -> Any:
    """`sign(x) * max(|x| - threshold, 0)`, in the memory of `x`: the proximal operator of `threshold * |x|`."""
    xp = namespace((x,))
    beyond = magnitude(x)
    beyond -= threshold
    beyond = largest(beyond, 0, beyond)
    return product(xp.sign(x), beyond, x)


def counter(value: Any, start: float = 0.0, dtype: Any = np.float32) -> Any:
    """A scalar that steps keep beside a parameter of array `value`: of jax where that is, so that it may change under `jax.jit`.

    Beside an abstract array it is a number of numpy's, since how a step goes may depend on it.
    """
    xp = np if is_mutable(value) else namespace((value,))
    return xp.full((), start, dtype)


def number(scalar: Any, value: Any) -> Any:
    """What a `counter` says, in the precision of the array `value` at least; a Python number on numpy."""
    if isinstance(scalar, np.ndarray | np.generic):
        return scalar.item()
    return scalar.astype(np.promote_types(value.dtype, np.float32))


def distance_to_one(beta: float, step: Any, like: Any) -> Any:
    """`1 - beta^step`; in what precision a traced `step` has, without the cancellation that would cost half of it in float32."""
    if isinstance(step, float) or not beta:
        return 1 - beta**step
    return -namespace((like,)).expm1(step * math.log(beta))
