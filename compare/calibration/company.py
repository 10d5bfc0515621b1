"""How many cores other programs, and other machines on the same host, kept busy meanwhile."""

from __future__ import annotations

import os
import time

STAT = "/proc/stat"
"""Where Linux counts what all cores did, in ticks: user, nice, system, idle, iowait, irq, softirq, steal, and guests that are in these."""
_BUSY = (0, 1, 2, 5, 6, 7)
"""Places of those in which a core was not to be had."""


class Company:
    """`cores()` tells how many cores others have kept busy since this was made, None where the system does not tell."""

    def __init__(self) -> None:
        self._before = _read()

    def cores(self) -> float | None:
        """The mean number, at least 0."""
        now = _read()
        if now is None or self._before is None:
            return None
        (since, all_before, own_before), (until, all_now, own_now) = self._before, now
        return max((all_now - all_before) - (own_now - own_before), 0.0) / max(until - since, 1e-9)


def _read() -> tuple[float, float, float] | None:
    """Seconds now, those in which cores were busy, and those in which they were busy with this process."""
    try:
        with open(STAT, encoding="ascii") as file:
            name, *counts = file.readline().split()
        ticks = os.sysconf("SC_CLK_TCK")
        if name != "cpu":
            return None
        busy = sum(int(counts[i]) for i in _BUSY) / ticks
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    return time.perf_counter(), busy, time.process_time()
