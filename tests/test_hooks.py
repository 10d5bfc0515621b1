"""Hooks on gradients, and gradients kept on tensors that are no leaves."""

from types import ModuleType

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError

X = np.array([1.0, -2.0, 3.0])


def test_a_hook_on_a_leaf_sees_and_replaces_the_gradient(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.numpy().copy()))
    handle = x.register_hook(lambda g: g * 10)
    (x * x).sum().backward()
    np.testing.assert_array_equal(seen, [2 * X])
    np.testing.assert_array_equal(x.grad.numpy(), 20 * X)
    handle.remove()
    x.grad = None
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X)
    assert len(seen) == 2
    with x.register_hook(lambda g: -g):
        (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros(3))


def test_a_hook_sees_the_sum_of_all_paths(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    calls = []
    x.register_hook(lambda g: calls.append(g.numpy().copy()))
    (x.exp() + x * x + x).sum().backward()
    assert len(calls) == 1
    np.testing.assert_allclose(calls[0], np.exp(X) + 2 * X + 1, rtol=1e-14)


def test_a_hook_on_an_intermediate_tensor_changes_what_flows_on() -> None:
    x = revdiff.tensor(X, requires_grad=True)
    y = x * 2
    seen = []
    y.register_hook(seen.append)
    y.register_hook(lambda g: g * 0 + 1)
    (y * y).sum().backward()
    np.testing.assert_array_equal(seen[0].numpy(), 4 * X)
    assert isinstance(seen[0], revdiff.Tensor)
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 2.0, 2.0])


def test_hooks_run_in_grad_and_are_recorded_in_create_graph() -> None:
    x = revdiff.tensor(X, requires_grad=True)
    y = x * 1
    y.register_hook(lambda g: g * g)
    (g,) = revdiff.autograd.grad((y**2).sum(), x, create_graph=True)
    np.testing.assert_array_equal(g.detach().numpy(), 4 * X**2)
    g.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), (8 * X) ** 2, rtol=1e-14)  # the hook sees the second pass too


def test_retain_grad() -> None:
    x = revdiff.tensor(X, requires_grad=True)
    y = x * 2
    assert y.grad is None
    y.retain_grad()
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(y.grad.numpy(), 4 * X)
    np.testing.assert_array_equal(x.grad.numpy(), 8 * X)
    (y * 1).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), 4 * X + 1)


def test_misuse(engine: ModuleType) -> None:
    x = engine.tensor(X)
    with pytest.raises(GradientError, match="cannot register a hook on a tensor that doesn't require gradient"):
        x.register_hook(lambda g: g)
    with pytest.raises(GradientError, match="can't retain_grad on Tensor that has requires_grad=False"):
        x.retain_grad()
    x.requires_grad_()
    x.retain_grad()
    x.register_hook(lambda g: g[:1])
    with pytest.raises(RuntimeError, match=r"a hook has changed the size of the gradient: \(3,\) became \(1,\)"):
        (x * x).sum().backward()
    assert x.grad is None
    y = engine.tensor(X, requires_grad=True)
    y.register_hook(lambda g: 1.0)
    with pytest.raises(TypeError, match="a hook must return a tensor or None, got float"):
        (y * y).sum().backward()


def test_forward_mode_names_what_to_do_for_tensors_that_are_no_leaves() -> None:
    y = dualdiff.tensor(X, requires_grad=True) * 2
    for ask in (lambda: y.register_hook(lambda g: g), y.retain_grad):
        with pytest.raises(GradientError, match=r"no gradient reaches a tensor that is not a leaf.*`dualdiff\.grad`"):
            ask()
