"""A process that makes some training steps and ends: `python -m compare.truth.repeat '[settings, strategy, memory, steps]'`."""

from __future__ import annotations

import sys

import msgspec

from compare.backends import BACKENDS
from compare.measure import example
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer


def main(told: str) -> None:
    """Make the steps that `told` (JSON) asks for."""
    settings, strategy, memory, steps = msgspec.json.decode(told, type=tuple[Settings, str, int | None, int])
    backend = BACKENDS[settings.backend]
    backend.use(settings.dtype)
    trainer = Trainer(settings, STRATEGIES[strategy], device=backend.device, dtype=settings.dtype, compiled=True, memory=memory)
    inputs, targets = example(settings, settings.dtype)
    for _ in range(steps):
        trainer.step(inputs, targets)
    backend.wait(trainer.net)


if __name__ == "__main__":
    main(sys.argv[1])
