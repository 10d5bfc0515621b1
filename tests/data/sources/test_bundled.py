"""The data sets of scikit-learn: what is documented is what comes."""

from typing import Any

import numpy as np
import pytest
from sklearn import datasets

from diffcore import data
from diffcore.data.sources import bundled
from diffcore.errors import ArgumentError

SETS: dict[str, tuple[tuple[int, ...], tuple[int, ...], Any]] = {
    "digits": ((1797, 64), (1797,), np.int64),
    "iris": ((150, 4), (150,), np.int64),
    "wine": ((178, 13), (178,), np.int64),
    "breast_cancer": ((569, 30), (569,), np.int64),
    "diabetes": ((442, 10), (442,), np.float64),
    "linnerud": ((20, 3), (20, 3), np.float64),
}
CLASSES = {"iris": [50, 50, 50], "wine": [59, 71, 48], "breast_cancer": [212, 357]}


@pytest.mark.parametrize("name", SETS)
def test_shapes_dtypes_and_values(name: str) -> None:
    load = getattr(data, f"load_{name}")
    X, y = load()
    assert (X.shape, y.shape, y.dtype) == SETS[name]
    assert X.dtype == np.float64
    theirs = getattr(datasets, f"load_{name}")()
    np.testing.assert_array_equal(X * (16 if name == "digits" else 1), theirs.data)
    np.testing.assert_array_equal(y, theirs.target)
    if name in CLASSES:
        assert np.bincount(y).tolist() == CLASSES[name]
    X[:], y[:] = 0, 0
    again, labels = load()
    assert again.any()
    assert labels.any()


def test_digits() -> None:
    images, labels = data.load_digits()
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert sorted(set(labels.tolist())) == list(range(10))
    assert np.bincount(labels).min() > 170


def test_diabetes_as_published_and_in_its_own_units() -> None:
    X, y = data.load_diabetes()
    np.testing.assert_allclose((X**2).sum(0), 1, rtol=1e-12)
    np.testing.assert_allclose(X.mean(0), 0, atol=1e-12)
    assert (y.min(), y.max()) == (25, 346)
    raw, _ = data.load_diabetes(scaled=False)
    assert raw[0, 0] == 59


def test_a_damaged_set_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_iris", lambda **_: (np.full((3, 4), np.nan), np.zeros(3)))
    with pytest.raises(ArgumentError, match=r"`inputs` .* holds nan at row 0, column 0"):
        bundled.load_iris()
