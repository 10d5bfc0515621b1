"""The ledger: arithmetic and live bytes of a program, read off a run on abstract arrays.

An abstract array (`diffcore.arrays.abstract`) has a shape and a dtype but no data. numpy's own functions run on it, so the
engines, kernels and rules run unchanged, temporaries included. While a `Ledger` is open, each such call books its
operations and each buffer books its bytes from the moment it is made until Python frees it.

Phases: `primal`, `tangent`, `adjoint`, `recompute`, `update`.
Roles: `parameter`, `input`, `activation`, `residual`, `tangent`, `cotangent`, `gradient`, `optimizer state`, `workspace`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from diffcore import places
from diffcore.places import Place
from diffcore.watch import watch

CONVENTION = (
    "A multiply-add counts 2 operations, every other elementwise operation 1 per element of its result, a reduction 1 per element "
    "it consumes; exp, log, tanh, sqrt and pow are transcendentals, counted apart; copies, casts and views count 0. Sorting n elements "
    "counts n log2 n; of a matrix with n rows, LU (a determinant) counts 2/3 n^3, a solution 2 n^2 per right-hand side more, an inverse "
    "2 n^3, a Cholesky factor 1/3 n^3, a triangular solution n^2 per right-hand side, singular vectors 26 n^3."
)


_Part = TypeVar("_Part")


class _State(threading.local):
    """What the current thread is doing; the engines write `phase`, the abstract arrays read it."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.phase = "primal"
        self.kernel = ""
        self.role = "workspace"
        self.place: Place | None = None


state = _State()


class Entry(NamedTuple):
    """Operations of one kernel (`""` outside of kernels) in one phase, called by one layer (its dotted path, `""` outside of all)."""

    phase: str
    layer: str
    kernel: str
    flops: int
    transcendentals: int


class Work(NamedTuple):
    """What one call does: a numpy function on elements `of` a dtype, or an operation of an engine, a kernel `of` that name.

    `dims` say how much (see `diffcore.arrays.works`); calls that are alike are equal, so that they can be counted.
    """

    function: str
    of: str
    dims: tuple[int, ...]


class Site(NamedTuple):
    """What was going on at a moment: phase, kernel, and the line and layer that called the kernel where the ledger notes places."""

    phase: str
    kernel: str
    place: Place | None


class Storage:
    """One buffer of `nbytes` bytes; arrays that alias it share the object, so it is counted once and until the last dies.

    `number` counts the buffers that its ledger has seen made.
    """

    __slots__ = ("ledger", "nbytes", "number", "role")

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.role = state.role
        self.ledger = state.ledger
        self.number = 0
        if self.ledger is not None:
            self.number = self.ledger._made(self.role, nbytes)

    def relabel(self, role: str) -> None:
        """Book the bytes under another role from now on."""
        if self.ledger is not None and role != self.role:
            self.ledger._move(self.role, role, self.nbytes)
        self.role = role

    def __del__(self) -> None:
        if self.ledger is not None:
            self.ledger._change(self.role, -self.nbytes)


