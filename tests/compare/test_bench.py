"""The yardstick is right, and the benchmark refuses contestants that compute something else."""

import numpy as np
import pytest

from compare import bench, handwritten
from compare.errors import CompareError


def network(rng, dtype):
    shapes = {"0.weight": (5, 7), "0.bias": (5,), "2.weight": (3, 5), "2.bias": (3,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def test_the_hand_written_gradients_are_those_of_the_loss():
    rng = np.random.default_rng(0)
    parameters, images, labels = network(rng, np.float64), rng.random((6, 7)), rng.integers(0, 3, 6)
    differentiated = handwritten.value_and_grad(parameters)
    loss, gradients = differentiated(images, labels)

    hidden = np.tanh(images @ parameters["0.weight"].T + parameters["0.bias"])
    logits = hidden @ parameters["2.weight"].T + parameters["2.bias"]
    expected = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(6), labels])
    assert loss == pytest.approx(expected, abs=1e-12)
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


def test_the_hand_written_pass_leaves_its_operands_alone():
    rng = np.random.default_rng(0)
    parameters, images, labels = network(rng, np.float32), rng.random((6, 7), np.float32), rng.integers(0, 3, 6)
    before = {name: parameter.copy() for name, parameter in parameters.items()}, images.copy()
    loss, gradients = handwritten.value_and_grad(parameters)(images, labels)
    np.testing.assert_equal((parameters, images), before)
    assert {gradient.dtype for gradient in gradients.values()} == {np.dtype(np.float32)}
    assert loss.dtype == np.float32


def test_contestants_compute_the_same():
    bench._check(bench._contestants())


def test_a_contestant_that_computes_something_else_is_refused():
    works = bench._contestants()
    loss, gradients = works["reverse"]()
    works["reverse"] = lambda: (loss, {name: gradient * 1.001 for name, gradient in gradients.items()})
    with pytest.raises(CompareError, match="gradients of reverse differ from the hand-written ones by"):
        bench._check(works)


def test_targets_have_a_side():
    at_most, at_least = bench.Target("a", "b", 2.0), bench.Target("a", "b", 2.0, least=True)
    assert bench.Row(at_most, 1.9).met
    assert not bench.Row(at_most, 2.1).met
    assert bench.Row(at_least, 2.1).met
    assert not bench.Row(at_least, 1.9).met


def test_ratios_are_medians_of_those_within_a_round():
    times = {bench.HANDWRITTEN: [1.0, 1.0, 9.0], "reverse": [2.0, 3.0, 18.0], "forward-activations": [4.0] * 3, bench.JACFWD: [100.0] * 3}
    assert [row.ratio for row in bench.Result(times).rows] == [2.0, 4.0, 25.0]
