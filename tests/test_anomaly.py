"""Anomaly detection names the first operation that makes a NaN or an infinity, in values, tangents and cotangents, with its line."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.anomaly import is_anomaly_enabled
from diffcore.errors import AnomalyError
from diffcore.watch import watch

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

X = np.array([4.0, 0.0, 1.0])


def shifted_log(x: Any) -> Any:
    y = x * 2.0
    return (y - 1.0).log() + y  # the second element makes a NaN


def root(x: Any) -> Any:
    y = x.sqrt()  # the derivative at 0 is infinite
    return y * 2.0


HERE = __file__.replace("\\", "/")


def test_a_value_is_found_where_it_is_made(engine: ModuleType) -> None:
    x = engine.tensor(X, requires_grad=True)
    assert np.isnan(shifted_log(x).detach().numpy()).any()
    with engine.autograd.detect_anomaly(), pytest.raises(AnomalyError) as caught:
        shifted_log(x).sum().backward()
    text = str(caught.value)
    assert text.startswith("log made a NaN in its value, of shape (3,), from finite operands, at ")
    assert HERE in text
    assert "in shifted_log: `return (y - 1.0).log() + y" in text


def test_constants_too_and_arrays(engine: ModuleType) -> None:
    with engine.autograd.detect_anomaly():
        with pytest.raises(AnomalyError, match="div made an infinity in its value"):
            1.0 / engine.tensor(X)
        with pytest.raises(AnomalyError, match="log made an infinity in its value"):
            engine.log(X)


def test_infinities_of_the_user_are_no_anomalies(engine: ModuleType) -> None:
    with engine.autograd.detect_anomaly():
        x = engine.tensor([1.0, float("inf")], requires_grad=True)
        y = engine.where(np.array([True, False]), x, float("-inf")).exp() + x
        y[:1].sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [np.e + 1, 0], rtol=1e-6)


def test_forward_mode_finds_a_tangent_at_once() -> None:
    x = dualdiff.tensor(X, requires_grad=True)
    with dualdiff.autograd.detect_anomaly(), pytest.raises(AnomalyError) as caught:
        root(x)
    text = str(caught.value)
    assert text.startswith("sqrt made an infinity in the tangent of its result from finite tangents, at ")
    assert "in root: `y = x.sqrt()" in text
    with dualdiff.autograd.detect_anomaly(), pytest.raises(AnomalyError, match="sqrt made an infinity in the tangent"):
        dualdiff.jvp(root, (X,), (np.ones(3),))


def test_reverse_mode_finds_a_cotangent_on_the_way_back() -> None:
    x = revdiff.tensor(X, requires_grad=True)
    with revdiff.autograd.detect_anomaly():
        y = root(x)
        with pytest.raises(AnomalyError) as caught:
            y.sum().backward()
    text = str(caught.value)
    assert text.startswith("the backward pass of sqrt made an infinity in the cotangent of `x` from a finite one; sqrt was called at ")
    assert HERE in text
    assert "in root: `y = x.sqrt()" in text
    assert x.grad is None
    with revdiff.autograd.detect_anomaly(), pytest.raises(AnomalyError, match="the backward pass of sqrt"):
        revdiff.grad(lambda x: root(x).sum())(X)


def test_an_operation_recorded_before_is_named_without_its_line() -> None:
    y = root(revdiff.tensor(X, requires_grad=True))
    with revdiff.autograd.detect_anomaly(), pytest.raises(AnomalyError, match="sqrt was called at a line unknown"):
        y.sum().backward()


def test_the_switch(engine: ModuleType) -> None:
    count = watch.count
    assert not is_anomaly_enabled()
    engine.autograd.set_detect_anomaly(True)
    assert is_anomaly_enabled()
    with engine.autograd.set_detect_anomaly(False):
        assert not is_anomaly_enabled()
        shifted_log(engine.tensor(X))
    assert is_anomaly_enabled()
    with engine.autograd.detect_anomaly():
        pass
    assert is_anomaly_enabled()
    engine.autograd.set_detect_anomaly(False)
    assert not is_anomaly_enabled()
    assert watch.count == count


def test_ordinary_work_is_undisturbed(engine: ModuleType) -> None:
    net = engine.nn.Sequential(engine.nn.Linear(3, 4), engine.nn.Tanh(), engine.nn.Linear(4, 2))
    x, y = engine.tensor(np.ones((5, 3), np.float32)), np.array([0, 1, 1, 0, 1])
    loss = lambda net, x: engine.nn.functional.cross_entropy(net(x), y)
    expected = engine.value_and_grad(loss)(net, x)
    with engine.autograd.detect_anomaly():
        found = engine.value_and_grad(loss)(net, x)
        loss(net, x).backward()
    assert found[0] == expected[0]
    for name, parameter in net.named_parameters():
        np.testing.assert_array_equal(found[1][name], expected[1][name])
        np.testing.assert_allclose(parameter.grad.numpy(), expected[1][name], rtol=1e-5, atol=1e-7)


def test_traced_and_abstract_values_are_not_looked_at(engine: ModuleType) -> None:
    import jax

    with engine.autograd.detect_anomaly():
        assert np.isinf(jax.jit(engine.grad(lambda x: root(x).sum()))(X.astype(np.float32))[1])
        root(engine.tensor(X, device="meta", requires_grad=True)).sum()
