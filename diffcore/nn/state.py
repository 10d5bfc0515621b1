"""Values copied into a module by name, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import devices, is_array, is_float
from diffcore.dispatch import Boxed
from diffcore.errors import StateError
from diffcore.seeds import array_under


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: names of the module's that were not given, and given ones that it does not have."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def load(owner: str, own: dict[str, Any], given: Any, strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy `given` into the tensors `own` by name; with `assign` they take dtype and device of what is given.

    `owner` is named in the error, a `StateError` that lists every missing, unexpected and misshapen entry; then nothing has changed.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(given)}.")
    problems = []
    missing, unexpected = [n for n in own if n not in given], [n for n in given if n not in own]
    if strict and unexpected:
        problems.append(f"Unexpected key(s) in state_dict: {', '.join(map(repr, unexpected))}.")
    if strict and missing:
        problems.append(f"Missing key(s) in state_dict: {', '.join(map(repr, missing))}.")
    arrays = {}
    for name, tensor in own.items():
        if name not in given:
            continue
        array = _array(given[name])
        if array is None:
            problems.append(f"{name}: a tensor or an array of numbers is expected, {type(given[name]).__name__} given.")
        elif array.dtype.kind == "c" and tensor.dtype.kind != "c":
            problems.append(f"{name}: {array.dtype} given, {tensor.dtype} expected, which has no imaginary part.")
        elif tuple(array.shape) != tuple(tensor.shape):
            problems.append(f"size mismatch for {name}: {tuple(array.shape)} given, {tuple(tensor.shape)} expected.")
        else:
            arrays[name] = array
    if problems:
        raise StateError(f"Error(s) in loading state_dict for {owner}: {' '.join(problems)}")
    with np.errstate(all="ignore"):  # a cast may overflow, as in PyTorch
        new = {name: _copied(array, None if assign else own[name]) for name, array in arrays.items()}
    for name, array in new.items():
        own[name].data = array
    return IncompatibleKeys(missing, unexpected)


def _copied(array: Any, like: Any) -> Any:
    """A copy, in dtype and on the device of `like` where there is one."""
    return devices.new_array(array) if like is None else devices.new_array(array, like.dtype, like.device)


def _array(value: Any) -> Any:
    """The array in a tensor of any engine, of PyTorch's, or in nested lists; `None` where there are no numbers."""
    if isinstance(value, Boxed):
        return array_under(value)
    if not is_array(value):
        try:
            value = np.asarray(value.detach() if hasattr(value, "detach") else value)
        except ValueError:  # lists of differing lengths
            return None
    return value if value.dtype.kind in "biufc" or is_float(value.dtype) else None
