"""What a run measured, gathered by strategy: medians, spreads and ratios to reverse mode. No figures, no formatting.

The spread is the interquartile range: the middle half of all samples lies between the first and the third quartile.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from compare.records import Agreement, Arithmetic, Environment, Header, Line, Memory, RecordsError, Strategy, Timing, Training

REVERSE = "revdiff"
PLAIN_REVERSE = "reverse"
"""The engine that every ratio is taken to."""

_R = TypeVar("_R", Training, Timing, Memory, Arithmetic)


@dataclass(frozen=True)
class Spread:
    """Order statistics of samples, in the samples' unit; `lower` and `upper` are the first and third quartile."""

    count: int
    median: float
    lower: float
    upper: float
    minimum: float
    maximum: float

    @property
    def interquartile(self) -> float:
        """The interquartile range, `upper - lower`."""
        return self.upper - self.lower

    def overlaps(self, other: Spread) -> bool:
        """Whether the middle halves of both sets of samples share a value: then no difference was measured."""
        return self.lower <= other.upper and other.lower <= self.upper


def spread(samples: Iterable[float]) -> Spread | None:
    """The `Spread` of `samples` (quartiles by linear interpolation), or None of no samples."""
    values = sorted(samples)
    if not values:
        return None
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(len(values), median, lower, upper, values[0], values[-1])


RESTING = ("parameter", "input", "optimizer state", "gradient")
"""Roles of bytes that are there before a step begins and that its peak therefore does not count."""


def resting(memory: Memory) -> int:
    """Bytes in place before the step: those of the `RESTING` roles at the first moment of the timeline."""
    first = memory.timeline[0].bytes if memory.timeline else {}
    return sum(first.get(role, 0) for role in RESTING)


def planned(memory: Memory) -> int:
    """The planned peak above the resting state, as the measured one is: the record's own counts what rests when its timeline does.

    With Python's objects, which the measured one on numpy has too.
    """
    highest = max((sum(moment.bytes.values()) for moment in memory.timeline), default=0)
    return memory.planned_peak + memory.objects - (resting(memory) if memory.planned_peak >= highest else 0)


@dataclass(frozen=True)
class Cost:
    """Everything recorded of one strategy; None where the run did not record it."""

    strategy: Strategy
    training: Training | None
    timing: Timing | None
    memory: Memory | None
    arithmetic: Arithmetic | None
    time: Spread | None

    @property
    def name(self) -> str:
        """The key of the strategy in the records."""
        return self.strategy.name

    @property
    def phrase(self) -> str:
        """How a sentence names the strategy: `reverse mode`, `forward by activations`; its title for other engines."""
        if self.strategy.engine == REVERSE and self.strategy.name == PLAIN_REVERSE:
            return "reverse mode"
        if self.strategy.engine == "dualdiff" and self.strategy.seeding is not None:
            return f"forward by {self.strategy.seeding}"
        return self.strategy.title

    @property
    def peak(self) -> int | None:
        """Peak bytes of one step above the resting state: measured, else planned."""
        if self.memory is None:
            return None
        return planned(self.memory) if self.memory.measured_peak is None else self.memory.measured_peak

    @property
    def peak_kind(self) -> str:
        """`measured` or `planned`: what `peak` is. Empty without a peak."""
        if self.memory is None:
            return ""
        return "planned" if self.memory.measured_peak is None else "measured"

    @property
    def flops(self) -> int | None:
        """Floating-point operations of one step, all phases, without transcendentals."""
        return None if self.arithmetic is None else sum(self.arithmetic.flops.values())

    @property
    def transcendentals(self) -> int | None:
        """Evaluations of transcendental functions in one step, all phases."""
        return None if self.arithmetic is None else sum(self.arithmetic.transcendentals.values())


def time_ratio(cost: Cost, base: Cost | None) -> float | None:
    """Median time of `cost` over that of `base`; None where either is missing."""
    return _quotient(cost.time.median, base.time.median) if base is not None and cost.time and base.time else None


