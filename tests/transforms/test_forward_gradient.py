"""Gradients estimated from random directions."""

import gc
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from tests.transforms.functions import LABELS, Array, X, Y, close, cross_entropy, loss, net_of


def test_forward_gradients_are_unbiased_and_know_their_variance() -> None:
    point = np.array([0.3, -0.7, 1.1])
    f = lambda x: (x * x * x).sum() + x[0] * x[1]
    gradient = revdiff.grad(f)(point)
    size, squared = gradient.size, (gradient**2).sum()
    k, draws = 4, 2000
    rng = np.random.default_rng(11)
    found = [dualdiff.forward_gradient(f, directions=k, rng=rng)(point) for _ in range(draws)]
    estimates = np.array([r.gradient for r in found])
    # Each entry has variance (|g|^2 + g_i^2) / k: the mean of the draws lies within five standard errors.
    standard_error = np.sqrt((squared + gradient**2) / k / draws)
    assert (np.abs(estimates.mean(0) - gradient) < 5 * standard_error).all()
    total = (size + 1) * squared / k
    observed = ((estimates - gradient) ** 2).sum(1)
    assert abs(observed.mean() - total) < 5 * observed.std() / np.sqrt(draws)
    stated = np.array([r.variance for r in found])
    assert abs(stated.mean() - total) < 5 * stated.std() / np.sqrt(draws)
    assert all(r.value == found[0].value for r in found)


def test_forward_gradients_repeat_by_seed(array: Array) -> None:
    f = lambda t: (t["a"] * t["a"]).sum() * t["b"]
    tree = {"a": array(Y), "b": array(2.0)}
    estimate = dualdiff.forward_gradient(f, directions=3, rng=7)
    first, second = estimate(tree), estimate(tree)
    close(first.gradient["a"], second.gradient["a"], rtol=0)
    close(first.gradient["b"], second.gradient["b"], rtol=0)
    assert type(first.gradient["a"]) is type(array(Y))
    other = dualdiff.forward_gradient(f, directions=3, rng=8)(tree)
    assert not np.allclose(other.gradient["a"], first.gradient["a"])
    dualdiff.manual_seed(1)
    a = dualdiff.forward_gradient(f)(tree).gradient["a"]
    assert not np.allclose(a, dualdiff.forward_gradient(f)(tree).gradient["a"])
    dualdiff.manual_seed(1)
    close(dualdiff.forward_gradient(f)(tree).gradient["a"], a, rtol=0)


def test_forward_gradients_of_modules_and_of_constants() -> None:
    net = net_of(dualdiff)
    found = dualdiff.forward_gradient(cross_entropy, directions=2, rng=0)(net, X, LABELS)
    assert {name: g.shape for name, g in found.gradient.items()} == {name: p.shape for name, p in net.named_parameters()}
    constant = dualdiff.forward_gradient(lambda x: 2.0, rng=0)(Y)
    close(constant.gradient, np.zeros(3), rtol=0)
    assert float(constant.variance) == 0


@pytest.mark.parametrize("directions", [0, -1, 1.5, True, "3"])
def test_directions_must_be_a_positive_integer(directions: Any) -> None:
    with pytest.raises(ValueError, match=r"`directions` \(="):
        dualdiff.forward_gradient(loss, directions=directions)


@pytest.mark.parametrize("seeding", ["Activations", "", None, 3])
def test_a_seeding_that_is_none_is_named(seeding: Any) -> None:
    for transform in (dualdiff.value_and_grad, dualdiff.grad, dualdiff.jacobian):
        with pytest.raises(ValueError, match=r"seeding \(=.*\) must be one of 'auto', 'activations', 'parameters'"):
            transform(loss, seeding=seeding)(X, Y)


def test_gradients_are_the_callers_own(engine: ModuleType) -> None:
    c = np.full(3, 2.0)
    first, second = engine.grad(lambda a, b: ((a + b) * c).sum(), argnums=(0, 1))(np.ones(3), np.ones(3))
    first *= 0.5
    assert np.array_equal(second, c)
    whole = engine.grad(lambda a: a.sum())(np.ones(3))
    whole += 1
    assert np.array_equal(whole, np.full(3, 2.0))


def test_vjp_of_the_identity_does_not_hand_back_the_cotangent() -> None:
    cotangent = np.ones(3)
    _, pullback = revdiff.vjp(lambda a: a, np.ones(3))
    (g,) = pullback(cotangent)
    g *= 3
    assert np.array_equal(cotangent, np.ones(3))


@pytest.mark.parametrize("options", [{}, {"seeding": "parameters"}, {"memory": "1MB"}])
def test_a_call_leaves_nothing_for_the_garbage_collector(engine: ModuleType, options: dict[str, Any]) -> None:
    if options and engine is revdiff:
        options = {}
    net = net_of(engine)
    transform = engine.value_and_grad(cross_entropy, **options)
    transform(net, X, LABELS)
    gc.collect()
    gc.disable()
    try:
        transform(net, X, LABELS)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_parameter_handed_back_as_it_is_has_the_identity_for_derivative(engine: ModuleType) -> None:
    class Scalar(engine.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.w = engine.nn.Parameter(np.array(3.0))

    value, gradients = engine.value_and_grad(lambda net: net.w)(Scalar())
    assert (float(value), float(gradients["w"])) == (3.0, 1.0)
    net = engine.nn.Linear(2, 2, bias=False)
    rows = engine.jacobian(lambda net: {"w": net.weight})(net)["w"]["weight"]
    assert np.array_equal(rows.reshape(4, 4), np.eye(4))
    assert net.weight.level == 0
