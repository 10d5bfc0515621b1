"""A run of the benchmark summed up from its records: the ratios, and whether they keep their bounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from compare.bench.records import AT_LEAST, BenchHeader, Entrant, Line, Measured, Target
from compare.records import Environment, RecordsError
from compare.report.units import counted, duration, operations, size, whole

MET, MISSED, OPEN, ABSENT = "met", "missed", "no bound", "absent"
"""What became of a target: kept, not kept, without a bound, or not measured because a peer is missing."""


@dataclass(frozen=True)
class Row:
    """One line of the table: a ratio of two entrants of a contest.

    `ratio` is the median over the rounds of the ratio within a round, whose entrants ran on the same machine in the same mood; `lower` and
    `upper` are the quartiles of these. All are None where an entrant is absent.
    """

    measured: Measured
    target: Target
    work: Entrant
    against: Entrant
    ratio: float | None
    lower: float | None
    upper: float | None

    @property
    def state(self) -> str:
        """What became of the target."""
        if self.ratio is None:
            return ABSENT
        bound = self.target.bound
        if bound is None:
            return OPEN
        return MET if (self.ratio >= bound if self.target.sense == AT_LEAST else self.ratio <= bound) else MISSED

    @property
    def distance(self) -> float | None:
        """The ratio in parts of its bound, such that 1 or less is met; None where there is no ratio or no bound."""
        if self.ratio is None or self.target.bound is None:
            return None
        return self._of_bound(self.ratio)

    @property
    def reach(self) -> tuple[float, float] | None:
        """The same of the quartiles, the lesser first."""
        if self.lower is None or self.upper is None or self.target.bound is None:
            return None
        ends = sorted((self._of_bound(self.lower), self._of_bound(self.upper)))
        return ends[0], ends[1]

    def _of_bound(self, ratio: float) -> float:
        assert self.target.bound is not None
        return self.target.bound / ratio if self.target.sense == AT_LEAST else ratio / self.target.bound

    @property
    def rounds(self) -> int:
        """How many ratios the median is of."""
        return len(self.work.values)

    @property
    def timed(self) -> bool:
        """Whether the ratio is of times, which differ from round to round; others are counted once."""
        return self.measured.quantity == "seconds"

    @property
    def absence(self) -> str:
        """Why an entrant is absent; empty where none is."""
        return self.work.absent or self.against.absent

    @property
    def wanted(self) -> str:
        """The bound in words."""
        return "" if self.target.bound is None else f"{self.target.sense} {self.target.bound:g}×"

    @property
    def notes(self) -> list[str]:
        """What is to be known of how the entrants were measured."""
        if self.work.note == self.against.note:
            return [self.work.note] if self.work.note else []
        return [f"{entrant.name}: {entrant.note}" for entrant in (self.work, self.against) if entrant.note]


@dataclass(frozen=True)
class Benchmark:
    """A run of the benchmark."""

    header: BenchHeader
    environment: dict[str, str]
    contests: list[Measured]

    def of(self, group: str) -> list[tuple[Measured, list[Row]]]:
        """The contests of a group with their rows."""
        return [(measured, rows_of(measured)) for measured in self.contests if measured.group == group]

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order of the table."""
        return [row for measured in self.contests for row in rows_of(measured)]

    def count(self, state: str) -> int:
        """How many rows are in a state."""
        return sum(row.state == state for row in self.rows)

    @property
    def verdict(self) -> str:
        """One sentence."""
        met, missed, absent = self.count(MET), self.count(MISSED), self.count(ABSENT)
        if missed:
            text = f"{met} of {counted(met + missed, 'target')} {'is' if met == 1 else 'are'} met"
        else:
            text = {0: "No target was measured", 1: "The one target is met"}.get(met, f"All {met} targets are met")
        return text + (f"; {counted(absent, 'row')} could not be measured." if absent else ".")


