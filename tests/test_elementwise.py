"""What the scenario table cannot say of elementwise ops, activations and losses: extremes, dtypes, residuals, warnings, random masks."""

import math
import warnings

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.random import manual_seed
from diffcore.errors import GradientError
from diffcore.kernels import registered
from diffcore.nn import functional as F

# precision where the textbook formula loses it


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (ops.gelu, -10.0, -7.61985302416052e-23),
        (ops.logsigmoid, 40.0, -4.248354255291589e-18),
        (ops.logsigmoid, -800.0, -800.0),
        (ops.softplus, -40.0, 4.248354255291589e-18),
        (ops.silu, -40.0, -1.6993417021166355e-16),
        (ops.mish, -40.0, -1.6993417021166355e-16),
        (ops.erfc, 10.0, 2.088487583762545e-45),
        (ops.expm1, 1e-12, 1.0000000000005e-12),
    ],
    ids=lambda value: getattr(value, "name", None) or getattr(value, "__name__", None) or str(value),
)
def test_small_values_keep_their_digits(function, x, expected):
    assert function(np.array(x)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (ops.expm1, -40.0, math.exp(-40)),
        (ops.logsigmoid, 40.0, math.exp(-40)),
        (ops.asinh, 1e200, 1e-200),
        (ops.acosh, 1e200, 1e-200),
        (lambda x: ops.atan2(x, x), 1e200, 0.0),
        (lambda x: ops.hypot(x, x), 1e200, math.sqrt(2)),
        (ops.gelu, -10.0, -7.6184e-22),
    ],
)
def test_small_slopes_keep_their_digits(function, x, expected, engine):
    assert engine.grad(function)(np.array(x)) == pytest.approx(expected, rel=1e-3, abs=0)


def test_losses_do_not_cancel():
    x, target = np.array([40.0, -40.0]), np.array([1.0, 0.0])
    tiny = math.exp(-40)
    for options in ({}, {"pos_weight": np.ones(2)}):
        losses = F.binary_cross_entropy_with_logits(x, target, reduction="none", **options)
        np.testing.assert_allclose(losses, [tiny, tiny], rtol=1e-14)
    near_and_far = F.log_cosh_loss(np.array([1e-5, 800.0]), np.zeros(2), reduction="none")
    np.testing.assert_allclose(near_and_far, [5e-11, 800 - math.log(2)], rtol=1e-10)


# dtypes


@pytest.mark.parametrize("name", ["erf", "erfc", "gelu", "softplus", "mish", "elu", "leaky_relu", "hypot", "clamp", "softmax"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_dtypes_stay(name, dtype, shape, engine):
    more = {"hypot": (2.0,), "clamp": (0.1, 0.9)}.get(name, ())
    x = np.full(shape, 0.5, dtype)

    def function(x):
        return ops.sum(getattr(ops, name)(x, *more))

    assert getattr(ops, name)(x, *more).dtype == dtype
    assert engine.grad(function)(x).dtype == dtype


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        (lambda x: ops.floor_divide(x, 2), np.int64),
        (lambda x: ops.div(x, 2, rounding_mode="trunc"), np.int64),
        (lambda x: ops.remainder(x, 2), np.int64),
        (lambda x: ops.clamp(x, -1, 1), np.int64),
        (lambda x: ops.clamp(x, -1, 0.5), np.float32),
        (ops.floor, np.int64),
        (ops.square, np.int64),
        (lambda x: ops.add(x, x, alpha=2), np.int64),
        (ops.sin, np.float32),
        (ops.isnan, np.bool_),
        (ops.bitwise_not, np.int64),
    ],
)
def test_integers(function, dtype):
    assert function(np.array([-3, 0, 4])).dtype == dtype


# whole tensors


def test_equal_and_allclose_are_python_bools(engine):
    x, y = engine.tensor([1.0, 2.0], requires_grad=True), engine.tensor([1.0, 2.0 + 1e-6])
    assert engine.equal(x, x) is True
    assert engine.equal(x, y) is False
    assert engine.equal(x, engine.tensor([[1.0, 2.0]])) is False
    assert engine.allclose(x, y) is True
    assert engine.allclose(x, y, rtol=0.0, atol=0.0) is False
    nan = engine.tensor([math.nan])
    assert not engine.equal(nan, nan)
    assert engine.allclose(nan, nan, equal_nan=True)


