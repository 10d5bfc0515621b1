"""Seconds of short work on a machine that others use too.

A core that shares its units with a busy one computes at half its speed, for milliseconds or minutes. So work is timed in short batches,
each between two runs of a gauge: fixed work of the same kind. Batches in whose neighbourhood the gauge was slow are put aside, and what is
left is held against the gauge at its best.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

BATCH = 1.5e-4
"""Seconds that a batch is made to last, by repeating shorter work."""
CALM, WANTED = 1.08, 6
"""How much slower than at its best the gauge may be beside a batch that counts, and how many such batches are wanted."""
PATIENCE = 0.02
"""Seconds after which no more of them are waited for, unless there are not `LEAST` batches of any kind."""
LEAST = 4
TURNS = 30
"""How often work that is done in turn with other is timed."""
SETTLING = 3.0
"""Seconds in which the gauge is watched before anything else."""


def _clock() -> Callable[[], float]:
    """Seconds of this thread where numpy computes in it alone, so that waiting for a core is not counted; else those of the wall."""
    alone = os.environ.get("OPENBLAS_NUM_THREADS") == "1" and hasattr(time, "thread_time")
    return time.thread_time if alone else time.perf_counter


class Gauge:
    """Fixed work of the kind that steps are made of: two of them, of a small perceptron, by hand.

    It must suffer from what else is done on the machine as steps do. A loop of the same few calls suffers more: where a step takes half as
    much again, it took nearly twice as long.
    """

    def __init__(self) -> None:
        self.clock = _clock()
        rng = np.random.default_rng(0)
        self._x, self._targets = rng.random((16, 24), np.float32), rng.integers(0, 8, 16)
        shapes = {"0.weight": (16, 24), "0.bias": (16,), "2.weight": (8, 16), "2.bias": (8,)}
        self._parameters = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}

    def __call__(self) -> float:
        """Seconds that it takes now."""
        clock = self.clock
        start = clock()
        for _ in range(2):
            gradients = self._gradients()
            for name, parameter in self._parameters.items():
                parameter -= 1e-6 * gradients[name]
        return clock() - start

    def _gradients(self) -> dict[str, Any]:
        """Those of the mean cross entropy."""
        x, parameters, rows = self._x, self._parameters, np.arange(16)
        hidden = np.tanh(x @ parameters["0.weight"].T + parameters["0.bias"])
        scores = hidden @ parameters["2.weight"].T + parameters["2.bias"]
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        chances[rows, self._targets] -= 1
        chances /= len(rows)
        inner = (chances @ parameters["2.weight"]) * (1 - hidden * hidden)
        outer = {"2.weight": chances.T @ hidden, "2.bias": chances.sum(axis=0)}
        return {"0.weight": inner.T @ x, "0.bias": inner.sum(axis=0)} | outer


class Taken(NamedTuple):
    """Seconds of a work: as those of code are told, in proportion to the gauge at its best, and as the clock has them at a `pace`.

    The pace is what the gauge took meanwhile, over its best.
    """

    code: float
    clock: float
    pace: float

    def beside(self, code: float) -> float:
        """Seconds, of the clock, beside `code` that the work consists of too."""
        return self.clock - code * self.pace


class Stopwatch:
    """`seconds(work)` as the machine takes when the gauge takes `unit`; its `best` time so far, and the `usual` one, in the middle.

    The ratio of two works is told best where the machine has nothing else to do, and how fast it is where it does what it usually does.
    """

    def __init__(self) -> None:
        self.gauge = Gauge()
        self.clock = self.gauge.clock
        end = time.perf_counter() + SETTLING
        self.best = self.gauge()
        while time.perf_counter() < end:
            self.best = min(self.best, self.gauge())
        self.unit = self.best
        self._met: list[float] = []

    def forget(self) -> None:
        """What is usual is told from here on."""
        self._met.clear()

    @property
    def usual(self) -> float:
        """What the gauge took in the middle, over all that has been timed since what was before was forgotten."""
        return statistics.median(self._met) if self._met else self.best

    @property
    def pace(self) -> float:
        """By what seconds of code are to be multiplied for the machine as it usually was since."""
        return self.usual / self.unit

    def seconds(self, work: Callable[[], object], *, calm: bool = True, patience: float = PATIENCE) -> float:
        """Seconds of one repetition of `work`, which is warm, as those of code are told (see `Taken`)."""
        return self.taken(work, calm=calm, patience=patience).code

    def taken(self, work: Callable[[], object], *, calm: bool = True, patience: float = PATIENCE) -> Taken:
        """The same, and what the clock says. Where it is `calm` what is beside a slow gauge is put aside."""
        work()
        clock = self.clock
        count = 1
        with quiet():
            while (taken := _time(work, count, clock)) < BATCH / 2:
                count = max(2 * count, min(int(count * BATCH / max(taken, 1e-7)), 64 * count))
            before, found, calmly = self.gauge(), list[tuple[float, float, float]](), 0
            end = time.perf_counter() + patience
            while calmly < WANTED and (len(found) < LEAST or time.perf_counter() < end):
                taken = _time(work, count, clock)
                if count == 1:
                    self.gauge()  # once unread: long work leaves nothing of it in the caches, which is not the pace
                after = self.gauge()
                found.append((max(before, after), taken / count, (before + after) / 2))
                calmly += max(before, after) <= CALM * self.best
                before = after
        self._note([gauge for gauge, _, _ in found])
        found.sort()
        kept = found[: max(3, calmly)] if calm else found
        middle = statistics.median
        code = middle(seconds / gauge for _, seconds, gauge in kept) * self.unit
        return Taken(code, middle(seconds for _, seconds, _ in kept), middle(gauge for _, _, gauge in kept) / self.unit)

    def _note(self, gauges: Sequence[float]) -> None:
        """Remember what the gauge took."""
        self.best = min(self.best, *gauges)
        self._met.append(statistics.median(gauges))

    def together(self, works: Sequence[Callable[[], object]]) -> list[float]:
        """Seconds of each of `works`, done in turn, so that each finds the caches as other work has left them."""
        clock = self.clock
        for work in works:
            work()
        found: list[tuple[float, list[float]]] = []
        with quiet():
            before, calm = self.gauge(), 0
            end = time.perf_counter() + PATIENCE * len(works)
            while calm < TURNS and (len(found) < TURNS // 2 or time.perf_counter() < end):
                taken = []
                for work in (_nothing, *works):
                    start = clock()
                    work()
                    taken.append(clock() - start)
                self.gauge()  # as above
                after = self.gauge()
                found.append((max(before, after), [(each - taken[0]) / (before + after) * 2 for each in taken[1:]]))
                calm += max(before, after) <= CALM * self.best
                before = after
        self._note([gauge for gauge, _ in found])
        found.sort(key=lambda pair: pair[0])
        kept = [ratios for _, ratios in found[: max(TURNS // 2, calm)]]
        return [max(statistics.median(ratios), 0.0) * self.unit for ratios in zip(*kept, strict=True)]


def _nothing() -> None:
    """What is timed beside work that is short, to know what timing takes."""


def _time(work: Callable[[], object], count: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(count):
        work()
    return clock() - start


@contextmanager
def quiet() -> Iterator[None]:
    """Without the garbage collector."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
