"""What a network must say of itself to be compared."""

from __future__ import annotations

from typing import Any

from compare.networks.kit import Kit


class Network:
    """A family of networks with two knobs, `width` and `depth`; subclasses describe one in a file of its own.

    `takes` is the form in which it wants an example: `"vector"` `[features]`, `"image"` `[channels, height, width]`,
    `"sequence"` `[steps, features]` or `"tokens"` `[steps]` (integers). `task` names what is learned (see `compare.tasks`).
    """

    name: str
    """The name on the command line."""
    account: str
    """One line: what it is, what the knobs mean, and where it comes from."""
    takes = "image"
    task = "classification"
    data = "digits"
    """The data set that it learns by default."""
    width: int
    depth: int
    """The knobs of the small preset, which trains on two cores in seconds."""

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """The architecture in a few characters, for tables and titles."""
        raise NotImplementedError

    def activation_directions(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> int:
        """Directions of activation seeding: one per feature of each parametrised layer's output."""
        raise NotImplementedError

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """The network for examples of shape `inputs` and `outputs` numbers per example, made with `kit`.

        It draws its parameters from the engine's seed. Raises `InputError` for inputs or knobs that it cannot be made for.
        """
        raise NotImplementedError

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """The scalar that is minimised on a batch, by the functions of `engine.nn.functional`."""
        return functional.cross_entropy(net(inputs), targets)
