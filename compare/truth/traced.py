"""`tracemalloc`: what Python and numpy allocate."""

from __future__ import annotations

from compare.measure import traced
from compare.truth.source import BYTES, Source, Work


class Tracemalloc(Source):
    """The peak of a second step after a first one under trace, so that what a step replaces is known to the trace.

    Python's objects are in it, and so they are in what is planned.
    """

    name = "tracemalloc"
    measures = "peak of one step above the state at rest, Python's objects included here and in the plan"
    unit = BYTES

    def missing(self, work: Work) -> str:
        return "" if work.settings.backend == "numpy" else "XLA's memory is not Python's"

    def measure(self, work: Work) -> int:
        return traced(work.again)

    def planned(self, work: Work) -> int:
        return work.above_rest + work.prepared.objects
