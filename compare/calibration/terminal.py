"""What a calibration found, in a terminal."""

from __future__ import annotations

import statistics

from rich.console import Console
from rich.table import Table

from compare.calibration.model import Calibration
from compare.calibration.pace import slowed
from compare.report.terminal import COLUMNS

LARGE = 512
"""Rows, columns and terms of the product whose rate is shown."""
NEAR, FAR = 1 << 17, 1 << 28
"""Bytes that lie in the caches, and beyond them."""


def print_calibration(found: Calibration, console: Console) -> None:
    """Print the rates and the overheads that predictions rest on."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, value in rows(found).items():
        table.add_row(name, value)
    machine = ", ".join(f"{name} {value}" for name, value in found.machine.items())
    for line in (f"calibrated {found.created} in {found.took:.0f} s: {machine}", table):
        console.print(line, width=min(console.width, COLUMNS), markup=False, highlight=False)


def rows(found: Calibration) -> dict[str, str]:
    """What is shown, in words."""
    pace, shown = found.pace, {}
    for dtype, products in found.products.items():
        rate = 2 * LARGE**3 / products.at(LARGE, LARGE, LARGE) / 1e9
        shown[f"products of {LARGE}x{LARGE}, {dtype}"] = f"{rate:,.0f} GFLOP/s"
    for where, nbytes in (("the caches", NEAR), ("memory", FAR)):
        shown[f"bandwidth of {where}"] = f"{1 / found.traffic.at(nbytes) / 1e9:,.1f} GB/s"
    shown["a new buffer of 64 MiB"] = f"{found.buffers.at(1 << 26) * 1e3:,.1f} ms"
    walks = found.walks["float32"]
    for name in ("add", "exp", "add.reduce", "put"):
        shown[f"{name}, per element in the cache"] = f"{slowed('elements', pace) * walks[name].element * 1e9:,.2f} ns"
    shown["a call of numpy's"] = f"{pace * statistics.median(walk.call for walk in walks.values()) * 1e6:,.1f} us"
    for rule in ("kernel", "pullback", "pushforward"):
        own = [seconds for name, seconds in found.operations.items() if name.startswith(f"{rule} ")]
        what = "value" if rule == "kernel" else rule
        shown[f"a kernel's {what}, median"] = f"{pace * statistics.median(own) * 1e6:,.1f} us"
    for name, words in _OPERATIONS.items():
        if found.operations[name] <= 0:  # what rules take by themselves is more than they take in a step
            continue
        shown[words] = f"{pace * found.operations[name] * 1e6:,.1f} us"
    if found.others is not None:
        shown["others meanwhile kept busy"] = f"{found.others:.2f} cores"
    return shown


_OPERATIONS = {
    "record": "an operation on the tape",
    "push": "an operation in forward mode",
    "site": "directions planted and turned, a layer",
    "update": "a parameter's update",
    "step revdiff": "a step in reverse mode",
    "step dualdiff": "a step in forward mode",
    "checkpoint": "a network checkpointed",
    "segment": "a run of a checkpointed segment",
    "segment again": "one that keeps nothing",
}
"""Operations of the engines, in words."""
