"""`Standardizer`: features of mean 0 and standard deviation 1, by what the training part alone says."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_finite
from diffcore.errors import ArgumentError, DiffError, ShapeError


class Standardizer:
    """`(x - mean) / scale`, feature by feature, with the mean and the standard deviation (of the population) of the data it was fitted to.

    Fit it to the training part and transform the others with it: `Standardizer().fit(train).transform(test)`. A feature that does not vary
    has scale 1. Attributes `mean` and `scale`, `[features]` in float64. The dtype of floats is kept, other numbers become float64.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def fit(self, X: ArrayLike) -> Self:
        """Learn from `X` `[n, features]` (or more axes: one feature for each position in `X[0]`).

        Raises `ArgumentError` for no examples or values that are not finite, `ShapeError` for no axis of features.
        """
        values = np.asarray(X)
        if values.ndim < 2:
            raise ShapeError(f"Standardizer: `X` {values.shape} must be [n, features]. Did you mean `X[:, None]`?")
        if len(values) == 0:
            raise ArgumentError("Standardizer: the data set is empty")
        check_finite(values, "X")
        mean, scale = values.mean(0, np.float64), values.std(0, np.float64)
        # What rounding of the mean leaves of a constant feature is not to be blown up.
        constant = scale <= len(values) * np.finfo(np.float64).eps * abs(mean)
        self.mean, self.scale = mean, np.where(constant, 1.0, scale)
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """`X` `[n, features]` with the features shifted and scaled. Raises `DiffError` before `fit`, `ShapeError` for other features."""
        values = self._checked(X)
        return ((values - self.mean) / self.scale).astype(values.dtype)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """What `transform` made `X` of, to rounding."""
        values = self._checked(X)
        return (values * self.scale + self.mean).astype(values.dtype)

    def fit_transform(self, X: ArrayLike) -> NDArray[Any]:
        """`fit(X).transform(X)`."""
        return self.fit(X).transform(X)

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        if not hasattr(self, "mean"):
            raise DiffError("Standardizer: it has learned nothing yet: call `fit` with the training part first")
        values = np.asarray(X)
        if values.shape[1:] != self.mean.shape or values.ndim < 2:
            raise ShapeError(f"Standardizer: `X` {values.shape} must be [n, {', '.join(map(str, self.mean.shape))}], as it was fitted to")
        return values if values.dtype.kind == "f" else values.astype(np.float64)
