"""Three seedings, one gradient: networks, losses that mix examples, shared weights, and programs drawn at random."""

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dualdiff
import revdiff
from diffcore import ops
from dualdiff.seeding import Seeding, Site, Variable

MODES = Seeding.MODES
RNG = np.random.default_rng(4)


def agree(loss: Callable[..., Any], *args: Any, rtol: float = 1e-12) -> Any:
    """The gradient by every argument, checked to be the same in reverse and by every seeding."""
    numbers = tuple(range(len(args)))
    value, expected = revdiff.value_and_grad(loss, numbers)(*args)
    flat = leaves(expected)
    scale = size_of(flat)
    for mode in MODES:
        found_value, found = dualdiff.value_and_grad(loss, numbers, seeding=mode)(*args)
        np.testing.assert_array_equal(found_value, value)
        for a, b in zip(leaves(found), flat, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=0, atol=rtol * scale, err_msg=mode)
    return expected


def leaves(tree: Any) -> list[np.ndarray]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, tuple | list):
        return [leaf for value in tree for leaf in leaves(value)]
    return [np.asarray(tree)]


def size_of(arrays: list[np.ndarray]) -> float:
    """What rounding errors are measured against: the largest entry of a gradient."""
    return float(max([1e-3, *(np.abs(a).max(initial=0) for a in arrays)]))


def differences(loss: Callable[..., Any], *args: Any) -> None:
    """Every gradient against central differences in random directions: an oracle that shares nothing with the engines."""
    gradients = revdiff.grad(loss, tuple(range(len(args))))(*args)
    along = [RNG.normal(size=a.shape) for a in args]
    slope = sum((g * v).sum() for g, v in zip(gradients, along, strict=True))
    h = 1e-6
    plus, minus = (float(loss(*[revdiff.tensor(a + sign * h * v) for a, v in zip(args, along, strict=True)])) for sign in (1, -1))
    np.testing.assert_allclose((plus - minus) / (2 * h), slope, rtol=1e-6, atol=1e-7)


def directions_of(loss: Callable[..., Any], *args: Any, mode: str = "activations") -> int:
    """How many directions one pass plants."""
    seeding = Seeding(mode, {}, planning=True)
    from diffcore.dispatch import new_level
    from diffcore.transforms import Arguments
    from dualdiff.plans import call, seeded

    arguments, level = Arguments("test", args, tuple(range(len(args)))), new_level()
    tensors, _ = seeded(arguments, level, seeding)
    call(loss, arguments, tensors, level)
    return sum(seeding.met.values())


# ------------------------------------------------------------------------------------------------ networks


def mlp(engine: ModuleType, widths: list[int], activation: str) -> Any:
    engine.manual_seed(sum(widths))
    layers: list[Any] = []
    for d_in, d_out in itertools.pairwise(widths):
        along = (-1,) if activation.endswith("Softmax") else ()
        layers += [engine.nn.Linear(d_in, d_out, dtype=np.float64), getattr(engine.nn, activation)(*along)]
    return engine.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("activation", ["Tanh", "ReLU", "Sigmoid", "Softmax", "LogSoftmax"])
@pytest.mark.parametrize("widths", [[3, 4], [5, 4, 3], [3, 7, 2, 4], [4, 3, 3, 3, 3, 2]])
@pytest.mark.parametrize("batch", [None, 1, 2, 6])
def test_networks(widths: list[int], activation: str, batch: int | None) -> None:
    x = RNG.normal(size=widths[0] if batch is None else (batch, widths[0]))
    y = np.asarray(RNG.integers(widths[-1], size=() if batch is None else batch))
    loss = lambda net, x, y: ops.cross_entropy(net(x), y)
    _, expected = revdiff.value_and_grad(loss)(mlp(revdiff, widths, activation), x, y)
    for mode in MODES:
        _, found = dualdiff.value_and_grad(loss, seeding=mode)(mlp(dualdiff, widths, activation), x, y)
        assert list(found) == list(expected)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-14, err_msg=f"{mode} {name}")


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 4), (2, 1, 4), (2, 2, 3, 4), (0, 4), (2, 0, 4)])
def test_inputs_with_a_time_axis(shape: tuple[int, ...]) -> None:
    w, b, v = RNG.normal(size=(3, 4)), RNG.normal(size=3), RNG.normal(size=(2, 3))
    x = RNG.normal(size=shape)
    agree(lambda w, b, v, x: (ops.linear(ops.linear(x, w, b).tanh(), v) ** 2).sum(), w, b, v, x)
    agree(lambda w, b, v, x: ((x @ w.T + b).tanh() @ v.T).exp().sum(-2).tanh().sum(), w, b, v, x)


