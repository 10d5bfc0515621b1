"""Derivatives of checkpointed functions to second order and beyond, in every nesting of the engines, against jax and finite formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.nn.module import functional_call
from revdiff import checkpoint

X = np.random.default_rng(0).normal(size=(3, 2))
V = np.random.default_rng(1).normal(size=(3, 2))
W = np.random.default_rng(2).normal(size=(2, 2))


def program(call, tanh, exp):
    """A scalar of `x` through `call(segment, x)`: the same for arrays of jax and tensors."""

    def inner(x):
        return tanh(x @ W) * x

    def outer(x):
        return exp(call(inner, x * x) * 0.3).sum(0)

    return lambda x: (call(outer, tanh(x)) ** 2).sum()


plain = program(lambda f, x: f(x), jnp.tanh, jnp.exp)
checked = program(checkpoint, revdiff.tanh, revdiff.exp)


def chained(x):
    steps = [revdiff.tanh, lambda x: x * x, lambda x: revdiff.tanh(x @ W) * x, lambda x: revdiff.exp(x * 0.3).sum(0)]
    return (checkpoint(steps, x, schedule="revolve", snapshots=2) ** 2).sum()


@pytest.fixture(scope="module")
def expected():
    def third(x):
        return jax.grad(lambda x: (jax.grad(lambda y: (jax.grad(plain)(y) * V).sum())(x) * V).sum())(x)

    with jax.enable_x64(True):
        gradient, hessian, third, twice = map(
            np.asarray, jax.jit(lambda x: (jax.grad(plain)(x), jax.hessian(plain)(x), third(x), 2 * jax.grad(plain)(2 * x)))(X)
        )
    rows = np.stack([gradient, twice, np.ones_like(X)])
    return {"grad": gradient, "hessian": hessian, "hvp": np.einsum("abcd,cd", hessian, V), "third": third, "rows": rows}


@pytest.mark.parametrize("function", [checked, chained], ids=["segments", "chain"])
class TestAgainstJax:
    def close(self, found, wanted):
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-12, atol=1e-12)

    def test_reverse(self, function, expected):
        self.close(revdiff.grad(function)(X), expected["grad"])

    def test_forward_only_runs_it(self, function, expected):
        self.close(dualdiff.jvp(function, (X,), (V,))[1], (expected["grad"] * V).sum())
        self.close(dualdiff.grad(function)(X), expected["grad"])

    def test_reverse_over_reverse(self, function, expected):
        self.close(revdiff.hvp(function, X, V), expected["hvp"])
        self.close(revdiff.hessian(function)(X), expected["hessian"])

    def test_forward_over_reverse(self, function, expected):
        self.close(dualdiff.jvp(revdiff.grad(function), (X,), (V,))[1], expected["hvp"])
        self.close(dualdiff.jacobian(revdiff.grad(function))(X), expected["hessian"])

    def test_reverse_over_forward(self, function, expected):
        self.close(revdiff.grad(lambda x: dualdiff.jvp(function, (x,), (V,))[1])(X), expected["hvp"])
        self.close(revdiff.jacobian(dualdiff.grad(function))(X), expected["hessian"])

    def test_forward_over_forward(self, function, expected):
        self.close(dualdiff.hessian(function)(X), expected["hessian"])

    def test_third_order(self, function, expected):
        def along(f):
            return lambda x: (f(x) * V).sum()

        self.close(revdiff.grad(along(revdiff.grad(along(revdiff.grad(function)))))(X), expected["third"])
        self.close(dualdiff.jvp(lambda x: revdiff.hvp(function, x, V), (X,), (V,))[1], expected["third"])

    def test_imperative(self, function, expected):
        x = revdiff.tensor(X, requires_grad=True)
        (g,) = revdiff.autograd.grad(function(x), x, create_graph=True)
        (g * revdiff.tensor(V)).sum().backward()
        self.close(x.grad.numpy(), expected["hvp"])

    def test_all_rows_of_a_jacobian_go_back_together(self, function, expected):
        f = lambda x: revdiff.stack([function(x), function(x * 2), x.sum()])
        self.close(revdiff.jacobian(f)(X), expected["rows"])
        self.close(revdiff.jacobian(f, chunk_size=1)(X), expected["rows"])  # a pass over the kept graph for each row


def test_parameters_of_a_network_in_every_nesting():
    """A transform has its own values in the places of the parameters only during its call, and further runs come later."""
    revdiff.manual_seed(0)
    net = revdiff.nn.Sequential(revdiff.nn.Linear(2, 3, dtype="float64"), revdiff.nn.Tanh(), revdiff.nn.Linear(3, 1, dtype="float64"))
    parts = {"plain": lambda net, x: net(x), "whole": checkpoint, "chain": lambda net, x: checkpoint(net, x, segments=2)}
    found = []
    for call in parts.values():

        def loss(net, x, call=call):
            return (call(net, x) ** 2).sum()

        def penalty(net, x, loss=loss):  # a gradient by the input within a gradient by the parameters
            return sum((g**2).sum() for g in revdiff.grad(loss, (0, 1))(net, x)[0].values()) + (revdiff.grad(loss, 1)(net, x) ** 2).sum()

        doubled = {name: p.detach().numpy() * 2 for name, p in net.named_parameters()}

        def stateless(parameters, x, call=call):  # other values stand in the places during the call
            holder = revdiff.nn.Sequential(net)
            holder.forward = lambda x: call(net, x)
            return (functional_call(holder, {f"0.{name}": value for name, value in parameters.items()}, x) ** 2).sum()

        results = [
            *revdiff.grad(loss)(net, X).values(),
            *revdiff.grad(penalty)(net, X).values(),
            *dualdiff.jvp(lambda x, loss=loss: tuple(revdiff.grad(loss)(net, x).values()), (X,), (V,))[1],
            *revdiff.grad(stateless)(doubled, X).values(),
        ]
        found.append(results)
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
