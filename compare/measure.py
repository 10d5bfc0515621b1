"""Time, memory and arithmetic of one training step."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

from compare.messages import Prepared
from compare.records import Moment
from compare.settings import Settings
from compare.strategies import Strategy
from compare.training import Batch, Trainer


def timed(step: Callable[[Any, Any], Any], batches: Iterator[Batch], *, samples: int, least: int, seconds: float) -> list[float]:
    """Seconds of each of at most `samples` steps; after `least` of them no further one is begun once `seconds` have passed.

    Each sample is one whole step. The garbage collector runs before and not during the round, as in `timeit`.
    """
    taken: list[float] = []
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while len(taken) < samples and (len(taken) < least or time.perf_counter() < end):
            images, labels = next(batches)
            start = time.perf_counter()
            step(images, labels)
            taken.append(time.perf_counter() - start)
    finally:
        if enabled:
            gc.enable()
    return taken


def counted(settings: Settings, strategy: Strategy, dtype: str) -> Prepared:
    """What one step costs by the ledger: the engine runs it on abstract arrays, which have a shape and a dtype but no data.

    The step is the second one, so that the optimizer's state is there as it is in every step but the first.
    """
    import numpy as np

    from diffcore.ledger import Ledger

    data = settings.dataset
    tensor = strategy.engine().tensor
    with Ledger() as ledger:
        with ledger.role("parameter"):
            trainer = Trainer(settings, strategy, device="meta", dtype=dtype, compiled=False)
        with ledger.role("input"):
            images = tensor(np.zeros((settings.batch, data.features), dtype), device="meta")
            labels = tensor(np.zeros(settings.batch, np.int64), device="meta")
        trainer.step(images, labels)
        gc.collect()
        start = len(ledger.timeline)
        before = dict(ledger.flops), dict(ledger.transcendentals)
        trainer.step(images, labels)
        timeline = ledger.timeline[start:]
    return Prepared(
        parameters=sum(int(np.prod(parameter.shape)) for parameter in trainer.net.parameters()),
        flops=_grown(before[0], ledger.flops),
        transcendentals=_grown(before[1], ledger.transcendentals),
        convention=ledger.convention,
        planned_peak=max((sum(roles.values()) for _, roles in timeline), default=0),
        timeline=[Moment(label, dict(roles)) for label, roles in timeline],
    )


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    grown = {phase: int(count) - before.get(phase, 0) for phase, count in after.items()}
    return {phase: count for phase, count in grown.items() if count}
