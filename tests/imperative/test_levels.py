"""Variables of both engines, and within functional transforms."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError
from tests.imperative.variables import A, M, exact, variable


def test_tensors_of_both_engines_do_not_mix() -> None:
    r, d = variable(revdiff), variable(dualdiff)
    for mix in (lambda: r + d, lambda: d * r, lambda: revdiff.matmul(r, d), lambda: dualdiff.where(r > 0, d, r), lambda: r == d):
        with pytest.raises(GradientError, match=r"a (rev|dual)diff tensor and a (rev|dual)diff tensor cannot meet.*nest the engines"):
            mix()
    with pytest.raises(GradientError, match="cannot meet"):
        revdiff.tensor(d)
    exact((r + revdiff.tensor(d.detach())).detach(), 2 * A)
    exact(r.detach() + d.detach().numpy(), 2 * A)


def test_forward_mode_gives_jacobians_as_it_goes() -> None:
    x, w = variable(dualdiff), variable(dualdiff, M)
    y = w @ x.tanh()
    d = 1 - np.tanh(A) ** 2
    np.testing.assert_allclose(y.jacobian(x), M * d, rtol=1e-14)
    expected = np.einsum("ij,k->ijk", np.eye(2), np.tanh(A))
    np.testing.assert_allclose(y.jacobian(w), expected, rtol=1e-14)
    np.testing.assert_array_equal(x.jacobian(x), np.eye(3))
    assert x.jacobian(w).shape == (3, 2, 3)
    assert not x.jacobian(w).any()
    np.testing.assert_allclose(y.sum().jacobian(x), (M * d).sum(0), rtol=1e-14)


def test_a_jacobian_is_taken_with_respect_to_a_variable_of_this_engine() -> None:
    x = variable(dualdiff)
    for other in (x * 2, dualdiff.tensor(A), variable(revdiff), A):
        with pytest.raises(GradientError, match="leaf tensor that requires grad"):
            (x * x).jacobian(other)


def test_an_exception_in_a_transform_leaves_tensors_usable(engine: ModuleType) -> None:
    x = variable(engine)
    kept: list[Any] = []

    def broken(y: Any) -> Any:
        kept.append(y * x)
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        engine.value_and_grad(broken)(A)
    with pytest.raises(KeyError), engine.no_grad():
        engine.value_and_grad(broken)(A)
    assert engine.is_grad_enabled()
    (x * x).sum().backward()
    exact(x.grad, 2 * A)
    assert (kept[0] * 2).shape == (3,)  # a leaked tensor still computes
