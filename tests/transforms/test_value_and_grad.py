"""`value_and_grad` and `grad` of both engines: what they return, for which arguments, and how often they call the function."""

from collections import namedtuple
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError
from tests.transforms.functions import Array, W, X, Y, close, loss, numerically, vector


def test_value_and_grad_equals_differences(engine: ModuleType, array: Array) -> None:
    x, y = array(X), array(Y)
    value, gradient = engine.value_and_grad(loss)(x, y)
    numpy_loss = lambda x, y: (np.tanh(x * y) + x / (1 + y * y)).sum()
    assert type(value) is type(x.sum())
    assert type(gradient) is type(x)
    close(value, numpy_loss(X, Y))
    close(gradient, numerically(numpy_loss, [X, Y], 0), rtol=1e-8)
    close(engine.grad(loss)(x, y), gradient, rtol=0)
    first, second = engine.grad(loss, (0, 1))(x, y)
    close(first, gradient, rtol=1e-14)
    close(second, numerically(numpy_loss, [X, Y], 1), rtol=1e-8)


def test_argnums_of_every_kind(engine: ModuleType) -> None:
    both = engine.grad(loss, (0, 1))(X, Y)
    for argnums in (1, -1):
        close(engine.grad(loss, argnums)(X, Y), both[1], rtol=1e-14)
    for argnums in ((1,), [1], (-1,)):
        (only,) = engine.grad(loss, argnums)(X, Y)
        close(only, both[1], rtol=1e-14)
    second, first = engine.grad(loss, (1, 0))(X, Y)
    close(first, both[0], rtol=1e-14)
    close(second, both[1], rtol=1e-14)


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_argnums_out_of_range_are_named(engine: ModuleType, argnums: Any) -> None:
    with pytest.raises(ValueError, match=r"argnums (2|-3|5) is out of range for a call with 2 positional arguments"):
        engine.grad(loss, argnums)(X, Y)


@pytest.mark.parametrize("argnums", [(0, 0), (1, -1)])
def test_argnums_that_repeat_are_refused(engine: ModuleType, argnums: Any) -> None:
    with pytest.raises(ValueError, match="more than once"):
        engine.grad(loss, argnums)(X, Y)


def test_structures_come_back_as_they_went_in(engine: ModuleType, array: Array) -> None:
    Pair = namedtuple("Pair", "left right")
    tree = {"w": [array(W), (array(Y), None)], "p": Pair(array(X), array(2.0))}

    def f(tree: Any, scale: float) -> Any:
        w, (y, nothing) = tree["w"]
        assert nothing is None
        return ((tree["p"].left @ w.T) * y[0]).sum() * tree["p"].right * scale + (y * y).sum()

    value, gradient = engine.value_and_grad(f)(tree, 0.5)
    close(value, (X @ W.T).sum() * Y[0] + (Y * Y).sum())
    assert list(gradient) == ["w", "p"]
    assert isinstance(gradient["w"], list)
    assert gradient["w"][1][1] is None
    assert type(gradient["p"]) is Pair
    close(gradient["w"][0], np.broadcast_to(X.sum(0) * Y[0], W.shape))
    close(gradient["w"][1][0], 2 * Y + np.array([(X @ W.T).sum(), 0, 0]))
    close(gradient["p"].left, np.broadcast_to(W.sum(0) * Y[0], X.shape))
    close(gradient["p"].right, (X @ W.T).sum() * Y[0] * 0.5)


def test_an_empty_structure_has_an_empty_gradient(engine: ModuleType) -> None:
    value, gradient = engine.value_and_grad(lambda nothing, x: (x * x).sum())({}, Y)
    close(value, (Y * Y).sum())
    assert gradient == {}


def test_aux_comes_out_as_arrays(engine: ModuleType, array: Array) -> None:
    def f(x: Any) -> Any:
        h = x.tanh()
        return h.sum(), {"h": h, "n": 3, "label": "text", "constant": array(Y)}

    (value, aux), gradient = engine.value_and_grad(f, has_aux=True)(array(Y))
    close(value, np.tanh(Y).sum())
    close(aux["h"], np.tanh(Y))
    close(aux["constant"], Y)
    assert type(aux["n"]) is int
    assert aux["n"] == 3
    assert type(aux["label"]) is str
    assert aux["label"] == "text"
    close(gradient, 1 - np.tanh(Y) ** 2)


def test_has_aux_asks_for_a_pair(engine: ModuleType) -> None:
    for result in (lambda x: x.sum(), lambda x: (x.sum(), 1, 2), lambda x: None):
        with pytest.raises(TypeError, match="has_aux"):
            engine.value_and_grad(result, has_aux=True)(Y)


def test_numbers_and_numpy_scalars_are_points_too(engine: ModuleType) -> None:
    for point in (2.0, np.float64(2.0), np.array(2.0)):
        value, gradient = engine.value_and_grad(lambda x: x * x * x)(point)
        assert (float(value), float(gradient)) == (8, 12)
        assert gradient.shape == ()
    assert engine.grad(lambda x: x * x)(np.float32(3)).dtype == np.float32


def test_float32_stays_float32(engine: ModuleType) -> None:
    value, gradient = engine.value_and_grad(loss)(X.astype(np.float32), Y.astype(np.float32))
    assert value.dtype == gradient.dtype == np.float32


