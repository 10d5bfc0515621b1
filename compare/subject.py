"""What a worker works on: one strategy's network on its data, and every question that can be asked of it."""

from __future__ import annotations

import gc
from collections.abc import Callable

from compare import datasets, measure
from compare.backends import BACKENDS
from compare.messages import Array, Done, Prepared, Timed, Trained, Weighed
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer, accuracies, train


class Subject:
    """One strategy under the settings of a run. `warm`, `time` and `weigh` go on with one network, `train` begins a fresh one."""

    def __init__(self, settings: Settings, strategy: str) -> None:
        self._settings, self._strategy = settings, STRATEGIES[strategy]
        self._backend = BACKENDS[settings.backend]
        self._backend.use(settings.dtype)
        self._trainer = self._begin(settings.dtype)
        self._batches = datasets.batches(self._load(settings.dtype), batch=settings.batch, seed=settings.seed)

    def _begin(self, dtype: str) -> Trainer:
        return Trainer(self._settings, self._strategy, device=self._backend.device, dtype=dtype, compiled=True)

    def _load(self, dtype: str) -> datasets.Split:
        return datasets.load(self._settings.data, seed=self._settings.seed, dtype=dtype)

    def _step(self, images: object, labels: object) -> None:
        self._trainer.step(images, labels)
        self._backend.wait(self._trainer.net)

    def prepare(self) -> Prepared:
        """What one step costs by the ledger."""
        return measure.counted(self._settings, self._strategy, self._settings.dtype)

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
            trainer, split = self._begin(dtype), self._load(dtype)
            losses = train(trainer, datasets.batches(split, batch=self._settings.batch, seed=self._settings.seed), steps, heard)
            on_train, on_test = accuracies(trainer, split)
            arrays = {name: Array(array.shape, array.dtype.name, array.tobytes()) for name, array in trainer.parameters().items()}
        finally:
            self._backend.use(self._settings.dtype)
        return Trained(losses, on_train, on_test, arrays)

    def weigh(self) -> Weighed:
        """The peak memory of one step."""
        images, labels = next(self._batches)
        gc.collect()
        return Weighed(*self._backend.weigh(self._trainer.step, images, labels))
