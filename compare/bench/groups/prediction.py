"""Seconds of a step as they are predicted from shapes, against those that `compare run` measures, over networks, batches and strategies.

Every cell is measured in interleaved rounds, like the strategies of a run, with a gauge beside each: where the machine is slower than at
its best, as others use it, so is the gauge, and a prediction is of the machine at its best. How many hold by the clock is told too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from compare import datasets, measure
from compare.bench.contest import Contest, Heard
from compare.bench.records import AT_LEAST, Entrant, Target
from compare.bench.wanted import Limits, Wanted
from compare.calibration import Calibration, calibrate, load, save
from compare.calibration.steps import work_of_step
from compare.calibration.stopwatch import Gauge
from compare.calibration.store import UncalibratedError
from compare.errors import InputError
from compare.settings import Settings
from compare.strategies import STRATEGIES, Strategy
from compare.training import Trainer

WITHIN, CELLS, GAUGE = "predicted within 30%", "cells", "gauge"
TOLERANCE, SHARE = 0.3, 0.9
"""How far a prediction may be off, in parts of what is measured, and in which part of all cells it may not be."""
NETWORKS: tuple[dict[str, Any], ...] = (
    {"network": "softmax"},
    {"network": "mlp"},
    {"network": "mlp", "width": 128, "depth": 2},
    {"network": "mlp", "width": 512, "depth": 3},
    {"network": "mlp", "width": 64, "depth": 8},
    {"network": "lenet"},
    {"network": "lenet", "width": 16},
    {"network": "small-vgg"},
    {"network": "small-vgg", "width": 16},
    {"network": "small-resnet"},
    {"network": "small-googlenet"},
    {"network": "small-densenet"},
    {"network": "small-alexnet"},
    {"network": "small-nin"},
    {"network": "rnn"},
    {"network": "lstm"},
    {"network": "gru"},
    {"network": "lstm", "width": 128},
    {"network": "gru-language"},
    {"network": "small-vit"},
    {"network": "small-vit", "width": 64},
)
QUICK = (0, 1, 5)
"""Places of the networks that a quick look is taken at."""
BATCHES = (16, 64, 256)
LONGEST = 2.0
"""Seconds of a step from which it is left out."""
ROUNDS, SAMPLES, SECONDS = 5, 20, 0.1
"""The most rounds; of a strategy in one round the most steps, and the seconds after which no further one is begun."""
WARM_UP = 3
NAMED = 5
"""Cells that are named, the worst ones."""


@dataclass
class Cell:
    """What was predicted of a step, and what was measured: as the clock has it, and at the pace of the machine at its best."""

    title: str
    predicted: float
    clocked: float
    paced: float

    @property
    def holds(self) -> bool:
        """Whether the prediction is within the tolerance of what was measured at the machine's best pace."""
        return _within(self.predicted, self.paced)


def _within(predicted: float, measured: float) -> bool:
    return abs(predicted - measured) <= TOLERANCE * measured


def contests(wanted: Wanted) -> list[Contest]:
    """One for each network and batch, and one for the share of cells that hold."""
    tally = Tally()
    networks = [NETWORKS[i] for i in QUICK] if wanted.quick else NETWORKS
    found = []
    for options in networks:
        for batch in BATCHES:
            settings = Settings(**options, batch=batch)
            title = f"{settings.network} {settings.shape}, batch {batch}"
            found.append(Contest("prediction", title, "seconds", (), tally.measuring(title, settings)))
    target = Target(WITHIN, CELLS, SHARE, AT_LEAST)
    return [*found, Contest("prediction", "steps of all networks, batches and strategies", "cells", (target,), tally.summed)]


@dataclass
class Tally:
    """The cells so far."""

    cells: list[Cell] = field(default_factory=list)

    @cached_property
    def calibration(self) -> Calibration:
        """That of this machine, made and kept where there is none."""
        try:
            return load()
        except UncalibratedError:
            made = calibrate()
            save(made)
            return made

    def measuring(self, title: str, settings: Settings) -> Callable[[Limits, Heard], list[Entrant]]:
        """Predict and time a step of every strategy that takes no longer than `LONGEST`."""

        def measured(limits: Limits, heard: Heard) -> list[Entrant]:
            ready = [found for strategy in STRATEGIES.values() if (found := _ready(self.calibration, settings, strategy)) is not None]
            rounds = min(limits.rounds, ROUNDS)
            gauge = Gauge()
            gauges: list[float] = []
            for number in range(rounds):
                heard(number / rounds)
                for entrant in ready:
                    before = _settled(gauge)
                    entrant.time()
                    gauges.append((before + _settled(gauge)) / 2)
            entrants = [Entrant(GAUGE, gauges, note=f"{self.calibration.gauge:.3g} s at its best")]
            for place, entrant in enumerate(ready):
                paces = [seconds / self.calibration.gauge for seconds in gauges[place :: len(ready)]]
                paced = statistics.median(taken / max(pace, 1.0) for taken, pace in zip(entrant.taken, paces, strict=True))
                name = entrant.strategy.name
                self.cells.append(Cell(f"{title}, {name}", entrant.predicted, statistics.median(entrant.taken), paced))
                entrants += [Entrant(f"{name}, predicted", [entrant.predicted]), Entrant(f"{name}, measured", entrant.taken)]
            return entrants

        return measured

    def summed(self, limits: Limits, heard: Heard) -> list[Entrant]:
        """How many cells hold, of how many, and which are worst."""
        held = sum(cell.holds for cell in self.cells)
        clocked = sum(_within(cell.predicted, cell.clocked) for cell in self.cells)
        worst = sorted(self.cells, key=lambda cell: -max(cell.predicted / cell.paced, cell.paced / cell.predicted))[:NAMED]
        named = "; ".join(f"{cell.title} {cell.predicted / cell.paced:.2f}" for cell in worst)
        note = f"at the pace at which the machine was calibrated; {clocked} as the clock has it; worst, predicted / measured: {named}"
        return [Entrant(WITHIN, [float(held)], note=note), Entrant(CELLS, [float(len(self.cells))], note=note)]


@dataclass
class _Timed:
    """A strategy with its steps."""

    strategy: Strategy
    predicted: float
    step: Callable[[Any, Any], Any]
    batches: Any
    taken: list[float] = field(default_factory=list)

    def time(self) -> None:
        """One more round: the median of some steps."""
        found = measure.timed(self.step, self.batches, samples=SAMPLES, least=1, seconds=SECONDS)
        self.taken.append(statistics.median(found))


def _ready(calibration: Calibration, settings: Settings, strategy: Strategy) -> _Timed | None:
    """The strategy, warm; None where a step cannot be made, or takes too long."""
    try:
        memory = measure.counted(settings, strategy, settings.dtype).memory
    except (InputError, TypeError):
        return None
    predicted = calibration.seconds(work_of_step(settings, strategy, memory))
    if predicted > LONGEST:
        return None
    split = datasets.load(settings.data, settings.model.takes, seed=settings.seed, dtype=settings.dtype)
    trainer = Trainer(
        settings, strategy, device="cpu", dtype=settings.dtype, compiled=True, memory=memory, examples=split.train_inputs
    )
    batches = datasets.batches(split, batch=settings.batch, seed=settings.seed)
    measure.timed(trainer.step, batches, samples=WARM_UP, least=WARM_UP, seconds=LONGEST)
    return _Timed(strategy, predicted, trainer.step, batches)


def _settled(gauge: Gauge) -> float:
    """The gauge, warm again after other work."""
    gauge()
    return statistics.median(gauge() for _ in range(3))
