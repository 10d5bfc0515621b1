"""Chunks of directions under a memory budget, planned by running the same engine on abstract arrays.

A run with no directions gives the peak of the primal pass, and runs with some directions of one seed what these add to it. That is a
maximum over program points of functions linear in the number of directions, so it is convex, and the chord between one direction
and `k` bounds it in between. Seeds are packed into chunks in program order under the sum of such bounds. A seed that is alive only where
the primal pass is far below its peak may add nothing to that by itself, but several such seeds do: in company a seed counts with
the bytes of its tangents at least. Directions may also cost more from the middle of a variable than from its beginning (those of a filter
that lie in two of its output channels), and the first few more than further ones (whose tiles are no larger). So every kind of chunk is
then run, and where one takes too much its like are packed tighter.
`memory=B` therefore means: the peak is at most that of the primal pass plus B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from diffcore.errors import MemoryBudgetError
from diffcore.ledger import Deed, Ledger
from diffcore.recalled import Recalled, Unbooked
from dualdiff.seeding import NOTHING, Key, Seeding, Window

Windows = dict[Key, Window]
_Kind = tuple[tuple[Key, int], ...]


class _Line(NamedTuple):
    """Bytes above the primal pass: `first` for one direction of a seed, at most `further` for each more."""

    first: int
    further: int

    def count(self, free: int) -> int:
        """How many directions fit into `free` bytes."""
        return 0 if free < self.first else 1 + (free - self.first) // self.further

    def bytes(self, count: int) -> int:
        return self.first + (count - 1) * self.further


class _Cost(NamedTuple):
    """What up to `most` of a seed's `size` directions cost: `alone` in a run, and in `company` of other seeds."""

    key: Key
    size: int
    most: int
    alone: _Line
    company: _Line


class _Added(NamedTuple):
    """Bytes that a run adds to the primal pass: at its peak, and in company."""

    alone: int
    company: int


class _Weighed(NamedTuple):
    """What runs of a function came to, whatever the budget: the primal pass, the seeds that are met, and what chunks add."""

    primal: int
    seeding: Seeding
    added: dict[tuple[tuple[Key, Window], ...], _Added]


class Alike(NamedTuple):
    """Windows of so many `runs` one after the other: of the first run; those of each further one lie behind those of the one before."""

    windows: Windows
    runs: int = 1

    def each(self) -> Iterator[Windows]:
        """The windows of each run. There may be as many as there are parameters."""
        return (self.at(i) for i in range(self.runs))

    def at(self, i: int) -> Windows:
        """The windows of run `i`."""
        return {key: (start + i * (stop - start), stop + i * (stop - start)) for key, (start, stop) in self.windows.items()}


class Chunks(NamedTuple):
    """The directions of all runs, in order, and every seed that the plan met with its size."""

    alike: list[Alike]
    met: dict[Key, int]

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(alike.runs for alike in self.alike)


def plan(run: Callable[[Seeding], object], mode: str, budget: int, own: frozenset[Key] | None = None) -> Chunks:
    """Windows of as few runs as fit `budget` bytes each; together they cover every direction once.

    `mode` and `own` are those of the `Seeding`. `run(seeding)` runs the function on abstract arrays. Raises `MemoryBudgetError` stating
    the least budget that would do.
    """
    recalled = Recalled.of_open()
    before: dict[Any, _Weighed] = recalled.of_work()
    if (mode, own) not in before:
        primal = _booked(run, Seeding(mode, {}, own=own), recalled).peak
        seeding = Seeding(mode, NOTHING, planning=True, own=own)
        meet(run, seeding, recalled)  # apart from a ledger that is open: a plan is no part of the work
        before[mode, own] = _Weighed(primal, seeding, {})
    primal, seeding, weighed = before[mode, own]
    known: dict[_Kind, _Added] = {}

    def added(windows: Windows) -> _Added:
        kind, chunk = _kind(windows), tuple(windows.items())
        if kind not in known:
            if chunk not in weighed:
                ledger = _booked(run, Seeding(mode, _with_merged(windows, seeding), own=own), recalled)
                weighed[chunk] = _Added(ledger.peak - primal, max(ledger.peak - primal, ledger.peaks.get("tangent", 0)))
            known[kind] = weighed[chunk]
        return known[kind]

    sizes = {key: size for key, size in (seeding.sizes or {}).items() if size}
    least = max((added({key: (0, 1)}).alone for key in sizes), default=0)
    costs: list[_Cost] = []
    for key, size in sizes.items() if least <= budget else ():
        costs.append(_cost(key, size, budget, lambda k, key=key: added({key: (0, k)}), costs[-1] if costs else None))  # type: ignore[misc]
    single, shared = dict.fromkeys(sizes, budget), budget
    while least <= budget:
        chunks = _packed(costs, single, shared)
        fits = True
        for windows in _distinct(chunks):
            needed = added(windows).alone
            if needed <= budget:
                continue
            fits = False
            if len(windows) > 1:
                shared = _tightened(shared, needed, budget)
                continue
            ((key, (start, stop)),) = windows.items()
            if stop - start == 1:
                least = needed
                break
            single[key] = _tightened(single[key], needed, budget)
        if fits:
            return Chunks([Alike(_with_merged(windows, seeding), runs) for windows, runs in chunks] or [Alike({})], seeding.met)
    raise MemoryBudgetError(f"`memory` (={budget} bytes) is below what one direction needs: at least {least} bytes would do", least)