def summarize(lines: Iterable[Line]) -> Benchmark:
    """The run that `lines` record. Raises `RecordsError` when they do not make up one."""
    lines = list(lines)
    if not lines or not isinstance(lines[0], BenchHeader):
        raise RecordsError("these records do not begin with the header of a run of the benchmark")
    environments = [line.entries for line in lines if isinstance(line, Environment)]
    if len(environments) > 1:
        raise RecordsError("these records describe the environment twice")
    found = Benchmark(
        lines[0],
        environments[0] if environments else {},
        [line for line in lines if isinstance(line, Measured)],
    )
    for measured in found.contests:
        if measured.group not in found.header.groups:
            raise RecordsError(f"records of {measured.subject!r} are of group {measured.group!r}, which the header does not name")
        rows_of(measured)
    return found


def rows_of(measured: Measured) -> list[Row]:
    """The rows of a contest. Raises `RecordsError` for entrants that are not there, twice there or not measured in the same rounds."""
    entrants = {entrant.name: entrant for entrant in measured.entrants}
    if len(entrants) < len(measured.entrants):
        raise RecordsError(f"records of {measured.subject!r} hold an entrant twice: {sorted(e.name for e in measured.entrants)}")
    rows = []
    for target in measured.targets:
        if target.work == target.against:
            raise RecordsError(f"records of {measured.subject!r} compare {target.work!r} with itself")
        if target.work not in entrants or target.against not in entrants:
            raise RecordsError(f"records of {measured.subject!r} name {target.work!r} and {target.against!r}, but hold {sorted(entrants)}")
        work, against = entrants[target.work], entrants[target.against]
        rows.append(Row(measured, target, work, against, *_ratios(measured, work, against)))
    return rows


def _ratios(measured: Measured, work: Entrant, against: Entrant) -> tuple[float | None, float | None, float | None]:
    """Median and quartiles of the ratios within a round."""
    for entrant in (work, against):
        if entrant.absent and entrant.values:
            raise RecordsError(f"records of {measured.subject!r}: {entrant.name!r} is absent, and has values")
    if work.absent or against.absent:
        return None, None, None
    if not work.values or len(work.values) != len(against.values):
        raise RecordsError(f"records of {measured.subject!r}: {work.name!r} and {against.name!r} were not measured in the same rounds")
    if not all(value > 0 for value in (*work.values, *against.values, work.share, against.share)):
        raise RecordsError(f"records of {measured.subject!r}: what was measured of {work.name!r} and {against.name!r} is not positive")
    ratios = [_ratio(a / work.share, b / against.share) for a, b in zip(work.values, against.values, strict=True)]
    if not all(0 < ratio < math.inf for ratio in ratios):
        raise RecordsError(f"records of {measured.subject!r}: {work.name!r} over {against.name!r} is no number to be told")
    if len(ratios) == 1:
        return ratios[0], ratios[0], ratios[0]
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return median, lower, upper


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.inf


def amount(measured: Measured, entrant: Entrant) -> str:
    """The median of what was measured of an entrant, the whole of its work, with its unit."""
    value = statistics.median(entrant.values) / entrant.share
    units: dict[str, Callable[[float], str]] = {"seconds": duration, "FLOPs": operations, "bytes": size, "cells": _count}
    return units[measured.quantity](value)


def _count(value: float) -> str:
    return whole(int(value))


def shown(value: float, digits: int = 3) -> str:
    """A ratio with three significant digits, or so many, but no fewer than stand before the point."""
    places = max(digits - 1 - math.floor(math.log10(value) + 1e-12), 0)
    return f"{value:,.{places}f}"


def told(row: Row) -> str:
    """The ratio of a row; where it misses its bound, with as many digits as are needed to see that."""
    assert row.ratio is not None
    for digits in range(3, 8):
        text = shown(row.ratio, digits)
        if row.state != MISSED or float(text.replace(",", "")) != row.target.bound:
            break
    return text
