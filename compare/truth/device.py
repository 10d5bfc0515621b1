"""`memory_stats` of the device that jax computes on: graphics processors count what their allocator hands out."""

from __future__ import annotations

import importlib
from typing import Any

from compare.truth.source import BYTES, Source, Unavailable, Work

IN_USE, PEAK = "bytes_in_use", "peak_bytes_in_use"


class DeviceMemory(Source):
    """The highest count of bytes in use since the process began above those in use at rest.

    The counter cannot be reset, so it tells of a step where nothing else that the process did took more.
    """

    name = "device memory"
    measures = "peak bytes in use on the device above those at rest (memory_stats)"
    unit = BYTES

    def missing(self, work: Work) -> str:
        if work.settings.backend != "jax":
            return f"the {work.settings.backend} backend computes on the processor"
        return "" if _stats() else f"{_device().platform} devices have no memory_stats"

    def measure(self, work: Work) -> int:
        work.settle()
        rest = _stats().get(IN_USE)
        work.again()
        peak = _stats().get(PEAK)
        if rest is None or peak is None:
            raise Unavailable(f"{_device().device_kind} counts no {IN_USE if rest is None else PEAK}")
        return int(peak - rest)

    def planned(self, work: Work) -> int:
        return work.above_rest


def _device() -> Any:
    return importlib.import_module("jax").local_devices()[0]


def _stats() -> dict[str, Any]:
    return _device().memory_stats() or {}
