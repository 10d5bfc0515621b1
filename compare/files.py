"""Files that appear whole or not at all, and a look at where they will go before the work begins."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from compare.errors import InputError, one_line


def write(contents: Mapping[Path, bytes]) -> None:
    """Write every file of `contents`, or none of them.

    Each is written beside its place, forced to the disk and then renamed, so that a reader sees the old file or the new
    one. When that fails, what was begun is removed and one `InputError` says which file and why.
    """
    staged: dict[Path, Path] = {}
    fresh: list[Path] = []
    path = Path()
    try:
        for path, data in contents.items():
            staged[path] = path.with_name(f".{secrets.token_hex(8)}.part")
            _write_through(staged[path], data)
        for path, part in staged.items():
            existed = path.exists()
            os.replace(part, path)
            if not existed:
                fresh.append(path)
        for folder in {path.parent for path in contents}:
            _settle(folder)
    except BaseException as error:
        for leftover in [*staged.values(), *fresh]:
            with suppress(OSError):
                leftover.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot write {str(path)!r}: {_reason(error)}") from None
        raise


@contextmanager
def destination(*paths: Path) -> Iterator[None]:
    """Make sure that `paths` can be written, making their folders; remove the folders again if the work inside fails.

    Raises `InputError` when a folder cannot be made or written to, or when a path is taken by something that is no file.
    """
    made: list[Path] = []
    try:
        for path in paths:
            _make_folder(path.parent, made)
            _probe(path)
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise


def _make_folder(folder: Path, made: list[Path]) -> None:
    try:
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        for part in reversed(missing):
            part.mkdir(exist_ok=True)
            made.append(part)
    except OSError as error:
        raise InputError(f"cannot make output folder {str(folder)!r}: {_reason(error)}") from None
    if not folder.is_dir():
        raise InputError(f"cannot write to output folder {str(folder)!r}: it is not a folder")


def _probe(path: Path) -> None:
    probe = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        # A device or a pipe in the place of the file would be replaced by the rename; a folder would make it fail.
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"cannot write {str(path)!r}: it is there already and is not a regular file")
        _write_through(probe, b"")
    except OSError as error:
        raise InputError(f"cannot write to output folder {str(path.parent)!r}: {_reason(error)}") from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _write_through(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Force the renames to the disk, where the system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _reason(error: OSError) -> str:
    return one_line(error.strerror or error)
