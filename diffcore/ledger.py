"""The ledger: arithmetic and live bytes of a program, read off a run on abstract arrays.

An abstract array (`diffcore.arrays.abstract`) has a shape and a dtype but no data. numpy's own functions run on it, so the
engines, kernels and rules run unchanged, temporaries included. While a `Ledger` is open, each such call books its
operations and each buffer books its bytes from the moment it is made until Python frees it.

Run on abstract arrays it predicts. Run on observed ones (`diffcore.arrays.observed`), which are numpy's, it books the buffers that there
really are; both come to the same, to the byte. A scalar of numpy's counts as the array of no axes that holds it. Not booked are Python's
own objects (tensors, records, headers of arrays; `compare.objects` counts them), memory that was there before and was not observed, and
what looks at values.

Phases: `primal` (values), `tangent` (pushing tangents forward), `adjoint` (pulling cotangents back), `recompute` (values once more, for a
checkpoint), `update` (the optimizer's step).

Roles, of a buffer at each moment the last that it was given:
- `parameter` and `input`: what whoever runs the program has made under these names;
- `activation`: the result of a kernel that nothing keeps for a derivative, in `primal` or `recompute`;
- `residual`: what the tape or a checkpoint keeps for the way back: results, operands that are no parameter or input, masks, traces;
- `tangent`: a form of tangents that a tensor carries; `cotangent`: what the way back has made for an operand;
- `gradient`: a derivative by a variable from the moment that it is handed over, until it is dropped or updated with;
- `optimizer state`: what an optimizer keeps from step to step;
- `workspace`: everything else, within kernels and rules.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, Self, TypeVar

from numpy import ndarray

from diffcore import places
from diffcore.places import Place
from diffcore.watch import watch

CONVENTION = (
    "A multiply-add counts 2 operations, every other elementwise operation 1 per element of its result, a reduction 1 per element "
    "it consumes; exp, log, tanh, sqrt and pow are transcendentals, counted apart; copies, casts and views count 0. A convolution counts "
    "all products of its definition, those with padding too; for jax, those that are done there. Sorting n elements counts n log2 n; of a "
    "matrix with n rows, LU (a determinant) counts 2/3 n^3, a solution 2 n^2 per right-hand side more, an inverse 2 n^3, a Cholesky factor "
    "1/3 n^3, a triangular solution n^2 per right-hand side, singular vectors 26 n^3."
)


_M = TypeVar("_M")

MOMENTS = 1 << 14
"""Moments of a timeline beyond which it is thinned to half as many, so that its memory is bounded."""


class _State(threading.local):
    """What the current thread is doing; the engines write `phase`, the abstract arrays read it."""

    def __init__(self) -> None:
        self.ledger: Ledger | None = None
        self.phase = "primal"
        self.kernel = ""
        self.role = "workspace"
        self.place: Place | None = None


state = _State()
_operations = itertools.count(1)


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


class Deed(NamedTuple):
    """What a call of a kernel comes to, where it is told as one: operations (if `booked`), works, and bytes.

    `made` are those of all its buffers, `buffers` of them, `peak` the most that were alive at once beyond what was alive before, by role
    `peak_roles`, and `left` those that are left by role.
    """

    booked: bool
    flops: int
    transcendentals: int
    products: int
    surplus: int
    works: tuple[tuple[Work, int], ...]
    made: int
    buffers: int
    peak: int
    peak_roles: tuple[tuple[str, int], ...]
    left: tuple[tuple[str, int], ...]


class Site(NamedTuple):
    """What was going on at a moment: phase, kernel, and the line and layer that called the kernel where the ledger notes places."""

    phase: str
    kernel: str
    place: Place | None


class Storage:
    """One buffer of `nbytes` bytes; arrays that alias it share the object, so it is counted once and until the last dies.

    `number` counts the buffers that its ledger has seen made; `passed` are the bytes that had been touched when this one last was,
    and `fetched` the operation that last fetched parts of it, and how many bytes.
    """

    __slots__ = ("fetched", "ledger", "nbytes", "number", "passed", "role")

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.role = state.role
        self.ledger = state.ledger
        self.number = self.passed = 0
        self.fetched = 0, 0
        if self.ledger is not None:
            self.passed = self.ledger.passed
            self.number = self.ledger._made(self.role, nbytes)

    def times(self, count: int) -> Storage:
        """A buffer that stands for `count` like this one, made in passes of a loop that are not run."""
        found = Storage.__new__(Storage)
        found.nbytes, found.role, found.ledger = count * self.nbytes, self.role, self.ledger
        found.number, found.passed, found.fetched = 0, self.passed, self.fetched
        if self.ledger is not None:
            self.ledger._change(self.role, found.nbytes)
        return found

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

    `flops` and `transcendentals` map phase to count, `by_kernel` maps (phase, kernel) to FLOPs, `products` to those of them that are of
    matrix products (convolutions are such products); `surplus` maps phase to operations besides, that convolutions on numpy do and that
    their sums do not ask for (with columns that are no window, and to add columns back); `timeline` lists `(label, {role: live bytes})`
    after each allocation, of a long program of some of them and always the highest around; `live` maps role to bytes alive now; `peak` is
    the largest total, `peak_roles` its composition and `peak_at` where it was. With `located=True` the line and the layer that call each
    kernel are noted: `entries(net)` tells operations by layer, and `peak_at` has its place. With `compiled=True` convolutions are those of
    jax, which are done in other ways than those of numpy, with other operations. With `works=True` every numpy call and every operation
    of an engine is counted in `work`; these have numbers, `operation` is that of the present one, and `passed` are the bytes that they have
    touched. What is booked now happens `repeats` times (see `times`).
    """

    convention = CONVENTION
    recalled: Any = None
    """Calls on shapes that were met before (`diffcore.recalled.Recalled`), for a ledger that keeps no timeline; they are not run again."""

    def __init__(self, *, located: bool = False, compiled: bool = False, works: bool = False) -> None:
        self.located, self.compiled, self.works = located, compiled, works
        self.work: Counter[Work] = Counter()
        self.flops: Counter[str] = Counter()
        self.transcendentals: Counter[str] = Counter()
        self.products: Counter[tuple[str, str]] = Counter()
        self.surplus: Counter[str] = Counter()
        self.live: Counter[str] = Counter()
        self.timeline: list[tuple[str, dict[str, int]]] = []
        self.peak = 0
        self.peak_roles: dict[str, int] = {}
        self.peak_at = Site("primal", "", None)
        self.peaks: dict[str, int] = {}
        self._booked: dict[tuple[str, Any, str], list[int]] = {}
        self.repeats = 1
        self.passed, self.operation = 0, next(_operations)
        self._total = self._nominal = 0
        self._count = 0
        self._outer: tuple[Any, ...] = ()

    def __enter__(self) -> Self:
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
        paths = {} if net is None or not self._booked else {id(module): path for path, module in net.named_modules()}
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

    @contextmanager
    def times(self, count: int) -> Iterator[None]:
        """What is done inside stands for `count` such passes of a loop: operations count that often, bytes as in the one."""
        outer, self.repeats = self.repeats, self.repeats * count
        try:
            yield
        finally:
            self.repeats = outer

    def book(self, flops: int, transcendentals: int) -> None:
        """Count operations in the current phase and kernel."""
        if self._nominal:
            return
        phase, repeats = state.phase, self.repeats
        flops, transcendentals = flops * repeats, transcendentals * repeats
        self.flops[phase] += flops
        self.transcendentals[phase] += transcendentals
        place = state.place
        counts = self._booked.setdefault((phase, None if place is None else place.layer, state.kernel), [0, 0])
        counts[0] += flops
        counts[1] += transcendentals

    def book_product(self, flops: int) -> None:
        """Count the operations of a matrix product, which are counted by themselves too."""
        if not self._nominal:
            self.book(flops, 0)
            self.products[state.phase, state.kernel] += flops * self.repeats

    def next_operation(self) -> None:
        """What is fetched from now on is fetched by another operation."""
        self.operation = next(_operations)

    def did(self, function: str, of: str, *dims: int) -> None:
        """Count a call."""
        self.work[Work(function, of, dims)] += self.repeats

    def did_work(self, work: Work) -> None:
        """The same of work that is told already."""
        self.work[work] += self.repeats

    def redo(self, deed: Deed) -> None:
        """Book a call that is not run: its operations, its buffers that came and went, and those that are left."""
        repeats = self.repeats
        if deed.booked and not self._nominal:
            self.book(deed.flops, deed.transcendentals)
            if deed.products:
                self.products[state.phase, state.kernel] += deed.products * repeats
        if deed.surplus:
            self.surplus[state.phase] += deed.surplus * repeats
        for work, count in deed.works:
            self.work[work] += count * repeats
        self._count += deed.buffers
        if deed.peak and self._total + deed.peak >= self.peak:
            self.peak, self.peak_roles = self._total + deed.peak, dict(self.live)
            for role, nbytes in deed.peak_roles:
                self.peak_roles[role] = self.peak_roles.get(role, 0) + nbytes
            self.peak_at = Site(state.phase, state.kernel, state.place)
        for role, nbytes in deed.left:
            self.live[role] += nbytes
            self._total += nbytes

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
        if len(self.timeline) > MOMENTS:
            self.timeline[:] = thinned(self.timeline, MOMENTS // 2, lambda moment: sum(moment[1].values()))
        self.peaks[role] = max(self.peaks.get(role, 0), self.live[role])
        if self._total >= self.peak:  # also when a buffer made at the peak is given its role
            self.peak, self.peak_roles = self._total, snapshot
            self.peak_at = Site(state.phase, state.kernel, state.place)


def did(function: str, of: str, *dims: int) -> None:
    """Count a call where the open ledger does."""
    ledger = state.ledger
    if ledger is not None and ledger.works:
        ledger.did(function, of, *dims)


def spans(count: int, step: int, like: Any) -> Iterator[tuple[int, int]]:
    """`(start, stop)` of spans of at most `step` that make up `count`: for a loop that does the same for each, into what is there already.

    Where `like` is abstract, the second pass, which finds what a pass leaves behind, stands for all further ones of its size.
    """
    whole = count // step * step
    if whole <= 2 * step or isinstance(like, ndarray) or not isinstance(getattr(like, "storage", None), Storage):
        yield from ((start, min(start + step, count)) for start in range(0, count, step))
        return
    yield 0, step
    with repeated(whole // step - 1):
        yield step, 2 * step
    if whole < count:
        yield whole, count


@contextmanager
def unbooked() -> Iterator[None]:
    """What is done inside is booked in no ledger."""
    outer, state.ledger = state.ledger, None
    try:
        yield
    finally:
        state.ledger = outer


def repeated(count: int) -> AbstractContextManager[None]:
    """What is done inside stands for `count` such passes of a loop, for the ledger that is open, if one is."""
    return nullcontext() if state.ledger is None else state.ledger.times(count)


def thinned(moments: list[_M], most: int, height: Callable[[_M], int]) -> list[_M]:
    """At most `most` of the moments: the first, and the highest of each of so many equal stretches, so that no peak is lost."""
    if len(moments) <= most:
        return moments
    rest, count = moments[1:], most - 1
    stretches = [rest[i * len(rest) // count : (i + 1) * len(rest) // count] for i in range(count)]
    return moments[:1] + [max(stretch, key=height) for stretch in stretches]


class _Nominal:
    """See `nominally`."""

    __slots__ = ("_flops", "_ledger", "_products")

    def __init__(self, ledger: Ledger, flops: int, products: int) -> None:
        self._ledger, self._flops, self._products = ledger, flops, products

    def __enter__(self) -> None:
        ledger, products = self._ledger, self._products
        if products and not ledger._nominal:
            ledger.book_product(products)
            ledger.surplus[state.phase] -= products * ledger.repeats
        ledger.book(self._flops - products, 0)
        ledger._nominal += 1

    def __exit__(self, *_: object) -> None:
        self._ledger._nominal -= 1


_NOTHING: AbstractContextManager[None] = nullcontext()


def nominally(x: Any, flops: int, products: int = 0) -> AbstractContextManager[None]:
    """Within it no operations are counted, but these `flops`: what a kernel on `x` comes to, in whichever way and order it is computed.

    Those of `products` are among them. How many are done in their stead is told by `besides`.
    """
    ledger = state.ledger
    return _NOTHING if ledger is None or getattr(x, "storage", None) is None else _Nominal(ledger, flops, products)


def besides(x: Any, operations: int) -> None:
    """Count `operations` that a kernel on `x` does, where it counts nominally: with what they come to beyond that, they are the surplus."""
    ledger = state.ledger
    if ledger is not None and getattr(x, "storage", None) is not None:
        ledger.surplus[state.phase] += operations * ledger.repeats


def label(value: Any, role: str, *, only: str | None = None) -> None:
    """Book the buffer of an abstract array under `role`; with `only`, when it is booked under `only` now. Other values are left alone."""
    storage = getattr(value, "storage", None)
    if isinstance(storage, Storage) and (only is None or storage.role == only):
        storage.relabel(role)
