"""The seedings of a call: one run with all directions, or several that keep a memory budget, by a plan that is made once.

A plan is made by running the function on abstract arrays, so it depends on the shapes, dtypes and modes of the arguments, not on their
values. It is kept for further calls with arguments like these. A function that has taken another path since then (because of something
that is no argument) is noticed by its seeds, and planned anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from diffcore import tree
from diffcore.arrays import is_array, is_mutable, is_traced, random
from diffcore.arrays.abstract import AbstractArray
from diffcore.budget import parse_bytes
from diffcore.dispatch import Boxed, new_level
from diffcore.errors import MemoryBudgetError
from diffcore.ledger import label, repeated
from diffcore.nn.module import Module
from diffcore.recalled import Recalled
from diffcore.replay import Moment
from diffcore.seeds import array_under, ones_of
from diffcore.transforms import Arguments, as_primal, positions
from dualdiff import collecting, pushing
from dualdiff.chunks import Chunks, Windows, expanded, meet, plan
from dualdiff.costs import preferred
from dualdiff.forms import IDENTITY
from dualdiff.seeding import NOTHING, Key, LeftPlan, Seeding, Variable
from dualdiff.tensor import Tensor

KEPT = 32
"""Plans that one transform keeps at most."""

_R = TypeVar("_R")


def call(
    function: Callable[..., Any],
    arguments: Arguments,
    variables: list[Tensor],
    level: int,
    constant: Callable[[Any], Any] = lambda array: array,
) -> Any:
    """The function on tensors of `level`, with tangents carried whatever the surrounding `no_grad` says."""
    outer, pushing.mode.enabled = pushing.mode.enabled, True
    try:
        if type(variables) is _Lifted:
            return variables.call(function, arguments, level)
        return arguments.call(function, variables, lambda array: Tensor(constant(array), level))
    finally:
        pushing.mode.enabled = outer


def seeded(arguments: Arguments, level: int, seeding: Seeding, *, lift: bool = False) -> tuple[list[Tensor], list[Variable]]:
    """Variables of `level` that carry the identity, windowed as `seeding` says; with `lift` the parameters themselves where that can be."""
    seeds = []
    for i, primal in enumerate(arguments.primals):
        whole = Variable(primal.shape, seeding, ("variable", i))
        seeds.append(whole if seeding.windows is None else Variable(whole.shape, seeding, whole.key, whole))
    parameters = arguments.lifted(Tensor) if lift else None
    if parameters:
        return _Lifted(parameters, seeds), seeds
    return [Tensor._seeded(primal, level, seed) for primal, seed in zip(arguments.primals, seeds, strict=True)], seeds


class _Lifted(list[Tensor]):
    """Parameters that are raised to a transform's level for the time of a call, which is cheaper than stand-ins."""

    def __init__(self, parameters: list[Tensor], seeds: list[Variable]) -> None:
        self.parameters, self.seeds = parameters, seeds

    def call(self, function: Callable[..., Any], arguments: Arguments, level: int) -> Any:
        """The function on the parameters, which are put down again."""
        before = [parameter.carried for parameter in self.parameters]
        for parameter, seed in zip(self.parameters, self.seeds, strict=True):
            parameter.level, parameter.carried = level, {seed: IDENTITY}
        try:
            out = arguments.call(function, self.parameters, lambda array: Tensor(array, level))
            if type(out) is Tensor:
                return out
            return tree.map(lambda y: Tensor(y.primal, level, y.carried) if any(y is p for p in self.parameters) else y, out)
        finally:
            for parameter, carried in zip(self.parameters, before, strict=True):
                parameter.level, parameter.carried = 0, carried


Plant = Callable[[Arguments, int, Seeding], tuple[list[Tensor], list[Variable]]]
"""How variables are seeded: `seeded`, or in its manner with fewer directions."""


