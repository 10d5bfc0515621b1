"""A run from settings to records: every strategy prepared, timed, trained, weighed and held against the reference."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from compare import environment, records
from compare.agreement import DTYPE, agreement
from compare.errors import MemoryLimitError, WorkerError
from compare.messages import Prepare, Prepared, Time, Timed, Train, Trained, Warm, Weigh, Weighed
from compare.records import Line
from compare.settings import DTYPES, Settings
from compare.tasks import TASKS
from compare.workers import Worker, Workers

TRAINING_FLOPS = 15e9
"""A strategy trains for fewer steps when all of them would cost more operations than this (`Settings.full` lifts it)."""
AGREEMENT_FLOPS = 10e9
"""The same for the comparison in float64."""
TIMING_FLOPS = 200e9
"""The same for the timed steps, one in each round: a strategy whose step is dear is timed in fewer rounds."""
SAMPLES, LEAST, SECONDS = 40, 1, 0.25
"""Of one strategy in one round: the most samples, the least, and the seconds after which no further one is begun."""
WARM_UP = 3
"""Untimed steps of each strategy before the first round."""


class Phase(Protocol):
    """What is told how far a phase of the run has come."""

    def advance(self, done: float) -> None:
        """`done` of the phase's units are done in all."""
        ...


class Progress(Protocol):
    """What is told of the phases of a run."""

    def phase(self, title: str, total: float) -> Phase:
        """A phase of `total` units begins; the one before it has ended."""
        ...


class Quiet:
    """Progress that nobody watches."""

    def phase(self, title: str, total: float) -> Quiet:
        """Ignored."""
        return self

    def advance(self, done: float) -> None:
        """Ignored."""


