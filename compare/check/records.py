"""Records of a run of the checks: what the matrix in the terminal and the page are made from, and nothing else."""

from __future__ import annotations

import msgspec

from compare.records import Environment, Footer, Record

VERSION = 1
"""Version of the format."""


class CheckHeader(Record, frozen=True):
    """What was checked and how to check it again: the checks that ran with their columns, in order, and why columns are empty."""

    version: int
    command: str
    created: str
    checks: dict[str, str]
    left_out: dict[str, str]
    oracles: dict[str, str]
    seconds: float


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One disagreement: the check and the row that it is about, and what differs by how much."""

    check: str
    row: str
    message: str


class Checked(Record, frozen=True):
    """One kernel: how many rows passed each check, why a check had nothing to say of any row, and where something is wrong.

    `methods` is how its derivative was estimated from its value.
    """

    kernel: str
    differentiable: bool
    rows: int
    misuses: int
    passed: dict[str, int]
    excused: dict[str, str]
    failures: list[Failure]
    methods: list[str]


class Point(Record, frozen=True):
    """An ambiguous point: our answer, PyTorch's and jax's."""

    point: str
    ours: str
    torch: str
    jax: str
    note: str


Line = CheckHeader | Environment | Checked | Point
_decoder = msgspec.json.Decoder(Checked)


def encode(lines: list[Line]) -> bytes:
    """The bytes of a records file: `lines` (a `CheckHeader` first) and their footer, one JSON object each."""
    return b"\n".join(msgspec.json.encode(line) for line in (*lines, Footer(lines=len(lines)))) + b"\n"


def encode_kernel(checked: Checked) -> bytes:
    """One record, to be sent from process to process."""
    return msgspec.json.encode(checked)


def decode_kernel(line: bytes) -> Checked:
    """The record of `encode_kernel`."""
    return _decoder.decode(line)
