"""The events by which processors count floating-point operations, and the reading of what `perf stat` says of them.

AMD (Zen): one event counts operations, a multiply-add as 2. Intel (Skylake and later): an event per width and precision counts instructions
by the elements they compute, and each multiply-add twice; so a count times the number of elements is the number of operations. Neither
counts moves, comparisons, shuffles or what is done in integers. A transcendental function is as many operations as its polynomial has.

Names are those of perf's own tables, codes those of the manufacturers' manuals, for a perf whose tables do not know the processor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

NOT_SUPPORTED, NOT_COUNTED = "<not supported>", "<not counted>"
SEPARATOR = ";"


class Event(NamedTuple):
    """A hardware event: its name, its code and mask, and the operations that one count stands for."""

    name: str
    code: int
    mask: int
    weight: int

    @property
    def coded(self) -> str:
        """How perf is asked for it by code, in user space."""
        return f"cpu/event={self.code:#04x},umask={self.mask:#04x}/u"

    @property
    def named(self) -> str:
        """How perf is asked for it by name, in user space."""
        return f"{self.name}:u"


Group = tuple[Event, ...]
"""Events that are counted together, as many as every processor that has them can."""


def _intel(precision: str, masks: Iterable[int], elements: int) -> Group:
    widths = ("scalar", "128b_packed", "256b_packed", "512b_packed")
    weights = (1, elements, 2 * elements, 4 * elements)
    return tuple(
        Event(f"fp_arith_inst_retired.{width}_{precision}", 0xC7, mask, weight)
        for width, mask, weight in zip(widths, masks, weights, strict=True)
    )


EVENTS: dict[str, tuple[Group, ...]] = {
    "AuthenticAMD": ((Event("fp_ret_sse_avx_ops.all", 0x03, 0x0F, 1),),),
    "GenuineIntel": (_intel("single", (0x02, 0x08, 0x20, 0x80), 4), _intel("double", (0x01, 0x04, 0x10, 0x40), 2)),
}
"""By the processor's `vendor_id`: groups of events that add up to all operations."""


class Counts(NamedTuple):
    """What perf counted: per event in the order asked for; None where it is not supported, or was never counted."""

    values: tuple[int | None, ...]
    shared: bool
    """Whether an event was counted for a part of the time only, and its count is an estimate."""


def parse(text: str, group: Group) -> Counts:
    """The counts of `group` in the output of `perf stat -x ';'` (fields: value, unit, event, time counted, percentage, ...).

    Lines of other events, comments and empty lines are passed over. On a processor with two kinds of cores an event has a line for each,
    which are added. Raises `ValueError` when an event has no line.
    """
    found: dict[int, int | None] = {}
    shared = False
    for line in text.splitlines():
        fields = line.split(SEPARATOR)
        if line.startswith("#") or len(fields) < 5:
            continue
        value, _, label, _, percentage = fields[:5]
        number = next((i for i, event in enumerate(group) if event.name in label or event.coded == label.strip()), None)
        if number is None:
            continue
        if value.strip() in (NOT_SUPPORTED, NOT_COUNTED):
            found.setdefault(number, None)
            continue
        found[number] = (found.get(number) or 0) + int(value)
        shared |= float(percentage) < 99.99
    missing = [event.name for i, event in enumerate(group) if i not in found]
    if missing:
        raise ValueError(f"perf says nothing of {', '.join(missing)}")
    return Counts(tuple(found[i] for i in range(len(group))), shared)


def operations(counts: Counts, group: Group) -> int | None:
    """The operations that `counts` stand for; None where an event was not counted."""
    total = 0
    for value, event in zip(counts.values, group, strict=True):
        if value is None:
            return None
        total += value * event.weight
    return total
