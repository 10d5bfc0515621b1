"""Functions to differentiate, where, and what by."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

import dualdiff
import revdiff

Array = Callable[[Any], Any]
RNG = np.random.default_rng(5)
X, Y, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3,)), RNG.normal(size=(2, 3))


def close(found: Any, expected: Any, rtol: float = 1e-13) -> None:
    """Arrays (not tensors) of one dtype and shape, equal to rounding."""
    assert not isinstance(found, revdiff.Tensor | dualdiff.Tensor), "arrays go in, arrays come out"
    assert tuple(found.shape) == tuple(np.shape(expected))
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=rtol, atol=1e-14, strict=False)


def loss(x: Any, y: Any) -> Any:
    return ((x * y).tanh() + x / (1 + y * y)).sum()


def vector(x: Any, y: Any) -> Any:
    return (x * y).exp().sum(1) * y[0]


def numerically(function: Callable[..., Any], args: list[np.ndarray], number: int, step: float = 1e-6) -> np.ndarray:
    """The Jacobian by central differences."""
    point = args[number]
    columns = []
    for i in range(point.size):
        shift = np.zeros(point.size)
        shift[i] = step
        at = [[a if n != number else a + sign * shift.reshape(a.shape) for n, a in enumerate(args)] for sign in (1, -1)]
        columns.append((np.asarray(function(*at[0])) - np.asarray(function(*at[1]))) / (2 * step))
    return np.stack(columns, axis=-1).reshape((*columns[0].shape, *point.shape))


def net_of(engine: ModuleType) -> Any:
    engine.manual_seed(3)
    layers = engine.nn
    return layers.Sequential(layers.Linear(3, 4, dtype=np.float64), layers.Tanh(), layers.Linear(4, 2, dtype=np.float64))

LABELS = np.array([0, 1, 1, 0])


def cross_entropy(net: Any, x: Any, y: Any) -> Any:
    return revdiff.nn.functional.cross_entropy(net(x), y)
