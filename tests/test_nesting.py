"""Transforms inside transforms: no derivative is taken for another one's, and every nesting gives the same numbers."""

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError

Derivative = Callable[[Callable[[Any], Any], Any], Any]


def by_jvp(f: Callable[[Any], Any], x: Any) -> Any:
    return dualdiff.jvp(f, (x,), (np.ones(()),))[1]


def by_vjp(f: Callable[[Any], Any], x: Any) -> Any:
    return revdiff.vjp(f, x)[1](np.ones(()))[0]


DERIVATIVES: dict[str, Derivative] = {
    "revdiff.grad": lambda f, x: revdiff.grad(f)(x),
    "dualdiff.grad": lambda f, x: dualdiff.grad(f)(x),
    "revdiff.jacobian": lambda f, x: revdiff.jacobian(f)(x),
    "dualdiff.jacobian": lambda f, x: dualdiff.jacobian(f)(x),
    "jvp": by_jvp,
    "vjp": by_vjp,
}
POINT = np.array(0.7)
PAIRS = list(itertools.product(DERIVATIVES, repeat=2))


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_perturbations_are_not_confused(outer: str, inner: str) -> None:
    """d/dx (x d/dy (x + y)) = 1; confusing the two would give 2 (Siskind and Pearlmutter 2005)."""
    d, e = DERIVATIVES[outer], DERIVATIVES[inner]
    assert float(d(lambda x: x * e(lambda y: x + y, np.array(1.0)), POINT)) == 1.0
    assert float(d(lambda x: x * e(lambda y: x * y, np.array(2.0)), POINT)) == pytest.approx(2 * 0.7, rel=1e-15)
    # the inner function closes over x and is evaluated at a point that depends on x: d/dx [2 x^2 + x]
    assert float(d(lambda x: e(lambda y: x * y * y + y, x), POINT)) == pytest.approx(4 * 0.7, rel=1e-15)


@pytest.mark.parametrize("names", list(itertools.product(["revdiff.grad", "dualdiff.grad", "jvp"], repeat=3)))
def test_three_levels(names: tuple[str, ...]) -> None:
    a, b, c = (DERIVATIVES[name] for name in names)
    # f = d/dz (x y z^2) at z = x  is 2 x^2 y;  d/dy at y = x^2 gives 2 x^2 ... times y: 2 x^2 * x^2; d/dx gives 8 x^3
    f = lambda x: b(lambda y: c(lambda z: x * y * z * z, x) * 1.0, x * x) * x * x
    assert float(a(f, POINT)) == pytest.approx(8 * 0.7**3, rel=1e-14)
    # third derivative of sin-like composite, all at one variable
    third = a(lambda x: b(lambda y: c(lambda z: z.tanh(), y), x), POINT)
    t = np.tanh(0.7)
    assert float(third) == pytest.approx((1 - t * t) * (6 * t * t - 2), rel=1e-13)


def test_five_levels_of_alternating_engines() -> None:
    derivative: Callable[[Any], Any] = lambda x: x**6
    for i in range(5):
        derivative = (revdiff if i % 2 else dualdiff).grad(derivative)
    assert float(derivative(POINT)) == pytest.approx(720 * 0.7, rel=1e-13)


@pytest.mark.parametrize("engine", [revdiff, dualdiff], ids=lambda e: e.__name__)
def test_an_inner_level_sees_the_imperative_one_through(engine: ModuleType) -> None:
    for inner in (revdiff, dualdiff):
        x = engine.tensor(0.7, dtype=np.float64, requires_grad=True)
        y = inner.grad(lambda z, x=x: z * z * x)(np.array(2.0))
        y.backward()
        assert float(y) == pytest.approx(4 * 0.7, rel=1e-15)
        assert float(x.grad) == 4.0


def test_a_value_that_leaks_from_a_finished_level_is_a_constant_of_the_others() -> None:
    for first, second in itertools.product((revdiff, dualdiff), repeat=2):
        leaked: list[Any] = []
        first.grad(lambda x, leaked=leaked: (leaked.append(x), x * x)[1])(POINT)
        assert float(second.grad(lambda x, leaked=leaked: x * leaked[0].detach())(POINT)) == pytest.approx(0.7)


# ------------------------------------------------------------------------------------------------ second order


RNG = np.random.default_rng(2)
INPUT, TARGET = RNG.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
WEIGHTS = RNG.normal(size=(3, 4)), RNG.normal(size=(4,)), RNG.normal(size=(2, 4))


def network(w: Any, b: Any, v: Any) -> Any:
    """A loss with products, broadcasting, an activation, a fused loss and a penalty, on tensors."""
    hidden = (INPUT @ w + b).tanh()
    logits = revdiff.nn.functional.linear(hidden, v)
    return revdiff.nn.functional.cross_entropy(logits, TARGET) + 0.1 * (w * w).sum() * v[0, 1].exp()