W, B, V, X = RNG.normal(size=(3, 4)), RNG.normal(size=3), RNG.normal(size=(2, 3)), RNG.normal(size=(5, 4))
SQUARE = RNG.normal(size=(4, 4))

LOSSES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a sum over the batch, then squared": (lambda w, b: ops.linear(X, w, b).sum(0).tanh().sum() ** 2, (W, B)),
    "the square of the mean": (lambda w, b: (ops.linear(X, w, b).tanh().mean(0) ** 2).sum(), (W, B)),
    "batch statistics": (
        lambda w, b, v: ops.linear(normalised(ops.linear(X, w, b)).tanh(), v).exp().mean(),
        (W, B, V),
    ),
    "layer statistics": (lambda w, b, v: ops.linear(normalised(ops.linear(X, w, b), 1).tanh(), v).exp().mean(), (W, B, V)),
    "a kernel matrix of the examples": (lambda w: ((X @ w.T) @ (X @ w.T).T).tanh().sum(), (W,)),
    "examples in another order": (lambda w: (ops.linear(X, w)[[3, 0, 1, 2, 4]] * ops.linear(X, w).tanh()).sum(), (W,)),
    "examples next to each other": (lambda w: (ops.linear(X, w)[1:].tanh() * ops.linear(X, w)[:-1]).sum(), (W,)),
    "the largest over the batch": (lambda w: ops.linear(X, w).tanh().amax(0).sum(), (W,)),
    "softmax over the batch": (lambda w: (ops.linear(X, w).softmax(0) * ops.linear(X, w)).sum(), (W,)),
    "logsumexp of everything": (lambda w, b: ops.linear(X, w, b).logsumexp(), (W, B)),
    "batch and features merged": (lambda w, b: (ops.linear(X, w, b).reshape(-1) ** 3).tanh().sum(), (W, B)),
    "batch split in two": (lambda w, b: (ops.linear(X[:4], w, b).reshape(2, 2, 3).tanh().sum(1) ** 2).sum(), (W, B)),
    "batch moved behind": (lambda w, b: (ops.linear(X, w, b).T.tanh() @ X).tanh().sum(), (W, B)),
    "one example at a time": (lambda w, b: sum_of([ops.linear(X[i], w, b).tanh().sum() ** 2 for i in range(5)]), (W, B)),
    "rows against rows": (
        lambda w: ((ops.linear(X, w).reshape(5, 1, 3) - ops.linear(X, w).reshape(1, 5, 3)) ** 2).exp().mean(),
        (0.1 * W,),
    ),
    "a penalty on the weights": (lambda w, b: ops.linear(X, w, b).tanh().sum() + 0.1 * (w * w).sum() + abs(b).sum(), (W, B)),
    "a penalty alone": (lambda w, b: (w * w).sum() * 0.5, (W, B)),
    "the norm of a weight scales another": (lambda w, v: (ops.linear(ops.linear(X, w), v) / (w * w).sum().sqrt()).tanh().sum(), (W, V)),
    "a weight used twice": (lambda a: ops.linear(ops.linear(X, a).tanh(), a).tanh().sum(), (SQUARE,)),
    "a weight squared as a matrix": (lambda a: (X @ (a @ a)).tanh().sum(), (SQUARE,)),
    "a weight used as input and weight": (lambda a: ops.linear(a, a, a[0]).tanh().sum(), (SQUARE,)),
    "tied through a transpose": (lambda w: (ops.linear(X, w).tanh() @ w - X).exp().mean(), (W,)),
    "products in place of layers": (lambda w, b, v: ((X @ w.T + b).tanh() @ v.T).tanh().sum(), (W, B, V)),
    "weights through slices": (lambda w, b: ((X[:, :2] @ w[:, :2].T + b[1:2]).tanh() @ w[:, 2:]).exp().sum(), (W, B)),
    "weights through a reshape": (lambda w, b: (X @ w.reshape(4, 3) + b.reshape(1, 3)).tanh().sum(), (W, B)),
    "weights through an activation": (lambda w, b: ops.linear(X, w.tanh(), b.exp()).tanh().sum(), (W, B)),
    "a cast weight": (lambda w, b: ops.linear(X, w.astype(np.float64), b.astype(np.float64)).tanh().sum(), (W, B)),
    "a bias for every example": (lambda w, e: (ops.linear(X, w) + e).tanh().sum(), (W, RNG.normal(size=(5, 1)))),
    "a scale and a shift": (lambda g, b: ((X * g + b).tanh() * X).sum(), (RNG.normal(size=4), RNG.normal(size=4))),
    "broadcasting both ways": (lambda r, c: (r * c + c / (2 + r * r)).tanh().sum(), (RNG.normal(size=(1, 4)), RNG.normal(size=(5, 1)))),
    "a scalar weight": (lambda s, b: (X * s + b).tanh().sum(), (np.array(0.3), np.array([0.1]))),
    "a power": (lambda p, b: ((X * X + 0.1) ** p * b).sum(), (np.array([1.0, 2.0, 0.5, -1.0]), np.array(2.0))),
    "a mask": (lambda w, b: ops.where(ops.linear(X, w, b) > 0, ops.linear(X, w, b), b).sum(), (W, B)),
    "the larger of two": (lambda w, b: ops.maximum(ops.linear(X, w), b).tanh().sum(), (W, B)),
    "an outer product": (lambda u, v: (u.reshape(-1, 1) @ v.reshape(1, -1)).tanh().sum(), (B, X[0])),
    "vectors": (lambda u, v: (u @ (V.T @ V) @ u) * (u @ B).tanh() + (W @ v) @ u, (B, X[0])),
    "a stack of products": (lambda t, w: (t @ w).tanh().sum(), (RNG.normal(size=(2, 5, 4)), RNG.normal(size=(2, 4, 3)))),
    "one matrix for a stack": (lambda t, w: (t @ w).tanh().sum(), (RNG.normal(size=(2, 5, 4)), RNG.normal(size=(4, 3)))),
    "a stack for one matrix": (lambda t, w: (t @ w).tanh().sum(), (RNG.normal(size=(5, 4)), RNG.normal(size=(2, 4, 3)))),
    "picked classes": (lambda w, b: ops.linear(X, w, b).log_softmax().gather(1, np.array([[0], [2], [1], [1], [0]])).mean(), (W, B)),
    "losses of examples, weighted": (
        lambda w, b: (ops.cross_entropy(ops.linear(X, w, b), np.array([0, 2, 1, 1, 0]), reduction="none") * np.arange(5.0)).tanh().sum(),
        (W, B),
    ),
    "weights of one feature": (lambda w, b: ops.linear(ops.linear(X, w[:1], b[:1]).tanh(), w[:, :1], b).tanh().sum(), (W, B)),
    "a residual connection": (lambda a, b: (X + ops.linear((X + ops.linear(X, a, b)).tanh(), a)).tanh().sum(), (SQUARE, X[0])),
    "a value and its detached copy": (lambda w: (ops.linear(X, w) * ops.linear(X, w).detach()).sum(), (W,)),
    "no dependence": (lambda w, b: (b * b).sum(), (W, B)),
}


