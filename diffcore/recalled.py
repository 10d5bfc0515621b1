"""Calls of kernels and of their rules on shapes, remembered: what one came to once, it comes to whenever it meets operands like those.

A network calls a few kernels on the same shapes over and over, and a plan runs the network many times. What the ledger is told in such a
call (operations, the buffers that come and go, what is left) depends on the shapes, dtypes and strides of the operands, on which of them
share memory, and on the parameters; all of these are the key. So a call is run under a ledger of its own, what that has booked is told
to the one that is open as one deed, and told again when the call is met again. The peak comes to the same byte: within a call nothing
older is freed, so the most that is alive is what was alive before, and the most that the call itself had.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import namespace
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels.record import Kernel, registered
from diffcore.ledger import Deed, Ledger, Storage, state

CALLS = 1 << 14
"""Calls that are remembered at most."""

_new = object.__new__
_PLAIN = frozenset((int, float, bool, str, type(None), type))


class Unlike(Exception):
    """Something of which it cannot be told whether another is alike."""


class _Leaf(NamedTuple):
    """An array of a result: of the memory of operand `of`, or of the made buffer `made`; `owned` if the buffer was made for it."""

    of: int | None
    made: int
    shape: tuple[int, ...]
    dtype: Any
    strides: tuple[int, ...] | None
    owned: bool


class _Same(NamedTuple):
    """A result that is an operand itself, or (`before`) the array made as so many were made before it."""

    number: int
    before: bool


class _Call(NamedTuple):
    """What a call came to: the deed, the bytes and roles of the buffers that are left, and the tree of what it made."""

    deed: Deed
    buffers: tuple[tuple[int, str], ...]
    made: Any


class Recalled:
    """The calls that ledgers with this for their `recalled` have met.

    `work` names what is being run, for whoever remembers more of it than calls: equal names stand for the same program on the same shapes.
    """

    def __init__(self) -> None:
        self.work: Hashable = None
        self._calls: dict[Hashable, _Call | None] = {}
        self._of_work: dict[Hashable, dict[Any, Any]] = {}
        self._kernels = registered()

    @staticmethod
    def of_open() -> Recalled:
        """What the open ledger recalls, or else nothing yet."""
        ledger = state.ledger
        return Recalled() if ledger is None or ledger.recalled is None else ledger.recalled

    def of_work(self) -> dict[Any, Any]:
        """What is remembered of the work that is being run; empty and kept nowhere where that has no name."""
        return {} if self.work is None else self._of_work.setdefault(self.work, {})

    def result(self, kernel: Kernel, compute: Callable[..., Any], operands: Any, params: dict[str, Any]) -> Any:
        """What `compute` makes of `operands`, booked in the open ledger."""
        ledger: Any = state.ledger
        try:
            key, reports = self._key(ledger, kernel, compute, operands, params)
        except Unlike:
            return compute(namespace(operands), *operands, **params)

        def work() -> Any:
            result = compute(np, *operands, **params)
            return (result, *[tuple(params[name]) for name in reports]) if reports else result

        known, made = self.once(ledger, key, operands, work)
        if not reports:
            return made
        if known:
            for name, report in zip(reports, made[1:], strict=True):
                params[name][:] = report
        return made[0]

    def check(self, kernel: Kernel) -> None:
        """Raise `Unlike` for a kernel whose rules may do anything: one of a user's own, or one that stands for a run."""
        if self._kernels.get(kernel.name) is not kernel:
            raise Unlike

    def once(self, ledger: Any, key: Hashable, arrays: Any, work: Callable[[], Any]) -> tuple[bool, Any]:
        """Whether a call on `arrays` is known, and the tree of what it makes: anew and booked if so, else what `work()` returns.

        That is remembered; what no tree can be told of is not, and is run each time.
        """
        call = self._calls.get(key, _MISSING)
        if call is None:
            return False, work()
        if call is not _MISSING:
            ledger.redo(call.deed)
            return True, _built(call.made, arrays, [_booked(nbytes, role, ledger) for nbytes, role in call.buffers], [])
        recorder = Recorder(ledger)
        try:
            made = work()
        finally:
            deed = recorder.close()
        self._remember(ledger, key, arrays, deed, made)
        return False, made

    def _remember(self, ledger: Any, key: Hashable, arrays: Any, deed: Deed, made: Any) -> None:
        """Remember a call that has been made under a `Recorder`: `made` is the tree of what it made of `arrays`."""
        if len(self._calls) >= CALLS:
            self._calls.clear()
        buffers: list[Storage] = []
        self._calls[key] = None
        try:
            template = _template(made, arrays, buffers, [])
        except Unlike:
            return
        if sum(storage.nbytes for storage in buffers) == sum(nbytes for _, nbytes in deed.left):  # else something else holds a buffer
            for storage in buffers:
                storage.ledger = ledger
            self._calls[key] = _Call(deed, tuple((storage.nbytes, storage.role) for storage in buffers), template)

    def _key(
        self, ledger: Any, kernel: Kernel, compute: Callable[..., Any], operands: Any, params: dict[str, Any]
    ) -> tuple[Hashable, list[str]]:
        """What the call depends on, and the names of the lists that it reports into. Raises `Unlike`."""
        self.check(kernel)
        if not params:
            return (compute, state.role, traits(ledger, operands)), []
        reports, given = list[str](), list[Hashable]()
        for name, value in params.items():
            kind = value.__class__
            if kind in _PLAIN:
                given.append((name, kind, value))
            elif kind is list and not value:
                reports.append(name)
            else:
                given.append((name, frozen(value)))
        return (compute, state.role, traits(ledger, operands), tuple(given), tuple(reports)), reports


