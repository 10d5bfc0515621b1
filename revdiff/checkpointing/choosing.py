"""From what a user asks for to a schedule."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from diffcore import tree
from diffcore.arrays import is_array
from diffcore.budget import parse_bytes
from diffcore.dispatch import Boxed
from diffcore.nn.container import Sequential
from diffcore.nn.module import Module
from diffcore.whole import whole
from revdiff.checkpointing import named, optimal
from revdiff.checkpointing.chain import grouped
from revdiff.checkpointing.schedule import Action, Schedule
from revdiff.checkpointing.sizes import Sizes, measured

KEPT = 32
"""Schedules that are kept for one network at most."""
_kept: weakref.WeakKeyDictionary[Module, dict[Hashable, Schedule]] = weakref.WeakKeyDictionary()
_measured: weakref.WeakKeyDictionary[Module, tuple[Hashable, dict[tuple[int, ...], Sizes]]] = weakref.WeakKeyDictionary()
"""What steps of the layers of a network cost, for the inputs that it was last asked for: one budget after another is tried on these."""


class Wishes(NamedTuple):
    """What was asked for; checked when it is made by `wishes`."""

    segments: int | None
    schedule: str | Schedule | None
    snapshots: int | None
    memory: int | None


def wishes(segments: Any, schedule: Any, snapshots: Any, memory: Any) -> Wishes:
    """The options of `checkpoint`, checked. Raises `ValueError`."""
    segments, snapshots = _count("segments", segments), _count("snapshots", snapshots)
    if isinstance(schedule, str) and schedule not in named.NAMES:
        raise ValueError(f"checkpoint: `schedule` (={schedule!r}) must be one of {', '.join(map(repr, named.NAMES))}, or a Schedule")
    if schedule is not None and not isinstance(schedule, str | Schedule):
        raise TypeError(f"checkpoint: `schedule` must be a name or a Schedule, not {type(schedule).__name__}")
    budget = None if memory is None else parse_bytes(memory)
    if schedule is None:
        schedule = "revolve" if snapshots is not None else "segments" if segments is not None else "optimal"
    given = {"segments": segments, "snapshots": snapshots, "memory": memory}
    useful = _USEFUL[schedule] if isinstance(schedule, str) else ()
    for name, value in given.items():
        if value is not None and name not in useful:
            what = f"`schedule` (={schedule!r})" if isinstance(schedule, str) else "a Schedule"
            raise ValueError(f"checkpoint: `{name}` (={value!r}) does not go with {what}")
    if schedule == "optimal" and budget is None:
        raise ValueError("checkpoint: `schedule` (='optimal') needs `memory`: the bytes that it may take, for instance '64MB'")
    if schedule == "segments" and segments is None and budget is None:
        raise ValueError("checkpoint: `schedule` (='segments') needs `segments` or `memory`")
    return Wishes(segments, schedule, snapshots, budget)


def _count(name: str, value: Any) -> int | None:
    """`value` as a number of something, if it is given. Raises `ValueError`."""
    found = None if value is None else whole(value, least=1)
    if found is None and value is not None:
        raise ValueError(f"checkpoint: `{name}` (={value!r}) must be a positive integer")
    return found


_USEFUL = {
    "optimal": ("memory",),
    "segments": ("segments", "memory"),
    "sqrt": (),
    "revolve": ("snapshots", "memory"),
    "mixed": ("snapshots", "memory"),
}
"""The options that say something to each schedule."""


def layers_of(function: Any) -> list[Any]:
    """The layers of a `Sequential`, those of the plain ones inside it in their places, or the functions of a list."""
    if not isinstance(function, Sequential):
        return list(function)
    return [layer for part in function for layer in (layers_of(part) if _is_plain(part) else [part])]


def _is_plain(module: Any) -> bool:
    """Whether calling a module is calling its parts one after another: a `Sequential` without hooks or a `forward` of its own."""
    return isinstance(module, Sequential) and type(module).forward is Sequential.forward and "forward" not in module.__dict__


def is_chain(function: Any) -> bool:
    """Whether `function` is something to go through layer by layer."""
    return _is_plain(function) or isinstance(function, list | tuple)


def choose(function: Any, layers: Sequence[Any], x: Any, wanted: Wishes, *, measure: bool = False) -> Schedule:
    """The schedule for `layers` on inputs like `x`; one for a network is kept for its next call.

    Raises `MemoryBudgetError` for a budget that no schedule keeps.
    """
    if isinstance(wanted.schedule, Schedule):
        if sum(wanted.schedule.groups) != len(layers):
            raise ValueError(
                f"checkpoint: `schedule` is one for {sum(wanted.schedule.groups)} layers, and there are {len(layers)}: make it with "
                f"`checkpoint_schedule` for this network"
            )
        return wanted.schedule
    kept = _kept.setdefault(function, {}) if isinstance(function, Module) else {}
    setting = tuple(_signature(layers, x))
    signature = (wanted, measure, setting)
    found = kept.get(signature)
    if found is None:
        if len(kept) >= KEPT:
            kept.clear()
        found = kept[signature] = _chosen(_Candidates(layers, x, _sizes_for(function, setting)), wanted, measure)
    return found


def _sizes_for(function: Any, setting: Hashable) -> dict[tuple[int, ...], Sizes]:
    """What is known of the steps of `function` in this setting, by the layers in each."""
    if not isinstance(function, Module):
        return {}
    before = _measured.get(function)
    if before is None or before[0] != setting:
        before = _measured[function] = setting, {}
    return before[1]


def _signature(layers: Sequence[Any], x: Any) -> Iterator[Hashable]:
    """What a schedule depends on, one after the other: tuples of it would be more objects than the records of small layers."""
    for leaf in tree.flatten(x)[0]:
        if isinstance(leaf, Boxed) or is_array(leaf):
            yield tuple(leaf.shape), leaf.dtype, isinstance(leaf, Boxed) and leaf.carried is not None
        else:
            yield type(leaf).__name__
    for layer in layers:
        yield id(layer)
        if isinstance(layer, Module):
            for module in layer.modules():
                yield id(module)
                yield module.training
            for parameter in layer._slots().now():
                yield parameter.primal.shape
                yield parameter.carried is None


def _units(layers: Sequence[Any]) -> list[int]:
    """Layers that cannot be parted, by their number: one that works in place goes with what makes its input, which it changes."""
    units: list[int] = []
    for layer in layers:
        if units and getattr(layer, "inplace", False) is True:
            units[-1] += 1
        else:
            units.append(1)
    return units


def _merged(units: Sequence[int], groups: Sequence[int]) -> list[int]:
    """The layers in groups of so many units each."""
    rest = iter(units)
    return [sum(next(rest) for _ in range(count)) for count in groups]


class _Candidates:
    """Schedules for some layers; what the steps of one cost is measured when it is asked for."""

    def __init__(self, layers: Sequence[Any], x: Any, known: dict[tuple[int, ...], Sizes]) -> None:
        self._layers, self._x, self._known = layers, x, known
        self.units = _units(layers)

    def measured(self, groups: Sequence[int]) -> Sizes:
        """What steps of so many layers each cost."""
        key = tuple(groups)
        if key not in self._known:
            self._known[key] = measured(grouped(self._layers, groups), self._layers, self._x)
        return self._known[key]

    def schedule(self, name: str, actions: Sequence[Action], groups: Sequence[int], measure: bool) -> Schedule:
        """One, with sizes if wanted."""
        return Schedule(name, actions, groups, self.measured(groups) if measure else None)

    def balanced(self, count: int) -> list[int]:
        """Layers in at most `count` groups of consecutive units that are as alike as can be, in the bytes that they keep."""
        weights = [size.residual + size.record for size in self.measured(self.units).steps]
        return _merged(self.units, _balanced(weights, count))


def _chosen(candidates: _Candidates, wanted: Wishes, measure: bool) -> Schedule:
    count = len(candidates.units)
    name = wanted.schedule
    assert isinstance(name, str)
    if not count:
        raise ValueError("checkpoint: there is no layer to call")
    if name == "optimal":
        assert wanted.memory is not None
        return _optimal(candidates, wanted.memory)
    if wanted.segments is not None and wanted.segments > count:
        raise ValueError(f"checkpoint: `segments` (={wanted.segments}) must be at most {count}, the layers that can be parted")
    if wanted.memory is not None:
        return _within(candidates, wanted)
    if name == "segments":
        assert wanted.segments is not None
        groups = named.as_pytorch(count, wanted.segments)
    elif name == "sqrt":
        groups = named.evenly(count, round(count**0.5))
    else:
        groups = [1] * count
    return _named(candidates, name, _merged(candidates.units, groups), wanted.snapshots, measure)


def _named(candidates: _Candidates, name: str, groups: Sequence[int], snapshots: int | None, measure: bool) -> Schedule:
    steps = len(groups)
    if name in named.LIBRARY:
        actions = named.from_library(name, steps, snapshots or named.usual_snapshots(steps))
    else:
        actions = named.segmented(steps)
    return candidates.schedule(name, actions, groups, measure)


def _optimal(candidates: _Candidates, memory: int) -> Schedule:
    units = candidates.units
    groups = units if len(units) <= optimal.STEPS else candidates.balanced(optimal.STEPS)
    sizes = candidates.measured(groups)
    return Schedule("optimal", optimal.cheapest(sizes, memory), groups, sizes)


def _within(candidates: _Candidates, wanted: Wishes) -> Schedule:
    """The cheapest of the schedules of one name that fit, over groups of layers and numbers of snapshots."""
    name, memory = wanted.schedule, wanted.memory
    assert isinstance(name, str)
    assert memory is not None
    best: Schedule | None = None
    least: int | None = None
    units = len(candidates.units)
    counts = [wanted.segments] if wanted.segments else [n for n in _COUNTS if n < units] + [min(units, _COUNTS[-1])]
    for count in counts:
        groups = candidates.balanced(count)
        sizes = candidates.measured(groups)
        for snapshots in _numbers(name, wanted.snapshots, len(groups)):
            if name in named.LIBRARY:
                actions = named.from_library(name, len(groups), snapshots)
            else:
                actions = named.segmented(len(groups))
            found = Schedule(name, actions, groups, sizes)
            peak, cost = found.peak, found.cost
            assert peak is not None
            assert cost is not None
            least = peak if least is None else min(least, peak)
            if peak <= memory:
                if best is None or cost < best.cost:  # type: ignore[operator]  # it has sizes
                    best = found
                break  # fewer snapshots cost more
    if best is None:
        assert least is not None
        raise optimal.too_small(memory, least)
    return best


_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
"""Numbers of groups that are tried."""


def _numbers(name: str, snapshots: int | None, steps: int) -> list[int]:
    """Numbers of snapshots to try, the largest first."""
    if name not in named.LIBRARY:
        return [0]
    return [snapshots] if snapshots else list(range(max(1, steps - 1), 0, -1))


def _balanced(weights: Sequence[int], count: int) -> list[int]:
    """Sizes of at most `count` groups of consecutive weights, such that the heaviest group is as light as can be."""
    low, high = max(weights), sum(weights)
    while low < high:
        bound = (low + high) // 2
        if len(_filled(weights, bound)) <= count:
            high = bound
        else:
            low = bound + 1
    return _filled(weights, low)


def _filled(weights: Sequence[int], bound: int) -> list[int]:
    """Groups filled one after another up to `bound`, from the end, so that the last, which is not run again, is full."""
    groups: list[int] = []
    load = bound + 1
    for weight in reversed(weights):
        if load + weight > bound:
            groups.insert(0, 0)
            load = 0
        groups[0] += 1
        load += weight
    return groups