class Ledger:
    """Books operations and live bytes of everything that runs on abstract arrays inside `with Ledger() as ledger:`.

    `flops` and `transcendentals` map phase to count, `by_kernel` maps (phase, kernel) to FLOPs; `timeline` lists `(label, {role: live
    bytes})` after each allocation; `live` maps role to bytes alive now; `peak` is the largest total, `peak_roles` its composition and
    `peak_at` where it was. With `located=True` the line and the layer that call each kernel are noted: `entries(net)` tells operations by
    layer, and `peak_at` has its place. With `works=True` every numpy call and every operation of an engine is counted in `work`.
    """

    convention = CONVENTION

    def __init__(self, *, located: bool = False, works: bool = False) -> None:
        self.located = located
        self.works = works
        self.work: Counter[Work] = Counter()
        self.rehearsal = False
        self.flops: Counter[str] = Counter()
        self.transcendentals: Counter[str] = Counter()
        self.live: Counter[str] = Counter()
        self.timeline: list[tuple[str, dict[str, int]]] = []
        self.peak = 0
        self.peak_roles: dict[str, int] = {}
        self.peak_at = Site("primal", "", None)
        self.peaks: dict[str, int] = {}
        self._booked: dict[tuple[str, Any, str], list[int]] = {}
        self._total = 0
        self._count = 0
        self._outer: tuple[Any, ...] = ()

    def __enter__(self) -> Ledger:
        self._outer = (state.ledger, state.phase, state.kernel, state.role, state.place)
        state.ledger, state.phase, state.kernel, state.role, state.place = self, "primal", "", "workspace", None
        watch.add(1)
        if self.located:
            places.want(1)
        return self

    def __exit__(self, *_: object) -> None:
        state.ledger, state.phase, state.kernel, state.role, state.place = self._outer
        watch.add(-1)
        if self.located:
            places.want(-1)

    @property
    def by_kernel(self) -> Counter[tuple[str, str]]:
        """FLOPs by (phase, kernel)."""
        found: Counter[tuple[str, str]] = Counter()
        for (phase, _, kernel), (flops, _) in self._booked.items():
            found[phase, kernel] += flops
        return found

    def entries(self, net: Any = None) -> list[Entry]:
        """Operations by phase, layer and kernel, in the order in which they were first met. Layers are told by their paths in `net`."""
        paths = {} if net is None else {id(module): path for path, module in net.named_modules()}
        found: dict[tuple[str, str, str], list[int]] = {}
        for (phase, layer, kernel), counts in self._booked.items():
            path = "" if layer is None else paths.get(id(layer()), "")
            total = found.setdefault((phase, path, kernel), [0, 0])
            total[0] += counts[0]
            total[1] += counts[1]
        return [Entry(*key, *counts) for key, counts in found.items()]

    @contextmanager
    def role(self, name: str) -> Iterator[None]:
        """Buffers made inside are booked under `name` unless an engine says otherwise."""
        outer, state.role = state.role, name
        try:
            yield
        finally:
            state.role = outer

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Operations done inside are booked under phase `name` unless an engine says otherwise."""
        outer, state.phase = state.phase, name
        try:
            yield
        finally:
            state.phase = outer

    def book(self, flops: int, transcendentals: int) -> None:
        """Count operations in the current phase and kernel."""
        phase = state.phase
        self.flops[phase] += flops
        self.transcendentals[phase] += transcendentals
        place = state.place
        counts = self._booked.setdefault((phase, None if place is None else place.layer, state.kernel), [0, 0])
        counts[0] += flops
        counts[1] += transcendentals

    def did(self, function: str, of: str, *dims: int) -> None:
        """Count a call."""
        self.work[Work(function, of, dims)] += 1

    @contextmanager
    def rehearsed(self, times: int) -> Iterator[None]:
        """What is done inside stands for as many `times` of it, of which only the calls are counted: the rest is booked by the caller."""
        inner = state.ledger = Ledger(works=True)
        inner.rehearsal = True
        try:
            yield
        finally:
            state.ledger = self
            for work, count in inner.work.items():
                self.work[work] += count * times

    def _made(self, role: str, nbytes: int) -> int:
        """Book a buffer that is made, and number it."""
        if self.works:
            self.did("allocate", "", nbytes)
        self._count += 1
        self._change(role, nbytes)
        return self._count

    def _change(self, role: str, nbytes: int) -> None:
        self.live[role] += nbytes
        self._total += nbytes
        if nbytes > 0:
            self._observe(role)

    def _move(self, old: str, new: str, nbytes: int) -> None:
        self.live[old] -= nbytes
        self.live[new] += nbytes
        self._observe(new)

    def _observe(self, role: str) -> None:
        snapshot = {name: count for name, count in self.live.items() if count}
        self.timeline.append((f"{state.phase} {state.kernel}".rstrip(), snapshot))
        self.peaks[role] = max(self.peaks.get(role, 0), self.live[role])
        if self._total >= self.peak:  # also when a buffer made at the peak is given its role
            self.peak, self.peak_roles = self._total, snapshot
            self.peak_at = Site(state.phase, state.kernel, state.place)


def did(function: str, of: str, *dims: int) -> None:
    """Count a call where the open ledger does."""
    ledger = state.ledger
    if ledger is not None and ledger.works:
        ledger.did(function, of, *dims)


def rounds(total: int, step: int, *, real: bool) -> Iterator[tuple[int, int]]:
    """Start and stop of each part, of `step` or what is left, that a loop over `total` takes.

    On abstract arrays (not `real`) one round of each length is rehearsed where a ledger counts calls, and else none.
    """
    if real:
        for start in range(0, total, step):
            yield start, min(start + step, total)
        return
    ledger = state.ledger
    if ledger is None or not ledger.works or not total:
        return
    whole, rest = divmod(total, step)
    for times, length in ((whole, step), (1, rest)):
        if times and length:
            with ledger.rehearsed(times):
                yield 0, length


def leading(parts: Iterable[_Part], *, real: bool) -> Iterator[_Part]:
    """`parts`; on abstract arrays (not `real`) the first stands for all, and the others are rehearsed where a ledger counts calls."""
    for number, part in enumerate(parts):
        ledger = state.ledger
        if real or not number:
            yield part
        elif ledger is not None and ledger.works:
            with ledger.rehearsed(1):
                yield part
        else:
            return


def rehearsing() -> bool:
    """Whether what runs is rehearsed."""
    return state.ledger is not None and state.ledger.rehearsal


def rehearse(program: Callable[[], object]) -> None:
    """Run what a shortcut on abstract arrays leaves out, where a ledger counts calls."""
    ledger = state.ledger
    if ledger is not None and ledger.works:
        with ledger.rehearsed(1):
            program()


def label(value: Any, role: str, *, only: str | None = None) -> None:
    """Book the buffer of an abstract array under `role`; with `only`, when it is booked under `only` now. Other values are left alone."""
    storage = getattr(value, "storage", None)
    if isinstance(storage, Storage) and (only is None or storage.role == only):
        storage.relabel(role)
