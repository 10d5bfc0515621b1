"""What XLA says of the compiled step.

Operations are counted twice over. Of the step *as it is handed over* each is counted once, which is what the ledger plans. Of the
*optimised* program those of a value that several loops read are counted in each of them, because XLA computes it anew there (fusion); the
smaller the arrays, the larger their share.
"""

from __future__ import annotations

from typing import Any

from compare.truth.source import BYTES, OPERATIONS, Source, Unavailable, Work


class _Compiled(Source):
    """A truth about compiled steps."""

    def missing(self, work: Work) -> str:
        return "" if hasattr(work.step, "lowered") else f"the {work.settings.backend} backend compiles nothing"


def _count(analysis: Any, key: str) -> int:
    """An entry of a cost analysis. XLA leaves out what is 0, and some backends have no analysis."""
    if not analysis:
        raise Unavailable("XLA has no cost analysis on this device")
    return int(analysis.get(key, 0))


class Flops(_Compiled):
    """`flops` of `Lowered.cost_analysis()`."""

    name = "XLA FLOPs"
    measures = "operations of the step as it is handed to XLA (cost_analysis)"
    unit = OPERATIONS

    def measure(self, work: Work) -> int:
        return _count(work.lowered.cost_analysis(), "flops")

    def planned(self, work: Work) -> int:
        return work.flops


class OptimisedFlops(_Compiled):
    """`flops` of `Compiled.cost_analysis()`."""

    name = "XLA FLOPs, optimised"
    measures = "operations of the compiled step, with what fusion computes anew (cost_analysis)"
    unit = OPERATIONS

    def measure(self, work: Work) -> int:
        return _count(work.compiled.cost_analysis(), "flops")

    def planned(self, work: Work) -> int:
        return work.flops


class Transcendentals(_Compiled):
    """`transcendentals` of `Lowered.cost_analysis()`."""

    name = "XLA transcendentals"
    measures = "transcendental functions of the step as it is handed to XLA (cost_analysis)"
    unit = OPERATIONS

    def measure(self, work: Work) -> int:
        return _count(work.lowered.cost_analysis(), "transcendentals")

    def planned(self, work: Work) -> int:
        return sum(work.prepared.transcendentals.values())


class Memory(_Compiled):
    """`temp_size_in_bytes + output_size_in_bytes` of `Compiled.memory_analysis()`: its field for the peak is wrong on processors."""

    name = "XLA memory"
    measures = "temporaries and results of the compiled step (memory_analysis)"
    unit = BYTES

    def measure(self, work: Work) -> int:
        analysis = work.compiled.memory_analysis()
        if analysis is None:
            raise Unavailable("XLA has no memory analysis on this device")
        return int(analysis.temp_size_in_bytes + analysis.output_size_in_bytes)

    def planned(self, work: Work) -> int:
        return work.above_rest