def test_the_gradient_has_the_dtype_of_its_variable(engine: ModuleType) -> None:
    for f in (lambda x, y: (x * y).sum(), lambda x, y: (x.astype(np.float64) * y).sum(), lambda x, y: (x * y.float()).sum()):
        first, second = engine.grad(f, (0, 1))(Y.astype(np.float32), Y)
        assert (first.dtype, second.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(second, Y, rtol=1e-6)


def test_tensors_go_in_as_constants(engine: ModuleType) -> None:
    value, gradient = engine.value_and_grad(loss)(engine.tensor(X), engine.tensor(Y))
    expected = engine.value_and_grad(loss)(X, Y)
    close(value, expected[0])
    close(gradient, expected[1])


def test_a_variable_can_be_differentiated_at(engine: ModuleType) -> None:
    """A level-0 variable in: the result is a tensor that depends on it."""
    x = engine.tensor(Y, requires_grad=True)
    gradient = engine.grad(lambda x: (x * x * x).sum())(x)
    gradient.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * Y, rtol=1e-14)


def test_closed_over_values(engine: ModuleType, array: Array) -> None:
    raw, constant = array(Y), engine.tensor(array(Y))
    close(engine.grad(lambda x: (x * raw + x * constant).sum())(array(Y)), 2 * Y)
    variable = engine.tensor(Y, requires_grad=True)
    inner = engine.grad(lambda x: (x * x * variable).sum())(Y)
    np.testing.assert_allclose(inner.detach().numpy(), 2 * Y * Y, rtol=1e-14)
    inner.sum().backward()
    np.testing.assert_allclose(variable.grad.numpy(), 2 * Y, rtol=1e-14)


def test_an_input_that_is_not_used_has_a_zero_gradient(engine: ModuleType, array: Array) -> None:
    for f in (lambda x, y: (y * y).sum(), lambda x, y: 3.0, lambda x, y: array(3.0), lambda x, y: y.detach().sum()):
        gradient = engine.grad(f)(array(X), array(Y))
        close(gradient, np.zeros((4, 3)), rtol=0)
        assert gradient.dtype == np.float64
    first, second = engine.jacobian(lambda x, y: y * 2.0, (0, 1))(array(X), array(Y))
    close(first, np.zeros((3, 4, 3)), rtol=0)
    close(second, 2 * np.eye(3))


def test_no_grad_cuts_and_does_not_leak_into_transforms(engine: ModuleType) -> None:
    def f(x: Any) -> Any:
        with engine.no_grad():
            cut = x * x
        return (cut * x).sum()

    close(engine.grad(f)(Y), Y * Y)
    with engine.no_grad():
        close(engine.grad(f)(Y), Y * Y)
        close(engine.hvp(lambda x: (x * x * x).sum(), Y, Y), 6 * Y * Y)
        assert not engine.is_grad_enabled()


@pytest.mark.parametrize("bad", [np.array([1, 2]), 3, True, np.array([True]), np.array([1j])])
def test_points_must_be_floating(engine: ModuleType, bad: Any) -> None:
    wanted = r"only differentiate with respect to floating point inputs, got (int64|bool|complex128) of shape"
    f = lambda x: (x * 1.0).sum()
    for transform in (engine.value_and_grad, engine.grad, engine.jacobian, engine.hessian):
        with pytest.raises(GradientError, match=wanted):
            transform(f)(bad)
        with pytest.raises(GradientError, match=wanted):
            transform(lambda tree: f(tree["a"]))({"a": bad})


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: x, r"scalar-output functions, got an output of shape \(3,\): use `jacobian`"),
        (lambda x: x.sum(0, keepdim=True).reshape(1, 1) * np.ones((1, 2)), r"shape \(1, 2\)"),
        (lambda x: None, "returns one scalar, got NoneType"),
        (lambda x: [x.sum()], "returns one scalar, got list"),
        (lambda x: "loss", "returns one scalar, got str"),
        (lambda x: (x > 0).sum(), "floating point"),
        (lambda x: x.argmax(), "floating point"),
        (lambda x: 1, "floating point"),
    ],
)
def test_results_must_be_one_floating_scalar(engine: ModuleType, result: Any, message: str) -> None:
    transforms = [engine.value_and_grad(result), engine.grad(result)]
    if engine is dualdiff:
        transforms.append(engine.forward_gradient(result))
    for transform in transforms:
        with pytest.raises(GradientError, match=message):
            transform(Y)


def test_the_function_is_called_once(engine: ModuleType) -> None:
    calls: list[int] = []

    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        return loss(x, y)

    transforms: list[Callable[[], Any]] = [
        lambda: engine.value_and_grad(f, (0, 1))(X, Y),
        lambda: engine.grad(f)(X, Y),
        lambda: engine.jacobian(f, (0, 1))(X, Y),
        lambda: engine.hvp(f, (X, Y), (X, Y)),
        lambda: engine.hessian(f, (0, 1))(X, Y),
    ]
    if engine is revdiff:
        transforms.append(lambda: engine.vjp(f, X, Y)[1](np.array(1.0)))
    else:
        transforms += [lambda: engine.jvp(f, (X, Y), (X, Y)), lambda: engine.forward_gradient(f, directions=5, rng=0)(X, Y)]
    for transform in transforms:
        calls.clear()
        transform()
        assert len(calls) == 1


def test_inputs_are_left_as_they_were(engine: ModuleType) -> None:
    x, y = X.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    engine.value_and_grad(loss, (0, 1))(x, y)
    engine.jacobian(vector, (0, 1))(x, y)
    engine.hvp(loss, (x, y), (x, y))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
