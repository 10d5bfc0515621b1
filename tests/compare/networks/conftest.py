"""A batch for every small network, and the network built over any engine in float64."""

from collections.abc import Callable
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

    def meta(self, engine: Any, shape: tuple[int, ...] | None = None, **knobs: int) -> Any:
        """The network without any numbers, for examples of another `shape` if one is given."""
        knobs = {"width": self.network.width, "depth": self.network.depth, **knobs}
        return self.network.build(Kit(engine, device="meta"), shape or self.shape, self.outputs, **knobs)

    def loss(self, engine: Any, net: Any) -> Any:
        """The loss on the four examples."""
        return self.network.loss(engine.nn.functional, net, engine.tensor(self.inputs), engine.tensor(self.targets))

    def derived(self, engine: Any, net: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
        """The loss and its gradient by `engine.value_and_grad` with `options`; dropout draws from the seed 4."""

        def loss(net: Any, inputs: Any, targets: Any) -> Any:
            return self.network.loss(engine.nn.functional, net, inputs, targets)

        engine.manual_seed(4)
        return engine.value_and_grad(loss, **options)(net, self.inputs, self.targets)


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
def case(request: pytest.FixtureRequest, cases: dict[str, Case]) -> Case:
    """Every small network in turn."""
    return cases[request.param]


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """All of them by name."""
    return {name: case_of(name) for name in DEEP}


@pytest.fixture
def torch() -> ModuleType:
    """PyTorch, the oracle."""
    return pytest.importorskip("torch", reason="torch is the oracle here")


@pytest.fixture
def build() -> Callable[..., Any]:
    """A function that builds a network by name, without any numbers, for examples of a shape and 7 outputs."""

    def built(name: str, engine: Any, shape: tuple[int, ...], **knobs: int) -> Any:
        network = NETWORKS[name]
        knobs = {"width": network.width, "depth": network.depth, **knobs}
        return network.build(Kit(engine, device="meta"), shape, 7, **knobs)

    return built


@pytest.fixture
def without_dropout() -> Callable[[Any], Any]:
    """A function that tells every layer of dropout in a network to drop nothing, and returns the network."""

    def told(net: Any) -> Any:
        for module in net.modules():
            if type(module).__name__ == "Dropout":
                module.p = 0.0
        return net

    return told


@pytest.fixture
def close() -> Callable[..., None]:
    """A function that asserts that arrays agree to 1e-10, relative to the largest element expected."""

    def check(found: Any, expected: Any) -> None:
        found, expected = (np.asarray(getattr(x, "array", x)) for x in (found, expected))
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * max(abs(expected).max(), 1e-300))

    return check
