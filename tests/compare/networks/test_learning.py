"""Every small network learns its task, from a fixed seed, within a bound on what it took to write it."""

import itertools
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from compare.networks import NETWORKS
from compare.networks.kit import Kit
from compare.tasks import TASKS
from diffcore import data

BATCH = 32
LEARNED = {
    "lenet": (300, 0.8, 0.7),
    "small-alexnet": (300, 1.6, 0.5),
    "small-vgg": (200, 0.9, 0.7),
    "small-nin": (350, 1.5, 0.5),
    "small-googlenet": (200, 0.9, 0.7),
    "small-resnet": (220, 0.25, 0.85),
    "small-densenet": (240, 0.35, 0.8),
    "rnn": (150, 0.7, 0.75),
    "lstm": (150, 0.8, 0.7),
    "gru": (150, 0.7, 0.75),
    "rnn-language": (150, 1.3, 0.55),
    "lstm-language": (120, 1.4, 0.55),
    "gru-language": (120, 1.4, 0.55),
    "small-vit": (220, 1.5, 0.5),
    "yolo": (250, 1.5, 0.2),
}
"""Steps, the most that the mean loss of the last ten may be, and the least score on the examples trained on."""


def examples(network: Any) -> tuple[Any, Any, int]:
    """Inputs and targets of what the network learns by default, and the number of its outputs."""
    if network.task == "detection":
        images, boxes = data.synthetic.detection(200, 32, 3, 3, 2, seed=1)
        return images, boxes, 3
    if network.task == "language":
        text = data.synthetic.character_text(4000, seed=1)
        vocabulary = data.Vocabulary(text)
        return *data.synthetic.next_tokens(vocabulary.encode(text), 16), len(vocabulary)
    images, labels = data.load_digits()
    shape = (8, 8) if network.takes == "sequence" else (1, 8, 8)
    return images.astype(np.float32).reshape(-1, *shape), labels, 10


def trained(name: str, engine: Any, steps: int) -> tuple[list[float], float]:
    """The losses of `steps` steps with the network's own optimizer, and its score afterwards in evaluation mode."""
    network = NETWORKS[name]
    inputs, targets, outputs = examples(network)
    engine.manual_seed(0)
    net = network.build(Kit(engine, dtype=engine.float32), inputs.shape[1:], outputs, width=network.width, depth=network.depth)
    kinds = {
        "sgd": lambda: engine.optim.SGD(net.parameters(), lr=network.lr, momentum=network.momentum),
        "adam": lambda: engine.optim.Adam(net.parameters(), lr=network.lr),
    }
    optimizer = kinds[network.optimizer]()
    derived = engine.value_and_grad(lambda net, x, y: network.loss(engine.nn.functional, net, x, y))
    order = np.random.default_rng(0)
    losses = []
    for _ in range(steps):
        chosen = order.integers(0, len(inputs), BATCH)
        loss, gradients = derived(net, inputs[chosen], targets[chosen])
        for path, parameter in net.named_parameters():
            parameter.grad = engine.tensor(gradients[path])
        optimizer.step()
        losses.append(float(loss))
    net.eval().requires_grad_(False)
    predicted = network.predict(net(engine.tensor(inputs[:200])).numpy())
    return losses, TASKS[network.task].measure(predicted, targets[:200])


@pytest.mark.parametrize("name", LEARNED)
def test_every_network_learns_its_task(name: str) -> None:
    steps, loss, score = LEARNED[name]
    losses, found = trained(name, revdiff, steps)
    assert np.mean(losses[-10:]) < loss < 0.9 * losses[0]
    assert found > score


@pytest.mark.parametrize(("name", "steps"), [("lenet", 20), ("small-resnet", 3), ("rnn", 20)])
def test_forward_mode_learns_as_reverse_mode_does(name: str, steps: int) -> None:
    (forward, _), (reverse, _) = trained(name, dualdiff, steps), trained(name, revdiff, steps)
    np.testing.assert_allclose(forward, reverse, rtol=2e-3)
    assert all(a != b for a, b in itertools.pairwise(reverse))


def test_every_network_is_tried(cases: dict[str, Any]) -> None:
    assert LEARNED.keys() == cases.keys()
