"""Time, memory and arithmetic of one training step."""

from __future__ import annotations

import gc
import math
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from compare.errors import InputError
from compare.messages import Prepared
from compare.planning.seconds import calibration
from compare.records import Moment
from compare.settings import AUTO, Settings
from compare.strategies import Strategy
from compare.training import Batch, Trainer
from diffcore.arrays.observed import observe_tensors
from diffcore.errors import MemoryBudgetError
from diffcore.ledger import Ledger, Work, thinned

STEP_FLOPS = 2e12
"""A step that costs more operations than this is refused (`Settings.full` lifts it): it would take minutes."""
MOMENTS = 2000
"""Moments of a step's memory that are kept; longer timelines are thinned."""


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
            inputs, targets = next(batches)
            start = time.perf_counter()
            step(inputs, targets)
            taken.append(time.perf_counter() - start)
    finally:
        if enabled:
            gc.enable()
    return taken


def counted(settings: Settings, strategy: Strategy, dtype: str) -> Prepared:
    """What one step costs by the ledger: the engine runs it on abstract arrays, which have a shape and a dtype but no data.

    The step is the second one, so that the optimizer's state is there as it is in every step but the first. Where tangents would take
    more than the budget of `settings` they go in chunks; a checkpointed step keeps to it if one is given. Raises `InputError` for a step
    that is too dear, before it is counted to its end, for a budget that cannot be kept, and for a network that cannot be made.
    """
    budget = settings.budget_of(strategy)
    if not strategy.checkpoints or budget is None:
        whole = _counted(settings, strategy, dtype, None)
        if budget is None or whole.planned_peak - whole.resting <= budget:
            return whole
    try:
        return _counted(settings, strategy, dtype, budget)
    except MemoryBudgetError as error:
        if settings.memory != AUTO:
            what = "segment" if strategy.checkpoints else "direction"
            raise InputError(
                f"`memory` (={settings.memory} bytes) is below what one {what} of {strategy.name} needs for {settings.network}"
                f" {settings.shape}: at least {error.least} would do"
            ) from None
        return _counted(settings, strategy, dtype, error.least)


def observed(settings: Settings, strategy: Strategy, dtype: str, memory: int | None = None) -> Prepared:
    """What the ledger sees of the same step on numpy's arrays: the buffers that there really are, on inputs of zeros.

    It is what `counted` plans, to the byte, and takes about twice as long. `memory` bounds the tangents, or what a checkpointed step makes.
    """
    return _counted(settings, strategy, dtype, memory, real=True)


def works(settings: Settings, strategy: Strategy, dtype: str, memory: int | None = None) -> Counter[Work]:
    """The numpy calls of the same step, with how much each does (see `Ledger`)."""
    tensor = strategy.engine().tensor
    with Ledger(works=True) as ledger:
        trainer = Trainer(settings, strategy, device="meta", dtype=dtype, compiled=False, memory=memory)
        inputs, targets = (tensor(part, device="meta") for part in example(settings, dtype))
        trainer.step(inputs, targets)
        ledger.work.clear()
        trainer.step(inputs, targets)
    return ledger.work


def traced(program: Callable[[], Any]) -> int:
    """Bytes at the peak of `program` above what was there before, by `tracemalloc`, Python's own objects included.

    It runs once before under trace, so that caches are warm and what a run replaces is known, and what that left is collected.
    """
    tracemalloc.start()
    try:
        program()
        gc.collect()
        tracemalloc.reset_peak()
        rest, _ = tracemalloc.get_traced_memory()
        program()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - rest


def _counted(settings: Settings, strategy: Strategy, dtype: str, memory: int | None, *, real: bool = False) -> Prepared:
    """The same, with tangents in chunks of `memory` bytes, or all at once; on observed arrays if `real`. Raises `MemoryBudgetError`."""
    tensor, device = strategy.engine().tensor, "cpu" if real else "meta"
    timed = None if real or settings.backend != "numpy" else calibration()
    ledger = _Limited(math.inf if settings.full else STEP_FLOPS, compiled=settings.backend == "jax", works=timed is not None)
    with ledger:
        with ledger.role("parameter"):
            trainer = Trainer(settings, strategy, device=device, dtype=dtype, compiled=False, memory=memory)
            if real:
                observe_tensors((*trainer.net.parameters(), *trainer.net.buffers()))
        with ledger.role("input"):
            inputs, targets = (tensor(part, device=device) for part in example(settings, dtype))
            if real:
                observe_tensors((inputs, targets))
        parameters = sum(int(np.prod(parameter.shape)) for parameter in trainer.net.parameters())
        try:
            trainer.step(inputs, targets)
        except _TooDear:
            raise InputError(
                f"engine {strategy.name!r} is planned to need more than {STEP_FLOPS / 1e9:,.0f} GFLOP for one step of {settings.network}"
                f" {settings.shape} ({parameters:,} parameters) with `batch` (={settings.batch}): make the network or the batch smaller,"
                " name other engines, or lift this limit with --full"
            ) from None
        ledger.most = math.inf
        gc.collect()
        ledger.timeline.clear()
        ledger.work.clear()
        resting = sum(ledger.live.values())
        before = dict(ledger.flops), dict(ledger.transcendentals), _by_phase(ledger.products), dict(ledger.surplus)
        trainer.step(inputs, targets)
        timeline = ledger.timeline
    return Prepared(
        parameters=parameters,
        directions=strategy.directions(trainer.loss, trainer.net, inputs, targets),
        memory=memory,
        flops=_grown(before[0], ledger.flops),
        transcendentals=_grown(before[1], ledger.transcendentals),
        products=_grown(before[2], _by_phase(ledger.products)),
        surplus=_grown(before[3], ledger.surplus),
        convention=ledger.convention,
        planned_peak=max((sum(roles.values()) for _, roles in timeline), default=0),
        timeline=[Moment(label, dict(roles)) for label, roles in thinned(timeline, MOMENTS, lambda moment: sum(moment[1].values()))],
        resting=resting,
        seconds=None if timed is None else timed.seconds(ledger.work),
    )


def example(settings: Settings, dtype: str) -> tuple[Any, Any]:
    """A batch of inputs and targets in the shapes and dtypes of `settings`, all zeros."""
    data = settings.dataset
    inputs = np.zeros((settings.batch, *settings.inputs), "int64" if data.form == "tokens" else dtype)
    return inputs, np.zeros((settings.batch, *data.targets), "int64" if data.task in ("classification", "language") else dtype)


class _TooDear(Exception):
    """A step has cost more operations than it may."""


class _Limited(Ledger):
    """A ledger that ends the work when it has cost more than `most` operations."""

    def __init__(self, most: float, *, compiled: bool, works: bool) -> None:
        super().__init__(compiled=compiled, works=works)
        self.most, self._done = most, 0

    def book(self, flops: int, transcendentals: int) -> None:
        super().book(flops, transcendentals)
        self._done += flops * self.repeats
        if self._done > self.most:
            raise _TooDear


def _by_phase(products: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Counts by phase and kernel, by phase."""
    found: dict[str, int] = {}
    for (phase, _), count in products.items():
        found[phase] = found.get(phase, 0) + count
    return found


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    grown = {phase: int(count) - before.get(phase, 0) for phase, count in after.items()}
    return {phase: count for phase, count in grown.items() if count}
