"""Records of a plan: what the table, the page and the JSON are made from, and nothing else. Units: operations, bytes, seconds."""

from __future__ import annotations

from pathlib import Path

import msgspec

from compare.records import Environment, Footer, Record, read_lines

VERSION = 1
"""Version of the format. A reader refuses every other version."""


class PlanHeader(Record, frozen=True):
    """What was planned and how to plan it again.

    `budget` are the bytes that all arrays together may take, `budget_of` says where that number comes from; `ranked_by` is `"seconds"`
    where a calibration of this machine was there and `"operations"` where not; `depth` is the network's where that is a knob; `notes` say
    what is missing, such as predicted seconds, and why.
    """

    version: int
    command: str
    created: str
    network: str
    shape: str
    parameters: int
    inputs: str
    outputs: int
    batch: int
    depth: int | None
    dtype: str
    training: str
    directions: int
    budget: int
    budget_of: str
    ranked_by: str
    conventions: list[str]
    notes: list[str] = msgspec.field(default_factory=list)


class Peak(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most bytes alive at once, by role, and what was going on then: phase, kernel, layer, and the line of code that called it."""

    nbytes: int
    roles: dict[str, int]
    phase: str = ""
    kernel: str = ""
    layer: str = ""
    line: str = ""


class LayerCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one layer (its dotted path, `""` outside of all) does in one phase; `nbytes` are those of all arrays that it makes."""

    layer: str
    phase: str
    flops: int
    transcendentals: int
    nbytes: int


class Way(Record, frozen=True):
    """One way of differentiating, planned.

    `computes` is `"gradient"`, `"estimate"`, `"product"` or `"Jacobian"`: ways that compute the same can stand for each other. `peak` is of
    everything alive, parameters and optimizer state included. `directions` are tangents (or cotangents) carried in all, `runs` the passes
    that they take; `memory` the bytes that the engine was told to keep to, `rows` those of a Jacobian
    that are computed at a time, None where nothing bounds it; `least` is the least budget
    with which it fits, where that is known. `reason` says why it fits or not;
    with `bound`, operations and seconds are
    bounds from below, and the peak is that of one direction. A way without a `peak` cannot be gone, or not be planned, and `reason`
    says why.
    """

    name: str
    title: str
    computes: str
    fits: bool
    reason: str
    flops: dict[str, int] = msgspec.field(default_factory=dict)
    transcendentals: dict[str, int] = msgspec.field(default_factory=dict)
    peak: Peak | None = None
    resting: int = 0
    seconds: float | None = None
    directions: int | None = None
    runs: int = 1
    memory: int | None = None
    rows: int | None = None
    least: int | None = None
    schedule: str = ""
    bound: bool = False
    layers: list[LayerCost] = msgspec.field(default_factory=list)

    @property
    def operations(self) -> int:
        """All operations, transcendentals among them: by this ways are ranked where seconds cannot be told."""
        return sum(self.flops.values()) + sum(self.transcendentals.values())

    @property
    def nbytes(self) -> int:
        """Bytes at the peak."""
        return 0 if self.peak is None else self.peak.nbytes


class Advice(Record, frozen=True):
    """Which of the ways that compute the same is the fastest that fits (None where none does), and why."""

    computes: str
    way: str | None
    why: str


class Flip(Record, frozen=True):
    """Where an advice changes as one knob is turned and all else stays: from `value` on it is `to` (None: no way fits), or `to` is `before`
    and it does not change from `least` to `most`. `below` says that the change is on the way down: at `value` and below.
    """

    computes: str
    knob: str
    at: int
    least: int
    most: int
    before: str | None
    to: str | None
    value: int | None = None
    below: bool = False


Line = PlanHeader | Environment | Way | Advice | Flip | Footer
_decoder = msgspec.json.Decoder(Line, strict=True)


def encode(lines: list[Line]) -> bytes:
    """The bytes of a records file: `lines` (a `PlanHeader` first) and their footer, one JSON object each."""
    return b"\n".join(msgspec.json.encode(line) for line in (*lines, Footer(lines=len(lines)))) + b"\n"


def read(path: Path) -> list[Line]:
    """The records of a file without its footer. Raises `RecordsError` when it is not a whole file of this version."""
    return read_lines(path, _decoder, "planheader", VERSION)
