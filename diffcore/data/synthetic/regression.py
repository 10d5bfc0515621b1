"""Numbers to be predicted from numbers: a noisy plane, a noisy polynomial, and labels drawn from a logistic model."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_spread, check_whole, float_dtype, generator_of
from diffcore.errors import ShapeError

Seed = int | np.random.Generator | None
Array = NDArray[Any]


def linear_regression(
    n: int = 1000,
    features: int = 2,
    *,
    weight: ArrayLike | None = None,
    bias: float = 4.2,
    noise: float = 0.01,
    dtype: Any = np.float32,
    seed: Seed = None,
) -> tuple[Array, Array]:
    """Points on a noisy plane: `y = X w + b + noise * e`, with `X` and `e` standard normal.

    **Arguments:** `weight`: `w` `[features]`, by default 2 and -3.4 in turn; `bias`: `b`; `noise`: standard deviation of what is added.
    Returns `X` `[n, features]` and `y` `[n, 1]`. Raises `ArgumentError`, and `ShapeError` for a `weight` that does not fit.
    """
    X, y, generator = _plane("linear_regression", n, features, weight, bias, seed)
    y = y + check_spread("linear_regression", "noise", noise) * generator.standard_normal(n)
    dtype = float_dtype("linear_regression", dtype)
    return X.astype(dtype), y[:, None].astype(dtype)


def logistic(
    n: int = 1000,
    features: int = 2,
    *,
    weight: ArrayLike | None = None,
    bias: float = 0.0,
    dtype: Any = np.float32,
    seed: Seed = None,
) -> tuple[Array, Array]:
    """Labels drawn from a logistic model: `P(label = 1 | x) = 1 / (1 + exp(-(x w + b)))`, with `X` standard normal.

    **Arguments:** `weight`: `w` `[features]`, by default 2 and -3.4 in turn; `bias`: `b`. Returns `X` `[n, features]` and labels `[n]`
    (int64, 0 or 1). Raises `ArgumentError`, and `ShapeError` for a `weight` that does not fit.
    """
    X, logits, generator = _plane("logistic", n, features, weight, bias, seed)
    # log(u / (1 - u)) of a uniform u is a logistic number: below the logit exactly as often as the model says.
    labels = generator.logistic(size=n) < logits
    return X.astype(float_dtype("logistic", dtype)), labels.astype(np.int64)


def _plane(what: str, n: int, features: int, weight: ArrayLike | None, bias: float, seed: Seed) -> tuple[Array, Array, Any]:
    """`X`, `X w + b` and the generator to go on with."""
    n, features = check_whole(what, "n", n), check_whole(what, "features", features)
    w = np.resize([2.0, -3.4], features) if weight is None else np.asarray(weight, np.float64).reshape(-1)
    if w.shape != (features,):
        raise ShapeError(f"{what}: `weight` with {w.size} numbers must hold one number for each of the {features} `features`")
    generator = generator_of(seed)
    X = generator.standard_normal((n, features))
    return X, X @ w + bias, generator


def polynomial(
    n: int = 200,
    coefficients: Sequence[float] = (5.0, 1.2, -3.4, 5.6),
    *,
    noise: float = 0.1,
    dtype: Any = np.float32,
    seed: Seed = None,
) -> tuple[Array, Array]:
    """Points on a noisy polynomial: `y = sum_i c_i x^i / i! + noise * e`, with `x` and `e` standard normal.

    **Arguments:** `coefficients`: `c`, of any degree; `noise`: standard deviation of what is added. Returns `x` `[n, 1]` and `y` `[n, 1]`.
    """
    n = check_whole("polynomial", "n", n)
    degree = check_whole("polynomial", "len(coefficients)", len(coefficients)) - 1
    noise, dtype, generator = check_spread("polynomial", "noise", noise), float_dtype("polynomial", dtype), generator_of(seed)
    x = generator.standard_normal((n, 1))
    y = powers(x, degree) @ np.asarray(coefficients, np.float64)[:, None] + noise * generator.standard_normal((n, 1))
    return x.astype(dtype), y.astype(dtype)


def powers(x: ArrayLike, degree: int) -> Array:
    """The features of a polynomial model: `x^i / i!` for `i` from 0 to `degree`: `[n, degree + 1]` for `x` `[n]` or `[n, 1]`."""
    degree = check_whole("powers", "degree", degree, 0)
    column = np.asarray(x)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise ShapeError(f"powers: `x` {column.shape} must be [n] or [n, 1]")
    return np.stack([column**i / factorial(i) for i in range(degree + 1)], axis=1).astype(column.dtype, copy=False)
