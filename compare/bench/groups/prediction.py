"""Seconds of a step as they are predicted, and the way that is recommended, against what is measured, over networks and batches.

Of every network and batch all ways to the gradient are planned as `compare plan` does: with all the memory there is, and within a budget
that reverse mode does not fit. Steps are measured in interleaved rounds, like the strategies of a run, with a gauge around each: where the
machine is slower for code than it was when it was calibrated, as others use it more, so is the gauge. A prediction is of the machine as it
was; what it comes to at the pace of the moment, as far as it goes with that (see `compare.calibration.pace`), is held against each step.
How many hold by the clock as they are is told too. A recommendation holds where no other way that fits is faster by more than a tenth, as
measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from compare import datasets, measure
from compare.bench.contest import Contest, Heard
from compare.bench.records import AT_LEAST, Entrant, Target
from compare.bench.wanted import Limits, Wanted
from compare.calibration import Calibration, calibrate, load, save
from compare.calibration.stopwatch import Gauge, quiet
from compare.calibration.store import UncalibratedError
from compare.planning import advising, ways
from compare.planning import seconds as planning_seconds
from compare.planning.budget import budget
from compare.planning.fitting import Fitting
from compare.planning.recipe import Preset
from compare.planning.records import Way as Planned
from compare.planning.sizes import Sizes
from compare.planning.ways import Task
from compare.report.units import size
from compare.settings import Settings
from compare.training import Trainer

WITHIN, CELLS, GAUGE = "predicted within 30%", "cells", "gauge"
HOLDS, ADVICES = "recommended within 10% of the fastest", "recommendations"
TOLERANCE, SHARE = 0.3, 0.9
"""How far a prediction may be off, in parts of what is measured, and in which part of all cells it may not be."""
SLACK, ADVISED = 0.1, 0.95
"""How much slower than the fastest the way may be that is recommended, and in which part of all recommendations it may not be."""
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
TIGHT = 0.5
"""Where the tight budget lies between the least that checkpoints take (0) and what reverse mode does (1)."""
LONGEST = 2.0
"""Seconds that a step may be predicted to take; longer ones are not measured, and so are no rivals of what is recommended."""
ROUNDS, SAMPLES, SECONDS = 5, 20, 0.1
"""The most rounds; of a way in one round the most steps, and the seconds after which no further one is begun."""
BESIDE = 50
"""How much longer a step takes than the gauge is watched before and after it: one reading tells nothing of a second."""
WARM_UP = 3
NAMED = 5
"""Cells that are named, the worst ones."""


@dataclass
class Cell:
    """What was predicted of a step, and what was measured: as the clock has it, and at the pace at which the machine was calibrated."""

    title: str
    predicted: float
    clocked: float
    paced: float

    @property
    def holds(self) -> bool:
        """Whether the prediction is within the tolerance of what was measured at that pace."""
        return _within(self.predicted, self.paced)


@dataclass
class Advised:
    """A recommendation among several ways that fit: the way, and how long it takes over the fastest, as measured side by side."""

    title: str
    way: str
    fastest: str
    slowdown: float

    @property
    def holds(self) -> bool:
        """Whether the way is the fastest, or nearly."""
        return self.slowdown <= 1 + SLACK


def _within(predicted: float, measured: float) -> bool:
    return abs(predicted - measured) <= TOLERANCE * measured


def contests(wanted: Wanted) -> list[Contest]:
    """One for each network and batch, one for the share of cells that hold, and one for that of recommendations."""
    tally = Tally()
    networks = [NETWORKS[i] for i in QUICK] if wanted.quick else NETWORKS
    found = []
    for options in networks:
        for batch in BATCHES:
            settings = Settings(**options, batch=batch)
            title = f"{settings.network} {settings.shape}, batch {batch}"
            found.append(Contest("prediction", title, "seconds", (), tally.measuring(title, settings)))
    subject = "steps of all networks, batches and ways"
    return [
        *found,
        Contest("prediction", subject, "cells", (Target(WITHIN, CELLS, SHARE, AT_LEAST),), tally.predicted),
        Contest("prediction", f"{subject}, at two budgets", "cells", (Target(HOLDS, ADVICES, ADVISED, AT_LEAST),), tally.recommended),
    ]


@dataclass
class Tally:
    """The cells and recommendations so far."""

    cells: list[Cell] = field(default_factory=list)
    advices: list[Advised] = field(default_factory=list)

    @cached_property
    def calibration(self) -> Calibration:
        """That of this machine, made and kept where there is none."""
        try:
            return load()
        except UncalibratedError:
            made = calibrate()
            save(made)
            planning_seconds.calibration.cache_clear()
            return made

    def measuring(self, title: str, settings: Settings) -> Callable[[Limits, Heard], list[Entrant]]:
        """Plan every way to the gradient at both budgets, and time its step."""

        def measured(limits: Limits, heard: Heard) -> list[Entrant]:
            usual, rounds, gauge = self.calibration.gauge, min(limits.rounds, ROUNDS), Gauge()
            task, fitting = Task(Preset(settings), Sizes(settings.batch)), Fitting()
            plans = _plans(task, fitting)
            steps = _steps(settings, [each for _, planned in plans for each in planned], task, fitting)
            for number in range(rounds):
                heard(number / rounds)
                for step in steps.values():
                    step.time(gauge)
            self.cells += [step.cell(title, usual) for step in steps.values()]
            for nbytes, planned in plans:
                rivals = {each.name: steps[each.name, each.memory] for each in planned if each.fits and (each.name, each.memory) in steps}
                advised = advising.advise(planned, ways.GRADIENT, nbytes).way
                if len(rivals) > 1 and advised in rivals:
                    self.advices.append(_judged(f"{title}, within {size(nbytes)}", advised, rivals, usual))
            gauges = [each for step in steps.values() for each in step.gauges]
            return [
                Entrant(GAUGE, gauges, note=f"{usual:.3g} s in the calibration"),
                *(entrant for step in steps.values() for entrant in step.entrants()),
            ]

        return measured

    def predicted(self, limits: Limits, heard: Heard) -> list[Entrant]:
        """How many predictions hold, of how many, and which are worst."""
        held = sum(cell.holds for cell in self.cells)
        clocked = sum(_within(cell.predicted, cell.clocked) for cell in self.cells)
        worst = sorted(self.cells, key=lambda cell: -max(cell.predicted / cell.paced, cell.paced / cell.predicted))[:NAMED]
        named = "; ".join(f"{cell.title} {cell.predicted / cell.paced:.2f}" for cell in worst)
        note = f"at the pace at which the machine was calibrated; {clocked} as the clock has it; worst, predicted / measured: {named}"
        return _shares(WITHIN, held, CELLS, len(self.cells), note)

    def recommended(self, limits: Limits, heard: Heard) -> list[Entrant]:
        """How many recommendations hold, of how many, and which are worst."""
        held = sum(advice.holds for advice in self.advices)
        missed = sorted((each for each in self.advices if not each.holds), key=lambda each: -each.slowdown)[:NAMED]
        named = "; ".join(f"{each.title}: {each.way} takes {each.slowdown:.2f} of {each.fastest}" for each in missed)
        note = f"worst: {named}" if missed else "the others too"
        return _shares(HOLDS, held, ADVICES, len(self.advices), note)


def _shares(part: str, held: int, whole: str, count: int, note: str) -> list[Entrant]:
    """So many of so many; a ratio is taken of numbers above 0."""
    if not held:
        return [Entrant(part, [], note=note, absent=f"none of {count}"), Entrant(whole, [float(count)] if count else [], note=note)]
    return [Entrant(part, [float(held)], note=note), Entrant(whole, [float(count)], note=note)]


Plans = list[tuple[int, list[Planned]]]
"""The ways as they are planned, by budget."""


def _plans(task: Task, fitting: Fitting) -> Plans:
    """All ways to the gradient with the memory that there is; within a budget that reverse mode does not fit those that may be the fastest.

    A way costs in chunks at least what it costs whole: one that is dearer whole than checkpoints need not be planned in chunks.
    """
    among = [way for way in ways.GRADIENTS if way is not ways.BY_CHOICE or ways.auto_differs(task)]
    whole = budget(None).nbytes
    plans = [(whole, [fitting.plan(way, task, whole) for way in among])]
    most, least = fitting.run(ways.REVERSE, task).peak.nbytes, fitting.least(ways.CHECKPOINTS, task)
    if least is not None and least < most:
        nbytes = int(least + TIGHT * (most - least))
        checkpoints, adviser = fitting.plan(ways.CHECKPOINTS, task, nbytes), advising.Adviser(fitting, task)
        rivals = [way for way in among if way is not ways.CHECKPOINTS and adviser.least_cost(way, task) < advising.cost(checkpoints)]
        plans.append((nbytes, [checkpoints, *(fitting.plan(way, task, nbytes) for way in rivals)]))
    return plans


def _read(gauge: Gauge, taken: float) -> float:
    """What the gauge takes now, in the middle of more readings beside longer work; the first, which finds cold caches, does not count."""
    gauge()
    end, found = time.perf_counter() + taken / BESIDE, [gauge()]
    while time.perf_counter() < end:
        found.append(gauge())
    return statistics.median(found)


@dataclass
class _Step:
    """The step of a way that keeps to `memory` bytes where that is given, and what it took in every round.

    Where the machine has half the pace it is predicted to take `going` seconds more.
    """

    title: str
    predicted: float
    going: float
    run: Callable[[Any, Any], Any]
    batches: Any
    taken: list[float] = field(default_factory=list)
    gauges: list[float] = field(default_factory=list)

    def time(self, gauge: Gauge) -> None:
        """One more round of some steps, the gauge before and after each."""
        end, before = time.perf_counter() + SECONDS, _read(gauge, self.predicted)
        with quiet():
            for number in range(SAMPLES):
                if number and time.perf_counter() > end:
                    break
                inputs, targets = next(self.batches)
                start = time.perf_counter()
                self.run(inputs, targets)
                self.taken.append(time.perf_counter() - start)
                after = _read(gauge, self.taken[-1])
                self.gauges.append((before + after) / 2)
                before = after

    def paced(self, usual: float) -> float:
        """Seconds of a step where the gauge takes `usual`: what it took, in proportion to what is told for either pace."""
        return statistics.median(
            taken * self.predicted / (self.predicted + self.going * (gauge / usual - 1))
            for gauge, taken in zip(self.gauges, self.taken, strict=True)
        )

    def cell(self, title: str, usual: float) -> Cell:
        """The prediction beside what was measured."""
        return Cell(f"{title}, {self.title}", self.predicted, statistics.median(self.taken), self.paced(usual))

    def entrants(self) -> list[Entrant]:
        """The same for the records."""
        return [Entrant(f"{self.title}, predicted", [self.predicted]), Entrant(f"{self.title}, measured", self.taken)]


def _judged(title: str, advised: str, rivals: dict[str, _Step], usual: float) -> Advised:
    """What was recommended, over the fastest."""
    paced = {name: step.paced(usual) for name, step in rivals.items()}
    fastest = min(paced, key=paced.__getitem__)
    return Advised(title, advised, fastest, paced[advised] / paced[fastest])


def _steps(settings: Settings, planned: list[Planned], task: Task, fitting: Fitting) -> dict[tuple[str, int | None], _Step]:
    """Steps by way and memory, warm: of ways that fit, and take no longer than `LONGEST` or are the fastest."""
    split = datasets.load(settings.data, settings.model.takes, seed=settings.seed, dtype=settings.dtype)
    found: dict[tuple[str, int | None], _Step] = {}
    for each in planned:
        key = each.name, each.memory
        if not each.fits or each.bound or key in found or each.seconds is None or each.seconds > LONGEST:
            continue
        if each.name == ways.CHECKPOINTS.name and "recompute" not in each.flops:  # it is reverse mode by another name
            continue
        way = ways.WAYS[each.name]
        assert isinstance(way, ways.Step)
        trainer = Trainer(
            settings, way.strategy, device="cpu", dtype=settings.dtype, compiled=True, memory=each.memory, examples=split.train_inputs
        )
        batches = datasets.batches(split, batch=settings.batch, seed=settings.seed)
        measure.timed(trainer.step, batches, samples=WARM_UP, least=WARM_UP, seconds=LONGEST)
        title = each.name if each.memory is None else f"{each.name} in {size(each.memory)}"
        going = fitting.run(way, task, each.memory).going
        assert going is not None
        found[key] = _Step(title, each.seconds, going, trainer.step, batches)
    return found
