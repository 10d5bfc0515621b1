"""Running the claims that are not recorded yet. What is done is kept, whatever ends the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from compare import environment, files
from compare.notes.catalogue import Entry
from compare.notes.claim import Claim
from compare.notes.records import BrokenRecords, Notes, Shown, read
from compare.records import Environment

Heard = Callable[[Entry, int], None]
"""Told which claim is begun (0) or done (1)."""


def run(
    entries: Sequence[Entry],
    kept: Path,
    *,
    fresh: bool = False,
    heard: Heard = lambda entry, done: None,
    word: Callable[[str], None] = lambda text: None,
    load: Callable[[Entry], Claim] = Entry.load,
) -> Notes:
    """Measure those of `entries` that the file `kept` does not hold, adding each to it when it is done; returns what the file holds.

    With `fresh` the `entries` are measured whether they are there or not. `word` is told what was found amiss in the file, `load` finds the
    experiment of a claim. Raises `InputError` for a file that is not ours or cannot be written.
    """
    try:
        notes = read(kept)
    except BrokenRecords:
        if not fresh:
            raise
        notes = Notes()
    if notes.word:
        word(notes.word)
    here = Environment(environment.describe(heavy=False))
    for entry in entries:
        claim = load(entry)
        if not fresh and is_current(notes, entry, claim):
            continue
        heard(entry, 0)
        start = time.monotonic()
        measured = claim.measure()
        seconds = time.monotonic() - start
        created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        program = environment.version()
        notes.add(Shown(entry.number, entry.slug, program, entry.code, dict(claim.settings), created, seconds, measured), here)
        files.write({kept: notes.encode()})
        heard(entry, 1)
    return notes


def is_current(notes: Notes, entry: Entry, claim: Claim) -> bool:
    """Whether a claim is recorded by this version of the program and of the experiment, under the same settings."""
    if entry.slug not in notes.shown:
        return False
    shown, _ = notes.shown[entry.slug]
    return (shown.program, shown.code, shown.settings) == (environment.version(), entry.code, dict(claim.settings))
