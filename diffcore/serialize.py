"""Tensors on disk, in the safetensors format: names and arrays, no code, so that reading a file runs nothing.

What was saved may be a tensor, a number, text, or lists, tuples and dicts of them. Arrays are stored under names made of the keys that lead
to them (a `state_dict()` keeps its own), and the structure around them as JSON in the file's metadata. A file without it, written by
another program, is a dict.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from diffcore.arrays import devices, is_array, is_float
from diffcore.dispatch import Boxed
from diffcore.errors import ArgumentError, DTypeError, FormatError
from diffcore.files import write_whole
from diffcore.nn.registry import ParameterMark
from diffcore.seeds import array_under
from diffcore.size import Size

T = TypeVar("T")
_PLAIN = (bool, int, float, str, type(None))
_ROOMS: dict[str, type] = {"list": list, "tuple": tuple, "Size": Size, "dict": dict, "OrderedDict": OrderedDict}
_NAMES = {kind: name for name, kind in _ROOMS.items()}
_TENSORS = ("tensor", "variable", "parameter", "constant parameter")
_KEY = "structure"
_METADATA = "__metadata__"
_DTYPES = set("bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64 complex64".split())
"""What both the format and numpy have."""

_DEEPEST = 200
"""Levels of lists and dicts in one another; a structure that contains itself has more than any."""


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write a tensor, or lists, tuples and dicts of tensors, arrays, numbers and text (for instance `net.state_dict()`) to `path`; the file
    appears whole or not at all.

    A variable is a variable again when it is loaded, a parameter a parameter. Raises `TypeError` for anything else, naming where it is,
    `ArgumentError` for what is nested too deeply or is too large for the format, and `OSError` where the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save as encode

    arrays: dict[str, Any] = {}
    structure = _described(obj, "", arrays, 0)
    try:
        data = encode(arrays, {_KEY: json.dumps(structure)})
    except (SafetensorError, ValueError) as error:
        raise ArgumentError(f"save: this cannot be written as safetensors: {error}") from None
    write_whole(path, data)


def _described(value: Any, path: str, arrays: dict[str, Any], depth: int) -> Any:
    """`value` for JSON: `[what, content]`, with the arrays in it added to `arrays`."""
    if type(value) in _PLAIN:
        return ["value", value]
    if isinstance(value, Boxed) or is_array(value):
        name = _added(np.asarray(array_under(value), order="C"), path, arrays)
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
    if depth == _DEEPEST:
        raise ArgumentError(f"save: more than {_DEEPEST} lists and dicts in one another at {path[:40]!r}...; does one contain itself?")
    if isinstance(value, dict):
        pairs = value.items()
        return [room, [[_described(k, path, arrays, depth + 1), _described(v, _below(path, k), arrays, depth + 1)] for k, v in pairs]]
    return [room, [_described(part, _below(path, i), arrays, depth + 1) for i, part in enumerate(value)]]


def _added(array: Any, path: str, arrays: dict[str, Any]) -> str:
    """The name under which `array` is put in `arrays`: `path`, unless that is taken or the format cannot write it."""
    if array.dtype.name not in _DTYPES:
        raise DTypeError(
            f"save: cannot store elements of {array.dtype}{f' at {path!r}' if path else ''}; expected {', '.join(sorted(_DTYPES))}"
        )
    name = path.encode(errors="replace").decode() or "tensor"
    while name in arrays or name == _METADATA:
        name += "'"
    arrays[name] = array
    return name


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _restored(described: Any, arrays: dict[str, Any], tensor: Callable[[Any, str], Any]) -> Any:
    """The inverse of `_described`; `tensor(array, what)` makes what was a tensor, a variable or a parameter.

    Raises `ValueError`, `TypeError` or `LookupError` for what `_described` never makes.
    """
    what, content = described
    if what == "value":
        if type(content) not in _PLAIN:
            raise TypeError("a value is no number and no text")
        return content
    if what == "array":
        return arrays[content]
    if what in _TENSORS:
        if what in ("variable", "parameter") and not is_float(arrays[content].dtype):
            raise TypeError("a variable has no floating-point dtype")
        return tensor(arrays[content], what)
    if what in ("dict", "OrderedDict"):
        pairs = [(_restored(k, arrays, tensor), _restored(v, arrays, tensor)) for k, v in content]
        made = _ROOMS[what](pairs)
        if len(made) < len(pairs):
            raise ValueError("a key stands twice")
        return made
    made = _ROOMS[what]([_restored(part, arrays, tensor) for part in content])
    if what == "Size" and not all(type(extent) is int for extent in made):
        raise TypeError("an extent is no integer")
    return made


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote, with arrays for tensors, ready for `load_state_dict`.

    Raises `OSError` where it cannot be read, `FormatError` where it is torn, damaged or not a safetensors file.
    """
    return _read(path, lambda array, what: array)


def _read(path: str | os.PathLike[str], tensor: Callable[[Any, str], Any]) -> Any:
    data = Path(path).read_bytes()
    arrays, structure = _decoded(data, str(path))
    if structure is None:
        return {name: tensor(array, "tensor") for name, array in arrays.items()}
    try:
        return _restored(json.loads(structure), arrays, tensor)
    except (ValueError, TypeError, LookupError, RecursionError):
        raise FormatError(f"{str(path)!r} has a structure that this version cannot read") from None


def _decoded(data: bytes, path: str) -> tuple[dict[str, Any], str | None]:
    """The arrays of a file by name, and the structure around them if it has one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode

    try:
        arrays = decode(data)
    except SafetensorError as error:
        hint = "; it may be a pickle, as `torch.save` writes it, which is never read" if data[:1] == b"\x80" or data[:2] == b"PK" else ""
        raise FormatError(f"{path!r} is not a whole safetensors file: {error}{hint}") from None
    except KeyError as error:
        raise FormatError(f"{path!r} holds elements of {error.args[0]}, for which numpy has no type") from None
    except ValueError as error:
        raise FormatError(f"{path!r} holds what cannot be an array: {error}") from None
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=_distinct)
    except _Twice as error:
        raise FormatError(f"{path!r} is damaged: its header has {str(error)!r} twice") from None
    return arrays, (header.get(_METADATA) or {}).get(_KEY)


class _Twice(Exception):
    """A name that a JSON object has twice."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return made


class Loader(Generic[T]):
    """Loads tensors of class `kind`."""

    def __init__(self, kind: type[T]) -> None:
        self.kind: Any = kind

    def load(self, path: str | os.PathLike[str], map_location: str | None = None, *, weights_only: bool = True) -> Any:
        """What `save` wrote, with tensors in their places, on the CPU or on the device `map_location`.

        `weights_only` is accepted for PyTorch's sake: files hold no code, so nothing else is ever loaded. Raises `OSError` where the file
        cannot be read, `FormatError` where it is torn, damaged or not a safetensors file, `DeviceError` for a device that is not there.
        """

        def tensor(array: Any, what: str) -> Any:
            array = devices.place(array, map_location)
            if what.endswith("parameter"):
                return import_module(f"{self.kind.engine}.nn").Parameter(array, requires_grad=what == "parameter")
            made = self.kind(array)
            return made.requires_grad_() if what == "variable" else made

        return _read(path, tensor)
