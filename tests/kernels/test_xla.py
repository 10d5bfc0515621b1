"""Convolutions on jax as matrix products: their values by the definition, and where they are chosen."""

import numpy as np
import pytest

from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels.convolution import window_of
from diffcore.ledger import Ledger
from tests.kernels.convolutions import GEOMETRIES, tap_by_tap

jax = pytest.importorskip("jax")
xla = pytest.importorskip("diffcore.kernels.xla")

LENET = window_of((28, 28), (5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1))
DEPTHWISE = window_of((14, 14), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))
WIDE = window_of((14, 14), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))


KINDS = ("padded", "classes of dilated taps", "groups", "one axis", "three axes with classes")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("x64")
def test_products_are_the_definition(kind):
    """XLA's own way is that of the scenarios, whose shapes are small."""
    size, taps, options = GEOMETRIES[kind]
    rng, rank, groups = np.random.default_rng(0), len(size) - 2, options.get("groups", 1)
    stride, padding, dilation = (
        (a,) * rank if isinstance(a, int) else a for a in (options.get("stride", 1), options.get("padding", 0), options.get("dilation", 1))
    )
    window = window_of(size[2:], taps[2:], stride, tuple((p, p) for p in padding), dilation)
    x, weight = rng.standard_normal(size), rng.standard_normal(taps)
    g = rng.standard_normal((size[0], taps[0], *window.counts))

    @jax.jit
    def sums(x, weight, g):
        return (
            xla._convolve_by_products(x, weight, window, groups),
            xla._spread_by_products(g, weight, window, groups, size[2:]),
            xla._correlate_by_products(x, g, window, groups),
        )

    for found, wanted in zip(sums(x, weight, g), tap_by_tap(x, weight, g, **options), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def lowered(function, platform, *shapes):
    traced = jax.jit(function).trace(*(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_platforms_get_the_convolutions_of_xla(platform):
    """All three sums of a layer with one channel."""
    for function, shapes in (
        (lambda x, w: xla.convolve(x, w, LENET, 1), ((64, 1, 28, 28), (6, 1, 5, 5))),
        (lambda g, w: xla.spread(g, w, LENET, 1, (28, 28)), ((64, 6, 28, 28), (6, 1, 5, 5))),
        (lambda x, g: xla.correlate(x, g, WIDE, 2), ((4, 4, 14, 14), (4, 4, 14, 14))),
    ):
        program = lowered(function, platform, *shapes)
        assert program.count("stablehlo.convolution") == 1
        assert "dot_general" not in program
        on_processors = lowered(function, "cpu", *shapes)
        assert "stablehlo.convolution" not in on_processors
        assert "dot_general" in on_processors


@pytest.mark.parametrize(
    ("window", "channels", "pays"),
    [(LENET, (64, 1, 6, 1), True), (DEPTHWISE, (8, 64, 64, 64), True), (WIDE, (8, 128, 128, 1), False)],
    ids=["few channels", "depthwise", "many channels"],
)
def test_products_are_for_short_runs_of_channels(window, channels, pays):
    n, c, o, groups = channels
    size = tuple((count - 1) * s + 1 for count, s in zip(window.counts, window.stride, strict=True))
    assert xla._convolve_pays(window, n, c, o, groups) is pays
    assert xla._spread_pays(window, size, n, c, o, groups) is pays


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_the_ledger_counts_what_xla_counts(kind):
    """XLA's own ways and products, to the operation: where taps meet padding it counts nothing of its own convolutions."""
    size, taps, options = GEOMETRIES[kind]
    rank, groups = len(size) - 2, options.get("groups", 1)
    stride, padding, dilation = (
        (a,) * rank if isinstance(a, int) else a for a in (options.get("stride", 1), options.get("padding", 0), options.get("dilation", 1))
    )
    window = window_of(size[2:], taps[2:], stride, tuple((p, p) for p in padding), dilation)
    g, f4 = (size[0], taps[0], *window.counts), np.dtype(np.float32)
    back = (window, groups, tuple(size[2:]))
    for function, shapes, geometry in (
        (xla._convolve, (size, taps), (window, groups)),
        (xla._spread, (g, taps), back),
        (xla._correlate, (size, g), (window, groups)),
        (xla._convolve_by_products, (size, taps), (window, groups)),
        (xla._spread_by_products, (g, taps), back),
        (xla._correlate_by_products, (size, g), (window, groups)),
    ):
        with Ledger(compiled=True) as ledger:
            planned = function(*(AbstractArray(shape, f4) for shape in shapes), *geometry)
        program = jax.jit(lambda a, b, function=function, geometry=geometry: function(a, b, *geometry))
        lowered = program.lower(*(jax.ShapeDtypeStruct(shape, f4) for shape in shapes))
        assert sum(ledger.flops.values()) == lowered.cost_analysis()["flops"], function.__name__
        assert planned.shape == lowered.out_info.shape
