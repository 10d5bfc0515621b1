"""What a run is told: one record, checked once, the same for the command line, the library and the workers."""

from __future__ import annotations

import itertools
import math
import shlex

import msgspec

from compare.datasets import DATASETS, Description
from compare.errors import InputError, choose
from compare.networks import NETWORKS
from compare.strategies import ALL, STRATEGIES, Strategy

BACKENDS = ("numpy", "jax")
DTYPES = {"float32": 4, "float64": 8}
"""Bytes of a number, by the name of its dtype."""
NAME_LENGTH = 100
LARGEST = 10**9
"""No count may be larger; what is meant is always far below, and a typing error ends in a message instead of a hang."""
LARGEST_OF = {"width": 2**16, "depth": 1000}
"""Tighter bounds, for the same reason."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a run; impossible ones raise `InputError` at once.

    `steps` are training steps of `batch` examples; `width` and `depth` shape the network; `rounds` are the interleaved timing
    rounds; `full` lets strategies whose step is dear train for all steps; `agreement_steps` is the length of the float64
    comparison; `name` names the files and defaults to network, data and backend.
    """

    network: str = "mlp"
    data: str = "digits"
    engines: tuple[str, ...] = (ALL,)
    backend: str = "numpy"
    steps: int = 1000
    batch: int = 64
    seed: int = 0
    dtype: str = "float32"
    width: int = 32
    depth: int = 1
    lr: float = 0.1
    momentum: float = 0.9
    rounds: int = 10
    agreement_steps: int = 200
    full: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        choose("network", self.network, NETWORKS)
        choose("data set", self.data, DATASETS)
        choose("backend", self.backend, BACKENDS)
        choose("dtype", self.dtype, DTYPES)
        if not self.engines:
            raise InputError("no engine given: name at least one of " + ", ".join([ALL, *STRATEGIES]))
        for engine in self.engines:
            choose("engine", engine, [ALL, *STRATEGIES])
        for name in ("steps", "batch", "width", "depth", "rounds", "agreement_steps"):
            _require_count(name, getattr(self, name), least=1)
        _require_count("seed", self.seed, least=0)
        if self.batch > self.dataset.trained_on:
            raise InputError(f"`batch` (={self.batch}) must be at most {self.dataset.trained_on}, the training examples of {self.data}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"`lr` (={self.lr}) must be a finite number above 0")
        if not 0 <= self.momentum < 1:
            raise InputError(f"`momentum` (={self.momentum}) must be at least 0 and below 1")
        if self.name:
            _require_name(self.name)

    @property
    def dataset(self) -> Description:
        """What is known of the data set."""
        return DATASETS[self.data]

    @property
    def strategies(self) -> list[Strategy]:
        """The strategies asked for, each once, the reference first."""
        return [strategy for name, strategy in STRATEGIES.items() if ALL in self.engines or name in self.engines]

    @property
    def title(self) -> str:
        """The name of the run's files."""
        return self.name or "-".join([self.network, self.data] + ([] if self.backend == "numpy" else [self.backend]))

    @property
    def shape(self) -> str:
        """The architecture in a few characters."""
        network, data = NETWORKS[self.network], self.dataset
        return network.shape((data.features,), data.classes, width=self.width, depth=self.depth)

    @property
    def parameters(self) -> int:
        """The number of scalar parameters, weights and biases of layers of the sizes in `shape`."""
        sizes = [int(size) for size in self.shape.split("-")]
        return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))

    @property
    def activation_directions(self) -> int:
        """The tangent directions of activation seeding."""
        network, data = NETWORKS[self.network], self.dataset
        return network.activation_directions((data.features,), data.classes, width=self.width, depth=self.depth)

    @property
    def command(self) -> str:
        """The command that repeats this run, every setting written out so that it outlives a change of defaults."""
        words = ["python", "-m", "compare", "run"]
        for engine in [ALL] if len(self.strategies) == len(STRATEGIES) else [strategy.name for strategy in self.strategies]:
            words += ["--engine", engine]
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if field.name not in ("engines", "full", "name"):
                words += [f"--{field.name.replace('_', '-')}", str(value)]
        words += ["--full"] * self.full + ["--name", self.title]
        return shlex.join(words)


def _require_count(name: str, value: int, *, least: int) -> None:
    most = LARGEST_OF.get(name, LARGEST)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"`{name}` (={value!r}) must be a whole number from {least} to {most}")


def _require_name(name: str) -> None:
    if len(name) > NAME_LENGTH or name[0] in ".-" or not all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in name):
        raise InputError(
            f"`name` (={name!r}) must be at most {NAME_LENGTH} letters, digits, '.', '-' and '_' (no folder), and not begin with '.' or '-'"
        )
