"""What a plan is asked for: one record, checked once, the same for the command line and the library."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from compare.errors import InputError, choose
from compare.networks import NETWORKS
from compare.optimizers import OPTIMIZERS
from compare.planning import source
from compare.planning.budget import budget
from compare.planning.recipe import LOSSES, Own, Preset, Recipe, foreign, shadow
from compare.planning.sizes import Example, Sizes
from compare.planning.ways import Task
from compare.settings import DTYPES, Settings, require_count
from diffcore.nn.module import Module

MOST_DIRECTIONS = 10**6


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """The wishes of a plan; impossible ones raise `InputError` at once.

    `network` is a name (`compare list` shows them), `"FILE.py:FUNCTION"`, a function `build(nn)` or a `Module`. `batch`, `width`, `depth`,
    `data` and `optimizer` are the network's where they are not given; `inputs` (the shape of an example) and `loss` are for networks of the
    user's own. `memory` is the budget, by default 80% of the memory there is; `directions` those of the forward gradient; `outputs` the
    numbers that are put out, and so the rows of the Jacobian. Without `flips` it is not looked for where an advice would flip;
    `thorough` plans ways in all their chunks that are so dear that bounds are enough.
    """

    network: Any = "mlp"
    batch: int | None = None
    memory: int | str | None = None
    inputs: Any = None
    outputs: int | None = None
    loss: Any = None
    directions: int = 1
    data: str | None = None
    width: int | None = None
    depth: int | None = None
    optimizer: str | None = None
    dtype: str = "float32"
    flips: bool = True
    thorough: bool = False

    def __post_init__(self) -> None:
        choose("dtype", self.dtype, DTYPES)
        if self.optimizer is not None:
            choose("optimizer", self.optimizer, OPTIMIZERS)
        force_setattr(self, "directions", require_count("directions", self.directions, least=1))
        if self.directions > MOST_DIRECTIONS:
            raise InputError(f"`directions` (={self.directions}) must be at most {MOST_DIRECTIONS}")
        for name in ("batch", "outputs", "width", "depth"):
            value = getattr(self, name)
            if value is not None:
                force_setattr(self, name, require_count(name, value, least=1))
        if isinstance(self.network, str) and not source.is_file(self.network):
            choose("network", self.network, [*NETWORKS, "FILE.py:FUNCTION"])
            for name in ("inputs", "loss"):
                if getattr(self, name) is not None:
                    raise InputError(
                        f"`{name}` (={getattr(self, name)!r}) cannot be set: {self.network} has its own; it is for networks of your own"
                    )
        else:
            if self.data is not None:
                raise InputError(f"`data` (={self.data!r}) cannot be set: the examples of a network of one's own are told by `inputs`")
            if self.inputs is None:
                raise InputError("`inputs` is needed: the shape of one example of the network, for instance 3x32x32")
        budget(self.memory)

    @property
    def task(self) -> Task:
        """What the ways are asked. Runs the user's file."""
        recipe = self._recipe()
        batch = self.batch or (NETWORKS[self.network].batch if isinstance(recipe, Preset) else 32)
        rebuilt = "outputs" in recipe.varies
        sizes = Sizes(batch, self.outputs if rebuilt else None, self.width, self.depth)
        for name in ("width", "depth"):
            if getattr(self, name) is not None and name not in recipe.varies:
                raise InputError(f"`{name}` (={getattr(self, name)}) cannot be set: {recipe.name} has no {name} to choose")
        return Task(recipe, sizes, self.directions, None if rebuilt else self.outputs)

    def _recipe(self) -> Recipe:
        network = self.network
        if isinstance(network, str) and not source.is_file(network):
            given: dict[str, Any] = {"data": self.data, "width": self.width, "depth": self.depth, "optimizer": self.optimizer}
            own = {name: value for name, value in given.items() if value is not None}
            return Preset(Settings(network=network, dtype=self.dtype, **own))
        name, build, takes = self._own()
        example = self.inputs if isinstance(self.inputs, str) else "x".join(map(str, self._shape()))
        loss = "cross_entropy" if self.loss is None else self.loss
        if isinstance(loss, str):
            choose("loss", loss, LOSSES)
        optimizer = self.optimizer or "sgd"
        return Own(name, build, Example.parsed(example), loss=loss, dtype=self.dtype, optimizer=optimizer, takes=takes)

    def _shape(self) -> tuple[Any, ...]:
        return tuple(self.inputs) if isinstance(self.inputs, tuple | list) else (self.inputs,)

    def _own(self) -> tuple[str, Callable[..., Any], frozenset[str]]:
        """The name of a network of the user's own, what makes it, and what it can be made with."""
        network = self.network
        if isinstance(network, str):
            build = source.load(network)
            return network, build, source.takes(network, build)
        if hasattr(network, "named_parameters"):
            if not isinstance(network, Module):
                raise InputError(f"`network` is {foreign(network)}")
            return type(network).__name__, shadow(network), frozenset()
        if callable(network):
            name = getattr(network, "__name__", "build")
            return name, network, source.takes(name, network)
        kind = type(network).__name__
        raise InputError(f"`network` is of type {kind}: it must be a name, FILE.py:FUNCTION, a function `build(nn)` or a Module")

    @property
    def title(self) -> str:
        """A name for people and files."""
        if isinstance(self.network, str):
            return f"file:{self.network.partition(':')[0]}" if source.is_file(self.network) else self.network
        return str(getattr(self.network, "__name__", type(self.network).__name__))

    @property
    def command(self) -> str:
        """The command that plans this again; empty for what only the library can be given."""
        if not isinstance(self.network, str) or not isinstance(self.loss, str | None):
            return ""
        words = ["python", "-m", "compare", "plan", "--network", self.network]
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if field.name in ("network", "flips", "thorough") or value is None:
                continue
            told = "x".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
            words += [f"--{field.name}", told]
        return shlex.join(words + ["--no-flips"] * (not self.flips) + ["--thorough"] * self.thorough)
