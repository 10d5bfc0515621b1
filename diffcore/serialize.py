"""Tensors on disk, in the safetensors format: names and arrays, no code, so that reading a file runs nothing.

What was saved may be a tensor, a number, text, or lists, tuples and dicts of them. Arrays are stored under names made of the keys that lead
to them (a `state_dict()` keeps its own), and the structure around them as JSON in the file's metadata. A file without it, written by
another program, is a dict.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from diffcore.arrays import devices, is_array
from diffcore.dispatch import Boxed
from diffcore.errors import DiffError
from diffcore.nn.registry import ParameterMark
from diffcore.seeds import array_under
from diffcore.size import Size

T = TypeVar("T")
_PLAIN = (bool, int, float, str, type(None))
_ROOMS: dict[str, type] = {"list": list, "tuple": tuple, "Size": Size, "dict": dict, "OrderedDict": OrderedDict}
_NAMES = {kind: name for name, kind in _ROOMS.items()}
_TENSORS = ("tensor", "variable", "parameter", "constant parameter")
_KEY = "structure"


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write a tensor, or lists, tuples and dicts of tensors, arrays, numbers and text (for instance `net.state_dict()`) to `path`; the file
    appears whole or not at all.

    A variable is a variable again when it is loaded, a parameter a parameter. Raises `TypeError` for anything else, naming where it is, and
    `OSError` where the file cannot be written.
    """
    from safetensors.numpy import save as encode

    arrays: dict[str, Any] = {}
    structure = _described(obj, "", arrays)
    data = encode(arrays, {_KEY: json.dumps(structure)})
    target = Path(path)
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(draft, target)
    except BaseException:
        os.unlink(draft)
        raise


def _described(value: Any, path: str, arrays: dict[str, Any]) -> Any:
    """`value` for JSON: `[what, content]`, with the arrays in it added to `arrays`."""
    if type(value) in _PLAIN:
        return ["value", value]
    if isinstance(value, Boxed) or is_array(value):
        name = path or "tensor"
        while name in arrays:
            name += "'"
        arrays[name] = np.asarray(array_under(value), order="C")
        if not isinstance(value, Boxed):
            return ["array", name]
        variable = value.is_leaf and not value.is_constant  # type: ignore[attr-defined]
        if isinstance(value, ParameterMark):
            return ["parameter" if variable else "constant parameter", name]
        return ["variable" if variable else "tensor", name]
    room = _NAMES.get(type(value))
    if room is None:
        hint = ". Did you mean its `state_dict()`?" if hasattr(value, "state_dict") else ""
        raise TypeError(
            f"save: cannot store {type(value).__name__}{f' at {path!r}' if path else ''}; expected tensors, arrays, numbers and text, and "
            f"lists, tuples and dicts of them{hint}"
        )
    if isinstance(value, dict):
        return [room, [[_described(k, path, arrays), _described(v, _below(path, k), arrays)] for k, v in value.items()]]
    return [room, [_described(part, _below(path, i), arrays) for i, part in enumerate(value)]]


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _restored(described: Any, arrays: dict[str, Any], tensor: Callable[[Any, str], Any]) -> Any:
    """The inverse of `_described`; `tensor(array, what)` makes what was a tensor, a variable or a parameter."""
    what, content = described
    if what == "value":
        return content
    if what == "array":
        return arrays[content]
    if what in _TENSORS:
        return tensor(arrays[content], what)
    if what in ("dict", "OrderedDict"):
        return _ROOMS[what]([(_restored(k, arrays, tensor), _restored(v, arrays, tensor)) for k, v in content])
    return _ROOMS[what]([_restored(part, arrays, tensor) for part in content])


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote, with arrays for tensors, ready for `load_state_dict`.

    Raises `OSError` where it cannot be read, `DiffError` where it is torn or not a safetensors file.
    """
    return _read(path, lambda array, what: array)


def _read(path: str | os.PathLike[str], tensor: Callable[[Any, str], Any]) -> Any:
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode

    data = Path(path).read_bytes()
    try:
        arrays = decode(data)
    except SafetensorError as error:
        raise DiffError(f"{str(path)!r} is not a whole safetensors file: {error}") from None
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    structure = header.get("__metadata__", {}).get(_KEY)
    if structure is None:
        return {name: tensor(array, "tensor") for name, array in arrays.items()}
    try:
        return _restored(json.loads(structure), arrays, tensor)
    except (ValueError, TypeError, LookupError):
        raise DiffError(f"{str(path)!r} has a structure that this version cannot read") from None


class Loader(Generic[T]):
    """Loads tensors of class `kind`."""

    def __init__(self, kind: type[T]) -> None:
        self.kind: Any = kind

    def load(self, path: str | os.PathLike[str], map_location: str | None = None, *, weights_only: bool = True) -> Any:
        """What `save` wrote, with tensors in their places, on the CPU or on the device `map_location`.

        `weights_only` is accepted for PyTorch's sake: files hold no code, so nothing else is ever loaded. Raises `OSError` where the file
        cannot be read, `DiffError` where it is torn or not a safetensors file, `DeviceError` for a device that is not there.
        """

        def tensor(array: Any, what: str) -> Any:
            array = devices.place(array, map_location)
            if what.endswith("parameter"):
                return import_module(f"{self.kind.engine}.nn").Parameter(array, requires_grad=what == "parameter")
            made = self.kind(array)
            return made.requires_grad_() if what == "variable" else made

        return _read(path, tensor)