def peak_ratio(cost: Cost, base: Cost | None) -> float | None:
    """Peak bytes of `cost` over those of `base`, like with like: measured over measured, else planned over planned."""
    if base is None or cost.memory is None or base.memory is None:
        return None
    if cost.memory.measured_peak is not None and base.memory.measured_peak is not None:
        return _quotient(cost.memory.measured_peak, base.memory.measured_peak)
    return _quotient(planned(cost.memory), planned(base.memory))


def flops_ratio(cost: Cost, base: Cost | None) -> float | None:
    """FLOPs of `cost` over those of `base`; None where either is missing."""
    if base is None or cost.flops is None or base.flops is None:
        return None
    return _quotient(cost.flops, base.flops)


@dataclass(frozen=True)
class Summary:
    """A whole run: its header, its machine, its strategies in the order recorded, and how far they agree."""

    header: Header
    environment: dict[str, str]
    costs: tuple[Cost, ...]
    agreements: tuple[Agreement, ...]

    @property
    def reference(self) -> Cost | None:
        """The strategy that ratios are taken to: the first of the reverse engine, or None when none ran."""
        return next((cost for cost in self.costs if cost.strategy.engine == REVERSE), None)

    def phrase(self, name: str) -> str:
        """How a sentence names strategy `name`; its title where two strategies would read alike."""
        phrases = {cost.name: cost.phrase for cost in self.costs}
        if list(phrases.values()).count(phrases[name]) > 1:
            return self.title(name)
        return phrases[name]

    def title(self, name: str) -> str:
        """The title of strategy `name`."""
        return next(cost.strategy.title for cost in self.costs if cost.name == name)

    def place(self, name: str) -> int:
        """Where strategy `name` stands in the run, from 0: what decides its colour."""
        return next(index for index, cost in enumerate(self.costs) if cost.name == name)

    def having(self, part: Callable[[Cost], object]) -> list[Cost]:
        """The strategies for which `part(cost)` is not None: those a figure of it can show."""
        return [cost for cost in self.costs if part(cost) is not None]


def summarize(records: Iterable[Line]) -> Summary:
    """The `Summary` of a run. Raises `RecordsError` when records name a strategy that is not declared, or one twice."""
    lines = list(records)
    header = next((line for line in lines if isinstance(line, Header)), None)
    strategies = [line for line in lines if isinstance(line, Strategy)]
    if header is None or not strategies:
        raise RecordsError(f"records without a {'header' if header is None else 'strategy'}: nothing to report")
    names = [strategy.name for strategy in strategies]
    if len(set(names)) != len(names):
        raise RecordsError(f"records declare a strategy twice: {', '.join(names)}")
    training, timing = _by_strategy(lines, Training, names), _by_strategy(lines, Timing, names)
    memory, arithmetic = _by_strategy(lines, Memory, names), _by_strategy(lines, Arithmetic, names)
    costs = tuple(
        Cost(
            strategy,
            training.get(strategy.name),
            timing.get(strategy.name),
            memory.get(strategy.name),
            arithmetic.get(strategy.name),
            spread(_samples(timing.get(strategy.name))),
        )
        for strategy in strategies
    )
    agreements = tuple(line for line in lines if isinstance(line, Agreement))
    for agreement in agreements:
        for name in (agreement.strategy, agreement.reference):
            _check_declared(name, names, "agreement")
    entries: dict[str, str] = {}
    for line in lines:
        if isinstance(line, Environment):
            entries.update(line.entries)
    return Summary(header, entries, costs, agreements)


def _samples(timing: Timing | None) -> list[float]:
    return [] if timing is None else [sample for samples in timing.rounds for sample in samples]


def _by_strategy(lines: list[Line], kind: type[_R], names: list[str]) -> dict[str, _R]:
    found: dict[str, _R] = {}
    for line in lines:
        if isinstance(line, kind):
            _check_declared(line.strategy, names, kind.__name__.lower())
            if line.strategy in found:
                raise RecordsError(f"records hold two {kind.__name__.lower()} records of strategy {line.strategy!r}")
            found[line.strategy] = line
    return found


def _check_declared(name: str, names: list[str], kind: str) -> None:
    if name not in names:
        raise RecordsError(f"a {kind} record names strategy {name!r}; declared: {', '.join(names)}")


def _quotient(value: float, base: float) -> float | None:
    return value / base if base > 0 else None
