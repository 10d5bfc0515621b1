"""The calibration: everything measured, from numpy's calls up to the engines' steps, each less what is known from below."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from compare.calibration import engines, probes, programs, walks
from compare.calibration.company import Company
from compare.calibration.model import VERSION, Calibration
from compare.calibration.products import products
from compare.calibration.stopwatch import Stopwatch
from compare.calibration.store import this_machine

Heard = Callable[[str, float], None]
"""Told what is being measured, and which part of all is done."""


def calibrate(heard: Heard = lambda what, done: None) -> Calibration:
    """Measure this machine, in a minute or two, more while others use it."""
    start, company, watch = time.perf_counter(), Company(), Stopwatch()
    tables, multiplied = {}, {}
    for i, dtype in enumerate(("float32", "float64")):
        heard(f"numpy's functions, {dtype}", 0.05 + 0.1 * i)
        tables[dtype] = walks.times(watch, dtype) | walks.scattered(watch, dtype)
    heard("memory", 0.25)
    traffic, buffers, fixed = walks.traffic(watch), walks.buffers(watch), walks.fixed(watch)
    for i, dtype in enumerate(("float32", "float64")):
        heard(f"products, {dtype}", 0.3 + 0.1 * i)
        call, multiplied[dtype] = products(watch, dtype)
    found = Calibration(
        version=VERSION,
        machine=this_machine() | {"threads": os.environ.get("OPENBLAS_NUM_THREADS", "unset")},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        took=0.0,
        gauge=watch.unit,
        pace=1.0,
        walks=tables,
        traffic=traffic,
        buffers=buffers,
        call=call,
        products=multiplied,
        operations=fixed,
    )
    heard("kernels", 0.45)
    fixed |= engines.rules(watch, engines.examples("float32"), found.seconds)
    fixed |= engines.wrappers(watch, "float32", found.seconds)
    heard("engines", 0.65)
    fixed |= programs.operations(watch, found.seconds)
    heard("small networks", 0.7)
    watch.forget()  # they tell what all comes to, so predictions are of the machine as it is now
    found = msgspec.structs.replace(found, factors=probes.factors(watch, found))
    took = time.perf_counter() - start
    return msgspec.structs.replace(found, took=took, gauge=watch.usual, pace=watch.pace, others=company.cores())
