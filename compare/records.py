"""Versioned records of a run: strict JSON, one object a line, every sample kept.

A records file begins with one `Header`, holds `Environment`, `Strategy`, `Training`, `Timing`, `Memory`, `Arithmetic`, `Truth`
and `Agreement` records in any order, and ends with one `Footer` that counts the lines before it, so that a torn file is
told from a whole one. Reports are made from these records alone. Units: seconds, bytes, operations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import msgspec

VERSION = 2
"""Version of the format. A reader refuses every other version."""


class RecordsError(ValueError):
    """A records file that cannot be read: another version, torn, or not one of ours. The message is one line."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """Base of all records; `kind` on the line is the class name in lower case."""


class Header(Record, frozen=True):
    """What was run and how to run it again.

    `score` names what the results are judged by, larger being better; `unit` is `"%"` where it is a fraction of one shown in percent.
    """

    version: int
    name: str
    command: str
    created: str
    network: str
    shape: str
    parameters: int
    data: str
    task: str
    score: str
    unit: str
    examples: int
    inputs: tuple[int, ...]
    outputs: int
    batch: int
    seed: int
    dtype: str
    backend: str
    optimizer: str


class Environment(Record, frozen=True):
    """The machine and the software, in the order they are to be shown."""

    entries: dict[str, str]


class Strategy(Record, frozen=True):
    """One way of differentiating the network; `name` is the key the other records use."""

    name: str
    engine: str
    seeding: str | None
    title: str
    directions: int | None
    note: str = ""


class Training(Record, frozen=True):
    """Loss of every step of one strategy's training run, and the scores it reached, None where there is none."""

    strategy: str
    losses: list[float]
    score_train: float | None
    score_test: float | None


class Timing(Record, frozen=True):
    """Seconds of every timed step: `rounds[r]` are the samples of round `r`; rounds of all strategies were interleaved.

    `predicted` are the seconds that a calibration of the machine predicts from shapes; None where there is none.
    """

    strategy: str
    rounds: list[list[float]]
    steps_warmup: int
    predicted: float | None = None


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Live bytes by role at one allocation event of a step; `label` names the phase and the kernel."""

    label: str
    bytes: dict[str, int]


class Memory(Record, frozen=True):
    """Bytes of one step: measured peak above the resting state, and the ledger's timeline by role (abstract run).

    `planned_peak` is of arrays, and `objects` are planned to come to that on numpy: Python's own, by which a measured peak is higher.
    """

    strategy: str
    measured_peak: int | None
    measured_by: str
    planned_peak: int
    timeline: list[Moment]
    objects: int = 0


class Arithmetic(Record, frozen=True):
    """Operations of one step by phase (`primal`, `tangent`, `adjoint`, `recompute`, `update`); transcendentals are counted apart."""

    strategy: str
    flops: dict[str, int]
    transcendentals: dict[str, int]
    convention: str


class Truth(Record, frozen=True):
    """What one source measured of a step on a backend, None with the reason `why` where it cannot, beside what the ledger planned.

    `source` names it, `measures` says what is measured, `unit` is `"bytes"` or `"operations"`.
    """

    strategy: str
    backend: str
    source: str
    measures: str
    unit: str
    measured: int | None
    planned: int
    why: str = ""


class Agreement(Record, frozen=True):
    """Largest absolute difference of one strategy from `reference` after training both in `dtype` for `steps` steps."""

    strategy: str
    reference: str
    dtype: str
    steps: int
    tolerance: float
    differences: dict[str, float]
    losses: list[float]
    loss_differences: list[float]


class Footer(Record, frozen=True):
    """The last line: how many lines stand before it."""

    lines: int


Line = Header | Environment | Strategy | Training | Timing | Memory | Arithmetic | Truth | Agreement | Footer

_decoder = msgspec.json.Decoder(Line, strict=True)
_tagged = msgspec.json.Decoder(dict[str, object])


def encode(records: list[Line]) -> bytes:
    """The bytes of a records file: `records` (a `Header` first) and their `Footer`."""
    lines = [msgspec.json.encode(record) for record in (*records, Footer(lines=len(records)))]
    return b"\n".join(lines) + b"\n"


def read(path: Path) -> list[Line]:
    """The records of a file without its footer. Raises `RecordsError` when it is not a whole file of this version."""
    return read_lines(path, _decoder, "header", VERSION)


def read_lines(path: Path, decoder: msgspec.json.Decoder[Any], head: str, version: int) -> list[Any]:
    """The records of a file that begins with a record of kind `head` and ends with a `Footer`, which is left out."""
    raw = _bytes(path)
    lines = raw.splitlines()
    if not lines:
        raise RecordsError(f"records file {str(path)!r} is empty")
    _check_version(path, lines[0], head, version)
    records: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _refuse(path, number, last=number == len(lines), reason=str(error))
    footer = records.pop()
    if not isinstance(footer, Footer) or footer.lines != len(records) or not raw.endswith(b"\n"):
        raise RecordsError(f"records file {str(path)!r} is torn: its last line is not a footer counting {len(records)} lines; run again")
    for number, record in enumerate(records[1:], 2):
        if isinstance(record, Footer | type(records[0])):
            what = "footer" if isinstance(record, Footer) else "header"
            raise RecordsError(f"records file {str(path)!r}, line {number}: a second {what}")
    return records


def kind(path: Path) -> object:
    """The kind of the first record of a file, None where there is none. Raises `RecordsError` when it cannot be read."""
    return _tag(_bytes(path).partition(b"\n")[0]).get("kind")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordsError(f"cannot read records file {str(path)!r}: {error.strerror}") from None


def _tag(line: bytes) -> dict[str, object]:
    try:
        return _tagged.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _check_version(path: Path, line: bytes, head: str, version: int) -> None:
    found = _tag(line)
    if found.get("kind") != head:
        raise RecordsError(f"{str(path)!r} is not a records file: its first line is not a header")
    if found.get("version") != version:
        raise RecordsError(f"records file {str(path)!r} has version {found.get('version')!r}; this program reads version {version}")


def _refuse(path: Path, number: int, *, last: bool, reason: str) -> NoReturn:
    if last:
        raise RecordsError(f"records file {str(path)!r} is torn in its last line ({number}): {reason}; run again")
    raise RecordsError(f"records file {str(path)!r}, line {number}: {reason}")
