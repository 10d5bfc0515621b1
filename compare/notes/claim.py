"""What an experiment is: what it measures, the criteria that its verdict is computed from, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from compare.report.units import MISSING

Number = float | None
"""A measured number; `None` where there is none (nothing was reached, the value was not finite)."""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an experiment found: `numbers` by name, and `series` of numbers for the figure.

    `varying` names those that are read off a clock or off the memory of the process; all others are the same in every run.
    """

    numbers: dict[str, Number]
    series: dict[str, list[Number]] = msgspec.field(default_factory=dict)
    varying: list[str] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        """What is not finite is no number: the records are strict JSON, which has neither infinities nor NaN."""
        msgspec.structs.force_setattr(self, "numbers", {name: _finite(value) for name, value in self.numbers.items()})
        msgspec.structs.force_setattr(self, "series", {name: [_finite(value) for value in values] for name, values in self.series.items()})

    def __getitem__(self, name: str) -> float:
        """A number; not a number where there is none."""
        value = self.numbers[name]
        return float("nan") if value is None else value


def _finite(value: Number) -> Number:
    return None if value is None or not abs(value) < float("inf") else float(value)


def number(value: float) -> str:
    """A number with three significant digits: `0.25`, `1,024`, `3.1e-16`; a dash where there is none."""
    if not abs(value) < float("inf"):
        return MISSING
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,d}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def times(value: float) -> str:
    """A factor: `12.3×`."""
    return f"{number(value)}×"


@dataclass(frozen=True)
class Criterion:
    """The number `key` must be finite, at least `low` and at most `high`; `words` say what that means."""

    words: str
    key: str
    low: float | None = None
    high: float | None = None
    show: Callable[[float], str] = number

    def met(self, measured: Measured) -> bool:
        """Whether the number is within the bounds."""
        value = measured[self.key]
        return abs(value) < float("inf") and (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    @property
    def wanted(self) -> str:
        """The bounds in words."""
        if self.low is not None and self.high is not None:
            return f"exactly {self.show(self.low)}" if self.low == self.high else f"{self.show(self.low)} to {self.show(self.high)}"
        return f"at least {self.show(self.low)}" if self.low is not None else f"at most {self.show(self.high or 0.0)}"

    def shown(self, measured: Measured) -> str:
        """The number as it was measured."""
        value = measured[self.key]
        return self.show(value) if abs(value) < float("inf") else MISSING


@dataclass(frozen=True)
class Limit(Criterion):
    """Where its number is within the bounds the claim holds with a limit: `words`, with `{}` standing for the number."""

    def sentence(self, measured: Measured) -> str:
        """The limit with its number in it."""
        return self.words.replace("{}", self.shown(measured))


AGREE = Criterion("both engines compute the same: largest relative difference", "agreement", high=1e-10)
"""What every claim needs: the experiment does not depend on the mode that differentiated it."""

HOLDS, LIMITED, FAILS = "holds", "limited", "fails"
"""States of a verdict."""


@dataclass(frozen=True)
class Verdict:
    """What the measurements say of a claim."""

    state: str
    sentence: str


@dataclass(frozen=True)
class Table:
    """Measured numbers as text, the first column naming the rows."""

    head: Sequence[str]
    body: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure: `svg` is trusted markup; `legend` pairs names with tokens of the palette."""

    svg: str
    legend: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Base of the experiments. The fields of a subclass are its settings, with defaults that the page is made with."""

    seed: int = 0

    experiment: ClassVar[str]
    """What is done, in two sentences."""
    needs: ClassVar[tuple[Criterion, ...]]
    """What must be met; where one is not, the claim does not hold."""
    limits: ClassVar[tuple[Limit, ...]] = ()
    """What qualifies the claim where it is found."""

    def measure(self) -> Measured:
        """Run the experiment: the same numbers for the same settings, those named in `varying` apart."""
        raise NotImplementedError

    def figure(self, measured: Measured) -> Figure:
        """The figure of what was measured."""
        raise NotImplementedError

    def table(self, measured: Measured) -> Table | None:
        """Numbers that the criteria do not show; `None` where there are none."""
        return None

    def verdict(self, measured: Measured) -> Verdict:
        """`holds`, `holds with a limit: ...` or `does not hold: ...`, by the criteria alone."""
        broken = [f"{need.words} is {need.shown(measured)}, not {need.wanted}" for need in self.needs if not need.met(measured)]
        if broken:
            return Verdict(FAILS, f"does not hold: {'; '.join(broken)}")
        found = [limit.sentence(measured) for limit in self.limits if limit.met(measured)]
        return Verdict(LIMITED, f"holds with a limit: {'; '.join(found)}") if found else Verdict(HOLDS, "holds")

    def agrees(self, measured: Measured) -> bool:
        """Whether the engines computed the same."""
        return AGREE.met(measured)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings as they are recorded."""
        settings: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return settings
