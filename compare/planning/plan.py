"""A plan as it is looked at: its records, sorted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from compare.planning.records import Advice, Flip, Line, PlanHeader, Way
from compare.records import Environment, RecordsError


class Plan:
    """A plan: its `header`, the `ways` by name, the `advices` by what is computed, and the `flips`. Printed it is a table.

    Made of records; raises `RecordsError` when they do not make up a plan.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = list(lines)
        headers = [line for line in self.lines if isinstance(line, PlanHeader)]
        self.ways = {line.name: line for line in self.lines if isinstance(line, Way)}
        if len(headers) != 1 or not self.ways:
            raise RecordsError(f"records without a {'header' if not headers else 'way'}: nothing to report")
        self.header = headers[0]
        self.environment = {key: value for line in self.lines if isinstance(line, Environment) for key, value in line.entries.items()}
        self.advices = {line.computes: line for line in self.lines if isinstance(line, Advice)}
        self.flips = [line for line in self.lines if isinstance(line, Flip)]
        for name in (named for line in self.advices.values() if (named := line.way) is not None):
            if name not in self.ways:
                raise RecordsError(f"an advice names way {name!r}; planned: {', '.join(self.ways)}")

    def computing(self, computes: str) -> list[Way]:
        """The ways that compute something, in order."""
        return [way for way in self.ways.values() if way.computes == computes]

    @property
    def best(self) -> Way | None:
        """The way to the gradient that is advised, None where none fits."""
        advice = self.advices.get("gradient")
        return None if advice is None or advice.way is None else self.ways[advice.way]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as numbers and texts, for JSON."""
        told: dict[str, Any] = {key: value for key, value in msgspec.to_builtins(self.header).items() if key != "kind"}
        told["ways"] = [{**_plain(way), "operations": way.operations} for way in self.ways.values()]
        told["advice"] = [_plain(line) for line in self.advices.values()]
        told["flips"] = [_plain(line) for line in self.flips]
        return told

    def __repr__(self) -> str:
        best = self.best
        return f"<plan of {self.header.network}, batch {self.header.batch}: {best.name if best else 'nothing fits'}>"

    def __str__(self) -> str:
        from compare.planning.terminal import as_text

        return as_text(self)


def _plain(record: Any) -> dict[str, Any]:
    return {key: value for key, value in msgspec.to_builtins(record).items() if key != "kind"}
