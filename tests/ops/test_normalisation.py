"""What batch norm does to running statistics, in place and as a pure function."""

import numpy as np
import pytest

import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray

X = np.random.default_rng(0).normal(2, 3, (5, 3, 2))


def statistics(dtype=np.float64):
    return np.array([0.5, -1.0, 2.0], dtype), np.array([1.0, 0.25, 3.0], dtype)


def moved(momentum):
    mean, variance = statistics()
    rows = np.moveaxis(X, 1, 0).reshape(3, -1)
    return (1 - momentum) * mean + momentum * rows.mean(1), (1 - momentum) * variance + momentum * rows.var(1, ddof=1)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_arrays_move_in_place(momentum):
    mean, variance = statistics()
    ops.batch_norm(X, mean, variance, training=True, momentum=momentum)
    np.testing.assert_allclose((mean, variance), moved(momentum), rtol=1e-14)


def test_tensors_move_in_place_and_stay_constants(engine):
    mean, variance = (engine.tensor(s) for s in statistics())
    x = engine.tensor(X, requires_grad=True)
    array = mean.array
    ops.sum(ops.batch_norm(x, mean, variance, training=True) ** 3).backward()
    assert mean.array is array
    np.testing.assert_allclose((mean.array, variance.array), moved(0.1), rtol=1e-14)
    assert not mean.requires_grad
    assert not variance.requires_grad


def test_evaluation_leaves_them_and_takes_examples_apart():
    mean, variance = statistics()
    out = ops.batch_norm(X, mean, variance)
    np.testing.assert_array_equal((mean, variance), statistics())
    np.testing.assert_array_equal(ops.batch_norm(X[:1], mean, variance), out[:1])


def test_narrow_statistics_of_wide_inputs_keep_their_dtype():
    mean, variance = statistics(np.float32)
    assert ops.batch_norm(X, mean, variance, training=True).dtype == np.float64
    assert mean.dtype == variance.dtype == np.float32
    assert ops.batch_norm(X.astype(np.float32), *statistics()).dtype == np.float32


def test_no_examples_and_errors_leave_them():
    mean, variance = statistics()
    ops.batch_norm(X[:0], mean, variance, training=True)
    for bad in (X[:1, :, :1], X[:, :2], X > 0):
        with pytest.raises((ValueError, TypeError)):
            ops.batch_norm(bad, mean, variance, training=True)
    with pytest.raises(ValueError, match="`weight`"):
        ops.batch_norm(X, mean, variance, np.ones(2), training=True)
    np.testing.assert_array_equal((mean, variance), statistics())


def test_abstract_inputs_leave_real_statistics():
    mean, variance = statistics()
    out = ops.batch_norm(AbstractArray(X.shape, X.dtype), mean, variance, training=True)
    assert (out.shape, out.dtype) == (X.shape, X.dtype)
    np.testing.assert_array_equal((mean, variance), statistics())


def test_the_pure_function_under_jit(x64):
    import jax

    def step(x, weight, bias):
        def loss(x, weight, bias):
            out, mean, variance = ops.batch_norm_with_statistics(x, weight, bias)
            found.extend((mean, variance))
            return ops.sum(out**3)

        found: list = []
        return revdiff.grad(loss, (0, 1, 2))(x, weight, bias), found

    parameters = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5])
    gradients, (mean, variance) = jax.jit(step)(X, *parameters)
    rows = np.moveaxis(X, 1, 0).reshape(3, -1)
    np.testing.assert_allclose((mean, variance), (rows.mean(1), rows.var(1, ddof=1)), rtol=1e-13)
    for found, expected in zip(gradients, step(X, *parameters)[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_immutable_statistics_are_refused_and_tensors_around_them_rebound(x64):
    import jax.numpy as jnp

    mean, variance = map(jnp.asarray, statistics())
    with pytest.raises(TypeError, match=r"`running_mean` .* use `batch_norm_with_statistics`"):
        ops.batch_norm(X, mean, variance, training=True)
    with pytest.raises(TypeError, match="cannot be changed in place by statistics of `input`"):
        ops.batch_norm(jnp.asarray(X), *statistics(), training=True)
    tensors = revdiff.tensor(mean), revdiff.tensor(variance)
    ops.batch_norm(jnp.asarray(X), *tensors, training=True)
    np.testing.assert_allclose([t.array for t in tensors], moved(0.1), rtol=1e-13)


def test_instance_norm_moves_them_by_the_examples_means():
    mean, variance = statistics()
    ops.instance_norm(X, mean, variance, momentum=0.5)
    expected, of_variance = statistics()
    np.testing.assert_allclose(mean, 0.5 * expected + 0.5 * X.mean(2).mean(0), rtol=1e-14)
    np.testing.assert_allclose(variance, 0.5 * of_variance + 0.5 * X.var(2, ddof=1).mean(0), rtol=1e-14)


def test_training_keeps_one_array_of_the_inputs_size():
    from diffcore.ledger import Ledger

    x, p = AbstractArray((8, 4, 6, 6), np.float32), AbstractArray((4,), np.float32)
    with Ledger() as ledger:
        out, _ = revdiff.vjp(lambda x, w, b: ops.batch_norm(x, None, None, w, b, training=True), x, p, p)
    assert out.shape == x.shape
    assert ledger.live["residual"] <= 4 * 4 * 4
