"""What the steps of a chain cost, read off runs on abstract arrays, and the bytes alive while a schedule is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from diffcore import tree
from diffcore.arrays import is_array
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import Boxed, clock, new_level
from diffcore.ledger import Ledger, Storage
from diffcore.nn.module import Module
from diffcore.nn.registry import standing
from diffcore.replay import Moment
from diffcore.seeds import array_under
from revdiff import tape
from revdiff.checkpointing.segment import Invocation, Segment
from revdiff.tensor import Tensor

if TYPE_CHECKING:
    from revdiff.checkpointing.schedule import Action


class Cost(NamedTuple):
    """Operations of one run of a step."""

    flops: int
    transcendentals: int

    @property
    def total(self) -> int:
        """Operations of all kinds."""
        return self.flops + self.transcendentals


class Size(NamedTuple):
    """What one step costs: operations without residuals (`advancing`) and with them, which may be packed (`recording`); and bytes.

    `residual` are the bytes that its backward pass needs besides the values before and after it, of which `keeps_before` and `keeps_after`
    tell. `advance`, `record` and `reverse` are the most bytes alive at once beyond the value before it, while it is run without and with
    residuals, and beyond residuals in its backward pass: there with the cotangents before and after it, without gradients of parameters.
    """

    advancing: Cost
    recording: Cost
    residual: int
    keeps_before: bool
    keeps_after: bool
    advance: int
    record: int
    reverse: int


class Sizes(NamedTuple):
    """What a chain costs: its `steps`, and between them the bytes of value `i` and of its cotangent.

    `bases[i]` is the first value that value `i` shares memory with. That of the input is the caller's, and counts as nothing.
    """

    steps: tuple[Size, ...]
    values: tuple[int, ...]
    bases: tuple[int, ...]
    cotangents: tuple[int, ...]

    def held(self, values: set[int], recorded: set[int]) -> int:
        """Bytes of some values and of the residuals of some steps, what they share counted once."""
        bases = {self.bases[i] for i in values}
        for i in recorded:
            if self.steps[i].keeps_before:
                bases.add(self.bases[i])
            if self.steps[i].keeps_after:
                bases.add(self.bases[i + 1])
        return sum(self.values[i] for i in bases) + sum(self.steps[i].residual for i in recorded)

    def walk(self, actions: Sequence[Action]) -> Iterator[tuple[Action, int]]:
        """Every action of a schedule with the most bytes alive at once during it."""
        from revdiff.checkpointing.schedule import Verb, Walk

        reversing = False
        for action, state in Walk.along(actions, len(self.steps)):
            verb, start, stop = action
            recorded = set(state.recorded)
            most = 0
            if verb is Verb.REVERSE:
                reversing = True
                for i in reversed(range(start, stop)):
                    most = max(most, self.held(state.stored, recorded) + self.steps[i].reverse)
                    recorded.discard(i)
            elif verb in (Verb.ADVANCE, Verb.RECORD):
                waiting = self.cotangents[state.pending] if reversing else 0
                for i in range(start, stop):
                    live = self.held({*state.stored, i}, recorded) + waiting
                    most = max(most, live + (self.steps[i].advance if verb is Verb.ADVANCE else self.steps[i].record))
                    if verb is Verb.RECORD:
                        recorded.add(i)
            else:
                most = self.held(state.stored if state.at < 0 else {*state.stored, state.at}, recorded)
                most += self.cotangents[state.pending] if reversing else 0
            yield action, most


class Meter(Ledger):
    """A ledger that only knows totals: `highest(since)` is the largest since an event."""

    def __init__(self) -> None:
        super().__init__()
        self.totals: list[int] = []
        self.numbers: list[int] = []
        self._before = Cost(0, 0)

    @property
    def total(self) -> int:
        """Bytes alive now."""
        return self._total

    @property
    def cost(self) -> Cost:
        """Operations since the start."""
        return Cost(self.flops.total() - self._before.flops, self.transcendentals.total() - self._before.transcendentals)

    def _change(self, role: str, nbytes: int) -> None:
        self._total += nbytes
        if nbytes > 0:
            self.totals.append(self._total)
            self.numbers.append(self._count)

    def _move(self, old: str, new: str, nbytes: int) -> None:
        """Roles are not asked for."""

    def start(self) -> None:
        """Forget what was."""
        self.totals, self.numbers = [self._total], [self._count]
        self._before = Cost(self.flops.total(), self.transcendentals.total())

    def highest(self, without: Sequence[Storage] = ()) -> int:
        """The most bytes alive at once since the start, some buffers that are still there left out."""
        if not without:
            return max(self.totals)
        born = {storage.number: storage.nbytes for storage in without}
        most = left_out = 0
        for total, number in zip(self.totals, self.numbers, strict=True):
            left_out += born.pop(number, 0)
            most = max(most, total - left_out)
        return most


class _Leaf(NamedTuple):
    """What is known of a value that is an array: whether it `carries` a derivative."""

    shape: tuple[int, ...]
    dtype: Any
    carries: bool
    tensor: bool


def measured(steps: Sequence[Callable[[Any], Any]], layers: Sequence[Any], x: Any) -> Sizes:
    """What a chain of `steps`, made of `layers`, costs for inputs like `x`. Nothing is computed, and nothing changes.

    Raises `UnknownCostError` or `AbstractValueError` for a step that does not run on abstract arrays.
    """
    modules = [layer for layer in layers if isinstance(layer, Module)]
    tensors = [t for t in tree.flatten(x)[0] if isinstance(t, Boxed)]
    tensors += [t for module in modules for t in (*module._slots().now(), *module._places("_buffers").now())]
    level = max((t.level for t in tensors), default=0) if all(t.engine == Tensor.engine for t in tensors) else new_level()
    meter = Meter()
    mode = tape.mode
    outer = mode.run, mode.enabled
    with Moment().again(), ExitStack() as stack:
        shadows: dict[int, Tensor] = {}
        for module in modules:
            for slots in (module._slots(), module._places("_buffers")):
                stack.enter_context(standing(slots, [_shadow_of(p, level, shadows) for p in slots.now()]))
        mode.run, mode.enabled = None, True
        try:
            with meter:
                return _sizes(steps, x, level, meter)
        finally:
            mode.run, mode.enabled = outer


def _shadow_of(tensor: Any, level: int, shadows: dict[int, Tensor]) -> Tensor:
    if id(tensor) not in shadows:
        array = array_under(tensor)
        shape, dtype = tuple(array.shape), array.dtype
        made = AbstractArray(shape, dtype)
        shadows[id(tensor)] = Tensor(made, level, tape.leaf(shape, dtype) if tensor.carried is not None else None)
    return shadows[id(tensor)]


def _sizes(steps: Sequence[Callable[[Any], Any]], x: Any, level: int, meter: Meter) -> Sizes:
    leaves, build = tree.flatten(x)
    known = [_known(leaf) for leaf in leaves]
    found: list[Size] = []
    values, bases, cotangents = [0], [0], [0]
    for i, step in enumerate(steps):
        size, known, build, new, shares = _measure(step, known, build, level, meter)
        found.append(size)
        values.append(new)
        bases.append(bases[i] if shares else i + 1)
        cotangents.append(sum(_nbytes(leaf) for leaf in known if isinstance(leaf, _Leaf) and leaf.carries))
    return Sizes(tuple(found), tuple(values), tuple(bases), tuple(cotangents))


def _known(leaf: Any) -> Any:
    array = array_under(leaf)
    if not is_array(array):
        return leaf
    return _Leaf(tuple(array.shape), array.dtype, isinstance(leaf, Boxed) and leaf.carried is not None, isinstance(leaf, Boxed))


def _nbytes(leaf: _Leaf) -> int:
    size = leaf.dtype.itemsize
    for n in leaf.shape:
        size *= n
    return int(size)


def _made(leaf: Any, level: int) -> Any:
    if not isinstance(leaf, _Leaf):
        return leaf
    array = AbstractArray(leaf.shape, leaf.dtype)
    return Tensor(array, level, tape.leaf(leaf.shape, leaf.dtype) if leaf.carries else None) if leaf.tensor else array


def _storages(leaves: Sequence[Any]) -> dict[int, Storage]:
    arrays = [array_under(leaf) for leaf in leaves]
    return {id(array.storage): array.storage for array in arrays if isinstance(array, AbstractArray)}


def _measure(step: Callable[[Any], Any], known: list[Any], build: Any, level: int, meter: Meter) -> Any:
    """The size of one step, what is known of its value and how that is built, its bytes, and whether it shares memory with the input."""
    leaves = [_made(leaf, level) for leaf in known]
    x = build(leaves)
    before = _storages(leaves)
    base = meter.total

    # without residuals
    meter.start()
    invocation = Invocation(step, (x,), {}, Moment(), next(clock))
    outs, rebuild = tree.flatten(Segment().first(invocation))
    advance = meter.highest() - base
    advancing = meter.cost
    del outs, invocation

    # with residuals
    meter.start()
    outs, rebuild = tree.flatten(step(x))
    record, recording = meter.highest() - base, meter.cost
    after = _storages(outs)
    shares = bool(after) and set(after) <= set(before)
    new = sum(s.nbytes for key, s in after.items() if key not in before)
    after_known = [_known(out) for out in outs]
    roots = [out.carried for out in outs if isinstance(out, Boxed) and out.carried is not None and not out.carried.is_leaf]
    live = meter.total
    del outs, after
    keeps_after = new > 0 and live - meter.total < new
    residual = meter.total - base - (new - (live - meter.total))
    mine = {leaf.carried for leaf in leaves if isinstance(leaf, Boxed)}
    live, old = meter.total, sum(s.nbytes for s in before.values())
    del x, leaves, before
    keeps_before = live - meter.total < old

    # back
    reverse = 0
    if roots:
        held = meter.total
        meter.start()
        gradients = tape.backward(roots, [AbstractArray(root.shape, root.dtype) for root in roots])
        own = _storages([g for node, g in gradients.items() if node not in mine])
        reverse = meter.highest(list(own.values())) - held
    size = Size(advancing, recording, residual, keeps_before, keeps_after, advance, record, reverse)
    return size, after_known, rebuild, new, shares
