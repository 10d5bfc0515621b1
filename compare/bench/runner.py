"""Measuring what is wanted, contest by contest."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import metadata

from compare import environment
from compare.bench.contest import Contest
from compare.bench.records import VERSION, BenchHeader, Line, Measured
from compare.bench.wanted import GROUPS, Wanted
from compare.records import Environment

Told = Callable[[float, str], None]
"""Told how many contests are done, parts of one included, and what is being measured."""


def run(wanted: Wanted, contests: list[Contest], told: Told = lambda done, what: None) -> list[Line]:
    """The records. Raises `DisagreementError` when contestants of one contest compute different things."""
    start, found = time.monotonic(), []
    for number, contest in enumerate(contests):
        found.append(_measured(contest, wanted, partial(_tell, told, number, _words(contest))))
    header = BenchHeader(
        version=VERSION,
        command=wanted.command,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        groups={name: GROUPS[name] for name in wanted.groups},
        seconds=time.monotonic() - start,
    )
    return [header, _described(), *found]


def _tell(told: Told, number: int, words: str, part: float) -> None:
    told(number + part, words)


def _measured(contest: Contest, wanted: Wanted, heard: Callable[[float], None]) -> Measured:
    heard(0.0)
    entrants = contest.measure(wanted.limits, heard)
    return Measured(contest.group, contest.subject, contest.quantity, entrants, list(contest.targets))


def _words(contest: Contest) -> str:
    return f"{contest.group}: {contest.subject}"


def _described() -> Environment:
    """The environment, HIPS autograd included."""
    entries = environment.describe(heavy=False, backend="jax")
    try:
        version = metadata.version("autograd")
    except metadata.PackageNotFoundError:
        version = "absent"
    described = dict[str, str]()
    for name, value in entries.items():
        described[name] = value
        if name == "torch":
            described["HIPS autograd"] = version
    return Environment(described)