def normalised(h: Any, axis: int = 0) -> Any:
    centred = h - h.mean(axis, keepdim=True)
    return centred / ((centred * centred).mean(axis, keepdim=True) + 1e-5).sqrt()


def sum_of(values: list[Any]) -> Any:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    loss, args = LOSSES[name]
    agree(loss, *args)
    if "detached" not in name:
        differences(loss, *args)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_one_example(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch 1: features and examples cannot be told apart by shape."""
    if any(word in name for word in ("order", "split", "picked", "rows", "weighted", "one example", "for every example")):
        pytest.skip("needs a batch of its own size")
    loss, args = LOSSES[name]
    monkeypatch.setitem(globals(), "X", X[:1])
    agree(loss, *args)


def test_a_batch_as_large_as_everything_else() -> None:
    """Square shapes, where an axis mistaken for another goes unnoticed by shape."""
    x, a, b, c = (RNG.normal(size=(4, 4)) for _ in range(4))
    for loss in (
        lambda a, b, c: ops.linear((x @ a).tanh(), b, c[0]).T.tanh().sum(1).exp().sum(),
        lambda a, b, c: ((x @ a) * c + (x @ b).T).tanh().sum(),
        lambda a, b, c: ((x @ a) @ (x @ b).tanh() @ c).tanh().sum(),
        lambda a, b, c: ((x @ a) + (x @ b).sum(1)).tanh().sum() + ((x @ c).sum(0) * (x @ a).tanh()).sum(),
        lambda a, b, c: ((x @ a).reshape(4, 2, 2) * (x @ b).sum(1).reshape(4, 1, 1)).tanh().sum() * (c @ c).tanh().sum(),
        lambda a, b, c: ops.cross_entropy((x @ a).T @ b, np.array([0, 1, 2, 3])) + (c.T * (x @ a)).tanh().mean(),
    ):
        agree(loss, a, b, c)
        differences(loss, a, b, c)


# ------------------------------------------------------------------------------------------------ what it costs


def test_activation_seeding_needs_a_direction_per_feature() -> None:
    loss = lambda w, b, v: ops.linear(ops.linear(X, w, b).tanh(), v).tanh().sum()
    assert directions_of(loss, W, B, V) == 3 + 2
    assert directions_of(loss, W, B, V, mode="auto") == 3 + 2
    assert directions_of(loss, W, B, V, mode="parameters") == W.size + B.size + V.size


def test_auto_takes_whichever_needs_fewer() -> None:
    narrow = RNG.normal(size=(40, 1))
    loss = lambda w: ops.linear(X[:, :1], w).reshape(5, 40).tanh().sum()
    assert directions_of(loss, narrow, mode="auto") == 40
    wide = lambda w: (RNG.normal(size=(5, 6, 1)) @ w).tanh().sum()  # 6 x 3 features against 3 elements
    assert directions_of(wide, RNG.normal(size=(1, 3)), mode="activations") == 18
    assert directions_of(wide, RNG.normal(size=(1, 3)), mode="auto") == 3


def test_a_batch_statistic_falls_back_to_parameter_directions() -> None:
    """Where examples are mixed the site is expanded; what leaves is in the directions of the variables."""
    seen: list[set[type]] = []

    def loss(w: Any) -> Any:
        h = ops.linear(X, w).tanh()
        mixed = h.mean(0, keepdim=True)
        seen.extend({type(seed) for seed in tensor.tangents} for tensor in (h, mixed))
        return (mixed * mixed).sum()

    dualdiff.grad(loss, seeding="activations")(W)
    assert seen == [{Site}, {Variable}]
    assert dualdiff.directions(lambda w: (ops.linear(X, w).tanh().mean(0) ** 2).sum(), seeding="activations")(W) == 3 + W.size


def test_directions_are_counted_without_computing() -> None:
    loss = lambda w, b, v: ops.linear(ops.linear(X, w, b).tanh(), v).tanh().sum()
    counted = {mode: dualdiff.directions(loss, (0, 1, 2), seeding=mode)(W, B, V) for mode in Seeding.MODES}
    assert counted == {"auto": 3 + 2, "activations": 3 + 2, "parameters": W.size + B.size + V.size}
    assert dualdiff.directions(lambda w: w.sum(), 0)(np.ones(7)) == 7
    with pytest.raises(ValueError, match="must be one of 'auto'"):
        dualdiff.directions(loss, seeding="sideways")


# ------------------------------------------------------------------------------------------------ random programs


class Builder:
    """Interprets a list of numbers as a program over a pool of values; the same numbers give the same program on any arrays.

    Every step keeps values of moderate size, so that rounding errors compare.
    """

    def __init__(self, choices: list[int], batch: int, width: int) -> None:
        self.choices, self.batch, self.width = choices, batch, width

    def parameters(self, rng: np.random.Generator) -> list[np.ndarray]:
        d = self.width
        shapes = [(d, d), (d,), (d, d), (1, d), (d,), ()]
        return [rng.normal(size=shape) / max(1.0, np.sqrt(d)) for shape in shapes]

    def run(self, f: Any, x: Any, parameters: list[Any]) -> Any:
        """`f` names the operations, for tensors or for jax."""
        pool = [x]
        w, b, v, r, s, c = parameters
        pick = itertools.cycle(self.choices)

        def value(offset: int = 0) -> Any:
            return pool[(next(pick) + offset) % len(pool)]

        steps: list[Callable[[], Any]] = [
            lambda: f.linear(value(), w, b),
            lambda: f.linear(value(), v, s),
            lambda: value() @ w + b,
            lambda: value() @ f.transpose(v),
            lambda: f.tanh(value()),
            lambda: f.sigmoid(value()) * value(),
            lambda: f.relu(value()),
            lambda: value() + value(1),
            lambda: value() - 0.5 * value(1),
            lambda: f.tanh(value() * value(1)),
            lambda: value() / (1.5 + value() ** 2),
            lambda: value() * r + s,
            lambda: value() * c,
            lambda: f.log_softmax(value()),
            lambda: value() - f.mean(value(), 0),
            lambda: value() - f.mean(value(), 1),
            lambda: f.tanh(f.sum(value(), 0)) * value(),
            lambda: f.tanh(f.sum(value(), 1)) * value(),
            lambda: f.largest(value(), 0) * 0.5 + value(),
            lambda: f.tanh(value() @ f.transpose(value(1))) @ value(),
            lambda: f.reshape(f.reshape(value(), (-1,)), (self.batch, self.width)),
            lambda: f.reshape(f.transpose(value()), (self.batch, self.width)),
            lambda: f.where(value() > 0, value(), 0.1 * value(1)),
            lambda: f.maximum(value(), s),
            lambda: f.flip(value()),
            lambda: f.spread(f.logsumexp(value()), (self.batch, self.width)) * 0.3,
            lambda: f.tanh(w)[:1] * value(),
            lambda: value() @ (w @ v),
            lambda: f.tanh(value()[:, [0] * self.width]) + value(),
        ]
        for choice in self.choices[1:]:
            pool.append(f.squash(steps[choice % len(steps)]()))
        penalty = (w * w).sum() * 0.1 if self.choices[0] % 3 == 0 else 0.0
        last = pool[-1] + 0.1 * pool[-2] if len(pool) > 1 else pool[-1]
        ending = self.choices[0] % 4
        if ending == 0:
            return f.cross_entropy(last, np.arange(self.batch) % self.width) + penalty
        if ending == 1:
            return (last * last).mean() + penalty
        if ending == 2:
            return f.tanh(f.sum(last, 0)).sum() ** 2 + penalty
        return f.sum(f.logsumexp(last), 0).sum() * (1 + penalty)


class Ours:
    """Operations on tensors of either engine."""

    linear, tanh, sigmoid, relu, where, maximum = ops.linear, ops.tanh, ops.sigmoid, ops.relu, ops.where, ops.maximum
    log_softmax, reshape, cross_entropy = ops.log_softmax, ops.reshape, ops.cross_entropy
    spread = ops.broadcast_to
    transpose = staticmethod(lambda x: x.T)
    mean = staticmethod(lambda x, axis: x.mean(axis, keepdim=True))
    sum = staticmethod(lambda x, axis: x.sum(axis, keepdim=True))
    largest = staticmethod(lambda x, axis: x.amax(axis, keepdim=True))
    logsumexp = staticmethod(lambda x: x.logsumexp(1, keepdim=True))
    squash = staticmethod(lambda x: x / (1 + 0.05 * x * x))
    flip = staticmethod(lambda x: x[::-1])


def by_torch() -> Any:
    """The same operations by torch."""
    torch = pytest.importorskip("torch", reason="torch is the oracle here")

    class Torch:
        tanh, sigmoid, relu, where, maximum = torch.tanh, torch.sigmoid, torch.relu, torch.where, torch.maximum
        linear, reshape, spread = torch.nn.functional.linear, torch.reshape, torch.broadcast_to
        log_softmax = staticmethod(lambda x: torch.log_softmax(x, -1))
        transpose = staticmethod(lambda x: x.T)
        flip = staticmethod(lambda x: x.flip(0))
        mean = staticmethod(lambda x, axis: x.mean(axis, keepdim=True))
        sum = staticmethod(lambda x, axis: x.sum(axis, keepdim=True))
        largest = staticmethod(lambda x, axis: x.amax(axis, keepdim=True))
        logsumexp = staticmethod(lambda x: x.logsumexp(1, keepdim=True))
        squash = staticmethod(lambda x: x / (1 + 0.05 * x * x))
        cross_entropy = staticmethod(lambda x, y: torch.nn.functional.cross_entropy(x, torch.tensor(y)))

    return Torch


def by_jax() -> Any:
    """The same operations by jax."""
    import jax

    jnp = jax.numpy

    class Jax:
        tanh, sigmoid, relu, where, maximum = jnp.tanh, jax.nn.sigmoid, jax.nn.relu, jnp.where, jnp.maximum
        linear = staticmethod(lambda x, w, b: x @ w.T + b)
        log_softmax, reshape, spread = jax.nn.log_softmax, jnp.reshape, jnp.broadcast_to
        transpose = staticmethod(lambda x: x.T)
        flip = staticmethod(lambda x: x[::-1])
        mean = staticmethod(lambda x, axis: x.mean(axis, keepdims=True))
        sum = staticmethod(lambda x, axis: x.sum(axis, keepdims=True))
        largest = staticmethod(lambda x, axis: x.max(axis, keepdims=True))
        logsumexp = staticmethod(lambda x: jax.nn.logsumexp(x, 1, keepdims=True))
        squash = staticmethod(lambda x: x / (1 + 0.05 * x * x))
        cross_entropy = staticmethod(lambda x, y: -jax.nn.log_softmax(x)[np.arange(len(y)), y].mean())

    return Jax


PROGRAMS = st.builds(
    Builder,
    st.lists(st.integers(0, 10_000), min_size=2, max_size=9),
    batch=st.integers(1, 5),
    width=st.integers(2, 4),
)
STEADY = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def drawn(program: Builder, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(program.batch, program.width)), program.parameters(rng)


@settings(STEADY, max_examples=300)
@given(program=PROGRAMS, seed=st.integers(0, 1000))
def test_random_programs_agree(program: Builder, seed: int) -> None:
    x, parameters = drawn(program, seed)
    expected = agree(lambda x, p: program.run(Ours, x, p), x, parameters)
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    variables = [torch.tensor(a, requires_grad=True) for a in (x, *parameters)]
    program.run(by_torch(), variables[0], variables[1:]).backward()
    wanted = [np.zeros(v.shape) if v.grad is None else v.grad.numpy() for v in variables]
    for found, leaf in zip(leaves(expected), wanted, strict=True):
        np.testing.assert_allclose(found, leaf, rtol=0, atol=1e-12 * size_of(wanted))


@settings(STEADY, max_examples=5)
@given(program=PROGRAMS, seed=st.integers(0, 1000))
def test_random_programs_agree_with_jax(program: Builder, seed: int) -> None:
    import jax

    x, parameters = drawn(program, seed)
    found = revdiff.grad(lambda x, p: program.run(Ours, x, p), (0, 1))(x, parameters)
    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable(True):
        expected = jax.jit(jax.grad(lambda x, p: program.run(by_jax(), x, p), (0, 1)))(x, parameters)
        wanted = [np.asarray(leaf) for leaf in leaves(expected)]
    for a, b in zip(leaves(found), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * size_of(wanted))
