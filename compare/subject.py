"""What a worker works on: one strategy's network on its data, and every question that can be asked of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import cached_property

import msgspec

from compare import datasets, measure
from compare.backends import BACKENDS
from compare.messages import Array, Done, Prepared, Timed, Trained, Weighed
from compare.objects import objects_of
from compare.settings import DTYPES, Settings
from compare.strategies import STRATEGIES
from compare.training import Batch, Trainer, scores, train
from compare.truth import Work, truths


class Subject:
    """One strategy under the settings of a run. `warm`, `time` and `weigh` go on with one network, `train` begins a fresh one.

    Nothing is built before it is needed: what a step costs is found from shapes, and may be too much.
    """

    def __init__(self, settings: Settings, strategy: str) -> None:
        self._settings, self._strategy = settings, STRATEGIES[strategy]
        self._backend = BACKENDS[settings.backend]
        self._backend.use(settings.dtype)
        self._prepared = measure.counted(settings, self._strategy, settings.dtype)
        if settings.backend == "numpy":
            found = objects_of(settings, self._strategy, settings.dtype, self._prepared.memory)
            self._prepared = msgspec.structs.replace(self._prepared, objects=found)

    @cached_property
    def _trainer(self) -> Trainer:
        return self._begin(self._settings.dtype, self._split)

    @cached_property
    def _split(self) -> datasets.Split:
        return self._load(self._settings.dtype)

    @cached_property
    def _batches(self) -> Iterator[Batch]:
        return self._in_batches(self._split)

    def _begin(self, dtype: str, split: datasets.Split) -> Trainer:
        memory = self._prepared.memory
        if memory is not None:  # the same chunks in every dtype
            memory = memory * DTYPES[dtype] // DTYPES[self._settings.dtype]
        device, examples = self._backend.device, split.train_inputs
        return Trainer(self._settings, self._strategy, device=device, dtype=dtype, compiled=True, memory=memory, examples=examples)

    def _load(self, dtype: str) -> datasets.Split:
        return datasets.load(self._settings.data, self._settings.model.takes, seed=self._settings.seed, dtype=dtype)

    def _in_batches(self, split: datasets.Split) -> Iterator[Batch]:
        return datasets.batches(split, batch=self._settings.batch, seed=self._settings.seed)

    def _step(self, inputs: object, targets: object) -> None:
        self._trainer.step(inputs, targets)
        self._backend.wait(self._trainer.net)

    def prepare(self) -> Prepared:
        """What one step costs by the ledger."""
        return self._prepared

    def warm(self, steps: int) -> Done:
        """Make untimed steps."""
        for _ in range(steps):
            self._step(*next(self._batches))
        return Done()

    def time(self, samples: int, least: int, seconds: float) -> Timed:
        """Seconds of each step, the update and the wait for the device included."""
        return Timed(measure.timed(self._step, self._batches, samples=samples, least=least, seconds=seconds))

    def train(self, steps: int, dtype: str, heard: Callable[[int], None]) -> Trained:
        """Train a fresh network in `dtype`, the same data in the same order for every strategy."""
        self._backend.use(dtype)
        try:
            split = self._load(dtype)
            trainer = self._begin(dtype, split)
            losses = train(trainer, self._in_batches(split), steps, heard)
            on_train, on_test = scores(trainer, split)
            arrays = {name: Array(array.shape, array.dtype.name, array.tobytes()) for name, array in trainer.parameters().items()}
        finally:
            self._backend.use(self._settings.dtype)
        return Trained(losses, on_train, on_test, arrays)

    def weigh(self, *, dear: bool = False) -> Weighed:
        """What every source of truth says of one step."""
        trainer, batch = self._trainer, next(self._batches)
        gc.collect()
        work = Work(self._settings, self._strategy, self._prepared, trainer.step, lambda: self._backend.wait(trainer.net), *batch)
        found = truths(work, dear=dear)
        peak = next(truth for truth in found if truth.source == self._backend.weighed_by)
        return Weighed(peak.measured, f"{peak.source}: {peak.measures}", found)
