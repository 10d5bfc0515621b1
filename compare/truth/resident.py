"""Resident memory, by the system's own account of the process (Linux)."""

from __future__ import annotations

import ctypes
from pathlib import Path

from compare.truth.source import BYTES, Source, Unavailable, Work

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What `clear_refs` takes to set the peak to what is resident now (proc_pid_clear_refs(5))."""


class Resident(Source):
    """The highest resident set during a step (`VmHWM`, reset before it) above the resident set before.

    Free memory that the allocator keeps is given back first, as far as it can be. Pages and the allocator's own choices are in the
    number, so of small steps it says little.
    """

    name = "RSS"
    measures = "peak resident set of one step above the resident set before it, in pages"
    unit = BYTES

    def missing(self, work: Work) -> str:
        return "" if CLEAR.exists() else "the system has no /proc/self/clear_refs"

    def measure(self, work: Work) -> int:
        work.settle()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        if trim is not None:
            trim(0)
        try:
            CLEAR.write_text(RESET_PEAK, encoding="ascii")
        except OSError as error:
            raise Unavailable(f"the peak cannot be reset: {error.strerror}") from None
        rest = resident("VmRSS")
        work.again()
        return resident("VmHWM") - rest

    def planned(self, work: Work) -> int:
        return work.above_rest + work.prepared.objects


def resident(field: str) -> int:
    """Bytes of a field of the process's status, which tells kibibytes."""
    for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise Unavailable(f"the system does not tell {field}")
