"""The calibration of a machine, and what it predicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from compare.calibration.curves import Curve, Products
from compare.calibration.pace import BEYOND, GOES, KINDS, STREAM, slowed
from compare.calibration.walks import LIKE, SCATTERED, Walk
from compare.optimizers import OPTIMIZERS
from diffcore.arrays.works import STILL, STRIDED
from diffcore.ledger import Work

VERSION = 6
"""Version of the format. A reader refuses every other version."""
OVERHEADS = ("update", *(f"update {name}" for name in dict.fromkeys(OPTIMIZERS.values())))
"""Operations that take time on any machine. (What is told of others is what is left beside rules, which may be less than nothing.)"""
CODE = ("numpy", "engines")
"""Those that take longer where other code has taken the place of theirs in the caches."""
NEEDED = (
    *("view getitem", "view transpose", "make", "concatenate", "record", "chain", "turn", "push", "site", "update", "step revdiff"),
    *("step dualdiff", "checkpoint", "segment", "segment again", "kernel tanh", "pullback tanh", "pushforward tanh"),
)
"""Operations without which a calibration is none; of the rules of kernels some."""
COMPANY = 0.25
"""How many cores others may keep busy while a machine is calibrated: products in several threads take far longer where one has to wait."""
WIDE = ("float64", "int64")
"""Dtypes of 8 bytes."""
RULES, TOGETHER = ("kernel", "apply", "pullback", "pushforward"), 24
"""What rules of kernels are told as, and how many are timed in turn: about as many as a step of training comes to."""
_RULES = {"apply": "kernel"}
"""Where an engine applies a kernel it is timed as one that is applied to arrays; what the engine adds is in `record`, `push` and `site`."""


Prices = tuple[float, float, float, float, float, float]
"""Seconds of each of `KINDS`."""


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a machine takes for what programs consist of; `seconds` adds it up.

    Prices are those of the machine at its best, and count at the `pace` that it had in the end as far as they go with that; then the gauge
    (see `compare.calibration.stopwatch`) takes `gauge`.
    Meanwhile `others` kept so many cores busy; None where that is unknown.
    """

    version: int
    machine: dict[str, str]
    created: str
    took: float
    gauge: float
    pace: float
    walks: dict[str, dict[str, Walk]]
    traffic: Curve
    buffers: Curve
    call: float
    products: dict[str, Products]
    operations: dict[str, float]
    factors: dict[str, float] = {}
    others: float | None = None

    def seconds(self, work: Work | Mapping[Work, int]) -> float:
        """Seconds of a call, or of as many of each as are counted."""
        found = sum(self.scaled(work).values())
        return found if isinstance(work, Work) else max(found, 0.0)

    def told(self, work: Mapping[Work, int]) -> tuple[float, float]:
        """The same of many, and by how many seconds more they take where the machine has half the pace."""
        found = self.scaled(work)
        going = sum(found[kind] * part * self.pace / slowed(kind, self.pace) for kind, part in GOES.items())
        return max(sum(found.values()), 0.0), max(going, 0.0)

    @property
    def lack(self) -> str:
        """What keeps it from telling anything, in a few words; empty where nothing does."""
        if not (self.pace > 0 and self.gauge > 0):
            return "`pace` and `gauge` must be above 0"
        for name, table in (("walks", self.walks), ("products", self.products)):
            if "float32" not in table:
                return f"`{name}` needs `float32`"
        missing = [name for name in NEEDED if name not in self.operations]
        return f"`operations` needs `{missing[0]}`" if missing else ""

    def scaled(self, work: Work | Mapping[Work, int]) -> dict[str, float]:
        """Seconds of each of `KINDS`, times their factors."""
        part = self.share(work)
        return {kind: (1 + (self.factors.get(kind, 1.0) - 1) * part[kind]) * seconds for kind, seconds in self.kinds(work).items()}

    def kinds(self, work: Work | Mapping[Work, int]) -> dict[str, float]:
        """Seconds of each of `KINDS`, as they are before factors."""
        total, works = [0.0] * len(KINDS), {work: 1} if isinstance(work, Work) else work
        for each, count in works.items():
            for i, seconds in enumerate(self._priced(each)):
                total[i] += count * seconds
        total[KINDS.index("engines")] += self._firsts(works)
        return {kind: slowed(kind, self.pace) * seconds for kind, seconds in zip(KINDS, total, strict=True)}

    def share(self, work: Work | Mapping[Work, int]) -> dict[str, float]:
        """How far the factor of each kind counts, from 0 to 1: those of `CODE` the more the more rules are called in turn."""
        part = min(len(_rules((work,) if isinstance(work, Work) else work)) / TOGETHER, 1.0)
        return {kind: part if kind in CODE else 1.0 for kind in KINDS}

    def parts(self, work: Mapping[Work, int]) -> dict[str, float]:
        """Seconds by function, the most first."""
        found: defaultdict[str, float] = defaultdict(float)
        for each, count in work.items():
            found[each.function] += count * self.seconds(each)
        return dict(sorted(found.items(), key=lambda part: -part[1]))

    @property
    def warning(self) -> str:
        """One line on why it should be made anew: overheads that must be above 0 and are not, company; empty where there is no reason."""
        missing = [name for name, seconds in self.operations.items() if name in OVERHEADS and not seconds > 0]
        again = "run `python -m compare calibrate --force` while the machine has nothing else to do"
        if missing:
            named = ", ".join(f"`{name}`" for name in missing)
            return f"the calibration has an overhead of 0 for {named}, which must be above 0: predictions leave it out; {again}"
        if self.others is not None and self.others > COMPANY:
            return f"the machine was calibrated while others kept {self.others:.1f} of its cores busy: predictions may be far off; {again}"
        return ""

    def _priced(self, work: Work) -> Prices:
        """Seconds of a call, of each of `KINDS`, where the pace is 1."""
        function, of, dims = work
        if function == "matmul":
            batch, *sizes = dims
            return self.call, 0.0, 0.0, 0.0, 0.0, batch * self._products(of).at(*sizes)
        if function == "far":
            near, away = dims
            return _moving(0.0, max(self.traffic.at(away) - self.traffic.at(near), 0.0), max(away, BEYOND + 1))
        if function == "allocate":
            return _moving(0.0, self.buffers.at(dims[0]) if dims[0] >= 1024 else 0.0, dims[0])
        if len(dims) == 4:
            return self._walked(function, of, *dims)
        if function in SCATTERED:
            walk = self._walks(of)[function]
            return _moving(walk.call, walk.element * dims[0], dims[0] * (8 if of in WIDE else 4))
        if function == "concatenate":
            parts = dims[0] * self._walks(of)["put"].call  # which are told by themselves
            return max(self.operations["concatenate"] * max(dims[0], 2) / 2 - parts, 0.0), 0.0, 0.0, 0.0, 0.0, 0.0
        if function in ("turn", "chain", "push"):
            return 0.0, dims[0] * self.operations.get(function, 0.0), 0.0, 0.0, 0.0, 0.0
        kernel, known = of.partition(" ")[0], self.operations
        own = known.get(f"{_RULES.get(function, function)} {of}", known.get(f"{_RULES.get(function, function)} {kernel}"))
        seconds = known.get(function, 0.0) if own is None else own
        if function == "apply":
            seconds += known.get(f"op {kernel}", 0.0)
        return (seconds, 0.0, 0.0, 0.0, 0.0, 0.0) if function in ("view", "make") else (0.0, seconds, 0.0, 0.0, 0.0, 0.0)

    def _firsts(self, works: Iterable[Work]) -> float:
        """What rules take longer where they are called in turn with others, once each: the more the more there are."""
        rules = _rules(works)
        return sum(self.operations.get(f"first {rule}", 0.0) for rule in rules) * min(len(rules) / TOGETHER, 1.0)

    def _products(self, dtype: str) -> Products:
        return self.products.get(dtype) or self.products["float32"]

    def _walks(self, dtype: str) -> dict[str, Walk]:
        return self.walks.get(dtype) or self.walks["float32"]

    def _walked(self, function: str, of: str, size: int, loops: int, traffic: int, strides: int) -> Prices:
        walks = self._walks(of)
        other = "add" if hasattr(np, function.partition(".")[0]) else "exp"
        walk = walks.get(function) or walks.get(LIKE.get(function, other)) or walks["add"]
        elements = size * (walk.strided if strides == STRIDED else walk.element)
        several = walk.walk + loops * (walk.still if strides == STILL else walk.loop) if loops > 1 else 0.0
        return _moving(walk.call, several + max(elements, traffic * self.traffic.at(max(traffic, 1))), traffic)


def _rules(works: Iterable[Work]) -> set[str]:
    """The rules that are called."""
    return {f"{_RULES.get(work.function, work.function)} {work.of}" for work in works if work.function in RULES}


def _moving(call: float, seconds: float, nbytes: int) -> Prices:
    """A call of numpy's, and `seconds` for what it does with so many bytes."""
    if nbytes <= BEYOND:
        return call, 0.0, seconds, 0.0, 0.0, 0.0
    return (call, 0.0, 0.0, seconds, 0.0, 0.0) if nbytes <= STREAM else (call, 0.0, 0.0, 0.0, seconds, 0.0)
