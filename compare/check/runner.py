"""Running the checks: kernel by kernel, here or in processes beside this one."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata

from compare import environment
from compare.check import misused
from compare.check.check import Check, conditions, unavailable
from compare.check.pool import each
from compare.check.records import VERSION, Checked, CheckHeader, Failure, Line, Point
from compare.check.selection import Selection
from compare.check.table import CHECKS
from compare.check.trial import trial
from compare.errors import InputError, suggestion
from compare.records import Environment
from diffcore.kernels import registered
from diffcore.testing import CheckFailed
from diffcore.testing.ambiguous import POINTS, Ambiguous, shown
from diffcore.testing.scenarios import misuses_of, rows_of

MISUSE = "misuse"
"""The check whose rows are the misuses."""


def kernels(selection: Selection) -> list[str]:
    """The names of the kernels selected, in the order of the registry. Raises `InputError` for one that is not registered."""
    known = list(registered())
    for name in selection.kernels:
        if name not in known:
            raise InputError(f"unknown kernel {name!r}: none of the {len(known)} registered ones.{suggestion(name, known)}")
    return [name for name in known if not selection.kernels or name in selection.kernels]


def weight(names: list[str]) -> int:
    """Rows to check, misuses included."""
    return sum(len(rows_of(name)) + len(misuses_of(name)) for name in names)


def run(selection: Selection, page: str = "", advance: Callable[[int], None] = lambda done: None) -> list[Line]:
    """Check what is selected; `advance` is told of rows done. Raises `WorkerError` when a process is lost."""
    names, start = kernels(selection), time.monotonic()
    done, found = 0, dict[str, Checked]()
    longest_first = sorted(names, key=lambda name: -weight([name]))
    for checked in each(longest_first, selection) if selection.jobs > 1 else _here(names, selection):
        found[checked.kernel] = checked
        done += weight([checked.kernel])
        advance(done)
    reasons = {check.name: _why_not(check, selection) for check in CHECKS}
    header = CheckHeader(
        version=VERSION,
        command=selection.command(page),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        checks={check.name: check.column for check in CHECKS} | {MISUSE: MISUSE},
        left_out={name: reason for name, reason in reasons.items() if reason},
        oracles={check.oracle: _version(check.oracle) for check in CHECKS if check.oracle and not reasons[check.name]},
        seconds=time.monotonic() - start,
    )
    described = Environment(environment.describe(heavy=False))
    return [header, described, *(found[name] for name in names), *map(_point, POINTS)]


def _here(names: list[str], selection: Selection) -> Iterator[Checked]:
    for name in names:
        yield check_kernel(name, selection)


def check_kernel(name: str, selection: Selection) -> Checked:
    """Every selected check on every row of one kernel."""
    passed: dict[str, int] = {}
    excused: dict[str, str] = {}
    failures: list[Failure] = []
    trials = [trial(row) for row in rows_of(name)]
    for check in CHECKS:
        if _why_not(check, selection):
            continue
        good, excuses = 0, ""
        for t in trials:
            try:
                with conditions(check):
                    excuse = check.excuse(t)
                    if not excuse:
                        check.run(t)
            except Exception as error:  # whatever goes wrong with a row is a finding, not the end of the run
                failures.append(Failure(check.name, t.row.case, _account(error)))
            else:
                good += not excuse
                excuses = excuses or excuse
        passed[check.name] = good
        if not good and excuses:
            excused[check.name] = excuses
    passed[MISUSE] = _misuse(name, selection, failures)
    methods = sorted({method for t in trials for method in t.methods})
    return Checked(name, registered()[name].differentiable, len(trials), len(misuses_of(name)), passed, excused, failures, methods)


def _misuse(name: str, selection: Selection, failures: list[Failure]) -> int:
    good = 0
    for row in misuses_of(name):
        for kind in misused.KINDS:
            if kind in ("arrays", selection.engine) or selection.engine == "all":
                try:
                    misused.check_misuse(row, kind)
                    good += 1
                except CheckFailed as failure:
                    failures.append(Failure(MISUSE, row.case, _account(failure)))
    return good


def _why_not(check: Check, selection: Selection) -> str:
    return selection.left_out(check) or unavailable(check)


def _account(error: Exception) -> str:
    return str(error) if isinstance(error, CheckFailed) else f"{type(error).__name__}: {error}"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(distribution), "__version__", "?"))


def _point(point: Ambiguous) -> Point:
    ours = point.refused or shown(point.answer) + (f"; forward mode {shown(point.forward)}" if point.forward is not None else "")
    others = ((point.torch, point.by_torch), (point.jax, point.by_jax))
    torch, jax = ("no such function" if program is None else "same" if theirs is None else shown(theirs) for program, theirs in others)
    return Point(point.point, ours, torch, jax, point.note)