class Run(NamedTuple):
    """One run of a function: the directions planted, and for all runs but the first what stands as it did when the evaluation started."""

    seeding: Seeding
    start: _Start | None = None

    def call(self, function: Callable[..., Any], arguments: Arguments, variables: list[Tensor], level: int) -> Any:
        """The function on `variables`; a further run draws the same random numbers and moves no state."""
        if self.start is None:
            return call(function, arguments, variables, level)
        with self.start.again(_copied):
            return call(function, arguments, variables, level)


class Plans:
    """How one transform of `function` seeds its runs: in `mode`, within `memory` bytes unless that is `None`

    Raises `ValueError` for a mode or a budget that is none.
    """

    def __init__(self, function: Callable[..., Any], mode: str, memory: int | str | None, *, gathers: bool = False) -> None:
        self._gathers = gathers
        if mode not in Seeding.MODES:
            raise ValueError(f"seeding (={mode!r}) must be one of {', '.join(map(repr, Seeding.MODES))}")
        self._function, self._mode = function, mode
        self._budget = None if memory is None else parse_bytes(memory)
        self._kept: dict[Hashable, _Plan] = {}
        self._own: dict[Hashable, frozenset[Key] | None] = {}

    def evaluate(self, arguments: Arguments, work: Callable[[Iterable[Run]], _R], plant: Plant = seeded) -> _R:
        """What `work` makes of the runs of one evaluation, in which it seeds the variables by `plant`."""
        if self._budget is None:
            return work((Run(Seeding(self._mode, own=self._chosen(arguments) if self._mode == "auto" and plant is seeded else None)),))
        start = _Start(arguments)
        abstract = any(isinstance(array_under(p), AbstractArray) for p in arguments.primals)
        signature = _signature(arguments)
        kept = self._kept.get(signature) if signature is not None else None
        if kept is not None:
            try:
                return work(kept.runs(start, abstract))
            except LeftPlan:
                start.restore()
        made = self._made(arguments, start, plant)
        if signature is not None:
            _remember(self._kept, signature, made)
        return work(made.runs(start, abstract))

    def _chosen(self, arguments: Arguments) -> frozenset[Key] | None:
        """Which variables have directions of their own, by cost; `None` to go by their numbers.

        Finding out takes about as long as a run, so it is left until arguments like these are met again, except while a function is
        traced, which happens once.
        """
        signature = _signature(arguments)
        if signature is None:
            return None
        if signature in self._own:
            own = self._own[signature]
            if own is not None:
                return own
        elif not any(is_traced(array_under(primal)) for primal in arguments.primals):
            _remember(self._own, signature, None)
            return None
        own = _preferred(self._function, arguments, _Start(arguments))
        _remember(self._own, signature, own)
        return own

    def _made(self, arguments: Arguments, start: _Start, plant: Plant) -> _Plan:
        """Where not all directions fit at once, variables behind sites that meet a kernel that mixes examples (batch norm) have directions
        of their own from the start: a chunk of such a site's directions would turn into all of theirs. `"auto"` falls back to those of all
        parameters where the budget is too small for its choice.
        """
        assert self._budget is not None
        run = _abstract(self._function, arguments, start, plant, gathers=self._gathers)
        own = _preferred(self._function, arguments, start) if self._mode == "auto" and plant is seeded else None
        errors: list[MemoryBudgetError] = []
        first = self._tried(run, self._mode, own, errors)
        if first is not None and first.once:
            return first
        if self._mode != "parameters" and plant is seeded and (behind := expanded(run, self._mode, own)):
            second = self._tried(run, self._mode, behind | (own or frozenset()), errors)
            if second is not None:
                return second
        if first is None and self._mode == "auto":
            first = self._tried(run, "parameters", None, errors)
        if first is None:
            raise min(errors, key=lambda error: error.least) from None
        return first

    def _tried(
        self, run: Callable[[Seeding], Any], mode: str, own: frozenset[Key] | None, errors: list[MemoryBudgetError]
    ) -> _Plan | None:
        """A plan within the budget; None, and one more of the `errors`, where there is none."""
        assert self._budget is not None
        try:
            return _Plan(mode, plan(run, mode, self._budget, own), own)
        except MemoryBudgetError as error:
            errors.append(error.with_traceback(None))  # which holds this frame, and so itself, and arrays until the collector comes by
            return None


