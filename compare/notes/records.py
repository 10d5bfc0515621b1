"""Records of the claims: strict JSON, one object a line, each claim's as soon as it is measured.

A file begins with one `NotesHeader`. An `Environment` stands before the claims that were measured in it. There is no footer, because
claims are added run by run: a last line that is torn is discarded, and its claim measured again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from compare.errors import InputError
from compare.notes.claim import Measured
from compare.records import Environment, Record

VERSION = 1
"""Version of the format. Files of other versions are measured anew."""


class NotesHeader(Record, frozen=True):
    """The first line: the version of the format."""

    version: int


class Shown(Record, frozen=True):
    """One claim that was measured: by which version and code, under which settings, when, in how many seconds, and what was found."""

    number: int
    slug: str
    program: str
    code: str
    settings: dict[str, Any]
    created: str
    seconds: float
    measured: Measured


Line = NotesHeader | Environment | Shown
_decoder = msgspec.json.Decoder(Line, strict=True)
_head = msgspec.json.Decoder(dict[str, object])


class BrokenRecords(InputError):
    """A records file of ours that is broken in the middle."""


@dataclass
class Notes:
    """What a file holds: claims with the environment that each was measured in, by slug; and a word on what was passed over."""

    shown: dict[str, tuple[Shown, Environment]] = field(default_factory=dict)
    word: str = ""

    def add(self, shown: Shown, environment: Environment) -> None:
        """Add a claim, in the place of an older record of it."""
        self.shown[shown.slug] = (shown, environment)

    def encode(self) -> bytes:
        """The bytes of the file, claims in the order of their numbers."""
        lines: list[Line] = [NotesHeader(VERSION)]
        last = None
        for shown, environment in sorted(self.shown.values(), key=lambda pair: pair[0].number):
            if environment != last:
                lines.append(last := environment)
            lines.append(shown)
        return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def read(path: Path) -> Notes:
    """The records in a file, none where it is absent. Raises `InputError` for a file that is not ours and
    `BrokenRecords` for one that is broken anywhere but in its last line.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Notes()
    except OSError as error:
        raise InputError(f"cannot read records file {str(path)!r}: {error.strerror}") from None
    lines = raw.split(b"\n")
    torn = lines.pop() != b""
    # A whole line has its end; what has none is the torn one, and has been taken off.
    if not lines:
        if not raw or b'{"kind":"notesheader"'.startswith(raw[:21]):
            return Notes(word=_discarded(path) if torn else "")
        raise _foreign(path)
    if _version(path, lines[0]) != VERSION:
        return Notes(word=f"records file {str(path)!r} is of another version of the format: all claims are measured anew")
    notes = Notes(word=_discarded(path) if torn else "")
    environment = Environment({})
    for place, line in enumerate(lines[1:], 2):
        try:
            record = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if place == len(lines) and not torn:
                notes.word = _discarded(path)
                break
            raise BrokenRecords(f"records file {str(path)!r}, line {place}: {error}; --fresh begins anew") from None
        if isinstance(record, Environment):
            environment = record
        elif isinstance(record, Shown):
            notes.add(record, environment)
        else:
            raise BrokenRecords(f"records file {str(path)!r}, line {place}: a second header; --fresh begins anew")
    return notes


def _version(path: Path, line: bytes) -> object:
    try:
        head = _head.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        head = {}
    if head.get("kind") != "notesheader":
        raise _foreign(path)
    return head.get("version")


def _foreign(path: Path) -> InputError:
    return InputError(f"{str(path)!r} is not a records file of the notes: its first line is not their header")


def _discarded(path: Path) -> str:
    return f"the last line of {str(path)!r} was torn and is discarded"
