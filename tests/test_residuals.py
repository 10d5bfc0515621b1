"""What reverse mode keeps of a result whose sign alone is read: the result where something else keeps it anyway, else a bit per element."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import GradientError, UnknownCostError
from diffcore.kernels.bits import positive, positive_bits
from diffcore.ledger import Ledger
from revdiff.residuals import residuals

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5))
W = RNG.normal(size=(5, 4))
ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": ops.relu, "leaky_relu": ops.leaky_relu}

KEPT: dict[str, Callable[[Any, Any], Any]] = {
    "a product by a variable": lambda y, w: y @ w,
    "its square": lambda y, w: y * y,
    "a view": lambda y, w: y.reshape(15),
    "a square of a view": lambda y, w: y.mT[1:] ** 3,
    "a sum after a square": lambda y, w: (y * y).sum() + y.sum(),
    "joined after a power": lambda y, w: revdiff.cat([y**3, y]),
}
SMALL: dict[str, Callable[[Any, Any], Any]] = {
    "a product by a constant": lambda y, w: y @ W,
    "a sum": lambda y, w: y.sum(),
    "a sum of a view": lambda y, w: y.mT[1:].sum(),
    "a square of a copy": lambda y, w: y.mT.reshape(15) ** 3,
    "joined": lambda y, w: revdiff.cat([y, y]),
    "a sum before a square": lambda y, w: y.sum() + (y * y).sum(),
    "a mask": lambda y, w: revdiff.where(X > 1, y, 0),
}


@pytest.fixture(params=ACTIVATIONS)
def activation(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`relu` and `leaky_relu` in turn."""
    return ACTIVATIONS[request.param]


def variable(value: Any) -> Any:
    return revdiff.tensor(value, requires_grad=True)


@pytest.mark.parametrize("use", KEPT)
def test_the_result_stays_where_it_is_kept_anyway(activation: Any, use: str) -> None:
    y = activation(variable(X))
    result = KEPT[use](y, variable(W))
    assert y.node.out is y.primal
    assert result.requires_grad


@pytest.mark.parametrize("use", SMALL)
def test_bits_stay_where_nothing_keeps_the_result(activation: Any, use: str) -> None:
    y = activation(variable(X))
    result = SMALL[use](y, variable(W))
    assert [array.nbytes for _, array in residuals(y.node)] == [2]  # 15 bits
    assert result.requires_grad


@pytest.mark.parametrize("use", [*KEPT, *SMALL])
def test_derivatives_of_both_orders_are_those_of_a_choice(activation: Any, use: str) -> None:
    """`where(x > 0, x, slope x)` keeps the condition."""
    slope = {ops.relu: 0.0, ops.leaky_relu: 0.01}[activation]

    def loss(activation: Any) -> Any:
        return lambda x, w: ((KEPT | SMALL)[use](activation(x * 2), w) ** 2 * 1.5).sum()

    found, expected = (loss(f) for f in (activation, lambda x: ops.where(x > 0, x, slope * x)))
    for ours, theirs in zip(revdiff.grad(found, (0, 1))(X, W), revdiff.grad(expected, (0, 1))(X, W), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    np.testing.assert_allclose(revdiff.hessian(found)(X, W), revdiff.hessian(expected)(X, W), rtol=1e-13)
    x = variable(X)
    (first,) = revdiff.autograd.grad(found(x, variable(W)), x, create_graph=True)
    (second,) = revdiff.autograd.grad((first * first).sum(), x)
    np.testing.assert_allclose(second.numpy(), revdiff.grad(lambda x: (revdiff.grad(expected)(x, W) ** 2).sum())(X), rtol=1e-13)


def test_a_graph_that_is_kept_is_read_again(activation: Any) -> None:
    x = variable(X)
    total = activation(x).sum()
    total.backward(retain_graph=True)
    once = x.grad.numpy().copy()
    total.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * once)


def test_changes_in_place_do_no_harm_where_bits_were_made_before(activation: Any) -> None:
    x = variable(X)
    y = activation(x)
    y += 1
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), revdiff.grad(lambda x: activation(x).sum())(X))