def directions(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, seeding: str = "auto"
) -> Callable[..., int]:
    """The function that counts the directions that `value_and_grad` carries, from the shapes of its arguments; nothing is computed.

    One per scalar of each variable, one per feature of each site; where a kernel mixes the examples that shared a site's directions,
    the variables behind the site count as well, because their own directions are carried from there on.
    """
    if seeding not in Seeding.MODES:
        raise ValueError(f"seeding (={seeding!r}) must be one of {', '.join(map(repr, Seeding.MODES))}")
    argnums = positions("directions", argnums)

    def counted(*args: Any) -> int:
        arguments = Arguments("directions", args, argnums)
        start = _Start(arguments)
        run = _abstract(function, arguments, start)
        own = _preferred(function, arguments, start) if seeding == "auto" else None
        sizes, recalled = dict[Key, int](), Recalled.of_open()
        # What is seeded, then what sites turn into, where there are any.
        for planted in (Seeding(seeding, NOTHING, planning=True, own=own), Seeding(seeding, planning=True, own=own)):
            meet(run, planted, recalled)
            if seeding == "parameters":
                return sum((planted.sizes or {}).values())
            sizes |= planted.sizes or {}
        return sum(sizes.values())

    return counted


def _remember(kept: dict[Hashable, Any], signature: Hashable, value: Any) -> None:
    if len(kept) >= KEPT and signature not in kept:
        kept.clear()
    kept[signature] = value


class _Plan:
    """Windows of directions for each run, and the size of every seed that they divide."""

    def __init__(self, mode: str, chunks: Chunks, own: frozenset[Key] | None) -> None:
        self.mode, self.chunks, self.own = mode, chunks.alike, own
        self.sizes = chunks.met
        self.once = chunks.runs == 1

    def runs(self, start: _Start, abstract: bool) -> Iterator[Run]:
        """One after the other, because there may be as many as there are parameters.

        Of `abstract` arrays one of those that are alike stands for all, which would do the same, but for a first one that finds no gradient
        to add to yet.
        """
        first, seen = True, set[Key]()
        for alike in self.chunks:
            if not abstract or alike.runs == 1:
                for windows in alike.each():
                    yield self._run(windows, None if first else start)
                    first = False
            else:
                alone = first or not seen.issuperset(alike.windows)
                if alone:
                    yield self._run(alike.windows, None if first else start)
                with repeated(alike.runs - alone):
                    yield self._run(alike.at(alike.runs - 1), start)
                first = False
            seen.update(alike.windows)

    def _run(self, windows: Windows, start: _Start | None) -> Run:
        return Run(Seeding(self.mode, windows, known=self.sizes, own=self.own), start)


class _Buffer(NamedTuple):
    """A buffer: where it is registered, the tensor there, its array, and a copy of that where it can change in place."""

    registry: dict[str, Any]
    name: str
    tensor: Any
    array: Any
    copy: Any

    def put(self, tensor: Any, array: Any) -> None:
        """Register `tensor` in its place, holding `array`. (Noted by nobody: the structure stays as it is.)"""
        dict.__setitem__(self.registry, self.name, tensor)
        tensor.primal = array


