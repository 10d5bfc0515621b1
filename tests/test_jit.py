"""Both engines under `jax.jit`: the compiled function equals jax's own derivative to float32 rounding."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff

jax = pytest.importorskip("jax")
jnp = jax.numpy

RNG = np.random.default_rng(8)
EPSILON = float(np.finfo(np.float32).eps)


def draw(*shape: int) -> Any:
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def same(found: Any, expected: Any, ulps: float = 32) -> None:
    """Equal in structure, shape and dtype, and to `ulps` roundings of the largest entry."""
    leaves, structure = jax.tree.flatten(found)
    wanted, other = jax.tree.flatten(expected)
    assert structure == other
    for a, b in zip(leaves, wanted, strict=True):
        assert isinstance(a, jax.Array)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert np.isfinite(np.asarray(a)).all()
        np.testing.assert_allclose(a, b, rtol=0, atol=ulps * EPSILON * max(1.0, float(jnp.abs(b).max(initial=0))))


def log_softmax(x: Any) -> Any:
    return x - x.logsumexp(-1, keepdim=True) if hasattr(x, "logsumexp") else jax.nn.log_softmax(x)


class Case:
    """One function written for tensors and for jax, and where to differentiate it."""

    def __init__(self, ours: Callable[..., Any], theirs: Callable[..., Any], *args: Any) -> None:
        self.ours, self.theirs, self.args = ours, theirs, args


X, W, B, V = draw(6, 4), draw(4, 3), draw(3), draw(2, 3)
LABELS = jnp.array([0, 1, 1, 0, 1, 0])

CASES = {
    "elementwise": Case(
        lambda x, b: ((x.exp() * 0.1 - x / (1 + x * x)).tanh().sigmoid() + abs(x) ** 1.5).sum() * b.relu().sum(),
        lambda x, b: (jax.nn.sigmoid(jnp.tanh(jnp.exp(x) * 0.1 - x / (1 + x * x))) + jnp.abs(x) ** 1.5).sum() * jax.nn.relu(b).sum(),
        X,
        B,
    ),
    "two layers": Case(
        lambda w, v: revdiff.nn.functional.cross_entropy(revdiff.nn.functional.linear((X @ w + B).tanh(), v), LABELS),
        lambda w, v: -jax.nn.log_softmax(jnp.tanh(X @ w + B) @ v.T)[jnp.arange(6), LABELS].mean(),
        W,
        V,
    ),
    "indexing and reductions": Case(
        lambda x, w: (x[1:, ::2].mean(0) * w[jnp.array([0, 0, 2]), :2].amax(1).sum()).sum() + x.T.reshape(-1).logsumexp(),
        lambda x, w: (x[1:, ::2].mean(0) * w[jnp.array([0, 0, 2]), :2].max(1).sum()).sum() + jax.nn.logsumexp(x.T.reshape(-1)),
        X,
        W,
    ),
    "batches of products": Case(
        lambda x, w: ((x.reshape(2, 3, 4) @ w).transpose(0, 1) @ w.T).mean(),
        lambda x, w: (jnp.swapaxes(x.reshape(2, 3, 4) @ w, 0, 1) @ w.T).mean(),
        X,
        W,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_compiled_gradient_equals_jax(engine: ModuleType, case: Case) -> None:
    expected = jax.jit(jax.value_and_grad(case.theirs, (0, 1)))(*case.args)
    transform = engine.value_and_grad(case.ours, (0, 1))
    same(jax.jit(transform)(*case.args), expected)


@pytest.mark.parametrize("seeding", ["parameters", "activations"])
def test_the_compiled_gradient_by_every_seeding(seeding: str) -> None:
    case = CASES["two layers"]
    expected = jax.jit(jax.value_and_grad(case.theirs, (0, 1)))(*case.args)
    same(jax.jit(dualdiff.value_and_grad(case.ours, (0, 1), seeding=seeding))(*case.args), expected)


def test_compiled_chunks() -> None:
    case = CASES["two layers"]
    expected = jax.jit(jax.value_and_grad(case.theirs, (0, 1)))(*case.args)
    same(jax.jit(dualdiff.value_and_grad(case.ours, (0, 1), memory=2000))(*case.args), expected)


def test_eager_jax_equals_jax_too(engine: ModuleType) -> None:
    case = CASES["two layers"]
    same(engine.value_and_grad(case.ours, (0, 1))(*case.args), jax.jit(jax.value_and_grad(case.theirs, (0, 1)))(*case.args))


def vectors(x: Any, w: Any) -> Any:
    return (x @ w).tanh().sum(1)


def test_the_other_transforms_compile(engine: ModuleType) -> None:
    theirs = lambda x, w: jnp.tanh(x @ w).sum(1)
    same(jax.jit(engine.jacobian(vectors, (0, 1)))(X, W), jax.jit(jax.jacrev(theirs, (0, 1)))(X, W))
    square = lambda w: (X @ w).tanh().sum()
    hessian = jax.jit(jax.hessian(lambda w: jnp.tanh(X @ w).sum()))(W)
    same(jax.jit(lambda w, v: engine.hvp(square, w, v))(W, W + 1), jnp.tensordot(hessian, W + 1, 2), ulps=128)
    if engine is revdiff:
        found = jax.jit(lambda x, w, g: revdiff.vjp(vectors, x, w)[1](g))(X, W, X[:, 0])
        same(found, jax.jit(lambda x, w, g: jax.vjp(theirs, x, w)[1](g))(X, W, X[:, 0]))
    else:
        found = jax.jit(lambda x, w: dualdiff.jvp(vectors, (x, w), (x, w)))(X, W)
        same(found, jax.jit(lambda x, w: jax.jvp(theirs, (x, w), (x, w)))(X, W))


def test_forward_gradients_take_a_key_under_jit() -> None:
    f = lambda x: (x * x * x).sum()
    estimate = jax.jit(lambda x, key: dualdiff.forward_gradient(f, directions=4, rng=key)(x))
    one, two = estimate(B, jax.random.key(0)), estimate(B, jax.random.key(1))
    assert not np.allclose(one.gradient, two.gradient)
    same(estimate(B, jax.random.key(0)), one, ulps=0)
    assert float(one.variance) > 0


def test_a_training_step_compiles(engine: ModuleType) -> None:
    engine.manual_seed(0)
    layers = engine.nn
    net = layers.Sequential(layers.Linear(4, 5), layers.ReLU(), layers.Linear(5, 2)).to("jax")
    loss = lambda net, x, y: layers.functional.cross_entropy(net(x), y)
    parameters = {name: p.detach().array for name, p in net.named_parameters()}

    def by_name(parameters: Any, x: Any, y: Any) -> Any:
        return layers.functional.cross_entropy(layers.functional.functional_call(net, parameters, x), y)

    @jax.jit
    def step(parameters: Any, x: Any, y: Any) -> Any:
        value, gradients = engine.value_and_grad(by_name)(parameters, x, y)
        return value, {name: p - 0.1 * gradients[name] for name, p in parameters.items()}

    value, updated = step(parameters, X, LABELS)
    eager_value, gradients = engine.value_and_grad(loss)(net, X, LABELS)
    same(value, eager_value)
    for name, gradient in gradients.items():
        assert isinstance(gradient, jax.Array)
        same(updated[name], parameters[name] - 0.1 * gradient)
    first = float(value)
    for _ in range(20):
        value, updated = step(updated, X, LABELS)
    assert float(value) < first
    same({name: p.detach().array for name, p in net.named_parameters()}, parameters, ulps=0)
    compiled = jax.jit(lambda x, y: engine.value_and_grad(loss)(net, x, y))(X, LABELS)
    same(compiled, (eager_value, gradients))


def test_jax_can_differentiate_what_the_engines_compute(engine: ModuleType) -> None:
    """The result is an ordinary jax program: jax's own transforms go over it."""
    f = lambda x: (x * x * x).sum()
    same(jax.jit(jax.jacfwd(engine.grad(f)))(B), jnp.diag(6 * B))
    same(jax.jit(jax.vmap(engine.grad(f)))(X), 3 * X * X)


def test_reading_a_traced_value_is_jax_own_error(engine: ModuleType) -> None:
    for read in (lambda x: x if x.sum() > 0 else -x, lambda x: x * float(x.sum()), lambda x: x * x.sum().item()):
        with pytest.raises(jax.errors.ConcretizationTypeError):
            jax.jit(engine.grad(lambda x, read=read: read(x).sum()))(B)


def test_a_traced_tensor_has_a_repr(engine: ModuleType) -> None:
    seen: list[str] = []

    def f(x: Any) -> Any:
        seen.append(repr(x))
        return (x * x).sum()

    jax.jit(engine.grad(f))(B)
    assert len(seen) == 1
    assert "shape=(3,)" in seen[0]
    assert "Tracer" not in seen[0]
