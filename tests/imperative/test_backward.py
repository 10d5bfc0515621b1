"""`backward` and `.grad`, as PyTorch has them."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore.errors import GradientError
from tests.imperative.variables import A, M, exact, variable


def test_a_scalar_delivers_its_gradient(engine: ModuleType) -> None:
    x = variable(engine)
    (x * x * x).sum().backward()
    exact(x.grad, 3 * A**2)
    assert x.grad.shape == x.shape
    assert x.grad.dtype == x.dtype == np.float64


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_element_of_any_rank_counts_as_a_scalar(engine: ModuleType, shape: tuple[int, ...]) -> None:
    x = variable(engine)
    (x * x).sum().reshape(shape).backward()
    exact(x.grad, 2 * A)


def test_a_leaf_can_be_its_own_output(engine: ModuleType) -> None:
    x = variable(engine, 3.0)
    x.backward()
    assert float(x.grad) == 1


def test_a_non_scalar_takes_a_cotangent(engine: ModuleType) -> None:
    x = variable(engine)
    v = np.array([1.0, 10.0, -100.0])
    x.tanh().backward(engine.tensor(v))
    exact(x.grad, v * (1 - np.tanh(A) ** 2))
    y = variable(engine)
    y.tanh().backward(v)
    exact(y.grad, v * (1 - np.tanh(A) ** 2))


def test_a_cotangent_is_taken_in_the_dtype_of_the_output(engine: ModuleType) -> None:
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    assert x.dtype == np.float32
    (x * x).backward(np.array([1, 1]))
    assert x.grad.dtype == np.float32
    exact(x.grad, [2, 4])


def test_a_gradient_has_the_dtype_of_its_variable(engine: ModuleType) -> None:
    x, y = engine.tensor([1.0, 2.0], requires_grad=True), variable(engine, A[:2])
    assert (x * y).dtype == np.float64
    (x * y + x.double()).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)
    exact(x.grad, 1 + A[:2])
    exact(y.grad, [1, 2])


@pytest.mark.parametrize("given", [np.ones(2), np.ones((1, 3)), np.float64(1.0), np.ones(())])
def test_a_cotangent_of_another_shape_is_refused(engine: ModuleType, given: Any) -> None:
    x = variable(engine)
    with pytest.raises(GradientError, match=r"shape of .* and the output has a shape of \(3,\)"):
        (x * x).backward(given)
    assert x.grad is None


@pytest.mark.parametrize("given", ["ones", {"a": 1}, 1.0, [1.0, 1.0, 1.0]])
def test_a_cotangent_that_is_no_array_is_refused(engine: ModuleType, given: Any) -> None:
    x = variable(engine)
    with pytest.raises(TypeError, match=r"the cotangent must be a tensor or an array of shape \(3,\), got (str|dict|float|list)"):
        (x * x).backward(given)
    assert x.grad is None


def test_a_missing_cotangent_is_asked_for(engine: ModuleType) -> None:
    x = variable(engine)
    with pytest.raises(GradientError, match=r"implicitly created only for scalar outputs.*\(3,\)"):
        (x * x).backward()
    assert x.grad is None


def test_gradients_accumulate_until_they_are_zeroed(engine: ModuleType) -> None:
    x = variable(engine)
    for n in (1, 2, 3):
        (x * x).sum().backward()
        exact(x.grad, 2 * n * A)
    before = x.grad
    x.grad = None
    (x * x).sum().backward()
    exact(x.grad, 2 * A)
    exact(before, 6 * A)


def test_every_variable_gets_its_own(engine: ModuleType) -> None:
    x, y, unused = variable(engine), variable(engine, M), variable(engine)
    ((x * y).sum() + x.sum()).backward()
    exact(x.grad, M.sum(0) + 1)
    exact(y.grad, np.broadcast_to(A, M.shape))
    assert unused.grad is None


def test_gradients_of_two_variables_share_no_memory(engine: ModuleType) -> None:
    x, y = variable(engine), variable(engine)
    cotangent = np.ones(3)
    (x + y).backward(cotangent)
    for grad in (x.grad, y.grad):
        grad.numpy()[0] = 7.0
        assert cotangent[0] == 1
    x.grad.numpy()[1] = 8.0
    assert y.grad.numpy()[1] == 1


def test_a_gradient_can_be_written_to(engine: ModuleType) -> None:
    x = variable(engine)
    x.sum().backward()  # its cotangent is a broadcast view
    x.grad.numpy()[...] = 5.0
    exact(x.grad, [5.0, 5.0, 5.0])


def test_results_used_many_times_add_up(engine: ModuleType) -> None:
    x = variable(engine)
    y = x.tanh()
    z = y * y + y * x + y + y
    z.sum().backward()
    t, d = np.tanh(A), 1 - np.tanh(A) ** 2
    exact(x.grad, 2 * t * d + d * A + t + 2 * d)


def test_a_ladder_of_diamonds_is_walked_once_per_node(engine: ModuleType) -> None:
    x = variable(engine, 1.0)
    y = x
    for _ in range(60):  # 2^60 paths
        y = (y + y) * 0.5 + 0.0
    y.backward()
    assert float(x.grad) == 1


@pytest.mark.parametrize("make", [lambda x: x * 1.0 - x, lambda x: x - x, lambda x: 0.0 * x])
def test_cancelling_paths_give_zeros_rather_than_nothing(engine: ModuleType, make: Any) -> None:
    x = variable(engine)
    make(x).sum().backward()
    exact(x.grad, np.zeros(3))


def test_a_chain_of_five_thousand_operations(engine: ModuleType) -> None:
    x = variable(engine, np.array([0.1, 0.2]))
    y = x
    for _ in range(5000):
        y = y * 1.0001
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(2, 1.0001**5000), rtol=1e-11)


def test_a_long_chain_may_be_dropped_without_backward() -> None:
    x = variable(revdiff)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    del y
    (x * 2).sum().backward()
    exact(x.grad, [2, 2, 2])