class Experiment:
    """One run; `run()` does the work. Raises `WorkerError` or `TrainingError` when it cannot be done."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        self._names = [strategy.name for strategy in settings.strategies]
        self._prepared: dict[str, Prepared] = {}

    def run(self) -> list[Line]:
        """Every record of the run, the header first."""
        settings = self._settings
        created = datetime.now(UTC).isoformat(timespec="seconds")
        with Workers(self._names, backend=settings.backend) as workers:
            self._prepare(workers)
            # Time comes first: nothing that is done for another purpose stands between the warm-up and the rounds.
            timings = self._time(workers)
            trainings = self._train(workers)
            memories, truths = self._weigh(workers)
            agreements = self._agree(workers)
        first = self._prepared[self._names[0]]
        entries = environment.describe(heavy=False, backend=settings.backend)
        entries["threads"] = ", ".join(f"{name}={value}" for name, value in environment.THREADS.items())
        return [
            self._header(created, first.parameters),
            records.Environment(entries),
            *self._strategies(trainings),
            *trainings,
            *timings,
            *memories,
            *(records.Arithmetic(name, it.flops, it.transcendentals, it.convention) for name, it in self._prepared.items()),
            *truths,
            *agreements,
        ]

    def _header(self, created: str, parameters: int) -> records.Header:
        settings = self._settings
        return records.Header(
            version=records.VERSION,
            name=settings.title,
            command=settings.command,
            created=created,
            network=settings.network,
            shape=settings.shape,
            parameters=parameters,
            data=settings.data,
            task=settings.model.task,
            score=TASKS[settings.model.task].score,
            unit=TASKS[settings.model.task].unit,
            examples=settings.dataset.examples,
            inputs=settings.inputs,
            outputs=settings.outputs,
            batch=settings.batch,
            seed=settings.seed,
            dtype=settings.dtype,
            backend=settings.backend,
            optimizer=settings.training,
        )

    def _strategies(self, trainings: list[records.Training]) -> Iterator[records.Strategy]:
        settings = self._settings
        for strategy, training in zip(settings.strategies, trainings, strict=True):
            prepared, steps = self._prepared[strategy.name], len(training.losses)
            note = strategy.account
            if prepared.memory is not None:
                note += f"; {strategy.within} {_megabytes(prepared.memory)} MB (--memory)"
            if steps < settings.steps:
                cost = sum(prepared.flops.values())
                note += (
                    f"; trained for {steps:,} of {settings.steps:,} steps, because one of its steps costs {cost / 1e6:,.0f} MFLOP"
                    f" and a strategy is given {TRAINING_FLOPS / 1e9:g} GFLOP (--full lifts this)"
                )
            yield records.Strategy(strategy.name, strategy.module, strategy.seeding, strategy.title, prepared.directions, note)

    def _steps(self, name: str, wanted: int, limit: float) -> int:
        """The steps or rounds that strategy `name` gets of those `wanted`: by operations, not the clock, so the same on every machine."""
        if self._settings.full:
            return wanted
        cost = sum(self._prepared[name].flops.values())
        return max(1, min(wanted, int(limit / max(1, cost))))

    def _prepare(self, workers: dict[str, Worker]) -> None:
        phase = self._progress.phase("prepare", len(workers))
        # Nothing is built yet, and counting is not measured, so the workers may do it side by side.
        for name, worker in workers.items():
            worker.send(Prepare(self._settings, name))
        for count, (name, worker) in enumerate(workers.items(), 1):
            self._prepared[name] = _expect(Prepared, worker.receive())
            phase.advance(count)
        if self._settings.backend == "numpy" and not self._settings.force:  # jax may compute on a device with memory of its own
            for name, prepared in self._prepared.items():
                self._check_memory(name, prepared.planned_peak)

    def _check_memory(self, name: str, planned: int) -> None:
        """Raise `MemoryLimitError` when a step, which the comparison repeats in float64, is planned to take more than there is for it."""
        needed = planned * DTYPES[DTYPE] // DTYPES[self._settings.dtype]
        available = environment.available_memory()
        if available is not None and needed > environment.SHARE * available:
            raise MemoryLimitError(
                f"engine {name!r} is planned to need {needed / environment.GIBIBYTE:.1f} GiB for one step of {self._settings.shape} with"
                f" `batch` (={self._settings.batch}) in {DTYPE}, and may take {environment.SHARE:.0%} of the"
                f" {available / environment.GIBIBYTE:.1f} GiB available: make the network or batch smaller, name other engines, or go on"
                " with --force"
            )

    def _time(self, workers: dict[str, Worker]) -> list[records.Timing]:
        rounds: dict[str, list[list[float]]] = {name: [] for name in workers}
        phase = self._progress.phase("time", (self._settings.rounds + 1) * len(workers))
        done = 0
        warm = {name: self._steps(name, WARM_UP, TIMING_FLOPS) for name in workers}
        wanted = {name: self._steps(name, self._settings.rounds, TIMING_FLOPS) for name in workers}
        for name, worker in workers.items():
            worker.ask(Warm(warm[name]))
            phase.advance(done := done + 1)
        for number in range(self._settings.rounds):
            for name, worker in workers.items():
                if number < wanted[name]:
                    rounds[name].append(_expect(Timed, worker.ask(Time(SAMPLES, LEAST, SECONDS))).samples)
                phase.advance(done := done + 1)
        return [records.Timing(name, samples, warm[name], self._prepared[name].seconds) for name, samples in rounds.items()]

    def _train(self, workers: dict[str, Worker]) -> list[records.Training]:
        trainings = []
        for name, worker in workers.items():
            steps = self._steps(name, self._settings.steps, TRAINING_FLOPS)
            it = self._trained(worker, steps, self._settings.dtype, f"train {name}")
            trainings.append(records.Training(name, it.losses, it.score_train, it.score_test))
        return trainings

    def _weigh(self, workers: dict[str, Worker]) -> tuple[list[records.Memory], list[records.Truth]]:
        memories, truths = [], list[records.Truth]()
        phase = self._progress.phase("memory", len(workers))
        for count, (name, worker) in enumerate(workers.items(), 1):
            weighed, prepared = _expect(Weighed, worker.ask(Weigh())), self._prepared[name]
            planned = prepared.planned_peak, prepared.timeline, prepared.objects
            memories.append(records.Memory(name, weighed.peak, weighed.measured_by, *planned))
            truths += weighed.truths
            phase.advance(count)
        return memories, truths

    def _agree(self, workers: dict[str, Worker]) -> list[records.Agreement]:
        """Every other strategy against the first one, which trains again for as many steps as the other is given."""
        reference, *others = self._names
        references: dict[int, Trained] = {}
        agreements = []
        for name in others:
            steps = self._steps(name, self._settings.agreement_steps, AGREEMENT_FLOPS)
            if steps not in references:
                references[steps] = self._trained(workers[reference], steps, DTYPE, f"agree {reference}")
            trained = self._trained(workers[name], steps, DTYPE, f"agree {name}")
            agreements.append(agreement(name, trained, reference, references[steps]))
        return agreements

    def _trained(self, worker: Worker, steps: int, dtype: str, title: str) -> Trained:
        phase = self._progress.phase(title, steps)
        trained = _expect(Trained, worker.ask(Train(steps, dtype), phase.advance))
        phase.advance(steps)
        return trained


def _megabytes(nbytes: int) -> str:
    """Whole ones from 10 on, two digits below."""
    return f"{nbytes / 1e6:,.0f}" if nbytes >= 10e6 else f"{nbytes / 1e6:.2g}"


_Reply = TypeVar("_Reply", Prepared, Timed, Trained, Weighed)


def _expect(kind: type[_Reply], reply: object) -> _Reply:
    if not isinstance(reply, kind):
        raise WorkerError(f"a worker replied {type(reply).__name__} where {kind.__name__} was due")
    return reply


def run(settings: Settings | None = None, progress: Progress | None = None) -> list[Line]:
    """The records of a run under `settings` (all defaults without them): each strategy timed, trained, weighed and compared.

    Takes about half a minute with the defaults and starts one process for each strategy. Raises `InputError` for settings
    that cannot be, `MemoryLimitError` for those that need more memory than there is, `WorkerError` when a process fails,
    `TrainingError` when a loss is not finite.
    """
    return Experiment(settings or Settings(), progress or Quiet()).run()
