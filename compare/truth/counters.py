"""The processor's own count of floating-point operations, through `perf stat` around a process that repeats the step."""

from __future__ import annotations

import importlib
import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from compare.errors import one_line
from compare.truth.events import EVENTS, SEPARATOR, Group, operations, parse
from compare.truth.source import OPERATIONS, Source, Unavailable, Work
from diffcore.arrays.results import TRANSCENDENTAL

ENOUGH = 2e8
"""Operations that the repeated steps come to, so that what else the process does is small beside them."""
MOST, LEAST = 200, 5
"""Steps."""
POINTER = "\\___"
"""Points from what perf was asked for to what it says of that, in the line below."""
SECONDS = 300
"""After which a process is given up."""


ELEMENTS, TIMES = 1 << 16, 200
"""Of a transcendental function, of which a process is made to see what it comes to."""


class Counters(Source):
    """The count of a process that makes `1 + n` steps less that of one that makes 1, divided by n: what setting up costs cancels.

    Transcendental functions, which the plan counts apart, are polynomials to a processor, some 10 to 40 operations each. What each comes to
    on this machine is counted in the same way, and taken off; under jax, where only their number is known, `tanh` stands for all. Beside
    the rest stands what the ledger plans, what convolutions on numpy do beyond that, and what products do: BLAS scales a product and
    adds it to what there is, two operations for every element of the result.
    """

    name = "hardware FLOPs"
    measures = "floating-point operations that the processor retired, less those of transcendental functions (perf stat)"
    unit = OPERATIONS
    dear = True

    def missing(self, work: Work) -> str:
        if work.settings.backend == "jax" and importlib.import_module("jax").default_backend() != "cpu":
            return "jax does not compute on the processor"
        return unavailable()

    def measure(self, work: Work) -> int:
        settings, strategy = work.settings, work.strategy.name
        steps = round(min(MOST, max(LEAST, ENOUGH / max(work.flops, 1))))
        retired = _retired(settings.backend, (settings, strategy, work.prepared.memory), steps)
        for function, elements in _transcendentals(work).items():
            told = settings.backend, function, settings.dtype, ELEMENTS
            retired -= elements * _retired(settings.backend, told, TIMES) / ELEMENTS
        return round(retired)

    def planned(self, work: Work) -> int:
        scaled = sum(2 * n * math.prod(each.dims[:3]) for each, n in work.calls.items() if each.function == "matmul")
        return work.flops + sum(work.prepared.surplus.values()) + scaled


def _transcendentals(work: Work) -> dict[str, int]:
    """How many elements there are of each function."""
    found: Counter[str] = Counter()
    for each, n in work.calls.items():
        if each.function in TRANSCENDENTAL:
            found[each.function] += n * each.dims[0]
    rest = sum(work.prepared.transcendentals.values()) - found.total()
    return found | ({"tanh": found["tanh"] + rest} if rest > 0 else {})


def vendor() -> str:
    """The processor's `vendor_id`, empty where the system does not tell."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
    except OSError:
        return ""


@cache
def unavailable() -> str:
    """Why this machine cannot count, empty where it can; tried on a process that does nothing."""
    if shutil.which("perf") is None:
        return "perf is not installed"
    if vendor() not in EVENTS:
        return f"no events are known of processors by {vendor() or 'an unknown maker'}"
    try:
        for group in EVENTS[vendor()]:
            _perf(group, [sys.executable, "-S", "-c", ""], dict(os.environ))
    except Unavailable as error:
        return str(error)
    return ""


def _retired(backend: str, told: tuple[object, ...], times: int) -> float:
    """The operations of one repetition of what is `told`: of a process that makes `1 + times`, less those of one that makes 1."""
    from compare.workers import worker_environment

    environ = worker_environment(backend)

    def counted(count: int) -> int:
        words = [sys.executable, "-P", "-m", "compare.truth.repeat", msgspec.json.encode((*told, count)).decode()]
        return sum(_perf(group, words, environ) for group in EVENTS[vendor()])

    return (counted(1 + times) - counted(1)) / times


def _perf(group: Group, command: list[str], environ: dict[str, str]) -> int:
    """The operations of `group` in `command`: asked for by name, then by code. Raises `Unavailable`."""
    perf = shutil.which("perf") or "perf"
    reason = ""
    for asked in ([event.named for event in group], [event.coded for event in group]):
        with TemporaryDirectory(prefix="diffmodes-") as folder:
            told = Path(folder) / "perf"
            options = [word for event in asked for word in ("-e", event)]
            try:
                done = subprocess.run(  # noqa: S603  # perf, around ourselves
                    [perf, "stat", "-x", SEPARATOR, "-o", str(told), *options, "--", *command],
                    capture_output=True,
                    text=True,
                    env=environ,
                    timeout=SECONDS,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unavailable(one_line(f"perf stat: {error}")) from None
            if done.returncode:
                reason = _reason(done.stderr)
                continue
            try:
                counts = parse(told.read_text(encoding="utf-8", errors="replace"), group)
            except ValueError as error:
                raise Unavailable(one_line(error)) from None
        found = operations(counts, group)
        if found is not None:
            return found
        reason = f"the processor does not let {group[0].name} be counted (perf: <not supported>)"
    raise Unavailable(reason)


def _reason(text: str) -> str:
    """What perf complained of, in one line."""
    lines = [line.strip().removeprefix(POINTER).strip() for line in text.splitlines() if line.strip()]
    return one_line(f"perf: {lines[min(1, len(lines) - 1)]}") if lines else "perf failed without a word"
