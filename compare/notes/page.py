"""The page of the claims: for each its words, the experiment, a figure, the numbers and the verdict. From records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from compare.notes.catalogue import CLAIMS, Entry
from compare.notes.claim import FAILS, HOLDS, LIMITED, Claim, Figure, Measured, Table, Verdict
from compare.notes.records import Notes, Shown
from compare.notes.runner import is_current
from compare.report.page import template
from compare.report.units import duration, whole

MARKS = {HOLDS: "✓", LIMITED: "✓", FAILS: "✗"}
WORDS = {HOLDS: "holds", LIMITED: "holds with a limit", FAILS: "does not hold"}
KINDS = {HOLDS: "good", LIMITED: "limited", FAILS: "bad"}


@dataclass(frozen=True)
class Proof:
    """One criterion: what it says, what was measured, what was wanted, and whether it was met."""

    words: str
    measured: str
    wanted: str
    met: bool


@dataclass(frozen=True)
class Chapter:
    """One claim on the page."""

    entry: Entry
    shown: Shown
    claim: Claim
    verdict: Verdict
    figure: Figure
    table: Table | None
    proofs: list[Proof]

    @property
    def kind(self) -> str:
        """The class of its verdict."""
        return KINDS[self.verdict.state]

    @property
    def settings(self) -> str:
        """The settings in one line."""
        return ", ".join(f"{name.replace('_', ' ')} {_setting(value)}" for name, value in self.shown.settings.items())


def chapters(notes: Notes, load: Callable[[Entry], Claim] = Entry.load) -> list[Chapter]:
    """What is recorded by this version, in the order of the claims."""
    found = []
    for entry in CLAIMS:
        claim = load(entry)
        if is_current(notes, entry, claim):
            shown, _ = notes.shown[entry.slug]
            measured = shown.measured
            proofs = [Proof(need.words, need.shown(measured), need.wanted, need.met(measured)) for need in claim.needs]
            verdict, figure, table = claim.verdict(measured), claim.figure(measured), claim.table(measured)
            found.append(Chapter(entry, shown, claim, verdict, figure, table, proofs))
    return found


def render(notes: Notes, command: str, load: Callable[[Entry], Claim] = Entry.load) -> str:
    """The document: one page that loads nothing, the same text for the same records. `command` makes it again."""
    told = chapters(notes, load)
    there = {chapter.entry.slug for chapter in told}
    return template("notes.html.jinja").render(
        chapters=told,
        missing=[entry for entry in CLAIMS if entry.slug not in there],
        summary=summary([chapter.verdict for chapter in told]),
        facts=_facts(told),
        words=WORDS,
        marks=MARKS,
        kinds=KINDS,
        command=command,
        environments=_environments(notes, told),
    )


def summary(verdicts: list[Verdict]) -> str:
    """One sentence on all verdicts."""
    counts = Counter(verdict.state for verdict in verdicts)
    missing = len(CLAIMS) - len(verdicts)
    parts = [f"{counts[state]} {_verb(state, counts[state])}" for state in (HOLDS, LIMITED, FAILS) if counts[state]]
    if missing:
        parts.append(f"{missing} {'has' if missing == 1 else 'have'} not been measured yet")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"Of the {len(CLAIMS)} claims of the notes, {listed}."


def _verb(state: str, count: int) -> str:
    words = WORDS[state]
    return words if count == 1 else words.replace("holds", "hold").replace("does", "do")


def _facts(told: list[Chapter]) -> list[tuple[str, str]]:
    made = sorted({chapter.shown.created for chapter in told})
    spans = "nothing yet" if not made else made[0] if len(made) == 1 else f"{made[0]} to {made[-1]}"
    return [
        ("measured", f"{whole(len(told))} of {whole(len(CLAIMS))} claims in {duration(sum(chapter.shown.seconds for chapter in told))}"),
        ("engines", "revdiff (reverse mode) and dualdiff (forward mode) on the same kernels, numpy, float64"),
        ("made", spans),
    ]


def _environments(notes: Notes, told: list[Chapter]) -> list[tuple[str, dict[str, str]]]:
    """Each machine with the claims that were measured on it."""
    found: dict[str, tuple[list[int], dict[str, str]]] = {}
    for chapter in told:
        entries = notes.shown[chapter.entry.slug][1].entries
        found.setdefault(str(entries), ([], entries))[0].append(chapter.entry.number)
    return [("" if len(found) == 1 else f"Claims {', '.join(map(str, numbers))}", entries) for numbers, entries in found.values()]


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"({', '.join(_setting(each) for each in value)})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def line(entry: Entry, claim: Claim, measured: Measured) -> str:
    """The verdict in one line, for the terminal."""
    return f"{entry.number:2d} {entry.slug}: {claim.verdict(measured).sentence}"
