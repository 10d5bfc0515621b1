"""`autograd.backward` and `autograd.grad`."""

import numpy as np
import pytest

import revdiff
from diffcore.errors import DiffError, GradientError
from tests.imperative.variables import A, exact, variable


def test_autograd_backward_takes_several_outputs() -> None:
    x = variable(revdiff)
    revdiff.autograd.backward([x.sum(), x * x], [None, np.array([1.0, 2.0, 3.0])])
    exact(x.grad, 1 + 2 * A * [1, 2, 3])


def test_autograd_backward_needs_a_cotangent_per_output() -> None:
    x = variable(revdiff)
    with pytest.raises(DiffError, match=r"2 .*1 "):
        revdiff.autograd.backward([x.sum(), x.sum()], [np.ones(())])
    with pytest.raises(GradientError, match="element 1 of tensors does not require grad"):
        revdiff.autograd.backward([x.sum(), revdiff.tensor(1.0)])
    assert x.grad is None


def test_autograd_grad_leaves_grad_alone() -> None:
    x, w = variable(revdiff), variable(revdiff)
    gx, gw = revdiff.autograd.grad((x * w * w).sum(), [x, w])
    exact(gx, A**2)
    exact(gw, 2 * A * A)
    assert x.grad is None
    assert w.grad is None


def test_autograd_grad_takes_results_as_inputs() -> None:
    x = variable(revdiff)
    h = x.tanh()
    gh, gx = revdiff.autograd.grad((h * h).sum(), [h, x])
    exact(gh, 2 * np.tanh(A))
    exact(gx, 2 * np.tanh(A) * (1 - np.tanh(A) ** 2))


def test_autograd_grad_of_an_unused_input() -> None:
    x, w = variable(revdiff), variable(revdiff)
    with pytest.raises(GradientError, match=r"not have been used in the graph.*allow_unused=True"):
        revdiff.autograd.grad((x * x).sum(), [x, w])
    gx, gw = revdiff.autograd.grad((x * x).sum(), [x, w], allow_unused=True)
    exact(gx, 2 * A)
    assert gw is None
    with pytest.raises(GradientError, match="does not require grad"):
        revdiff.autograd.grad((x * x).sum(), revdiff.tensor(A))


def test_autograd_grad_with_cotangents() -> None:
    x = variable(revdiff)
    (g,) = revdiff.autograd.grad([x * x, x.sum()], x, grad_outputs=[revdiff.tensor([1.0, 0.0, 2.0], dtype=np.float64), None])
    exact(g, 2 * A * [1, 0, 2] + 1)
