"""A batch for every small network, and the network built over any engine in float64."""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from compare.networks import NETWORKS, Network
from compare.networks.kit import Kit

DEEP = {
    "lenet": ((1, 8, 8), 10),
    "small-alexnet": ((1, 8, 8), 10),
    "small-vgg": ((1, 8, 8), 10),
    "small-nin": ((1, 8, 8), 10),
    "small-googlenet": ((1, 8, 8), 10),
    "small-resnet": ((1, 8, 8), 10),
    "small-densenet": ((1, 8, 8), 10),
    "rnn": ((8, 8), 10),
    "lstm": ((8, 8), 10),
    "gru": ((8, 8), 10),
    "rnn-language": ((6,), 11),
    "lstm-language": ((6,), 11),
    "gru-language": ((6,), 11),
    "small-vit": ((1, 8, 8), 10),
    "yolo": ((3, 16, 16), 3),
}
"""Shape of an example and number of outputs, by the name of the network."""
BOXES = np.array([[1, 0.3, 0.4, 0.3, 0.25], [2, 0.8, 0.7, 0.4, 0.3], [0, 0.31, 0.41, 0.2, 0.2]])


class Case(NamedTuple):
    """A network with four examples and their targets."""

    network: Network
    shape: tuple[int, ...]
    outputs: int
    inputs: np.ndarray
    targets: np.ndarray

    def build(self, engine: Any, **knobs: int) -> Any:
        """The network in float64, drawn from the seed 3."""
        engine.manual_seed(3)
        knobs = {"width": self.network.width, "depth": self.network.depth, **knobs}
        return self.network.build(Kit(engine, dtype=engine.float64), self.shape, self.outputs, **knobs)

    def loss(self, engine: Any, net: Any) -> Any:
        """The loss on the four examples."""
        return self.network.loss(engine.nn.functional, net, engine.tensor(self.inputs), engine.tensor(self.targets))


def case_of(name: str) -> Case:
    """The case of a small network."""
    network, (shape, outputs) = NETWORKS[name], DEEP[name]
    rng = np.random.default_rng(5)
    inputs = rng.integers(0, outputs, (4, *shape)) if network.takes == "tokens" else rng.normal(size=(4, *shape))
    targets = rng.integers(0, outputs, (4, *shape) if network.takes == "tokens" else 4)
    if network.task == "detection":
        targets = np.stack([np.roll(BOXES, i, 0) for i in range(4)])
        targets[2, 1:] = targets[3] = (-1, 0, 0, 0, 0)
    return Case(network, shape, outputs, inputs, targets)


@pytest.fixture(params=DEEP)
def case(request: pytest.FixtureRequest) -> Case:
    """Every small network in turn."""
    return case_of(request.param)


@pytest.fixture
def torch() -> ModuleType:
    """PyTorch, the oracle."""
    return pytest.importorskip("torch", reason="torch is the oracle here")


def without_dropout(net: Any) -> Any:
    """`net` with every layer of dropout told to drop nothing."""
    for module in net.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    return net


def assert_close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    """Arrays that agree to `tolerance`, relative to the largest element expected."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(abs(expected).max(), 1e-300))
