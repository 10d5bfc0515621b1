"""Leaves and constants."""

import copy
import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore.errors import DiffError, GradientError
from tests.imperative.variables import A, M, exact, variable


def test_leaves_and_results_know_what_they_are(engine: ModuleType) -> None:
    x, c = variable(engine), engine.tensor(A)
    y = x * c
    assert (x.is_leaf, x.requires_grad, x.grad_fn) == (True, True, None)
    assert (c.is_leaf, c.requires_grad, c.grad_fn) == (True, False, None)
    assert (y.is_leaf, y.requires_grad) == (False, True)
    assert (c * c).is_leaf
    assert not (c * c).requires_grad
    if engine is revdiff:
        assert "MulBackward0" in repr(y.grad_fn)


@pytest.mark.parametrize("keep", [lambda x: x.reshape(3), lambda x: x.reshape(-1), lambda x: x.flatten(), lambda x: x + 0, lambda x: x[:]])
def test_a_result_equal_to_a_leaf_is_still_a_result(engine: ModuleType, keep: Any) -> None:
    x = variable(engine)
    y = keep(x)
    assert not y.is_leaf
    assert y.grad is None
    with pytest.raises(GradientError, match="leaf"):
        y.requires_grad = False
    with pytest.raises(GradientError, match="leaf"):
        y.grad = np.ones(3)
    (y * y).sum().backward()
    exact(x.grad, 2 * A)


def test_detach_shares_memory_and_forgets(engine: ModuleType) -> None:
    x = variable(engine)
    y = x.detach()
    assert not y.requires_grad
    assert np.shares_memory(y.numpy(), x.detach().numpy())
    (x * x.detach()).sum().backward()
    exact(x.grad, A)


def test_integers_cannot_be_variables(engine: ModuleType) -> None:
    for values in ([1, 2], True, np.array([1, 2], np.uint8)):
        with pytest.raises(GradientError, match="only Tensors of floating point dtype can require gradients, got"):
            engine.tensor(values, requires_grad=True)
        x = engine.tensor(values)
        with pytest.raises(GradientError, match="floating point"):
            x.requires_grad = True
        with pytest.raises(GradientError, match="floating point"):
            x.requires_grad_()
        assert not x.requires_grad
    with pytest.raises(GradientError, match="floating point"):
        engine.nn.Parameter([1, 2])


def test_requires_grad_can_be_switched_on_leaves_only(engine: ModuleType) -> None:
    x = engine.tensor(A)
    assert x.requires_grad_() is x
    y = x * 2
    with pytest.raises(GradientError, match="leaf"):
        y.requires_grad_(False)
    x.requires_grad_(False)
    assert not (x * 2).requires_grad
    assert y.requires_grad


def test_a_gradient_outlives_freezing(engine: ModuleType) -> None:
    x = variable(engine)
    (x * x).sum().backward()
    x.requires_grad_(True)
    exact(x.grad, 2 * A)


def test_a_gradient_can_be_assigned(engine: ModuleType) -> None:
    x = variable(engine)
    x.grad = engine.tensor([1.0, 2.0, 3.0], dtype=np.float64)
    (x * 1).sum().backward()
    exact(x.grad, [2, 3, 4])
    x.grad = np.zeros(3)
    exact(x.grad, [0, 0, 0])
    with pytest.raises(GradientError, match=r"assigned grad has shape \(2,\), the tensor \(3,\)"):
        x.grad = np.zeros(2)
    with pytest.raises(GradientError, match="not a leaf"):
        (x * 2).grad = np.zeros(3)
    exact(x.grad, [0, 0, 0])


def test_constants_refuse_backward(engine: ModuleType) -> None:
    for y in (engine.tensor(1.0), (variable(engine) > 0).sum(), variable(engine).argmax(), variable(engine).detach().sum()):
        with pytest.raises(GradientError, match="does not require grad"):
            y.backward()


def test_results_that_are_not_floating_point_are_constants(engine: ModuleType) -> None:
    x = variable(engine)
    for y in (x > 0, x == x, x.argmax(), x.sign(), x.long(), x.astype(np.int32)):
        assert not y.requires_grad
        assert y.is_leaf
    (x * (x > 0) + x.sign()).sum().backward()
    exact(x.grad, A > 0)


def test_values_change_through_data(engine: ModuleType) -> None:
    x = variable(engine)
    x.data = x.data * 2
    assert x.requires_grad
    assert x.is_leaf
    (x * x).sum().backward()
    exact(x.grad, 4 * A)


@pytest.mark.parametrize("values", [np.array([0.1, 0.7, 0.3, 4.0]), A.astype(np.float32), M])
def test_data_of_another_shape_or_dtype_makes_a_variable_of_that(engine: ModuleType, values: Any) -> None:
    x = variable(engine)
    (x * x).sum().backward()
    x.data = engine.tensor(values)
    x.grad = None
    assert x.is_leaf
    assert x.requires_grad
    (x * x * x).sum().backward()
    assert x.grad.dtype == values.dtype
    np.testing.assert_allclose(x.grad.numpy(), 3 * values**2, rtol=1e-15 if values.dtype == np.float64 else 1e-6)


def test_a_variable_can_be_copied_deeply(engine: ModuleType) -> None:
    x = variable(engine)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.is_leaf
    assert y.requires_grad
    assert not np.shares_memory(x.detach().numpy(), y.detach().numpy())
    (x * y).sum().backward()
    exact(x.grad, 3 * A)
    exact(y.grad, 3 * A)
    with pytest.raises(DiffError, match="leaf"):
        copy.deepcopy(x * x)


def test_a_variable_can_be_pickled(engine: ModuleType) -> None:
    x = variable(engine)
    y, c = pickle.loads(pickle.dumps((x, engine.tensor(A))))
    assert y.requires_grad
    assert not c.requires_grad
    (y * c).sum().backward()
    exact(y.grad, A)
    assert x.grad is None