# what reverse mode keeps


@pytest.mark.parametrize(
    ("kept", "names"),
    [
        ({"out"}, "exp exp2 tan reciprocal rsqrt sqrt tanh sigmoid softmax log_softmax log_sigmoid relu leaky_relu"),
        ({"x"}, "sin cos log log1p erf gelu silu mish softplus elu softsign huber log_cosh"),
        ({"inside"}, "clamp"),
        ({"finite"}, "nan_to_num"),
        (set(), "add sub neg remainder fmod"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_residual_at_most(kept, names):
    for name in names.split():
        assert registered()[name].keeps[0] == kept, name


def test_masks_are_one_byte(engine):
    for name in ("relu6", "hardtanh"):
        x = revdiff.tensor(np.ones(4, np.float32), requires_grad=True)
        node = getattr(ops, name)(x).node
        assert [a.dtype for a in node.aux] == [np.bool_], name
        assert node.out is None


# losses


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "log_cosh_loss"])
def test_broadcast_targets_warn_as_in_torch(name, engine):
    x = engine.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    with pytest.warns(UserWarning, match=rf"{name}: `target` \(3,\) is broadcast against `input` \(2, 3\)"):
        out = getattr(F, name)(x, np.zeros(3), reduction="none")
    assert out.shape == (2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(F, name)(x, np.zeros((2, 3)))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ignored_classes_are_left_out_under_jit_too(reduction, engine, x64):
    """jax cannot look at the indices, numpy does: two paths, one answer."""
    import jax

    rng = np.random.default_rng(0)
    logits, target, weights = rng.standard_normal((4, 3)), np.array([2, -100, 0, -100]), rng.standard_normal(4)

    def loss(logits, target):
        losses = F.cross_entropy(logits, target, reduction=reduction)
        return ops.sum(ops.mul(losses, weights)) if reduction == "none" else losses

    value, slope = engine.value_and_grad(loss)(logits, target)
    jitted = jax.jit(engine.value_and_grad(loss))(logits, target)
    np.testing.assert_allclose(jitted[0], value, rtol=1e-14)
    np.testing.assert_allclose(jitted[1], slope, rtol=1e-12, atol=1e-15)
    assert not slope[[1, 3]].any()
    hessian = engine.hessian(loss)(logits, target)
    np.testing.assert_allclose(jax.jit(engine.hessian(loss))(logits, target), hessian, rtol=1e-12, atol=1e-14)


def test_soft_targets_that_are_one_hot_give_the_loss_of_indices(engine):
    logits, target = np.random.default_rng(1).standard_normal((4, 3)), np.array([2, 0, 1, 1])
    for options in ({}, {"label_smoothing": 0.2}):
        hard = F.cross_entropy(logits, target, **options)
        np.testing.assert_allclose(F.cross_entropy(logits, np.eye(3)[target], **options), hard, rtol=1e-14)


# dropout


def test_dropout_draws_the_same_in_both_engines():
    x, drawn = np.ones((20, 5), np.float32), []
    for engine in (revdiff, dualdiff):
        manual_seed(4)
        t = engine.tensor(x, requires_grad=True)
        out = F.dropout(t, 0.4)
        out.sum().backward()
        drawn.append((out.detach().numpy(), t.grad.numpy()))
    for array in (*drawn[0], *drawn[1]):
        np.testing.assert_array_equal(array, drawn[0][0])
        assert array.dtype == np.float32
    assert set(np.unique(drawn[0][0])) == {np.float32(0), np.float32(1 / 0.6)}


def test_dropout_keeps_the_mean_and_one_bit_per_element():
    x = revdiff.tensor(np.ones(20000, np.float32), requires_grad=True)
    out = F.dropout(x, 0.25, generator=np.random.default_rng(0))
    assert float(out.mean().item()) == pytest.approx(1, abs=0.02)
    assert out.node.primals == [None, None]
    assert out.node.out is None
    assert [bits.packed.nbytes for bits in out.node.aux] == [2500]


def test_dropout_in_evaluation_is_the_tensor_itself(engine):
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0) is x


def test_dropout_of_everything_is_zero(engine):
    x = engine.tensor([1.0, -2.0, 0.0], requires_grad=True)
    out = F.dropout(x, 1)
    assert out.tolist() == [0, 0, 0]
    out.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_nested_levels_meet_one_mask():
    x = np.arange(1.0, 9.0)

    def f(x):
        return ops.sum(ops.pow(F.dropout(x, 0.5), 2))

    manual_seed(1)
    keep = F.dropout(np.ones(8), 0.5)
    for outer, inner in ((revdiff, dualdiff), (dualdiff, revdiff), (revdiff, revdiff), (dualdiff, dualdiff)):
        manual_seed(1)
        np.testing.assert_allclose(outer.jacobian(inner.grad(f))(x), np.diag(2 * keep**2))


def test_dropout_under_jit_takes_a_key(engine):
    import jax

    x = np.ones(64, np.float32)
    with pytest.raises(GradientError, match=r"dropout: under `jax.jit` the mask needs a key"):
        jax.jit(F.dropout)(x)
    with_key = jax.jit(lambda x, key: engine.value_and_grad(lambda x: ops.sum(F.dropout(x, 0.5, generator=key)))(x))
    first, second = (with_key(x, jax.random.key(seed))[1] for seed in (0, 1))
    assert set(np.unique(first)) == {0.0, 2.0}
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(with_key(x, jax.random.key(0))[1], first)


def test_nan_passes_through_activations_and_dropout_as_in_pytorch(engine):
    F, values = engine.nn.functional, np.array([np.nan, 1.0, -1.0, 0.0, np.inf, -np.inf])
    expected = {
        "relu": ([np.nan, 1, 0, 0, np.inf, 0], [1, 1, 0, 0, 1, 0]),
        "threshold": ([np.nan, 1, 2, 2, np.inf, 2], [1, 1, 0, 0, 1, 0]),
        "dropout": ([np.nan, 0, 0, 0, np.nan, np.nan], [0, 0, 0, 0, 0, 0]),
    }
    arguments = {"relu": (), "threshold": (0.1, 2.0), "dropout": (1.0,)}
    for name, (value, slope) in expected.items():
        x = engine.tensor(values, requires_grad=True)
        with np.errstate(invalid="ignore"):
            y = getattr(F, name)(x, *arguments[name])
        y.sum().backward()
        np.testing.assert_array_equal(y.detach().numpy(), value)
        np.testing.assert_array_equal(x.grad.numpy(), slope)
        if name != "dropout":  # whose backward pass gives NaN there too where PyTorch multiplies
            torch = pytest.importorskip("torch")
            t = torch.tensor(values, requires_grad=True)
            theirs = getattr(torch.nn.functional, name)(t, *arguments[name])
            theirs.sum().backward()
            np.testing.assert_array_equal(theirs.detach().numpy(), value)
            np.testing.assert_array_equal(t.grad.numpy(), slope)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_a_choice_between_numbers_and_zeros_is_exact(dtype):
    values = np.array([[np.inf, -0.0, np.nan, -3.5], [1e-7, -np.inf, 2.0, 65504.0]])
    x = (np.nan_to_num(values, posinf=7, neginf=-7) if np.dtype(dtype).kind == "i" else values).astype(dtype)
    wanted = np.array([[True, True, False, True], [False, False, True, True]])
    strided = x[:, ::2], wanted[:, ::2]
    for a, mask in ((x, wanted), (x.T, wanted.T), strided, (x[0], wanted), (x, wanted[:1]), (x[0, 0], wanted), (x, True)):
        found = ops.where(mask, a, 0)
        expected = np.where(mask, a, np.zeros((), dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found.astype(float)), np.signbit(expected.astype(float)))
