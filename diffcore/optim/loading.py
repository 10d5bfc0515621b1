"""Loading the state of an optimizer: everything is checked before anything changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from diffcore.arrays import devices, is_array, is_mutable
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import ArgumentError
from diffcore.ledger import label
from diffcore.optim.options import NOTES, checked

if TYPE_CHECKING:
    from diffcore.optim.optimizer import Optimizer


def loaded(optimizer: Optimizer, state_dict: Any) -> tuple[defaultdict[Any, dict[str, Any]], list[dict[str, Any]]]:
    """The state and parameter groups that `state_dict` describes for the parameters of `optimizer`. Raises `ArgumentError`."""
    kind = type(optimizer).__name__
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
        raise ArgumentError(f"{kind}.load_state_dict: expected a dict with 'state' and 'param_groups', got {_shown(state_dict)}")
    problems: list[str] = []
    groups = _groups(optimizer, state_dict["param_groups"], problems)
    state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    if groups is not None:
        entries = dict(state_dict["state"])
        for group, saved in zip(groups, state_dict["param_groups"], strict=True):
            for parameter, number in zip(group["params"], saved["params"], strict=True):
                entry = {name: value for name, value in entries.pop(number, {}).items() if value is not None}
                if entry:
                    found = _checked_entry(optimizer, parameter, number, group, entry, problems)
                    state[parameter] = found
        problems += [f"state of parameter {number!r}, which is in no group." for number in entries]
    if problems:
        raise ArgumentError(f"Error(s) in loading state_dict for {kind}: {' '.join(problems)}")
    for parameter, entry in state.items():
        for name, array in entry.items():
            entry[name] = _own(parameter, array, name in optimizer.scalars)
    return state, groups  # type: ignore[return-value]


def _groups(optimizer: Optimizer, saved: list[dict[str, Any]], problems: list[str]) -> list[dict[str, Any]] | None:
    """The groups with the options of the saved ones; `None` where they cannot be told apart, so that no state can be assigned."""
    own = optimizer.param_groups
    if not isinstance(saved, list | tuple) or not all(isinstance(group, Mapping) and "params" in group for group in saved):
        problems.append(f"'param_groups' must be a list of dicts with 'params', got {_shown(saved)}.")
        return None
    if len(saved) != len(own):
        problems.append(f"loaded state dict has a different number of parameter groups: {len(saved)} given, {len(own)} expected.")
        return None
    groups, fits = [], True
    for number, (group, given) in enumerate(zip(own, saved, strict=True)):
        if len(given["params"]) != len(group["params"]):
            problems.append(
                f"loaded state dict contains a parameter group that doesn't match the size of optimizer's group: group {number} has "
                f"{len(given['params'])} parameters, {len(group['params'])} expected."
            )
            fits = False
        unexpected = [name for name in given if name not in optimizer.defaults and name not in NOTES]
        missing = [name for name, value in optimizer.defaults.items() if name not in given and value is not None and value is not False]
        for what, names in (("Unexpected", unexpected), ("Missing", missing)):
            if names:
                problems.append(f"{what} option(s) in group {number}: {', '.join(map(repr, names))}.")
        switches = {name: value for name, value in optimizer.defaults.items() if value is None or value is False}
        own_names = {"param_names": group["param_names"]} if "param_names" in group else {}
        options = {**switches, **own_names, **{name: value for name, value in given.items() if name not in unexpected}, "params": None}
        try:
            options = checked(type(optimizer).__name__, options) if not missing else options
        except (ValueError, TypeError) as error:
            problems.append(f"group {number}: {error}.")
        groups.append({**optimizer._restored_options(options), "params": group["params"]})
    return groups if fits else None


def _checked_entry(
    optimizer: Optimizer, parameter: Any, number: Any, group: dict[str, Any], entry: dict[str, Any], problems: list[str]
) -> dict[str, Any]:
    """The arrays of one parameter's state."""
    wanted = (*optimizer.scalars, *optimizer._moments(group))
    known = (*optimizer.scalars, *optimizer.moments)
    for what, names in (("Unexpected", [n for n in entry if n not in known]), ("Missing", [n for n in wanted if n not in entry])):
        if names:
            problems.append(f"{what} state of parameter {number}: {', '.join(map(repr, names))}.")
    arrays = {name: _array(value) for name, value in entry.items()}
    for name in known:
        shape = () if name in optimizer.scalars else tuple(parameter.shape)
        if name in arrays and tuple(arrays[name].shape) != shape:
            problems.append(f"size mismatch for {name} of parameter {number}: {tuple(arrays[name].shape)} given, {shape} expected.")
    return arrays


def _array(value: Any) -> Any:
    value = unboxed(value.detach() if isinstance(value, Boxed) else value)  # type: ignore[attr-defined]
    return value if is_array(value) else np.asarray(value)


def _own(parameter: Any, array: Any, scalar: bool) -> Any:
    """A copy of an entry where the parameter is: a moment in its dtype, a number in its own."""
    if not scalar:
        array = devices.new_array(array, parameter.dtype, parameter.device)
        label(array, "optimizer state")
        return array
    array = np.asarray(array, array.dtype if array.dtype.kind == "f" else np.float32)
    return array.copy() if is_mutable(parameter.array) else devices.place(array, parameter.device)


def _shown(value: Any) -> str:
    return f"a dict of {', '.join(map(repr, value)) or 'nothing'}" if isinstance(value, Mapping) else type(value).__name__