def expanded(run: Callable[[Seeding], object], mode: str, own: frozenset[Key] | None) -> frozenset[Key]:
    """The variables behind sites that meet a kernel that mixes examples, when all directions run at once.

    From there on all directions of such a variable are carried, however few of the site's a run begins with.
    """
    seeding = Seeding(mode, planning=True, own=own)
    meet(run, seeding, Recalled.of_open())
    return frozenset(seeding.expanded)


def meet(run: Callable[[Seeding], object], seeding: Seeding, recalled: Recalled) -> None:
    """Run the function for what `seeding` notes."""
    with Unbooked(recalled):
        run(seeding)


def _with_merged(windows: Windows, seeding: Seeding) -> Windows:
    """`windows`, and no directions of the sites for which one of these stands: they are met on the way, and carried as far as there."""
    whole = dict(windows)
    for key in windows:
        while (key := seeding.merged.get(key)) is not None:  # type: ignore[assignment]
            whole.setdefault(key, (0, 0))
    return whole


def _tightened(allowed: int, needed: int, budget: int) -> int:
    """What to allow for next, where `allowed` bytes came to be `needed` ones."""
    return min(allowed * budget // needed, allowed - 1)


def _cost(key: Key, size: int, budget: int, added: Callable[[int], _Added], before: _Cost | None) -> _Cost:
    """The cost of one seed, by chords that are shortened until they end near what fits the budget.

    A seed often costs what the one `before` it does: where a first chord that ends by its line does not end far too early, it will do.
    """
    first, most, guessed = added(1), size, False
    if before is not None:
        guess = _Line(first.alone, before.alone.further).count(budget)
        most, guessed = min(max(guess, 2), size), True
    tried = set[int]()
    while True:
        tried.add(most)
        last = added(most)
        alone, company = (_Line(low, max(-(-(high - low) // max(most - 1, 1)), 1)) for low, high in zip(first, last, strict=True))
        fitting = alone.count(budget)
        further = min(2 * fitting, size)
        late = guessed and most < size and fitting > most + most // 8
        if not late and (4 * fitting >= most or fitting <= 1) or further in tried:  # two chords of a steep bend may lead to one another
            return _Cost(key, size, max(min(most, 2 * fitting), 1), alone, company)
        most, guessed = further, False


class _Peaks(Unbooked):
    """A ledger of peaks alone, which is what a plan asks for: a run under it takes less time."""

    def redo(self, deed: Deed) -> None:
        if self._total + deed.peak > self.peak:
            self.peak = self._total + deed.peak
        for role, nbytes in deed.left:
            self._total += nbytes
            if role == "tangent":
                self.live[role] += nbytes

    def _made(self, role: str, nbytes: int) -> int:
        self._change(role, nbytes)
        return 0

    def _change(self, role: str, nbytes: int) -> None:
        self._total += nbytes
        if role == "tangent":
            self.live[role] += nbytes
        if nbytes > 0:
            self._observe(role)

    def _move(self, old: str, new: str, nbytes: int) -> None:
        if old == "tangent":
            self.live[old] -= nbytes
        elif new == "tangent":
            self.live[new] += nbytes
            self._observe(new)

    def _observe(self, role: str) -> None:
        if self._total > self.peak:
            self.peak = self._total
        if role == "tangent" and self.live[role] > self.peaks.get(role, 0):
            self.peaks[role] = self.live[role]


def _booked(run: Callable[[Seeding], object], seeding: Seeding, recalled: Recalled) -> Ledger:
    with _Peaks(recalled) as ledger:
        run(seeding)
    return ledger


def _packed(costs: list[_Cost], single: dict[Key, int], shared: int) -> list[Alike]:
    """Chunks of one seed within its `single` bytes, and of several seeds within `shared` bytes."""
    chunks: list[Alike] = []
    free = 0
    for cost in costs:
        start = 0
        count = min(cost.company.count(free), cost.most, cost.size) if chunks else 0
        if count > 0:
            chunks[-1].windows[cost.key] = (0, count)
            free -= cost.company.bytes(count)
            start = count
        step = min(max(cost.alone.count(single[cost.key]), 1), cost.most)
        whole, rest = divmod(cost.size - start, step)
        for count, size in ((whole, step), (1, rest)):
            if count and size:
                chunks.append(Alike({cost.key: (start, start + size)}, count))
                free = shared - cost.company.bytes(size)
                start += count * size
        if chunks and chunks[-1].runs > 1:  # what comes next goes with the last one
            last = chunks.pop()
            chunks += [last._replace(runs=last.runs - 1), Alike(last.at(last.runs - 1))]
    return chunks


def _distinct(chunks: list[Alike]) -> list[Windows]:
    """The last of every kind of chunk."""
    return list({_kind(alike.windows): alike.at(alike.runs - 1) for alike in chunks}.values())


def _kind(windows: Windows) -> _Kind:
    """Chunks with the same seeds and numbers of directions cost the same."""
    return tuple((key, stop - start) for key, (start, stop) in windows.items())
