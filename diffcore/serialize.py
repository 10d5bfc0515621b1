"""Parameters on disk, in the safetensors format: names and arrays, no code, so that reading a file runs nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from diffcore.errors import DiffError
from diffcore.seeds import array_under


def save(tensors: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write named tensors or arrays, for instance `net.state_dict()`, to `path`; the file appears whole or not at all.

    Raises `OSError` where the file cannot be written.
    """
    from safetensors.numpy import save as encode

    data = encode({name: np.asarray(array_under(tensor), order="C") for name, tensor in tensors.items()})
    target = Path(path)
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(draft, target)
    except BaseException:
        os.unlink(draft)
        raise


def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """The named arrays of a file written by `save`, ready for `load_state_dict`.

    Raises `OSError` where it cannot be read, `DiffError` where it is torn or not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode

    data = Path(path).read_bytes()
    try:
        return decode(data)
    except SafetensorError as error:
        raise DiffError(f"{str(path)!r} is not a whole safetensors file: {error}") from None
