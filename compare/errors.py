"""What `compare` raises on purpose; every message is one line that a person can act on.

    CompareError           exit code 1   the work could not be done
    ├── InputError         exit code 2   (ValueError)  something asked for that cannot be: a name, a value, a folder, a file
    ├── WorkerError        exit code 1   a measuring process failed, died or fell silent
    ├── TrainingError      exit code 1   training left the finite numbers
    ├── DisagreementError  exit code 3   what should compute the same does not
    └── MemoryLimitError   exit code 4   what is asked for is predicted not to fit in the memory there is

The command line prints the message and ends with the code.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path


class CompareError(Exception):
    """Base of what `compare` raises; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(CompareError, ValueError):
    """Something was asked for that cannot be. The message says what, its value and what is allowed."""

    exit_code = 2


class WorkerError(CompareError):
    """A measuring process failed, died or fell silent."""


class TrainingError(CompareError):
    """Training left the finite numbers."""


class DisagreementError(CompareError):
    """What should compute the same does not, so that nothing can be measured."""

    exit_code = 3


class MemoryLimitError(CompareError):
    """What is asked for is predicted not to fit in the memory there is."""

    exit_code = 4


def suggestion(value: str, allowed: Iterable[str]) -> str:
    """The sentence `Perhaps you meant 'x'?` with the allowed name closest to `value`, or nothing where none is close."""
    lowered = {name.lower(): name for name in allowed}
    close = difflib.get_close_matches(value.lower(), lowered, n=1, cutoff=0.5)
    return f" Perhaps you meant {lowered[close[0]]!r}?" if close else ""


def choose(what: str, value: str, allowed: Iterable[str]) -> str:
    """`value` if it is among `allowed`; else an `InputError` that names `what`, the value, the choice and a near miss."""
    names = list(allowed)
    if value in names:
        return value
    raise InputError(f"unknown {what} {value!r}: it must be {_listed(names)}." + (suggestion(value, names) if len(names) > 1 else ""))


def one_line(text: object) -> str:
    """`text` with every run of white space made one space, so that a message stays on its line."""
    return " ".join(str(text).split())


def account(error: BaseException) -> str:
    """One line on an error that nobody expected: its kind, its message and the place in our code that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return one_line(f"{type(error).__name__}: {error}{place}")


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} or {names[-1]}"