def traits(ledger: Any, operands: Any) -> Hashable:
    """What a call depends on in its operands, arrays on shapes among them and plain values. Raises `Unlike`."""
    key: list[Any] = [ledger.compiled, ledger.works, ledger._nominal > 0]
    storages: list[Any] = []
    for x in operands:
        if x.__class__ is AbstractArray:
            key.append((x.shape, x.dtype, x.strides, x.base is None))
            storages.append(x.storage)
        elif x.__class__ in _PLAIN:
            key.append((x.__class__, x))
        else:
            raise Unlike
    if not storages:
        raise Unlike
    if len(storages) == 2:
        key.append(storages[0] is storages[1])
    elif len(storages) > 2:
        key.append(tuple([storages.index(storage) for storage in storages]))
    if ledger.works:
        key.append(tuple([storage.nbytes for storage in storages]))
    return tuple(key)


NEVER: Any = object()
"""What stands for a result of which no tree can be told."""
_MISSING: Any = object()


def frozen_params(params: dict[str, Any]) -> Hashable:
    """Parameters of a call as its rules see them, which read no lists."""
    return tuple([(name, frozen(value)) for name, value in params.items() if value.__class__ is not list])


def frozen(value: Any) -> Hashable:
    """A parameter with its types, so that 1, 1.0 and True are not alike."""
    if value.__class__ in _PLAIN:
        return value.__class__, value
    if isinstance(value, tuple):
        kinds = tuple(map(type, value))
        return (value, kinds) if _PLAIN.issuperset(kinds) else tuple([frozen(part) for part in value])
    if isinstance(value, np.dtype):
        return value
    raise Unlike


def _booked(nbytes: int, role: str, ledger: Ledger) -> Storage:
    """A buffer that is booked already."""
    storage: Storage = _new(Storage)
    storage.nbytes, storage.role, storage.ledger, storage.number = nbytes, role, ledger, 0
    storage.passed, storage.fetched = ledger.passed, (0, 0)
    return storage


def _built(template: Any, operands: Any, buffers: list[Storage], made: list[AbstractArray]) -> Any:
    """A result anew; `made` are the arrays that were made for it so far."""
    kind = template.__class__
    if kind is _Leaf:
        of, number, shape, dtype, strides, owned = template
        storage = buffers[number] if of is None else operands[of].storage
        array: AbstractArray = _new(AbstractArray)
        array.shape, array.dtype, array.strides, array.storage = shape, dtype, strides, storage
        array.base = None if owned else storage
        made.append(array)
        return array
    if kind is tuple or kind is list:
        return kind([_built(part, operands, buffers, made) for part in template])
    return (made if template.before else operands)[template.number] if kind is _Same else template


