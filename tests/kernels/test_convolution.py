"""What rows of the scenario table cannot say of convolutions: ways and blocks, layouts, whole numbers, operations and bytes."""

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels import columns
from diffcore.ledger import Ledger
from tests.kernels.convolutions import GEOMETRIES, tap_by_tap

WAYS = {
    "by cost": {},
    "one image, one row": {"BLOCK": 1, "TILE": 1, "TERMS": 1},
    "several images": {"BLOCK": 3000},
    "columns of the input": {"gathers": True, "spreads": True, "gathers_input": True},
    "columns of the result": {"gathers": False, "spreads": False, "gathers_input": False},
    "columns of the result, one row": {"gathers": False, "spreads": False, "gathers_input": False, "BLOCK": 1, "TILE": 1, "TERMS": 1},
    "the shortest runs": {"flat": 0},
    "the longest runs": {"flat": 9, "NARROW": 0},
}


OPS = {3: ops.conv1d, 4: ops.conv2d, 5: ops.conv3d}


def force(way, rank, options, monkeypatch):
    """Have convolutions computed in a way. A stride has no opposite; where it is not 1 the answer to which columns is not asked for."""
    strided = max(np.atleast_1d(options.get("stride", 1))) > 1
    for name, value in way.items():
        if name == "flat":
            flat = min(max(value, 0 if strided else 1), rank)
            monkeypatch.setattr(columns, "gathering", lambda *_, flat=flat: (0.0, flat))
        elif isinstance(value, bool):
            monkeypatch.setattr(columns, name, lambda *_, value=value: value or strided)
        else:
            monkeypatch.setattr(columns, name, value)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("size", "taps", "options"), GEOMETRIES.values(), ids=GEOMETRIES)
def test_every_way_is_the_definition(size, taps, options, way, monkeypatch):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal(size), rng.standard_normal(taps)
    force(way, x.ndim - 2, options, monkeypatch)
    op = OPS[x.ndim]
    bias = rng.standard_normal(taps[0])
    out, pullback = revdiff.vjp(lambda x, w, b: op(x, w, b, **options), x, weight, bias)
    g = rng.standard_normal(out.shape)
    expected = tap_by_tap(x, weight, g, **options)
    np.testing.assert_allclose(out, expected[0] + bias.reshape((-1, *(1,) * (x.ndim - 2))), rtol=1e-12, atol=1e-12)
    for found, wanted in zip(pullback(g), (*expected[1:], g.sum(axis=(0, *range(2, g.ndim)))), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        assert found.flags.c_contiguous


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("size", "taps", "options"), GEOMETRIES.values(), ids=GEOMETRIES)
def test_infinities_and_nan_stay_with_the_taps_that_meet_them(size, taps, options, way, monkeypatch):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal(size), rng.standard_normal(taps)
    force(way, x.ndim - 2, options, monkeypatch)
    g = rng.standard_normal(tap_by_tap(x, weight, None, **options)[0].shape)
    for value, part in ((np.nan, 0.0), (np.inf, 0.4), (-np.inf, 0.9)):
        for broken in range(3):
            operands = [x, weight, g]
            operands[broken] = operands[broken].copy()
            operands[broken].reshape(-1)[int(part * operands[broken].size)] = value
            with np.errstate(invalid="ignore"):
                expected = tap_by_tap(*operands, **options)
                found, pullback = revdiff.vjp(lambda x, w: OPS[x.ndim](x, w, **options), *operands[:2])
                for own, wanted in zip((found, *pullback(operands[2])), expected, strict=True):
                    np.testing.assert_allclose(own, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2, "groups": 2}], ids=str)
def test_an_infinite_weight_reaches_no_more_inputs_than_in_torch(options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((6, 4 // options.get("groups", 1), 3, 3))
    weight[1, 1, 0, 2] = np.inf
    inputs, weights = torch.tensor(x, requires_grad=True), torch.tensor(weight)
    out = torch.nn.functional.conv2d(inputs, weights, **options)
    g = rng.standard_normal(tuple(out.shape))
    (expected,) = torch.autograd.grad(out, inputs, torch.tensor(g))
    with np.errstate(invalid="ignore"):
        found = revdiff.vjp(lambda x: ops.conv2d(x, weight, **options), x)[1](g)[0]
    assert np.isfinite(found[torch.isfinite(expected).numpy()]).all()
    assert not np.isfinite(found).all()


def test_operands_in_any_layout():
    """Strides of memory are not those of the shape, and what is there stays as it is."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((6, 5, 4, 3)).T, rng.standard_normal((2, 3, 4, 5)).transpose(1, 0, 2, 3)[::-1, :, ::-1, :2]
    weight = np.concatenate([weight, weight], axis=1)[:, 1:3]
    x = x[:, :2]
    before = x.copy(), weight.copy()
    value, pullback = revdiff.vjp(lambda x, w: ops.conv2d(x, w, padding=1), x, weight)
    g = rng.standard_normal(value.shape[::-1]).T
    for found, wanted in zip((value, *pullback(g)), tap_by_tap(x, weight, g, padding=1), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(weight, before[1])


def test_no_images():
    x, weight = np.zeros((0, 2, 5, 5)), np.ones((3, 2, 3, 3))
    out, pullback = revdiff.vjp(lambda x, w: ops.conv2d(x, w, padding=1), x, weight)
    assert out.shape == (0, 3, 5, 5)
    to_x, to_weight = pullback(out)
    assert to_x.shape == x.shape
    np.testing.assert_array_equal(to_weight, np.zeros_like(weight))


def test_whole_numbers():
    x, weight = np.arange(16).reshape(1, 1, 4, 4), np.ones((1, 1, 2, 2), int)
    out = ops.conv2d(x, weight)
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(out[0, 0], [[10, 14, 18], [26, 30, 34], [42, 46, 50]])
    assert ops.conv_transpose2d(x, weight).dtype == x.dtype


def test_operations():
    """A multiply-add per tap and channel for each element of the result; each adjoint costs as many, however it is computed."""
    n, c, o, taps, windows = 3, 4, 6, 9, 25
    product = 2 * n * c * o * taps * windows
    x, weight = AbstractArray((n, c, 7, 7), np.float32), AbstractArray((o, c, 3, 3), np.float32)
    with Ledger() as ledger:
        revdiff.grad(lambda w: ops.sum(ops.conv2d(x, w)))(weight)
    assert ledger.by_kernel["primal", "conv_unbiased"] == product
    assert ledger.by_kernel["adjoint", "conv_unbiased"] == product
    with Ledger() as ledger:
        dualdiff.jvp(lambda w: ops.conv2d(x, w), (weight,), (weight,))
    assert ledger.flops == {"primal": product, "tangent": product}


@pytest.mark.parametrize(("size", "channels"), [((64, 16, 32, 32), 16), ((1, 16, 300, 300), 16), ((4, 3, 224, 224), 64)])
def test_columns_are_bounded(size, channels):
    """Of many images and of large ones alike."""
    x, weight = AbstractArray(size, np.float32), AbstractArray((channels, size[1], 3, 3), np.float32)
    with Ledger() as ledger:
        out = ops.conv2d(x, weight, padding=1)
    assert ledger.peak - out.nbytes < 4 * columns.TILE
