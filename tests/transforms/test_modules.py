"""Transforms of functions of a module, which is differentiated by its parameters."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import DiffError, GradientError
from tests.transforms.functions import LABELS, Array, X, close, cross_entropy, net_of, numerically


def test_a_module_is_differentiated_by_its_parameters(engine: ModuleType) -> None:
    net = net_of(engine)
    value, gradients = engine.value_and_grad(cross_entropy)(net, engine.tensor(X), engine.tensor(LABELS))
    assert list(gradients) == [name for name, _ in net.named_parameters()]
    net.zero_grad()
    imperative = cross_entropy(net, engine.tensor(X), engine.tensor(LABELS))
    imperative.backward()
    close(value, imperative.item(), rtol=1e-15)
    for name, parameter in net.named_parameters():
        assert isinstance(gradients[name], np.ndarray)
        close(gradients[name], parameter.grad.numpy(), rtol=1e-13)


def test_a_module_is_an_argument_of_its_own(engine: ModuleType) -> None:
    with pytest.raises(GradientError, match=r"a Module \(Sequential\) must be an argument of its own"):
        engine.grad(lambda pair: pair[0](pair[1]).sum())((net_of(engine), X))


def test_a_module_and_an_input_together(engine: ModuleType) -> None:
    net = net_of(engine)
    by_name, by_x = engine.grad(cross_entropy, (0, 1))(net, X, LABELS)
    close(by_name["0.bias"], engine.grad(cross_entropy)(net, X, LABELS)["0.bias"])
    numpy_loss = lambda x: engine.value_and_grad(cross_entropy)(net, x, LABELS)[0]
    close(by_x, numerically(numpy_loss, [X], 0), rtol=1e-7)


def test_modules_have_jacobians_and_hessians(engine: ModuleType) -> None:
    net = net_of(engine)
    rows = engine.jacobian(lambda net, x: net(x).sum(0))(net, X)
    assert rows["0.weight"].shape == (2, 4, 3)
    values = {name: p.detach().numpy() for name, p in net.named_parameters()}

    def written_out(values: Any) -> Any:
        return (X @ values["0.weight"].T + values["0.bias"]).tanh() @ values["2.weight"].T + values["2.bias"]

    expected = engine.jacobian(lambda values: written_out(values).sum(0))(values)
    for name in values:
        close(rows[name], expected[name], rtol=1e-12)
    hessian = engine.hessian(lambda net, x: (net(x) * net(x)).sum())(net, X)
    expected = engine.hessian(lambda values: (written_out(values) * written_out(values)).sum())(values)
    for a in values:
        for b in values:
            close(hessian[a][b], expected[a][b], rtol=1e-11)


def test_tied_parameters_have_one_gradient_the_sum(engine: ModuleType) -> None:
    layers = engine.nn
    shared = layers.Linear(3, 3, dtype=np.float64)
    net = layers.Sequential(shared, layers.Tanh(), shared)
    gradients = engine.grad(lambda net, x: net(x).sum())(net, X)
    assert list(gradients) == ["0.weight", "0.bias"]
    w, b = (p.detach().numpy() for p in shared.parameters())
    first, second = engine.grad(lambda u, v: ((X @ u[0].T + u[1]).tanh() @ v[0].T + v[1]).sum(), (0, 1))((w, b), (w, b))
    close(gradients["0.weight"], first[0] + second[0])
    close(gradients["0.bias"], first[1] + second[1])


def test_one_parameter_in_two_modules(engine: ModuleType) -> None:
    layers = engine.nn
    one, two = layers.Linear(3, 3, dtype=np.float64), layers.Linear(3, 3, dtype=np.float64)
    two.weight = one.weight
    net = layers.Sequential(one, two)
    gradients = engine.grad(lambda net, x: (net(x) * net(x)).sum())(net, X)
    assert list(gradients) == ["0.weight", "0.bias", "1.bias"]
    w, b, c = (p.detach().numpy() for p in net.parameters())
    numpy_loss = lambda w: (((X @ w.T + b) @ w.T + c) ** 2).sum()
    close(gradients["0.weight"], numerically(numpy_loss, [w], 0), rtol=1e-7)
    assert two.weight is one.weight


def test_frozen_parameters_are_left_out(engine: ModuleType) -> None:
    net = net_of(engine)
    whole = engine.grad(cross_entropy)(net, X, LABELS)
    net[0].requires_grad_(False)
    gradients = engine.grad(cross_entropy)(net, X, LABELS)
    assert list(gradients) == ["2.weight", "2.bias"]
    for name in gradients:
        close(gradients[name], whole[name], rtol=1e-13)
    net.requires_grad_(False)
    value, gradients = engine.value_and_grad(cross_entropy)(net, X, LABELS)
    assert gradients == {}
    assert np.isfinite(value)
    net.requires_grad_()
    assert list(engine.grad(cross_entropy)(net, X, LABELS)) == list(whole)


def test_a_net_is_whole_after_an_exception(engine: ModuleType) -> None:
    net = net_of(engine)
    before = dict(net.named_parameters())

    def broken(net: Any, x: Any) -> Any:
        net(x)
        assert net[0].weight.level > 0
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        engine.value_and_grad(broken)(net, X)
    with pytest.raises(KeyError):
        engine.nn.functional.functional_call(Broken(net), {"net.0.bias": np.zeros(4)}, X)
    assert all(p is before[name] and p.level == 0 and p.is_leaf for name, p in net.named_parameters())
    with pytest.raises(DiffError):
        engine.grad(lambda net, x: net(x).sum())(net, X[:, :2])
    assert all(p is before[name] for name, p in net.named_parameters())


class Broken(revdiff.nn.Module):
    """Raises when called."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        raise KeyError("in the middle")


def test_functional_call_swaps_and_puts_back(engine: ModuleType, array: Array) -> None:
    net = net_of(engine)
    before = dict(net.named_parameters())
    values = {name: array(p.detach().numpy() + 1) for name, p in before.items()}
    f = lambda values: engine.nn.functional.functional_call(net, values, engine.tensor(array(X))).tanh().sum()
    value, gradients = engine.value_and_grad(f)(values)
    assert all(p is before[name] for name, p in net.named_parameters())
    other = net_of(engine)
    other.load_state_dict({name: np.asarray(v) for name, v in values.items()})
    expected_value, expected = engine.value_and_grad(lambda net: net(engine.tensor(X)).tanh().sum())(other)
    close(value, expected_value, rtol=1e-12)
    for name in expected:
        close(gradients[name], expected[name], rtol=1e-11)
    with pytest.raises(DiffError, match=r"has no parameter named 'nope', '2\.gain'"):
        engine.nn.functional.functional_call(net, {"nope": 1.0, "0.bias": np.zeros(4), "2.gain": 2.0}, X)
    assert all(p is before[name] for name, p in net.named_parameters())


def test_a_net_can_be_used_by_the_other_engine_only_with_an_error() -> None:
    net = net_of(revdiff)
    with pytest.raises(GradientError, match="tensor cannot meet in one operation"):
        net(dualdiff.tensor(X, requires_grad=True))