class _Start:
    """What a function may change besides its result, as it is when an evaluation starts: the random numbers, and the buffers of modules.

    All runs draw the same numbers (dropout masks) and see the same buffers; what the first run leaves in these stays.
    """

    def __init__(self, arguments: Arguments) -> None:
        self._moment, self._position = Moment(), random.position()
        self._buffers: list[_Buffer] = []
        for module in (m for argument in arguments.args if isinstance(argument, Module) for m in argument.modules()):
            for name, tensor in module._buffers.items():
                if tensor is not None:
                    array = tensor.primal
                    self._buffers.append(_Buffer(module._buffers, name, tensor, array, _copied(array)))

    @contextmanager
    def again(self, made: Callable[[Any], Any]) -> Iterator[None]:
        """For a further run, on what `made` makes of the buffers' arrays, so that theirs are not touched."""
        now = [(b, b.registry[b.name], b.registry[b.name].primal) for b in self._buffers]
        with self._moment.again():
            try:
                for buffer in self._buffers:
                    buffer.put(type(buffer.tensor)(None), made(buffer.copy))
                yield
            finally:
                for buffer, tensor, array in now:
                    buffer.put(tensor, array)

    def restore(self) -> None:
        """Put everything back as it was, after a run that came to nothing."""
        random.go_to(self._position)
        for buffer in self._buffers:
            if buffer.copy is not buffer.array:
                np.copyto(buffer.array, buffer.copy)
            buffer.put(buffer.tensor, buffer.array)


def _copied(array: Any) -> Any:
    return array.copy() if is_mutable(array) else array


def _signature(arguments: Arguments) -> Hashable | None:
    """What a plan depends on; `None` where an argument cannot be told from others."""
    parts: list[Any] = [(tuple(p.shape), p.dtype) for p in arguments.primals]
    for argument in arguments.args:
        if isinstance(argument, Module):
            parts.append((id(argument), tuple(module.training for module in argument.modules())))
        else:
            leaves, _ = tree.flatten(argument)
            parts.append(tuple((tuple(x.shape), x.dtype) if is_array(x) or isinstance(x, Boxed) else (type(x), x) for x in leaves))
    try:
        hash(signature := tuple(parts))
    except TypeError:
        return None
    return signature


def _abstract(
    function: Callable[..., Any], arguments: Arguments, start: _Start, plant: Plant = seeded, *, gathers: bool = False
) -> Callable[[Seeding], Any]:
    """The function as a program on abstract arrays, for planning; with `gathers` beside the gradients that its runs add up."""

    def run(seeding: Seeding) -> Any:
        level = new_level()
        whole = arguments.primals
        gathered = [_shadow(p) for p in whole] if gathers and seeding.windows else []
        for array in gathered:
            label(array, "gradient")
        arguments.primals = [_shadow(p) for p in whole]
        try:
            with start.again(_shadow):
                tensors, _ = plant(arguments, level, seeding)
                out = call(function, arguments, tensors, level, _shadow)
                return [_delivered(y, level) for y in tree.flatten(out)[0]]
        finally:
            arguments.primals = whole

    return run


def _preferred(function: Callable[..., Any], arguments: Arguments, start: _Start) -> frozenset[Key] | None:
    """Which variables have directions of their own; `None` for a function that looks at values, or otherwise cannot run on shapes alone."""
    whole = arguments.primals
    arguments.primals = [_shadow(p) for p in whole]
    try:
        with start.again(_shadow):
            return preferred(function, arguments, _shadow)
    except Exception:  # whatever is wrong with the function shows when it runs on values
        return None
    finally:
        arguments.primals = whole


def _shadow(primal: Any) -> AbstractArray:
    array = array_under(primal)
    return AbstractArray(tuple(array.shape), array.dtype)


def _delivered(out: Any, level: int) -> Any:
    """What a transform makes of one output, so that a plan sees its buffers too."""
    if not isinstance(out, Tensor) or out.level != level:
        return None
    row = ones_of(out.primal) if math.prod(out.shape) == 1 else None
    return collecting.by_variable(out.carried or {}, out.primal, cotangent=row)


def below(out: Any, level: int) -> Any:
    """What lies under a result of `level`; other values as they are."""
    return out.primal if isinstance(out, Tensor) and out.level == level else as_primal(out)
