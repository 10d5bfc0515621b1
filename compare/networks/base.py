"""What a network must say of itself to be compared."""

from __future__ import annotations

from typing import Any, Protocol


class Network(Protocol):
    """A family of networks with two knobs, `width` and `depth`, for `features` inputs and `classes` outputs."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    @property
    def account(self) -> str:
        """One line for the list of networks."""
        ...

    def shape(self, features: int, classes: int, *, width: int, depth: int) -> str:
        """The architecture in a few characters, for tables and titles."""
        ...

    def activation_directions(self, features: int, classes: int, *, width: int, depth: int) -> int:
        """Directions of activation seeding: one per feature of each parametrised layer's output."""
        ...

    def build(self, nn: Any, features: int, classes: int, *, width: int, depth: int, device: str, dtype: Any) -> Any:
        """The network made of the layers of `nn`, which is `revdiff.nn` or `dualdiff.nn`; it draws from that engine's seed."""
        ...
