"""Three seedings, one gradient: networks, losses that mix examples, shared weights; and what they cost."""

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from dualdiff.seeding import Seeding, Site, Variable
from tests.seedings import MODES, agree

RNG = np.random.default_rng(4)


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


def mlp(engine: ModuleType, widths: list[int], activation: str) -> Any:
    engine.manual_seed(sum(widths))
    layers: list[Any] = []
    for d_in, d_out in itertools.pairwise(widths):
        along = (-1,) if activation.endswith("Softmax") else ()
        layers += [engine.nn.Linear(d_in, d_out, dtype=np.float64), getattr(engine.nn, activation)(*along)]
    return engine.nn.Sequential(*layers[:-1])


# ------------------------------------------------------------------------------------------------ networks


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
