"""A run of the checks summed up from its records: the cells of the matrix, the counts, the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from compare.check.records import Checked, CheckHeader, Line, Point
from compare.records import Environment, RecordsError
from compare.report.units import whole

GOOD, BAD, NONE, LEFT_OUT = "good", "bad", "none", "left out"
"""What a cell says: all rows agree, some do not, there is nothing to check, or it was not to be checked."""


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix: its state, and why, in words."""

    state: str
    note: str


@dataclass(frozen=True)
class Coverage:
    """A run of the checks."""

    header: CheckHeader
    environment: dict[str, str]
    kernels: list[Checked]
    points: list[Point]

    @property
    def columns(self) -> list[str]:
        """The columns, in order."""
        return list(dict.fromkeys(self.header.checks.values()))

    def cell(self, checked: Checked, column: str) -> Cell:
        """What one kernel's cell says."""
        names = [name for name, where in self.header.checks.items() if where == column]
        wrong = sum(failure.check in names for failure in checked.failures)
        passed = sum(checked.passed.get(name, 0) for name in names)
        if wrong:
            return Cell(BAD, f"{whole(wrong)} of {whole(wrong + passed)} disagree")
        if passed:
            return Cell(GOOD, f"{whole(passed)} agree")
        reasons = [self.header.left_out[name] for name in names if name in self.header.left_out]
        if len(reasons) == len(names):
            return Cell(LEFT_OUT, f"not run: {reasons[0]}")
        return Cell(NONE, next((checked.excused[name] for name in names if name in checked.excused), "no rows"))

    @property
    def rows(self) -> int:
        """Rows, misuses not counted."""
        return sum(checked.rows for checked in self.kernels)

    @property
    def misuses(self) -> int:
        """Rows of misuse."""
        return sum(checked.misuses for checked in self.kernels)

    @property
    def disagreements(self) -> int:
        """Checks that failed."""
        return sum(len(checked.failures) for checked in self.kernels)

    @property
    def checks(self) -> int:
        """Checks of rows that were made."""
        return self.disagreements + sum(sum(checked.passed.values()) for checked in self.kernels)

    @property
    def methods(self) -> list[tuple[str, int]]:
        """How derivatives were estimated from values, and for how many kernels; each counts with its coarsest method."""
        order = ("float64", "complex step", "longdouble")
        coarsest = Counter(next(m for m in order if m in checked.methods) for checked in self.kernels if checked.methods)
        return [(method, coarsest[method]) for method in reversed(order) if coarsest[method]]

    @property
    def oracles(self) -> str:
        """The oracles with their versions."""
        return ", ".join(f"{name} {version}" for name, version in self.header.oracles.items()) or "none"

    @property
    def verdict(self) -> str:
        """One sentence."""
        kernels = [checked.kernel for checked in self.kernels if checked.failures]
        subject = f"{whole(len(self.kernels))} kernels" if len(self.kernels) != 1 else f"the kernel {self.kernels[0].kernel}"
        if kernels:
            named = ", ".join(kernels[:5]) + (", ..." if len(kernels) > 5 else "")
            return f"{whole(self.disagreements)} of {whole(self.checks)} checks of {subject} disagree: {named}."
        return f"All {whole(self.checks)} checks of {subject} agree."


def summarize(lines: Iterable[Line]) -> Coverage:
    """The run that `lines` record. Raises `RecordsError` when they do not make up one."""
    lines = list(lines)
    if not lines or not isinstance(lines[0], CheckHeader):
        raise RecordsError("these records do not begin with the header of a run of the checks")
    return Coverage(
        lines[0],
        next((line.entries for line in lines if isinstance(line, Environment)), {}),
        [line for line in lines if isinstance(line, Checked)],
        [line for line in lines if isinstance(line, Point)],
    )
