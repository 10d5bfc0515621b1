"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to the file `path`, under another name beside it first, so that a reader sees the old file or the new one.

    Raises `OSError` where that fails, and for a path that is taken by something that is no file; then nothing has changed.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, not a file")
    if target.exists() and not target.is_file():
        raise OSError(f"{str(path)!r} is not a plain file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{str(path)!r} cannot be written: the folder {str(target.parent)!r} is not there")
    draft = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
