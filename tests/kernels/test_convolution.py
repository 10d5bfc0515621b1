"""What rows of the scenario table cannot say of convolutions: blocks of images, whole numbers, operations and bytes."""

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels import convolution
from diffcore.ledger import Ledger

OPTIONS = {"plain": {}, "strided": {"stride": 2, "padding": 1}, "depthwise": {"groups": 4, "padding": 1}}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("channels", [4, 40])
def test_the_size_of_blocks_changes_nothing(options, channels, monkeypatch):
    """With 40 channels on few windows the weight's adjoint takes a block's images together."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((5, 4, 4, 5)), rng.standard_normal((channels, 4 // options.get("groups", 1), 3, 3))

    def gradients():
        return revdiff.value_and_grad(lambda x, w: ops.sum(ops.conv2d(x, w, **options) ** 2), (0, 1))(x, weight)

    value, expected = gradients()
    for size in (1, 4000):
        monkeypatch.setattr(convolution, "BLOCK", size)
        again, found = gradients()
        np.testing.assert_allclose(again, value, rtol=1e-14)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_whole_numbers():
    x, weight = np.arange(16).reshape(1, 1, 4, 4), np.ones((1, 1, 2, 2), int)
    out = ops.conv2d(x, weight)
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(out[0, 0], [[10, 14, 18], [26, 30, 34], [42, 46, 50]])
    assert ops.conv_transpose2d(x, weight).dtype == x.dtype


def test_operations():
    """A multiply-add per tap and channel for each element of the result; each adjoint costs as many, and adding columns back."""
    n, c, o, taps, windows = 3, 4, 6, 9, 25
    product = 2 * n * c * o * taps * windows
    x, weight = AbstractArray((n, c, 7, 7), np.float32), AbstractArray((o, c, 3, 3), np.float32)
    with Ledger() as ledger:
        revdiff.grad(lambda w: ops.sum(ops.conv2d(x, w)))(weight)
    assert ledger.by_kernel["primal", "conv_unbiased"] == product
    assert product <= ledger.by_kernel["adjoint", "conv_unbiased"] <= product * 1.05
    with Ledger() as ledger:
        dualdiff.jvp(lambda w: ops.conv2d(x, w), (weight,), (weight,))
    assert ledger.flops == {"primal": product, "tangent": product}


def test_columns_are_bounded():
    x, weight = AbstractArray((64, 16, 32, 32), np.float32), AbstractArray((16, 16, 3, 3), np.float32)
    with Ledger() as ledger:
        ops.conv2d(x, weight, padding=1)
    assert ledger.peak - 64 * 16 * 32 * 32 * 4 < 3 * convolution.BLOCK
