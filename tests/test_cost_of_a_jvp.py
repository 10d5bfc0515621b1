"""What one directional derivative costs, in operations: by formula from shapes, and next to the gradient."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import GradientError
from diffcore.ledger import Ledger

B = 64
F32 = np.dtype("float32")


def of(*shape: int) -> AbstractArray:
    return AbstractArray(shape, F32)


def flops(program: Any) -> Ledger:
    with Ledger() as ledger:
        program()
    return ledger


def test_one_weight_of_one_layer_costs_one_product() -> None:
    x, w, b = of(B, 32), of(48, 32), of(48)
    primal = flops(lambda: ops.linear(x, w, b)).flops["primal"]
    assert primal == 2 * B * 32 * 48 + B * 48
    found = flops(lambda: dualdiff.jvp(lambda w: ops.linear(x, w, b), (w,), (w,))).flops
    assert found["primal"] == primal
    assert found["tangent"] == 2 * B * 32 * 48
    assert found.total() <= 2.05 * primal


def test_the_layers_before_the_first_tangent_cost_nothing() -> None:
    x, first, second = of(B, 32), of(48, 32), of(16, 48)
    f = lambda w: ops.linear(ops.tanh(ops.linear(x, first)), w)
    assert flops(lambda: dualdiff.jvp(f, (second,), (second,))).flops["tangent"] == 2 * B * 48 * 16


SIZES = (64, 64, 64, 64, 10)
LAYERS = list(pairwise(SIZES))


def mlp(weights: Any, x: Any, biases: Any) -> Any:
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        x = ops.linear(x, w, b)
        if i < len(weights) - 1:
            x = ops.relu(x)
    return x


def test_all_weights_of_four_layers_cost_the_products_of_the_gradient() -> None:
    weights, biases, x = [of(o, i) for i, o in LAYERS], [of(o) for _, o in LAYERS], of(B, SIZES[0])
    loss = lambda weights: mlp(weights, x, biases).sum()
    primal = flops(lambda: loss(weights)).flops.total()
    jvp = flops(lambda: dualdiff.jvp(loss, (weights,), (weights,)))
    gradient = flops(lambda: revdiff.value_and_grad(loss)(weights))
    products = sum(2 * B * i * o for i, o in LAYERS) + sum(2 * B * i * o for i, o in LAYERS[1:])
    sums = sum(B * o for _, o in LAYERS[1:])  # of what comes through the weight and what comes through the input
    assert jvp.by_kernel["tangent", "linear"] == products + sums
    assert gradient.by_kernel["adjoint", "linear"] == products
    slopes = 2 * sum(B * o for _, o in LAYERS[:-1])  # a comparison and a product for each
    assert jvp.by_kernel["tangent", "relu"] == gradient.by_kernel["adjoint", "relu"] == slopes
    assert jvp.flops.total() <= 2.8 * primal
    assert jvp.flops.total() - gradient.flops.total() == sums + B * SIZES[-1]  # and the sum of the tangent of the result


def test_none_is_a_symbolic_zero() -> None:
    x, weights, biases = of(B, SIZES[0]), [of(o, i) for i, o in LAYERS], [of(o) for _, o in LAYERS]
    alone = flops(lambda: dualdiff.jvp(lambda w: mlp([*weights[:3], w], x, biases), (weights[3],), (weights[3],))).flops
    among = flops(lambda: dualdiff.jvp(mlp, (weights, x, biases), ([None, None, None, weights[3]], None, None))).flops
    assert among["tangent"] == alone["tangent"] == 2 * B * 64 * 10
    assert flops(lambda: dualdiff.jvp(mlp, (weights, x, biases), (None, None, None))).flops["tangent"] == 0
    zeros = [AbstractArray(w.shape, F32) for w in weights]
    handed_in = flops(lambda: dualdiff.jvp(mlp, (weights, x, biases), (zeros, x, biases))).flops["tangent"]
    assert handed_in > among["tangent"]  # an array is a direction, whatever its values


def test_what_none_stands_for_is_constant() -> None:
    a, b = np.arange(3.0), np.ones(3)
    f = lambda d, y, k: d["a"] * d["b"] * y * k
    value, tangent = dualdiff.jvp(f, ({"a": a, "b": b}, b, 2), ({"a": None, "b": a}, None, None))
    np.testing.assert_array_equal(value, 2 * a)
    np.testing.assert_array_equal(tangent, 2 * a * a)
    value, tangent = dualdiff.jvp(f, ({"a": a, "b": b}, b, 2), (None, None, None))
    np.testing.assert_array_equal(value, 2 * a)
    np.testing.assert_array_equal(tangent, np.zeros(3))
    with pytest.raises(GradientError, match="floating point"):
        dualdiff.jvp(f, ({"a": a, "b": b}, b, 2), (None, None, 1))
    with pytest.raises(GradientError, match="structures differ"):
        dualdiff.jvp(f, ({"a": a, "b": b}, b, 2), ({"a": None}, None, None))


def test_a_product_with_a_vector_is_laid_out_without_a_product() -> None:
    a, x = of(1000, 10), of(10)
    found = flops(lambda: dualdiff.jacobian(lambda x: (a @ x).tanh())(x)).flops
    assert found["tangent"] == 2 * 1000 + 10 * 1000  # the slope, times every column of the matrix
