"""Graphs and their end: a second backward pass, and what it needs."""

from types import ModuleType

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError
from tests.imperative.variables import A, exact, variable


def test_a_second_pass_through_a_freed_graph_says_so() -> None:
    x = variable(revdiff)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GradientError, match=r"backward through the graph a second time.*retain_graph=True"):
        y.backward()
    exact(x.grad, 2 * A)


def test_a_freed_part_reached_from_a_new_graph_says_so() -> None:
    x = variable(revdiff)
    shared = x.tanh()
    shared.sum().backward()
    with pytest.raises(GradientError, match="second time"):
        (shared * 2).sum().backward()


def test_retain_graph_allows_more_passes(engine: ModuleType) -> None:
    x = variable(engine)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    exact(x.grad, 4 * A)
    y.backward()
    exact(x.grad, 6 * A)


def test_forward_mode_has_no_graph_to_free() -> None:
    x = variable(dualdiff)
    y = (x * x).sum()
    y.backward()
    y.backward()
    exact(x.grad, 4 * A)


def test_create_graph_gives_higher_derivatives() -> None:
    x = variable(revdiff)
    (first,) = revdiff.autograd.grad((x**4).sum(), x, create_graph=True)
    assert first.requires_grad
    np.testing.assert_allclose(first.detach().numpy(), 4 * A**3, rtol=1e-14)
    (second,) = revdiff.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = revdiff.autograd.grad(second.sum(), x)
    exact(third, 24 * A)
    assert x.grad is None


def test_backward_with_create_graph_leaves_a_gradient_to_differentiate() -> None:
    x = variable(revdiff)
    x.tanh().sum().backward(create_graph=True)
    penalty = (x.grad * x.grad).sum()
    x.grad = None
    penalty.backward()
    t = np.tanh(A)
    exact(x.grad, 2 * (1 - t**2) * (-2 * t * (1 - t**2)))


def test_forward_mode_says_what_to_use_in_place_of_create_graph() -> None:
    x = variable(dualdiff)
    with pytest.raises(GradientError, match=r"create_graph=True has no meaning in forward mode.*hvp"):
        (x * x).sum().backward(create_graph=True)
    assert x.grad is None
