"""The one training loop. It knows a strategy and a backend by what they hand over, and never asks which they are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from compare import optimizers
from compare.backends import BACKENDS, Step
from compare.datasets import Split
from compare.errors import TrainingError
from compare.networks.kit import Kit
from compare.settings import Settings
from compare.strategies import Strategy
from compare.tasks import TASKS

Batch = tuple[Any, Any]

HEARD_EVERY = 0.05
"""Seconds between two words of progress; more would be felt in the work."""
EVALUATED = 256
"""Examples that are evaluated at a time."""


class Trainer:
    """A network, the way its loss is differentiated and its optimizer: everything that one step needs.

    The network is drawn from the seed of `settings`, so the same on every engine. `device` is the array device (`"meta"` for
    abstract arrays); `compiled` says whether the backend may compile the step; `memory` bounds the bytes of the tangents by chunks;
    `examples` are the training inputs, which some networks are prepared with.
    """

    def __init__(
        self,
        settings: Settings,
        strategy: Strategy,
        *,
        device: str,
        dtype: str,
        compiled: bool,
        memory: int | None = None,
        examples: Any = None,
    ) -> None:
        engine, self._network = strategy.engine(), settings.model
        self._tensor, self._device = engine.tensor, device
        self.net = built(settings, engine, device=device, dtype=dtype)
        if examples is not None:
            self._network.prepare(self.net, examples)
        self.optimizer = optimizers.make(
            engine, settings.optimizer, self.net.parameters(), lr=settings.lr, momentum=settings.momentum
        )
        functional, loss = engine.nn.functional, self._network.loss
        self.loss = lambda net, inputs, targets: loss(functional, net, inputs, targets)
        self.value_and_grad = strategy.value_and_grad(self.loss, memory)
        self.step: Step = stepping(self.net, self.value_and_grad, self.optimizer)
        if compiled:
            self.step = BACKENDS[settings.backend].compiled(self.step, self.net, self.optimizer)

    def parameters(self) -> dict[str, Any]:
        """The parameters by name, as numpy arrays."""
        return {name: parameter.detach().numpy() for name, parameter in self.net.named_parameters()}

    def outputs(self, inputs: Any) -> Any:
        """What the network puts out for `inputs` in evaluation mode, a numpy array; some examples at a time, so that memory is bounded."""
        variables = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        # Constants, so that no engine keeps or carries anything for a derivative that is not wanted.
        self.net.requires_grad_(False)
        self.net.eval()
        try:
            parts = [inputs[start : start + EVALUATED] for start in range(0, len(inputs), EVALUATED)]
            found = [self.net(self._tensor(part, device=self._device)).numpy() for part in parts]
        finally:
            self.net.train()
            for parameter in variables:
                parameter.requires_grad = True
        return np.concatenate(found)

    def score(self, inputs: Any, targets: Any) -> float | None:
        """The task's score on examples, None where there is none."""
        if not len(inputs):
            return None
        return TASKS[self._network.task].measure(self._network.predict(self.outputs(inputs)), targets)


def stepping(net: Any, value_and_grad: Callable[..., Any], optimizer: Any) -> Step:
    """One step on a batch: the loss and its gradient, then the optimizer's update. Returns the loss before the update."""

    def step(inputs: Any, targets: Any) -> Any:
        loss, gradients = value_and_grad(net, inputs, targets)
        for name, parameter in net.named_parameters():
            if name in gradients:  # which frozen ones are not
                parameter.grad = gradients[name]
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def built(settings: Settings, engine: Any, *, device: str, dtype: str) -> Any:
    """The network of `settings` with parameters of `engine`, drawn from the seed. Raises `InputError` where it cannot be made."""
    engine.manual_seed(settings.seed)
    kit = Kit(engine, device=device, dtype=dtype)
    return settings.model.build(kit, settings.inputs, settings.outputs, width=settings.width, depth=settings.depth)


def train(trainer: Trainer, batches: Iterator[Batch], steps: int, heard: Callable[[int], None]) -> list[float]:
    """The loss of each of `steps` steps; `heard` is told now and then how many are done.

    Raises `TrainingError` when a loss or, at the end, a parameter is not finite.
    """
    losses: list[float] = []
    told = time.monotonic()
    for inputs, targets in islice(batches, steps):
        loss = float(trainer.step(inputs, targets))
        if not math.isfinite(loss):
            raise TrainingError(f"the loss became {loss} in step {len(losses) + 1}; a smaller `lr` or `momentum` may help")
        losses.append(loss)
        if time.monotonic() - told > HEARD_EVERY:
            heard(len(losses))
            told = time.monotonic()
    # The last update is in no loss.
    if not all(abs(array).max(initial=0) < math.inf for array in trainer.parameters().values()):
        raise TrainingError(f"a parameter became infinite or not a number in step {steps}; a smaller `lr` or `momentum` may help")
    return losses


def scores(trainer: Trainer, split: Split) -> tuple[float | None, float | None]:
    """The score on the training and on the test examples."""
    return trainer.score(split.train_inputs, split.train_targets), trainer.score(split.test_inputs, split.test_targets)
