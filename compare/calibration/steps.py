"""What a step of training does, call by call."""

from __future__ import annotations

from collections import Counter

from compare.measure import example
from compare.settings import Settings
from compare.strategies import Strategy
from compare.training import Trainer
from diffcore.ledger import Ledger, Work


def work_of_step(settings: Settings, strategy: Strategy, memory: int | None) -> Counter[Work]:
    """The calls of the second step, in which the optimizer's state is there; with tangents in chunks of `memory` bytes where given."""
    tensor = strategy.engine().tensor
    with Ledger(works=True) as ledger:
        trainer = Trainer(settings, strategy, device="meta", dtype=settings.dtype, compiled=False, memory=memory)
        inputs, targets = (tensor(part, device="meta") for part in example(settings, settings.dtype))
        trainer.step(inputs, targets)
        ledger.work.clear()
        trainer.step(inputs, targets)
    return ledger.work
