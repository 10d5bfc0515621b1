"""Measured truth beside the ledger's numbers: each source in a file of its own, and what each says of a step."""

from __future__ import annotations

from compare.records import Truth
from compare.truth.counters import Counters
from compare.truth.device import DeviceMemory
from compare.truth.resident import Resident
from compare.truth.source import Source, Unavailable, Work
from compare.truth.torch_products import TorchProducts
from compare.truth.traced import Tracemalloc
from compare.truth.xla import Flops, Memory, OptimisedFlops, Transcendentals

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Tracemalloc(),
        Memory(),
        DeviceMemory(),
        Resident(),
        Flops(),
        OptimisedFlops(),
        Transcendentals(),
        Counters(),
        TorchProducts(),
    )
}
"""Every source, by name; the one that loads another library comes last, so that it is in no other's way."""


LEFT = "left to `python -m compare truth`, since it takes seconds"
"""Why a dear source was not asked."""


def told(source: Source, work: Work, *, dear: bool = True) -> Truth:
    """What `source` says of a step of `work`, beside the plan; a dear one is asked with `dear` only."""
    why = source.missing(work) or (LEFT if source.dear and not dear else "")
    measured = None
    if not why:
        try:
            measured = source.measure(work)
        except Unavailable as reason:
            why = str(reason)
    return Truth(work.strategy.name, work.settings.backend, source.name, source.measures, source.unit, measured, source.planned(work), why)


def truths(work: Work, *, dear: bool = True) -> list[Truth]:
    """What every source says."""
    return [told(source, work, dear=dear) for source in SOURCES.values()]


__all__ = ["SOURCES", "Source", "Unavailable", "Work", "told", "truths"]
