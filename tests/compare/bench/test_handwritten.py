"""The yardstick is right."""

from itertools import pairwise

import numpy as np
import pytest

from compare.bench import handwritten


def network(rng, dtype, sizes):
    shapes = {}
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        shapes |= {f"{2 * layer}.weight": (outputs, inputs), f"{2 * layer}.bias": (outputs,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("sizes", [(7, 3), (7, 5, 3), (4, 5, 6, 3)])
def test_the_gradients_are_those_of_the_loss(sizes):
    rng = np.random.default_rng(0)
    parameters, images, labels = network(rng, np.float64, sizes), rng.random((6, sizes[0])), rng.integers(0, 3, 6)
    differentiated = handwritten.value_and_grad(parameters)
    loss, gradients = differentiated(images, labels)

    hidden = images
    for layer in range(len(sizes) - 1):
        hidden = np.tanh(hidden) if layer else hidden
        hidden = hidden @ parameters[f"{2 * layer}.weight"].T + parameters[f"{2 * layer}.bias"]
    expected = np.mean(np.log(np.exp(hidden).sum(1)) - hidden[np.arange(6), labels])
    assert loss == pytest.approx(expected, abs=1e-12)
    assert list(gradients) == list(parameters)
    for name, parameter in parameters.items():
        assert gradients[name].shape == parameter.shape
        for index in np.ndindex(parameter.shape):
            kept, step = parameter[index], 1e-6
            parameter[index] = kept + step
            above, _ = differentiated(images, labels)
            parameter[index] = kept - step
            below, _ = differentiated(images, labels)
            parameter[index] = kept
            assert gradients[name][index] == pytest.approx((above - below) / (2 * step), abs=1e-8)


def test_it_leaves_its_operands_alone():
    rng = np.random.default_rng(0)
    parameters, images, labels = network(rng, np.float32, (7, 5, 3)), rng.random((6, 7), np.float32), rng.integers(0, 3, 6)
    before = {name: parameter.copy() for name, parameter in parameters.items()}, images.copy()
    loss, gradients = handwritten.value_and_grad(parameters)(images, labels)
    np.testing.assert_equal((parameters, images), before)
    assert {gradient.dtype for gradient in gradients.values()} == {np.dtype(np.float32)}
    assert loss.dtype == np.float32
