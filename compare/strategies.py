"""The ways of differentiating a network that are compared. What differs between the engines stands here and nowhere else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import msgspec


class Strategy(msgspec.Struct, frozen=True):
    """One way of differentiating: an engine, and for the forward engine where it puts its directions."""

    name: str
    module: str
    seeding: str | None
    title: str
    account: str

    def engine(self) -> Any:
        """The engine's package, imported now."""
        return importlib.import_module(self.module)

    def value_and_grad(self, loss: Callable[..., Any], memory: int | None = None) -> Callable[..., Any]:
        """The engine's `value_and_grad(loss)` with this strategy's seeding, its tangents within `memory` bytes where that is given."""
        options = {} if self.seeding is None else {"seeding": self.seeding, "memory": memory}
        differentiated: Callable[..., Any] = self.engine().value_and_grad(loss, **options)
        return differentiated

    def directions(self, loss: Callable[..., Any], *arguments: Any) -> int | None:
        """Tangent directions that are carried to differentiate `loss(*arguments)`, or None in reverse, which carries none."""
        if self.seeding is None:
            return None
        return int(self.engine().directions(loss, seeding=self.seeding)(*arguments))


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("reverse", "revdiff", None, "reverse", "a tape is kept and one cotangent runs back over it"),
        Strategy(
            "forward-activations",
            "dualdiff",
            "activations",
            "forward, activation directions",
            "one tangent direction per output feature of each layer, shared by the batch",
        ),
        Strategy(
            "forward-parameters",
            "dualdiff",
            "parameters",
            "forward, parameter directions",
            "the textbook: one tangent direction per scalar parameter",
        ),
    )
}
"""Every strategy, by name, the reference first."""

ALL = "all"
"""The name that stands for every strategy."""
