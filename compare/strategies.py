"""The ways of differentiating a network that are compared. What differs between the engines stands here and nowhere else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from revdiff.checkpointing import Schedule


class Strategy(msgspec.Struct, frozen=True):
    """One way of differentiating: an engine, where the forward one puts its directions, and whether the reverse one checkpoints.

    `within` tells of a memory budget that is kept: what it bounds, and how. `by_default` strategies are those that `ALL` stands for.
    """

    name: str
    module: str
    seeding: str | None
    title: str
    account: str
    checkpoints: bool = False
    within: str = ""
    by_default: bool = True

    def engine(self) -> Any:
        """The engine's package, imported now."""
        return importlib.import_module(self.module)

    def value_and_grad(self, loss: Callable[..., Any], memory: int | Schedule | None = None) -> Callable[..., Any]:
        """The engine's `value_and_grad(loss)` of this strategy, within `memory` bytes where that is given.

        They bound the tangents of the forward engine, and what a checkpointed network makes, which may also be given a schedule in their
        place; a plain reverse pass takes what it takes.
        """
        engine = self.engine()
        if self.checkpoints:
            loss = _checkpointed(loss, engine, memory)
        options = {} if self.seeding is None else {"seeding": self.seeding, "memory": memory}
        differentiated: Callable[..., Any] = engine.value_and_grad(loss, **options)
        return differentiated

    @property
    def bounded(self) -> bool:
        """Whether a memory budget means something to this strategy."""
        return self.seeding is not None or self.checkpoints

    def directions(self, loss: Callable[..., Any], *arguments: Any) -> int | None:
        """Tangent directions that are carried to differentiate `loss(*arguments)`, or None in reverse, which carries none."""
        if self.seeding is None:
            return None
        return int(self.engine().directions(loss, seeding=self.seeding)(*arguments))


def _checkpointed(loss: Callable[..., Any], engine: Any, memory: int | Schedule | None) -> Callable[..., Any]:
    """`loss` with its network checkpointed: within `memory` bytes, by a schedule, or between some sqrt(n) groups of its n layers.

    A network that is no `Sequential` is one layer.
    """
    options = {"memory": memory} if isinstance(memory, int) else {"schedule": memory or "sqrt"}
    return lambda net, *data: loss(_Checkpointed(net, engine, options), *data)


class _Checkpointed:
    """A network that is checkpointed when it is called, and itself in all else."""

    def __init__(self, net: Any, engine: Any, options: dict[str, Any]) -> None:
        self._net, self._engine, self._options = net, engine, options

    def __call__(self, inputs: Any) -> Any:
        layers = self._net if isinstance(self._net, self._engine.nn.Sequential) else [self._net]
        return self._engine.checkpoint(layers, inputs, **self._options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._net, name)

    def __getitem__(self, index: Any) -> Any:
        return self._net[index]


CHUNKS = "in chunks of directions that keep the tangents within"
STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("reverse", "revdiff", None, "reverse", "a tape is kept and one cotangent runs back over it"),
        Strategy(
            "reverse-checkpoint",
            "revdiff",
            None,
            "reverse, checkpoints",
            "some values between layers are kept, and the tape is made again from these, group by group",
            checkpoints=True,
            within="by the cheapest schedule that keeps values, tape and cotangents within",
            by_default=False,
        ),
        Strategy(
            "forward-activations",
            "dualdiff",
            "activations",
            "forward, activation directions",
            "one tangent direction per output feature of each layer, shared by the batch",
            within=CHUNKS,
        ),
        Strategy(
            "forward-parameters",
            "dualdiff",
            "parameters",
            "forward, parameter directions",
            "the textbook: one tangent direction per scalar parameter",
            within=CHUNKS,
        ),
    )
}
"""Every strategy, by name, the reference first."""
CHECKPOINTED = STRATEGIES["reverse-checkpoint"]

ALL = "all"
"""The name that stands for every strategy that is compared by default."""
