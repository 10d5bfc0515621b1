"""What is to be measured: which groups, in how many rounds. Light, because the command line makes it before all else."""

from __future__ import annotations

import shlex
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from compare.errors import InputError, choose

if TYPE_CHECKING:
    from compare.bench.contest import Contest

GROUPS = {
    "reverse-numpy": "Reverse mode on numpy: one loss and its gradient",
    "reverse-jax": "Reverse mode on jax, under jit: one loss and its gradient",
    "forward": "Forward mode on numpy, activation directions: one loss and its gradient",
    "jvp": "One directional derivative: floating-point operations",
    "jacobian": "The Jacobian of few inputs and many outputs",
    "residuals": "Bytes that reverse mode keeps for the backward pass",
    "memory": "Peak bytes of forward mode under a budget",
    "prediction": "Seconds of a step, predicted from shapes",
}
"""What each group measures, by the name the command line knows it by, in the order of the table."""

MOST_ROUNDS = 10_000


class Limits(msgspec.Struct, frozen=True):
    """How long a contest may take: at most `rounds`, and once there are `least` of them no further one after `seconds`; 0 for no limit."""

    rounds: int
    least: int
    seconds: float


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Impossible wishes raise `InputError` at once.

    `only` names the groups, all without it; `rounds` is how often each contestant is timed, as often as time allows without it; `quick` is
    for a look: few rounds, and no networks of full size.
    """

    only: tuple[str, ...] = ()
    rounds: int | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        for name in self.only:
            choose("group", name, GROUPS)
        if self.rounds is not None and not 1 <= self.rounds <= MOST_ROUNDS:
            raise InputError(f"`--rounds` (={self.rounds}) must be from 1 to {MOST_ROUNDS}")

    @property
    def groups(self) -> list[str]:
        """The groups wanted, each once, in the order of the table."""
        return [name for name in GROUPS if not self.only or name in self.only]

    @property
    def limits(self) -> Limits:
        """How long a contest may take."""
        if self.rounds is not None:
            return Limits(self.rounds, self.rounds, 0.0)
        return Limits(5, 2, 1.0) if self.quick else Limits(30, 5, 8.0)

    @property
    def command(self) -> str:
        """The command that measures the same again."""
        words = ["python", "-m", "compare", "bench", *(word for name in self.only for word in ("--only", name))]
        words += [] if self.rounds is None else ["--rounds", str(self.rounds)]
        return shlex.join([*words, *["--quick"] * self.quick])

    def contests(self) -> list[Contest]:
        """What is to be measured, in order; nothing is built before it is its turn."""
        found: list[Contest] = []
        for name in self.groups:
            found += import_module(f"compare.bench.groups.{name.replace('-', '_')}").contests(self)
        return found