def test_changes_in_place_that_nothing_recorded_are_told_of(activation: Any) -> None:
    """As by PyTorch, where ReLU keeps its result."""
    y = activation(variable(X))
    with revdiff.no_grad():
        y.mul_(-1.0)
    total = y.sum()
    with pytest.raises(GradientError, match=r"relu saved its result, a tensor of shape .* changed afterwards by `mul_`"):
        total.backward()


def test_in_place_activations_keep_what_they_should(activation: Any) -> None:
    x, w = variable(X), variable(W)
    in_place = {ops.relu: revdiff.nn.functional.relu}.get(activation, activation)
    y = in_place(x * 1.0, inplace=True)
    (y @ w).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), revdiff.grad(lambda x: (activation(x) @ W).sum())(X), rtol=1e-13)


def test_nan_has_a_slope_and_the_kink_has_none() -> None:
    x = variable([np.nan, 0.0, -0.0, 1.0, np.inf, -np.inf])
    ops.relu(x).sum().backward()
    assert x.grad.tolist() == [1, 0, 0, 1, 1, 0]


def test_a_negative_slope_is_differentiated_by_the_sign_of_the_input() -> None:
    x = variable([-2.0, 0.0, 3.0])
    ops.leaky_relu(x, -0.5).sum().backward()
    assert x.grad.tolist() == [-0.5, -0.5, 1.0]


@pytest.mark.parametrize("shape", [(0,), (1,), (8,), (9,), (2, 3, 5), (0, 4)])
def test_bits_hold_booleans_of_any_shape(shape: tuple[int, ...]) -> None:
    x = np.asarray(RNG.normal(size=shape))
    bits = positive_bits(x)
    assert bits.shape == shape
    assert bits.packed.nbytes == -(-x.size // 8)
    np.testing.assert_array_equal(positive(bits), x > 0)


def test_bits_come_back_in_the_order_in_memory_that_they_had() -> None:
    x = RNG.normal(size=(2, 3, 4, 5)).transpose(0, 3, 1, 2)
    mask = positive(positive_bits(x))
    np.testing.assert_array_equal(mask, x > 0)
    assert mask.strides == (x > 0).strides


def test_jax_keeps_booleans(x64: None) -> None:
    import jax.numpy as jnp

    y = ops.relu(variable(jnp.asarray(X)))
    y.sum()
    assert y.node.out.dtype == bool
    np.testing.assert_array_equal(revdiff.grad(lambda x: ops.relu(x).sum())(jnp.asarray(X)), X > 0)


def test_abstract_arrays_have_bits_too() -> None:
    bits = positive_bits(AbstractArray((3, 5), np.float32))
    assert bits.packed.nbytes == 2
    assert (bits.mask().shape, bits.mask().dtype) == ((3, 5), np.bool_)
    with pytest.raises(UnknownCostError, match="elements of another size"):
        AbstractArray((4,), np.float32).view(np.uint8)


@pytest.mark.parametrize("held", [False, True])
def test_the_ledger_books_what_stays(held: bool) -> None:
    with Ledger() as ledger:
        with ledger.role("input"):
            x = revdiff.tensor(np.zeros((8, 16), np.float32), device="meta", requires_grad=True)
        y = ops.relu(x)
        assert ledger.live["residual"] == 512
        total = y.sum()
        if not held:
            del y
        assert ledger.live["residual"] == 16
        assert ledger.live["activation"] == 4 + 512 * held
        total.backward()
        assert ledger.live["residual"] == 0


def test_a_pullback_works_in_the_memory_of_a_partial_that_it_made() -> None:
    """The slope of `tanh` is an array of its own, and the cotangent goes into it; residual and cotangent stay as they were."""
    x, g = variable(X), RNG.normal(size=X.shape)
    before = g.copy()
    for f, slope in ((ops.tanh, 1 - np.tanh(X) ** 2), (ops.exp, np.exp(X)), (ops.sin, np.cos(X))):
        y = f(x)
        kept = y.detach().numpy().copy()
        for _ in range(2):
            (found,) = y.node.kernel.pullback(y.node, g, (True,))
            np.testing.assert_allclose(found, before * slope, rtol=1e-13)
            assert not np.shares_memory(found, y.detach().numpy())
        np.testing.assert_array_equal(y.detach().numpy(), kept)
        np.testing.assert_array_equal(g, before)
