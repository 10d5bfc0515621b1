"""What rows of the scenario table cannot say of pooling: NaN, whole numbers, what is kept."""

import numpy as np
import pytest

import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import Ledger


@pytest.mark.parametrize("values", [[np.nan, 1.0, np.nan, 2.0], [1.0, np.nan, 2.0, np.nan], [1.0, 2.0, np.nan, 0.0]])
def test_the_last_nan_wins(values, array):
    x = array([[values]])
    out, indices = ops.max_pool1d(x, 4, return_indices=True)
    last = int(np.flatnonzero(np.isnan(values))[-1])
    assert np.isnan(np.asarray(out)).all()
    assert np.asarray(indices).tolist() == [[[last]]]
    gradient = revdiff.vjp(lambda x: ops.max_pool1d(x, 4), x)[1](array([[[2.0]]]))[0]
    assert np.asarray(gradient).tolist() == [[[2.0 if i == last else 0.0 for i in range(4)]]]


def test_windows_of_padding_alone_have_no_winner(array):
    out, indices = ops.max_pool2d(array(np.arange(6.0).reshape(1, 2, 3)), 2, 1, 1, (3, 2), return_indices=True)
    assert np.asarray(out).tolist() == [[[-np.inf] * 3]]
    assert np.asarray(indices).tolist() == [[[-1] * 3]]


def test_scattering_keeps_infinities_apart():
    x = np.array([[[1.0, 2.0, 4.0, 3.0]]])
    for stride in (1, 2):
        pullback = revdiff.vjp(lambda x, s=stride: ops.max_pool1d(x, 2, s), x)[1]
        g = np.full(ops.max_pool1d(x, 2, stride).shape, np.inf)
        assert not np.isnan(pullback(g)[0]).any()


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_maxima_of_whole_numbers(dtype):
    x = np.arange(12, dtype=dtype).reshape(1, 3, 4)
    out = ops.max_pool2d(x, 2, 1, 1)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, ops.max_pool2d(x.astype(float), 2, 1, 1))


def test_indices_are_tensors_of_the_engine(engine):
    out, indices = ops.max_pool2d(engine.tensor(np.arange(16.0).reshape(1, 4, 4), requires_grad=True), 2, return_indices=True)
    assert isinstance(indices, engine.Tensor)
    assert indices.dtype == np.intp
    assert indices.tolist() == [[[5, 7], [13, 15]]]
    assert out.requires_grad
    assert not indices.requires_grad


@pytest.mark.parametrize(("size", "nbytes"), [(2, 1), ((16, 16), 1), ((16, 17), 2)])
def test_a_maximum_keeps_one_byte_per_window(size, nbytes):
    x = AbstractArray((2, 3, 34, 34), np.float32)
    with Ledger() as ledger:
        out, _pullback = revdiff.vjp(lambda x: ops.max_pool2d(ops.mul(x, 2.0), size, 2), x)
    assert ledger.live["residual"] == nbytes * out.size


def test_pooling_over_more_taps_than_a_byte_holds():
    x = np.random.default_rng(0).permutation(600).astype(float).reshape(1, 1, 600)
    out, indices = ops.max_pool1d(x, 300, 150, return_indices=True)
    np.testing.assert_array_equal(np.take_along_axis(x, indices, -1), out)
    gradient = revdiff.grad(lambda x: ops.sum(ops.max_pool1d(x, 300, 150)))(x)
    np.testing.assert_array_equal(np.flatnonzero(gradient), np.unique(indices))
