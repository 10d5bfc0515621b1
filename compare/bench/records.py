"""Records of the benchmark: what the table, the page and the JSON are made from, and nothing else. Units: seconds, operations, bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from compare.records import Environment, Footer, Record, read_lines

VERSION = 1
"""Version of the format. A reader refuses every other version."""

Quantity = Literal["seconds", "FLOPs", "bytes", "cells"]
Sense = Literal["at most", "at least"]
AT_MOST: Sense = "at most"
AT_LEAST: Sense = "at least"
"""The sides of a bound."""
Positive = Annotated[float, msgspec.Meta(gt=0)]


class BenchHeader(Record, frozen=True):
    """What was measured and how to measure it again; `groups` maps the name of each to what it measures."""

    version: int
    command: str
    created: str
    groups: dict[str, str]
    seconds: Annotated[float, msgspec.Meta(ge=0)]


class Entrant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One contestant: what was measured of it in every round, or once where it is counted.

    `values` are of the part of the work that was done, `share` of the whole; `note` says which part, or how it was measured; `absent`
    says why there is nothing.
    """

    name: str
    values: list[float]
    share: Positive = 1.0
    note: str = ""
    absent: str = ""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ratio of two entrants, and the bound that it is wanted to keep; None where it is shown for orientation."""

    work: str
    against: str
    bound: Positive | None = None
    sense: Sense = AT_MOST


class Measured(Record, frozen=True):
    """One contest: entrants that did the same work, and the ratios of them that are looked at. Without targets it is kept and not shown."""

    group: str
    subject: str
    quantity: Quantity
    entrants: list[Entrant]
    targets: list[Target]


Line = BenchHeader | Environment | Measured | Footer
_decoder = msgspec.json.Decoder(Line, strict=True)


def encode(lines: list[Line]) -> bytes:
    """The bytes of a records file: `lines` (a `BenchHeader` first) and their footer, one JSON object each."""
    return b"\n".join(msgspec.json.encode(line) for line in (*lines, Footer(lines=len(lines)))) + b"\n"


def read(path: Path) -> list[Line]:
    """The records of a file without its footer. Raises `RecordsError` when it is not a whole file of this version."""
    return read_lines(path, _decoder, "benchheader", VERSION)
