"""Standardising by the training part alone."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from diffcore.data import Standardizer, load_wine
from diffcore.errors import ArgumentError, DiffError, ShapeError


def test_as_scikit_learn_scales() -> None:
    X, _ = load_wine()
    X[:, 3] = 0.1  # does not vary, but for rounding
    train, test = X[:120], X[120:]
    ours, theirs = Standardizer().fit(train), StandardScaler().fit(train)
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(ours.scale, theirs.scale_, rtol=1e-12)
    np.testing.assert_allclose(ours.transform(test), theirs.transform(test), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(test)), test, rtol=1e-12)
    np.testing.assert_array_equal(Standardizer().fit_transform(train), ours.transform(train))
    assert abs(ours.transform(train).mean(0)).max() < 1e-12


def test_dtypes_and_images() -> None:
    images = np.random.default_rng(0).normal(3, 2, (50, 1, 4, 4)).astype(np.float32)
    scaled = Standardizer().fit_transform(images)
    assert (scaled.dtype, scaled.shape) == (np.float32, images.shape)
    np.testing.assert_allclose(scaled.std(0), 1, rtol=1e-5)
    assert Standardizer().fit_transform(np.array([[1], [3]])).tolist() == [[-1.0], [1.0]]


def test_what_cannot_be_scaled() -> None:
    with pytest.raises(DiffError, match="it has learned nothing yet"):
        Standardizer().transform(np.ones((2, 2)))
    with pytest.raises(ShapeError, match=r"`X` \(2, 3\) must be \[n, 2\]"):
        Standardizer().fit(np.ones((2, 2))).transform(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"Did you mean `X\[:, None\]`"):
        Standardizer().fit(np.ones(3))
    with pytest.raises(ArgumentError, match="the data set is empty"):
        Standardizer().fit(np.ones((0, 3)))
    with pytest.raises(ArgumentError, match="holds nan at row 1, column 0"):
        Standardizer().fit(np.array([[1.0], [np.nan]]))
