"""Where the calibration of a machine is kept, and whose it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from compare import environment, files
from compare.calibration.model import VERSION, Calibration
from compare.errors import InputError, one_line

VARIABLE = "DIFFMODES_CALIBRATION"
"""Environment variable that names another file."""
AGAIN = "run `python -m compare calibrate`"


class UncalibratedError(InputError):
    """There is no calibration of this machine and this software."""


class _Versioned(msgspec.Struct):
    """What is read of a file at first, whatever else is in it."""

    version: int


def path() -> Path:
    """The file: what `DIFFMODES_CALIBRATION` names, else one in the user's folder for caches."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path.home() / (".cache" if sys.platform != "darwin" else "Library/Caches")
    return base / "diffmodes" / "calibration.json"


def this_machine() -> dict[str, str]:
    """What a calibration depends on: processor, cores, the threads that a run is given, and the software that computes."""
    entries = environment.describe(heavy=False)
    found = {name: entries[name] for name in ("processor", "cores", "python", "numpy", "BLAS", "diffmodes")}
    return found | {"threads": environment.THREADS["OPENBLAS_NUM_THREADS"]}


def save(calibration: Calibration) -> Path:
    """Write the calibration to its place. Raises `InputError` where that cannot be."""
    target = path()
    with files.destination(target):
        files.write({target: msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n"})
    return target


def read(source: Path | None = None) -> Calibration:
    """The calibration in a file, whosever it is. Raises `UncalibratedError` for none, `InputError` for no calibration."""
    source = source or path()
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        raise UncalibratedError(f"this machine is not calibrated: {AGAIN} (no file {str(source)!r})") from None
    except OSError as error:
        raise InputError(f"cannot read calibration {str(source)!r}: {one_line(error.strerror or error)}") from None
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != VERSION:
            raise UncalibratedError(f"calibration {str(source)!r} has version {version}, and {VERSION} is read: {AGAIN}")
        found = msgspec.json.decode(data, type=Calibration)
        lack = found.lack
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        lack = one_line(error)
    if lack:
        raise InputError(f"{str(source)!r} is no calibration ({lack}): {AGAIN}, which replaces it")
    return found


def load() -> Calibration:
    """The calibration of this machine.

    Raises `UncalibratedError` where there is none, or that of another machine or other software, `InputError` for a file that is none.
    """
    found, here = read(), this_machine()
    for name, value in here.items():
        kept = found.machine.get(name, "")
        if kept != value:
            raise UncalibratedError(f"the calibration is of another {name} ({one_line(kept)!r}, here {one_line(value)!r}): {AGAIN}")
    return found
