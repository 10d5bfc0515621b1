"""The one training loop. It knows a strategy and a backend by what they hand over, and never asks which they are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from compare.backends import BACKENDS, Step
from compare.datasets import Split
from compare.errors import TrainingError
from compare.networks import NETWORKS
from compare.networks.kit import Kit
from compare.settings import Settings
from compare.strategies import Strategy

Batch = tuple[Any, Any]

HEARD_EVERY = 0.05
"""Seconds between two words of progress; more would be felt in the work."""


class Trainer:
    """A network, the way its loss is differentiated and its optimizer: everything that one step needs.

    The network is drawn from the seed of `settings`, so the same on every engine. `device` is the array device (`"meta"` for
    abstract arrays); `compiled` says whether the backend may compile the step.
    """

    def __init__(self, settings: Settings, strategy: Strategy, *, device: str, dtype: str, compiled: bool) -> None:
        data = settings.dataset
        engine = strategy.engine()
        engine.manual_seed(settings.seed)
        self._tensor, self._device = engine.tensor, device
        kit = Kit(engine, device=device, dtype=dtype)
        self.net = NETWORKS[settings.network].build(kit, (data.features,), data.classes, width=settings.width, depth=settings.depth)
        self.optimizer = engine.optim.SGD(self.net.parameters(), lr=settings.lr, momentum=settings.momentum)
        cross_entropy = engine.nn.functional.cross_entropy
        self.value_and_grad = strategy.value_and_grad(lambda net, images, labels: cross_entropy(net(images), labels))
        self.step: Step = self._step
        if compiled:
            self.step = BACKENDS[settings.backend].compiled(self._step, self.net, self.optimizer)

    def _step(self, images: Any, labels: Any) -> Any:
        """One step on a batch: the loss and its gradient, then the optimizer's update. Returns the loss before the update."""
        loss, gradients = self.value_and_grad(self.net, images, labels)
        for name, parameter in self.net.named_parameters():
            parameter.grad = gradients[name]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def parameters(self) -> dict[str, Any]:
        """The parameters by name, as numpy arrays."""
        return {name: parameter.detach().numpy() for name, parameter in self.net.named_parameters()}

    def accuracy(self, images: Any, labels: Any) -> float:
        """The fraction of `images` whose largest output is at their label."""
        # Constants, so that no engine keeps or carries anything for a derivative that is not wanted.
        self.net.requires_grad_(False)
        try:
            logits = self.net(self._tensor(images, device=self._device)).numpy()
        finally:
            self.net.requires_grad_(True)
        return float((logits.argmax(axis=1) == labels).mean())


def train(trainer: Trainer, batches: Iterator[Batch], steps: int, heard: Callable[[int], None]) -> list[float]:
    """The loss of each of `steps` steps; `heard` is told now and then how many are done.

    Raises `TrainingError` when a loss or, at the end, a parameter is not finite.
    """
    losses: list[float] = []
    told = time.monotonic()
    for images, labels in islice(batches, steps):
        loss = float(trainer.step(images, labels))
        if not math.isfinite(loss):
            raise TrainingError(f"the loss became {loss} in step {len(losses) + 1}; a smaller `lr` or `momentum` may help")
        losses.append(loss)
        if time.monotonic() - told > HEARD_EVERY:
            heard(len(losses))
            told = time.monotonic()
    # The last update is in no loss.
    if not all(abs(array).max() < math.inf for array in trainer.parameters().values()):
        raise TrainingError(f"a parameter became infinite or not a number in step {steps}; a smaller `lr` or `momentum` may help")
    return losses


def accuracies(trainer: Trainer, split: Split) -> tuple[float, float]:
    """Accuracy on the training and on the test examples, as fractions of one."""
    return trainer.accuracy(split.train_images, split.train_labels), trainer.accuracy(split.test_images, split.test_labels)
