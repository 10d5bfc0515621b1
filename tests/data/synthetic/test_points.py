"""Regression, classes in the plane and series: the formulas, by other means."""

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression

from diffcore.data import synthetic


def test_the_plane_is_found_again_by_least_squares() -> None:
    X, y = synthetic.linear_regression(2000, 3, bias=1.5, noise=0.1, dtype=np.float64, seed=0)
    found = np.linalg.lstsq(np.column_stack([X, np.ones(2000)]), y[:, 0])[0]
    np.testing.assert_allclose(found, [2, -3.4, 2, 1.5], atol=5 * 0.1 / np.sqrt(2000))
    exact, plain = synthetic.linear_regression(10, 2, weight=[[0.5], [4]], noise=0, dtype=np.float64, seed=0)
    np.testing.assert_allclose(plain, exact @ [[0.5], [4]] + 4.2, rtol=1e-12)
    assert abs((y[:, 0] - X @ [2, -3.4, 2] - 1.5).std() - 0.1) < 0.01


def test_the_logistic_model_is_found_again() -> None:
    X, labels = synthetic.logistic(20_000, weight=[1, -2], bias=0.5, seed=0)
    model = LogisticRegression(C=np.inf, tol=1e-8).fit(X, labels)
    np.testing.assert_allclose([*model.coef_[0], model.intercept_[0]], [1, -2, 0.5], atol=0.1)


def test_polynomials() -> None:
    x, y = synthetic.polynomial(50, (1, 2, 3, 4), noise=0, dtype=np.float64, seed=0)
    np.testing.assert_allclose(y, np.polyval([4 / 6, 3 / 2, 2, 1], x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(synthetic.powers(x, 3) @ [1, 2, 3, 4], y[:, 0], rtol=1e-12, atol=1e-12)
    assert synthetic.powers(np.float32([2, 3]), 2).tolist() == [[1, 2, 2], [1, 3, 4.5]]
    _, noisy = synthetic.polynomial(5000, (1, 2, 3, 4), noise=0.5, dtype=np.float64, seed=0)
    again, _ = synthetic.polynomial(5000, dtype=np.float64, seed=0)
    assert abs((noisy[:, 0] - synthetic.powers(again, 3) @ [1, 2, 3, 4]).std() - 0.5) < 0.03


def test_the_truth_table() -> None:
    X, labels = synthetic.xor(4, noise=0)
    assert (X.tolist(), labels.tolist()) == ([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    X, labels = synthetic.xor(400, noise=0.1, seed=0)
    assert np.mean((X[:, 0] > 0.5) ^ (X[:, 1] > 0.5) == labels) == 1.0


@pytest.mark.parametrize("n", [2, 5, 100])
def test_moons_are_those_of_scikit_learn(n: int) -> None:
    X, labels = synthetic.two_moons(n, noise=0, dtype=np.float64)
    theirs, classes = make_moons(n, shuffle=False)
    np.testing.assert_allclose(X, theirs, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(labels, classes)


def test_spirals_wind_outwards() -> None:
    X, labels = synthetic.spirals(300, 3, turns=1.5, noise=0, dtype=np.float64, seed=0)
    r = np.hypot(*X.T)
    assert (r.min() >= 0.05, r.max() < 1) == (True, True)
    turn = np.arctan2(X[:, 1], X[:, 0]) / (2 * np.pi) - 1.5 * r - labels / 3
    np.testing.assert_allclose(turn - turn.round(), 0, atol=1e-12)
    assert np.bincount(labels).tolist() == [100, 100, 100]


def test_blobs_lie_around_their_centers() -> None:
    centers = np.array([[0.0, 9], [9, 0]])
    X, labels = synthetic.blobs(2000, 2, 2, centers=centers, noise=0.5, dtype=np.float64, seed=0)
    for label in range(2):
        cloud = X[labels == label]
        np.testing.assert_allclose(cloud.mean(0), centers[label], atol=5 * 0.5 / np.sqrt(1000))
        np.testing.assert_allclose(cloud.std(0), 0.5, rtol=0.15)
    X, _ = synthetic.blobs(2000, 5, 3, noise=0, seed=0)
    assert len(np.unique(X, axis=0)) == 5
    assert abs(X).max() <= 10


def test_series_and_their_windows() -> None:
    np.testing.assert_allclose(synthetic.time_series(9, period=8, noise=0)[[0, 2, 4, 6, 8]], [0, 1, 0, -1, 0], atol=1e-6)
    assert abs(synthetic.time_series(4000, noise=0.3, seed=0).var() - 0.5 - 0.09) < 0.02
    inputs, targets = synthetic.windows(np.arange(8), 3, horizon=2)
    assert (inputs[:, :, 0].tolist(), targets.tolist()) == ([[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]], [[4], [5], [6], [7]])
    inputs, targets = synthetic.windows(np.arange(12.0).reshape(6, 2), 2)
    assert (inputs.shape, targets.shape) == ((4, 2, 2), (4, 2))
    assert (inputs[1].tolist(), targets[1].tolist()) == ([[2, 3], [4, 5]], [6, 7])
