"""Jacobians of functions that keep examples or elements apart: what they are, what they cost, and that other functions are refused."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import GradientError, MemoryBudgetError, ShapeError
from diffcore.ledger import Ledger

RNG = np.random.default_rng(8)
B = 5
X, Y, W, V = RNG.normal(size=(B, 3)), RNG.normal(size=(B, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=(2, 4))
IMAGES, FILTERS = RNG.normal(size=(B, 2, 4, 4)), RNG.normal(size=(3, 2, 3, 3))
TOKENS = RNG.normal(size=(B, 3, 4))


def mlp(x: Any) -> Any:
    return ops.linear(ops.linear(x, W).tanh(), V)


def attention(x: Any) -> Any:
    return ops.softmax(x @ x.mT, -1) @ x


PROGRAMS = {
    "mlp": (mlp, X),
    "elementwise": (lambda x: x.exp() * x, X),
    "row sums": (lambda x: (x * x).sum(1), X),
    "softmax": (lambda x: ops.log_softmax(x, -1), X),
    "layer norm": (lambda x: ops.layer_norm(x, (3,)), X),
    "convolution": (lambda x: ops.max_pool2d(ops.conv2d(x, FILTERS, padding=1).relu(), 2), IMAGES),
    "attention": (attention, TOKENS),
    "there and back": (lambda x: ops.stack([row * row for row in x.movedim(0, 1)], 1), X),
    "scalars": (lambda x: x * x, X[:, 0]),
    "reshaped": (lambda x: x.reshape(B, 2, 8).sum(1), IMAGES[:, 0]),
    "no dependence": (lambda x: x.detach()[:, :2] * 2, X),
    "itself": (lambda x: x, X),
    "one example": (mlp, X[:1]),
    "features of one": (lambda x: x.sum(1, keepdim=True), X[:1]),
    "no example": (lambda x: x * 2, X[:0]),
}


def blocks(whole: Any, x: Any) -> Any:
    """The blocks `[B, *out, *in]` of a whole Jacobian `[B, *out, B, *in]`, of which the others are zero."""
    after = whole.ndim - x.ndim
    moved = np.moveaxis(whole, after, 1)
    count = x.shape[0]
    assert not moved[~np.eye(count, dtype=bool)].any()
    return moved[np.arange(count), np.arange(count)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_example_has_its_own_jacobian(engine: ModuleType, name: str) -> None:
    f, x = PROGRAMS[name]
    found = engine.jacobian(f, per_example=True)(x)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, blocks(revdiff.jacobian(f)(x), x), rtol=1e-12, atol=1e-15)
    found[...] = 0  # it is the caller's own


def test_it_is_vmap_of_jacrev_in_torch(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    w, v = torch.tensor(W), torch.tensor(V)
    theirs = torch.func.vmap(torch.func.jacrev(lambda x: torch.tanh(x @ w.T) @ v.T))(torch.tensor(X))
    np.testing.assert_allclose(engine.jacobian(mlp, per_example=True)(X), theirs.numpy(), rtol=1e-12)


def test_it_is_vmap_of_jacfwd_in_jax_also_under_jit(engine: ModuleType, x64: None) -> None:
    import jax
    import jax.numpy as jnp

    theirs = jax.vmap(jax.jacfwd(lambda x: jnp.tanh(x @ W.T) @ V.T))(X)
    for transform in (engine.jacobian(mlp, per_example=True), jax.jit(engine.jacobian(mlp, per_example=True))):
        np.testing.assert_allclose(transform(jnp.asarray(X)), theirs, rtol=1e-12)


def test_structures_and_several_arguments_nest(engine: ModuleType) -> None:
    f = lambda d, y: {"sum": (d["x"] * d["x"]).sum(1) * y[:, 0], "both": (ops.linear(d["x"], W) * y,)}
    found = engine.jacobian(f, (0, 1), per_example=True)({"x": X}, Y)
    whole = revdiff.jacobian(f, (0, 1))({"x": X}, Y)
    for ours, theirs in ((found["sum"], whole["sum"]), (found["both"][0], whole["both"][0])):
        np.testing.assert_allclose(ours[0]["x"], blocks(theirs[0]["x"], X), rtol=1e-13)
        np.testing.assert_allclose(ours[1], blocks(theirs[1], Y), rtol=1e-13)


@pytest.mark.parametrize("seeding", [None, "parameters", "auto"])
def test_parameters_are_shared_by_the_examples(engine: ModuleType, seeding: str | None) -> None:
    options = {} if engine is revdiff or seeding is None else {"seeding": seeding}
    net = engine.nn.Sequential(engine.nn.Linear(3, 4, dtype=np.float64), engine.nn.Tanh(), engine.nn.Linear(4, 2, dtype=np.float64))
    f = lambda net, x: net(x)
    by_net, by_x = engine.jacobian(f, (0, 1), per_example=True, **options)(net, X)
    whole_net, whole_x = engine.jacobian(f, (0, 1))(net, X)
    np.testing.assert_allclose(by_x, blocks(whole_x, X), rtol=1e-13)
    for name in whole_net:
        np.testing.assert_allclose(by_net[name], whole_net[name], rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match=r"parameters alone.*\[B, \*out, \*parameter\] already"):
        engine.jacobian(f, per_example=True)(net, X)


@pytest.mark.parametrize("name", ["mlp", "convolution", "attention"])
def test_chunks_of_directions_give_the_same(name: str) -> None:
    f, x = PROGRAMS[name]
    expected = blocks(revdiff.jacobian(f)(x), x)
    np.testing.assert_allclose(revdiff.jacobian(f, per_example=True, chunk_size=2)(x), expected, rtol=1e-12, atol=1e-15)
    least = 1
    if name != "convolution":  # whose primal pass takes more than any one direction
        with pytest.raises(MemoryBudgetError) as caught:
            dualdiff.jacobian(f, per_example=True, memory=1)(x)
        least = caught.value.least
    found = dualdiff.jacobian(f, per_example=True, memory=least)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("outer", [dualdiff, revdiff], ids=lambda module: module.__name__)
def test_it_can_be_differentiated_in_turn(engine: ModuleType, outer: ModuleType) -> None:
    f = lambda x: (engine.jacobian(lambda x: ops.linear(x, W).tanh(), per_example=True)(x) ** 2).sum()
    direct = lambda x: (((1 - ops.linear(x, W).tanh() ** 2) ** 2) * (W**2).sum(1)).sum()
    np.testing.assert_allclose(outer.grad(f)(X), revdiff.grad(direct)(X), rtol=1e-12)


def added(program: Any) -> int:
    """Operations that derivatives add to the primal."""
    with Ledger() as ledger:
        program()
    return ledger.flops["tangent"] + ledger.flops["adjoint"]


def test_a_direction_per_feature_is_all_that_is_computed(engine: ModuleType) -> None:
    batch, inputs, hidden, outputs = 32, 6, 10, 4
    f32 = np.dtype("float32")
    x, first, second = (AbstractArray(s, f32) for s in ((batch, inputs), (hidden, inputs), (outputs, hidden)))
    f = lambda x: ops.linear(ops.linear(x, first).tanh(), second)
    found = added(lambda: engine.jacobian(f, per_example=True)(x))
    slope = 2 * batch * hidden  # 1 - out * out
    if engine is dualdiff:  # the identity through the first layer is its weight; then the slope, and the second product
        assert found == slope + inputs * batch * hidden + 2 * inputs * batch * hidden * outputs
    else:
        assert found == slope + outputs * batch * hidden + 2 * outputs * batch * hidden * (outputs + inputs)
    assert added(lambda: engine.jacobian(f)(x)) > 10 * found


def test_networks_are_looked_into(engine: ModuleType) -> None:
    nn = engine.nn
    net = nn.Sequential(nn.Linear(3, 4, dtype=np.float64), nn.Tanh(), nn.Linear(4, 4, dtype=np.float64), nn.ReLU())
    net.requires_grad_(False)
    found = engine.jacobian(lambda x: net(x), per_example=True)(X)
    np.testing.assert_allclose(found, blocks(engine.jacobian(lambda x: net(x))(X), X), rtol=1e-12)
    pattern = engine.jacobian_sparsity(lambda x: net(x))(X)
    np.testing.assert_array_equal(pattern.toarray(), np.kron(np.eye(B), np.ones((4, 3))) != 0)
    twice = nn.Sequential(nn.Tanh(), nn.Tanh())
    slopes = (1 - np.tanh(X) ** 2) * (1 - np.tanh(np.tanh(X)) ** 2)
    np.testing.assert_allclose(engine.jacobian(lambda x: twice(x), structure="diagonal")(X), slopes, rtol=1e-12)
    with pytest.raises(GradientError, match="`linear` does not act element by element"):
        engine.jacobian(lambda x: net(x)[:, :3], structure="diagonal")(X)


MIXING = {
    "mean": lambda x: x - x.mean(0),
    "sum": lambda x: x.sum(),
    "matmul": lambda x: x @ x.mT,
    "softmax": lambda x: ops.softmax(x, 0),
    "cumsum": lambda x: x.cumsum(0),
    "normalise": lambda x: ops.batch_norm(x, None, None, training=True),
}


@pytest.mark.parametrize("kernel", MIXING)
def test_a_function_that_mixes_examples_is_refused(engine: ModuleType, kernel: str) -> None:
    with pytest.raises(GradientError, match=f"per_example=True, but `{kernel}` mixes the examples"):
        engine.jacobian(MIXING[kernel], per_example=True)(X)


OUT_OF_ORDER = {
    "flipped": (lambda x: x.flip(0), 0, 4),
    "rolled": (lambda x: x.roll(1, 0), 0, 4),
    "picked": (lambda x: x[[0, 2, 1, 3, 4]], 1, 2),
    "the first for all": (lambda x: x[:1].expand(B, 3), 1, 0),
    "joined": (lambda x: ops.cat([x[:2], x[3:], x[2:3]]), 2, 3),
    "one by one": (lambda x: ops.stack([x[B - 1 - i] for i in range(B)]), 0, 4),
    "other groups": (lambda x: x.reshape(B * 3, 1).repeat_interleave(2, 0)[: B * 3].reshape(B, 3), 1, 0),
}


@pytest.mark.parametrize("case", OUT_OF_ORDER)
def test_examples_in_another_order_are_refused(engine: ModuleType, case: str) -> None:
    f, row, example = OUT_OF_ORDER[case]
    with pytest.raises(GradientError, match=rf"row {row} of the result depends on example {example}: .* in the order in which it got them"):
        engine.jacobian(f, per_example=True)(X)


def test_examples_that_end_elsewhere_are_refused(engine: ModuleType) -> None:
    with pytest.raises(ShapeError, match=r"one row for each of the 5 examples, got shape \(3, 5\)"):
        engine.jacobian(lambda x: x.reshape(3, B), per_example=True)(X)
    with pytest.raises(GradientError, match=r"lie along axis 1, not along axis 0: move them back, e.g. `y.movedim\(1, 0\)`"):
        engine.jacobian(lambda x: x.T * 2, per_example=True)(X[:3])
    with pytest.raises(GradientError, match="`mul` mixes the examples"):
        engine.jacobian(lambda x: x * x.T, per_example=True)(X[:3])


def test_shapes_without_examples_are_refused(engine: ModuleType) -> None:
    f = lambda x, y: x
    with pytest.raises(ShapeError, match=r"needs a first axis of examples, got one of shape \(\)"):
        engine.jacobian(lambda x: x, per_example=True)(np.array(1.0))
    with pytest.raises(ShapeError, match=r"as many examples along their first axis, got shapes \(5, 3\) and \(4, 3\)"):
        engine.jacobian(f, (0, 1), per_example=True)(X, W)
    with pytest.raises(ShapeError, match=r"one row for each of the 5 examples, got shape \(2,\)"):
        engine.jacobian(lambda x: x.detach()[0, :2], per_example=True)(X)


# ------------------------------------------------------------------------------------------------ diagonals


ELEMENTWISE = {
    "product": lambda x: x.tanh() * x + 1,
    "constants": lambda x: np.exp(X) * x / 2,
    "itself": lambda x: x,
    "reshaped": lambda x: x.reshape(-1).exp(),
    "chosen": lambda x: ops.where(x > 0, x * x, -x),
    "none": lambda x: x.detach() * 2,
    "cast": lambda x: x.float().double(),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_diagonal_alone(engine: ModuleType, name: str) -> None:
    f = ELEMENTWISE[name]
    whole = revdiff.jacobian(f)(X).reshape(X.size, X.size)
    found = engine.jacobian(f, structure="diagonal")(X)
    np.testing.assert_allclose(found, np.diag(whole).reshape(X.shape), rtol=1e-14)
    np.testing.assert_allclose(dualdiff.jacobian(f)(X).reshape(whole.shape), whole, rtol=1e-14)
    found[...] = 0


def test_the_diagonal_on_jax_and_for_several_arguments(engine: ModuleType, x64: None) -> None:
    import jax
    import jax.numpy as jnp

    f = lambda x, y: {"a": x * y, "b": x.sin()}
    found = jax.jit(engine.jacobian(f, (0, 1), structure="diagonal"))(jnp.asarray(X), jnp.asarray(2 * X))
    np.testing.assert_allclose(found["a"][0], 2 * X, rtol=1e-14)
    np.testing.assert_allclose(found["a"][1], X, rtol=1e-14)
    np.testing.assert_allclose(found["b"][0], np.cos(X), rtol=1e-14)
    assert not found["b"][1].any()


def test_the_diagonal_takes_one_direction(engine: ModuleType) -> None:
    n = 1000
    x = AbstractArray((n,), np.dtype("float64"))
    assert added(lambda: engine.jacobian(lambda x: x.tanh().sin(), structure="diagonal")(x)) <= 2 * n + 2 * n
    with Ledger() as ledger:
        found = engine.jacobian(lambda x: x.tanh().sin(), structure="diagonal")(x)
    assert found.shape == (n,)
    assert ledger.peak <= 8 * 8 * n


def test_an_elementwise_jacobian_carries_the_diagonal_until_its_end() -> None:
    n = 300
    x = AbstractArray((n,), np.dtype("float64"))
    assert added(lambda: dualdiff.jacobian(lambda x: x.tanh().sin())(x)) <= 5 * n


@pytest.mark.parametrize(
    ("kernel", "f"),
    [
        ("mean", lambda x: x - x.mean(0)),
        ("transpose", lambda x: x.T * 2),
        ("sum", lambda x: x.sum()),
        ("getitem", lambda x: x[::-1]),
        ("concatenate", lambda x: ops.cat([x, X[:, :0]], 1)),
    ],
)
def test_a_function_that_mixes_elements_is_refused(engine: ModuleType, kernel: str, f: Any) -> None:
    with pytest.raises(GradientError, match=f'structure="diagonal", but `{kernel}` does not act element by element'):
        engine.jacobian(f, structure="diagonal")(X)


def test_a_diagonal_needs_as_many_elements_and_has_no_chunks(engine: ModuleType) -> None:
    with pytest.raises(ShapeError, match=r"as many elements as its argument has, got shape \(2,\) for \(5, 3\)"):
        engine.jacobian(lambda x: x.detach()[0, :2], structure="diagonal")(X)
    with pytest.raises(ValueError, match=r"`structure` \(='banded'\) must be one of 'dense', 'diagonal'"):
        engine.jacobian(mlp, structure="banded")
    with pytest.raises(ValueError, match=r"`per_example` \(=1\) must be True or False"):
        engine.jacobian(mlp, per_example=1)
    with pytest.raises(ValueError, match=r'per_example=True and structure="diagonal" exclude each other'):
        engine.jacobian(mlp, per_example=True, structure="diagonal")
    with pytest.raises(ValueError, match=r"`memory` \(=1000\) cannot lower"):
        dualdiff.jacobian(mlp, structure="diagonal", memory=1000)


# ------------------------------------------------------------------------------------------------ variables that are broadcast


RATES = RNG.normal(size=(B, 3))
BROADCAST = {
    "summed": lambda x: (x * RATES).sin().exp().sum(1).tanh(),
    "averaged": lambda x: (x / RATES + x).mean(1),
    "kept": lambda x: (x - RATES) * 2,
    "ones": lambda x: x + RATES,
    "product": lambda x: ops.linear((x * RATES).sin(), W),
    "normalised": lambda x: ops.softmax(x * RATES, 1),
    "rows mixed": lambda x: (x * RATES).sin().sum(0),
    "all summed": lambda x: (x * RATES).sin().sum(),
    "turned": lambda x: (x * RATES).sin().T * 2,
    "turned and met": lambda x: ((x * RATES).T[:, :3] + x).sin(),
    "met again": lambda x: (x * RATES).sin() * x + x * RATES * (x * x),
    "meets itself": lambda x: x.exp() * (x * RATES[:3]).sin().sum(1) + x,
    "some features": lambda x: (x * RATES).sin()[:, :2].sum(1),
    "deeper": lambda x: (x * RATES[:, None]).sin().sum((1, 2)),
}


@pytest.mark.parametrize("name", BROADCAST)
@pytest.mark.parametrize("seeding", ["parameters", "auto"])
def test_a_broadcast_variable_has_the_jacobian_of_reverse_mode(name: str, seeding: str) -> None:
    f, x = BROADCAST[name], X[0]
    expected = revdiff.jacobian(f)(x)
    np.testing.assert_allclose(dualdiff.jacobian(f, seeding=seeding)(x), expected, rtol=1e-12, atol=1e-15)
    scalar = lambda x: (f(x) ** 2).sum()
    np.testing.assert_allclose(dualdiff.grad(scalar, seeding=seeding)(x), revdiff.grad(scalar)(x), rtol=1e-12)
    np.testing.assert_allclose(dualdiff.hessian(scalar)(x), revdiff.hessian(scalar)(x), rtol=1e-11, atol=1e-14)
    least = 1
    try:
        dualdiff.jacobian(f, seeding=seeding, memory=1)(x)
    except MemoryBudgetError as error:
        least = error.least
    np.testing.assert_allclose(dualdiff.jacobian(f, seeding=seeding, memory=least)(x), expected, rtol=1e-12, atol=1e-15)


def test_a_broadcast_variable_keeps_its_diagonal() -> None:
    n, k = 1000, 10
    rates, x = AbstractArray((n, k), np.dtype("float32")), AbstractArray((k,), np.dtype("float32"))
    f = lambda x: ops.sum(ops.exp(ops.sin(rates * x)), 1)
    assert added(lambda: dualdiff.jacobian(f)(x)) <= 5 * n * k