def _template(result: Any, operands: Any, buffers: list[Storage], made: list[AbstractArray]) -> Any:
    """What `_built` makes a result like this of."""
    kind = result.__class__
    if kind is tuple or kind is list:
        return kind([_template(part, operands, buffers, made) for part in result])
    if kind is AbstractArray:
        for arrays in (operands, made):
            same = next((i for i, x in enumerate(arrays) if x is result), None)
            if same is not None:
                return _Same(same, arrays is made)
        made.append(result)
        of = next((i for i, x in enumerate(operands) if getattr(x, "storage", None) is result.storage), None)
        if of is None and result.storage not in buffers:
            buffers.append(result.storage)
        return _Leaf(of, 0 if of is not None else buffers.index(result.storage), *_layout(result))
    if kind in _PLAIN:
        return result
    raise Unlike


def _layout(x: AbstractArray) -> tuple[Any, ...]:
    return x.shape, x.dtype, x.strides, x.base is None


class Recorder(Ledger):
    """Books one call. Once it is closed, what is still to come (buffers that are freed later) goes to the ledger that it stands in for."""

    def __init__(self, outer: Any) -> None:
        super().__init__(compiled=outer.compiled, works=outer.works)
        self.recalled = outer.recalled
        self._nominal, self.passed = outer._nominal, outer.passed
        self._open, self._for = True, outer
        self._counts = False
        self._made_bytes = 0
        state.ledger = self

    def close(self) -> Deed:
        """Tell the other ledger."""
        outer, self._open, phase = self._for, False, state.phase
        state.ledger = outer
        deed = Deed(
            self._counts,
            self.flops[phase],
            self.transcendentals[phase],
            self.products.total(),
            self.surplus[phase],
            tuple(self.work.items()),
            self._made_bytes,
            self._count,
            self.peak,
            tuple(self.peak_roles.items()),
            tuple((role, nbytes) for role, nbytes in self.live.items() if nbytes),
        )
        outer.redo(deed)
        return deed

    def book(self, flops: int, transcendentals: int) -> None:
        if not self._nominal:
            self._counts = True
            self.flops[state.phase] += flops * self.repeats
            self.transcendentals[state.phase] += transcendentals * self.repeats

    def redo(self, deed: Deed) -> None:
        self._made_bytes += deed.made * self.repeats
        super().redo(deed)

    def _made(self, role: str, nbytes: int) -> int:
        if not self._open:
            return self._for._made(role, nbytes)
        self._made_bytes += nbytes * self.repeats
        return super()._made(role, nbytes)

    def _change(self, role: str, nbytes: int) -> None:
        if not self._open:
            self._for._change(role, nbytes)
        else:
            super()._change(role, nbytes)

    def _move(self, old: str, new: str, nbytes: int) -> None:
        if not self._open:
            self._for._move(old, new, nbytes)
        else:
            super()._move(old, new, nbytes)

    def _observe(self, role: str) -> None:
        if self._total >= self.peak:
            self.peak, self.peak_roles = self._total, dict(self.live)


class Unbooked(Ledger):
    """A ledger that books nothing, under which calls that are `recalled` are not run: for programs of which only the result is asked."""

    def __init__(self, recalled: Recalled) -> None:
        super().__init__()
        self.recalled = recalled

    def redo(self, deed: Deed) -> None:
        """Nothing is booked."""

    def book(self, flops: int, transcendentals: int) -> None:
        """Nothing is booked."""

    def book_product(self, flops: int) -> None:
        """Nothing is booked."""

    def _made(self, role: str, nbytes: int) -> int:
        return 0

    def _change(self, role: str, nbytes: int) -> None:
        """Nothing is booked."""

    def _move(self, old: str, new: str, nbytes: int) -> None:
        """Nothing is booked."""