@pytest.fixture(scope="module")
def oracle() -> Any:
    """jax's Hessian of `network`."""
    import jax

    jnp = jax.numpy

    def same(w: Any, b: Any, v: Any) -> Any:
        logits = jnp.tanh(INPUT @ w + b) @ v.T
        picked = jax.nn.log_softmax(logits)[jnp.arange(5), TARGET]
        return -picked.mean() + 0.1 * (w * w).sum() * jnp.exp(v[0, 1])

    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable(True):
        return [[np.asarray(block) for block in row] for row in jax.jit(jax.hessian(same, (0, 1, 2)))(*WEIGHTS)]


@pytest.mark.parametrize("seeding", ["auto", "parameters", "activations"])
@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(["revdiff", "dualdiff"], repeat=2)))
def test_the_four_nestings_give_one_hessian(outer: str, inner: str, seeding: str, oracle: Any) -> None:
    engines = {"revdiff": revdiff, "dualdiff": dualdiff}
    options = {name: {"seeding": seeding} if name == "dualdiff" else {} for name in engines}
    if seeding != "auto" and outer == inner == "revdiff":
        pytest.skip("no seeding in reverse over reverse")
    gradient = engines[inner].grad(network, (0, 1, 2), **options[inner])
    found = engines[outer].jacobian(gradient, (0, 1, 2), **options[outer])(*WEIGHTS)
    for row, expected in zip(found, oracle, strict=True):
        for block, wanted in zip(row, expected, strict=True):
            assert type(block) is np.ndarray
            np.testing.assert_allclose(block, wanted, rtol=1e-11, atol=1e-14)


def test_hessian_times_vector_in_four_ways(oracle: Any) -> None:
    along = tuple(RNG.normal(size=w.shape) for w in WEIGHTS)
    wanted = [sum(np.tensordot(block, v, v.ndim) for block, v in zip(row, along, strict=True)) for row in oracle]
    numbers = (0, 1, 2)

    def reverse_over_forward() -> Any:
        slope = lambda w, b, v: dualdiff.jvp(network, (w, b, v), along)[1]
        return revdiff.grad(slope, numbers)(*WEIGHTS)

    ways = {
        "reverse over reverse": revdiff.hvp(network, WEIGHTS, along),
        "forward over forward": dualdiff.hvp(network, WEIGHTS, along),
        "forward over reverse": dualdiff.jvp(revdiff.grad(network, numbers), WEIGHTS, along)[1],
        "reverse over forward": reverse_over_forward(),
    }
    for name, found in ways.items():
        for product, expected in zip(found, wanted, strict=True):
            np.testing.assert_allclose(product, expected, rtol=1e-11, atol=1e-13, err_msg=name)


def test_nestings_with_modules() -> None:
    def built(engine: ModuleType) -> Any:
        engine.manual_seed(0)
        layers = engine.nn
        return layers.Sequential(layers.Linear(3, 2, dtype=np.float64), layers.Sigmoid(), layers.Linear(2, 1, dtype=np.float64))

    def penalty(engine: ModuleType, net: Any) -> Any:
        """How the squared gradient with respect to the input depends on the parameters."""
        slope = lambda x: net(x).sum()
        gradient = engine.grad(slope)
        return lambda x: (gradient(x) * gradient(x)).sum()

    found = {}
    for outer, inner in itertools.product((revdiff, dualdiff), repeat=2):
        net = built(outer)
        loss = lambda net, x, inner=inner: penalty(inner, net)(x)
        value, gradients = outer.value_and_grad(loss)(net, INPUT)
        found[outer.__name__, inner.__name__] = gradients
        assert all(p.level == 0 for p in net.parameters())
        assert value > 0
    first, *others = found.values()
    assert np.abs(first["2.bias"]).max() == 0  # the input's gradient does not depend on it
    for other in others:
        for name in first:
            np.testing.assert_allclose(other[name], first[name], rtol=1e-12, atol=1e-15)


def test_a_gradient_step_inside_a_gradient() -> None:
    """The derivative through an inner update, as meta-learning takes it."""
    task = lambda w, x: ((w * x).tanh() * (w * x).tanh()).sum()
    x, w = np.array([0.5, -1.0]), np.array([1.0, 2.0])
    results = []
    for outer, inner in itertools.product((revdiff, dualdiff), repeat=2):
        adapted = lambda w, inner=inner: task(w - 0.1 * inner.grad(task)(w, x), x + 1)
        results.append(outer.grad(adapted)(w))
    numeric = [
        (adapted_value(w + h) - adapted_value(w - h)) / 2e-6
        for h in 1e-6 * np.eye(2)
        for adapted_value in [lambda v: np.sum(np.tanh((v - 0.1 * 2 * np.tanh(v * x) * (1 - np.tanh(v * x) ** 2) * x) * (x + 1)) ** 2)]
    ]
    for result in results:
        np.testing.assert_allclose(result, results[0], rtol=1e-13)
        np.testing.assert_allclose(result, numeric, rtol=1e-7)


def test_mixing_engines_at_one_level_inside_a_transform() -> None:
    x, y = revdiff.tensor(1.0, requires_grad=True), dualdiff.tensor(1.0, requires_grad=True)
    with pytest.raises(GradientError, match="cannot meet in one operation"):
        revdiff.grad(lambda z: z * x * y)(POINT)
