"""One program run on abstract arrays under a ledger: operations by phase and layer, bytes by role at the peak, and where that was."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from compare.planning.records import LayerCost, Peak
from compare.planning.seconds import calibration, options, seconds_of
from diffcore.ledger import Deed, Entry, Ledger, Site, state
from diffcore.places import Place
from diffcore.recalled import Recalled


class Book(Ledger):
    """A ledger that notes places, and also by layer and phase the bytes of the arrays that are made.

    `begin()` is called when everything that is there before the work is made: what is told is of the work after it.
    """

    def __init__(self, recalled: Recalled | None = None) -> None:
        super().__init__(located=True, **options())
        self.recalled = recalled
        self.made: Counter[tuple[str, Any]] = Counter()
        self.before: dict[tuple[str, str], list[int]] = {}
        self.resting = 0

    def _made(self, role: str, nbytes: int) -> int:
        """As of any ledger, in one go: it is done for every buffer."""
        place = state.place
        self.made[state.phase, None if place is None else place.layer] += nbytes * self.repeats
        if self.works:
            self.did("allocate", "", nbytes)
        self._count += 1
        self.live[role] += nbytes
        self._total += nbytes
        if nbytes and self._total >= self.peak:
            self._observe(role)
        return self._count

    def redo(self, deed: Deed) -> None:
        if deed.buffers:
            place = state.place
            self.made[state.phase, None if place is None else place.layer] += deed.made * self.repeats
        super().redo(deed)

    def _observe(self, role: str) -> None:
        """Only peaks are asked for, no timeline."""
        if self._total >= self.peak:
            self.peak, self.peak_roles = self._total, dict(self.live)
            self.peak_at = Site(state.phase, state.kernel, state.place)

    @property
    def alive(self) -> int:
        """Bytes alive now."""
        return sum(self.live.values())

    def begin(self, net: Any) -> None:
        """Whatever was booked until now is not the work's; bytes alive now rest while it is done."""
        gc.collect(1)  # cycles of what is older are of no ledger that is open
        self.before = _summed(self.entries(net))
        self.made.clear()
        if calibration() is not None:
            self.work.clear()
        self.resting = self.peak = self.alive
        self.peak_roles = dict(self.live)
        self.peak_at = Site("primal", "", None)


class Booked(NamedTuple):
    """What some work costs: operations by phase, bytes at the peak (everything that rests included), seconds where they can be told."""

    flops: dict[str, int]
    transcendentals: dict[str, int]
    peak: Peak
    resting: int
    seconds: float | None
    going: float | None
    """By how many seconds more it takes where the machine has half the pace (see `compare.calibration.pace`)."""
    layers: list[LayerCost]

    @property
    def operations(self) -> int:
        """All operations, transcendentals among them: by this ways are ranked where seconds cannot be told."""
        return sum(self.flops.values()) + sum(self.transcendentals.values())


def booked(prepare: Callable[[Book], tuple[Any, Callable[[], object]]], recalled: Recalled | None = None) -> Booked:
    """What the work costs that `prepare(book)` returns together with its network, once it is prepared; `recalled` are calls met before."""
    with Book(recalled) as book:
        net, work = prepare(book)
        book.begin(net)
        result = work()
        del result
    paths = {id(module): path for path, module in net.named_modules()}
    layers = _by_layer(book, net, paths)
    flops: Counter[str] = Counter()
    transcendentals: Counter[str] = Counter()
    for layer in layers:
        flops[layer.phase] += layer.flops
        transcendentals[layer.phase] += layer.transcendentals
    at = book.peak_at
    roles = {role: count for role, count in book.peak_roles.items() if count}
    peak = Peak(book.peak, roles, at.phase, at.kernel, *_told(at.place, paths))
    seconds, going = seconds_of(book)
    return Booked(_without_zeros(flops), _without_zeros(transcendentals), peak, book.resting, seconds, going, layers)


def _without_zeros(counts: Counter[str]) -> dict[str, int]:
    return {phase: count for phase, count in counts.items() if count}


def _told(place: Place | None, paths: dict[int, str]) -> tuple[str, str]:
    """The layer of a place by its path and kind, and its line of code."""
    if place is None:
        return "", ""
    layer = place.layer() if place.layer is not None else None
    name = "" if layer is None else " ".join(filter(None, [paths.get(id(layer), ""), type(layer).__name__]))
    return name, f"{shortened(place.file)}:{place.line}"


def shortened(path: str) -> str:
    """A path as it is told: from the working folder where it lies in there, else its last two parts."""
    inside = os.path.relpath(path)
    return os.sep.join(path.split(os.sep)[-2:]) if inside.startswith(os.pardir) else inside


def _summed(entries: Iterable[Entry]) -> dict[tuple[str, str], list[int]]:
    """Operations and transcendentals by layer and phase."""
    found: dict[tuple[str, str], list[int]] = {}
    for entry in entries:
        total = found.setdefault((entry.layer, entry.phase), [0, 0])
        total[0] += entry.flops
        total[1] += entry.transcendentals
    return found


def _by_layer(book: Book, net: Any, paths: dict[int, str]) -> list[LayerCost]:
    """Operations and bytes of every layer in every phase, in the order in which they were met."""
    operations = _summed(book.entries(net))
    nbytes: Counter[tuple[str, str]] = Counter()
    for (phase, layer), count in book.made.items():
        nbytes["" if layer is None else paths.get(id(layer()), ""), phase] += count
    found = []
    for key in dict.fromkeys((*operations, *nbytes)):
        flops, transcendentals = (a - b for a, b in zip(operations.get(key, [0, 0]), book.before.get(key, [0, 0]), strict=True))
        if flops or transcendentals or nbytes[key]:
            found.append(LayerCost(*key, flops, transcendentals, nbytes[key]))
    return found
