"""What a run is told: one record, checked once, the same for the command line, the library and the workers."""

from __future__ import annotations

import math
import shlex
from typing import Any

import msgspec

from compare.datasets import DATASETS, Description, describe
from compare.errors import InputError, choose
from compare.networks import NETWORKS, Network
from compare.optimizers import OPTIMIZERS, WITH_MOMENTUM, described
from compare.strategies import ALL, STRATEGIES, Strategy
from diffcore.whole import whole

BACKENDS = ("numpy", "jax")
DTYPES = {"float32": 4, "float64": 8}
"""Bytes of a number, by the name of its dtype."""
NAME_LENGTH = 100
LARGEST = 10**9
"""No count may be larger; what is meant is always far below, and a typing error ends in a message instead of a hang."""
LARGEST_OF = {"width": 2**16, "depth": 1000}
"""Tighter bounds, for the same reason."""

AUTO = "auto"
"""The memory budget that is `AUTO_BYTES`, or more where a single direction needs more."""
AUTO_BYTES = {"numpy": 256 * 10**6, "jax": 2 * 10**9}
"""By backend. A compiled step holds the program of every chunk, so there chunks are dear."""

OF_THE_NETWORK = ("data", "steps", "batch", "width", "depth", "optimizer", "lr", "momentum")
"""Settings that are the network's own where they are not given."""
_OWN: Any = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a run; impossible ones raise `InputError` at once.

    `steps` are training steps of `batch` examples; `width` and `depth` shape the network; these, `data`, `optimizer`, `lr` and `momentum`
    are those of the network's preset where they are not given. `memory` is what the tangents of forward mode may take, in bytes or as
    `"256MB"`, beyond which they are computed in chunks, and what checkpointed reverse mode may take beside parameters and gradients (by
    default it keeps what square root checkpointing does); `rounds` are the interleaved timing rounds; `full` lets strategies whose step is
    dear run, and train for all steps; `force` begins what is predicted not to fit in memory; `agreement_steps` is the length of the
    float64 comparison; `name` names the files and defaults to network, data and backend.
    """

    network: str = "mlp"
    data: str = _OWN
    engines: tuple[str, ...] = (ALL,)
    backend: str = "numpy"
    steps: int = _OWN
    batch: int = _OWN
    seed: int = 0
    dtype: str = "float32"
    width: int = _OWN
    depth: int = _OWN
    optimizer: str = _OWN
    lr: float = _OWN
    momentum: float = _OWN
    memory: int | str = AUTO
    rounds: int = 10
    agreement_steps: int = 200
    full: bool = False
    force: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        preset = NETWORKS[choose("network", self.network, NETWORKS)]
        momentum = self.momentum
        for name in OF_THE_NETWORK:
            if getattr(self, name) is None:
                msgspec.structs.force_setattr(self, name, getattr(preset, name))
        choose("backend", self.backend, BACKENDS)
        choose("dtype", self.dtype, DTYPES)
        choose("optimizer", self.optimizer, OPTIMIZERS)
        if not self.engines:
            raise InputError("no engine given: name at least one of " + ", ".join([ALL, *STRATEGIES]))
        for engine in self.engines:
            choose("engine", engine, [ALL, *STRATEGIES])
        for name in ("steps", "batch", "width", "depth", "rounds", "agreement_steps"):
            msgspec.structs.force_setattr(self, name, require_count(name, getattr(self, name), least=1))
        for name in ("width", "depth"):
            if name not in preset.knobs and getattr(self, name) != getattr(preset, name):
                raise InputError(f"`{name}` (={getattr(self, name)}) cannot be set: {self.network} has no {name} to choose")
        msgspec.structs.force_setattr(self, "seed", require_count("seed", self.seed, least=0))
        _check_fit(preset, self.dataset)
        if self.batch > self.dataset.trained_on:
            raise InputError(f"`batch` (={self.batch}) must be at most {self.dataset.trained_on}, the training examples of {self.data}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"`lr` (={self.lr}) must be a finite number above 0")
        if not 0 <= self.momentum < 1:
            raise InputError(f"`momentum` (={self.momentum}) must be at least 0 and below 1")
        if self.optimizer not in WITH_MOMENTUM:
            if momentum:
                raise InputError(f"`momentum` (={momentum}) cannot be set: {self.optimizer} has none")
            msgspec.structs.force_setattr(self, "momentum", 0.0)
        if self.memory != AUTO:
            msgspec.structs.force_setattr(self, "memory", _bytes(self.memory))
        if self.name:
            require_name(self.name)

    @property
    def dataset(self) -> Description:
        """What is known of the data set."""
        return describe(self.data)

    @property
    def model(self) -> Network:
        """The description of the network, set to learn what the data are for."""
        learning = NETWORKS[self.network].learning(self.dataset.task)
        assert learning is not None
        return learning

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of an example as the network takes it."""
        shape = self.dataset.delivered(self.model.takes)
        assert shape is not None
        return shape

    @property
    def outputs(self) -> int:
        """The number of classes, of regressed numbers or of different tokens."""
        return self.dataset.outputs

    @property
    def strategies(self) -> list[Strategy]:
        """The strategies asked for, each once, the reference first."""
        return [each for name, each in STRATEGIES.items() if name in self.engines or (each.by_default and ALL in self.engines)]

    @property
    def title(self) -> str:
        """The name of the run's files."""
        return self.name or "-".join([self.network, slug(self.data)] + ([] if self.backend == "numpy" else [self.backend]))

    @property
    def shape(self) -> str:
        """The architecture in a few characters."""
        return self.model.shape(self.inputs, self.outputs, width=self.width, depth=self.depth)

    @property
    def training(self) -> str:
        """The optimizer and its numbers, for people."""
        return described(self.optimizer, lr=self.lr, momentum=self.momentum)

    @property
    def budget(self) -> int:
        """Bytes that the tangents of forward mode may take."""
        return AUTO_BYTES[self.backend] if isinstance(self.memory, str) else self.memory

    def budget_of(self, strategy: Strategy) -> int | None:
        """Bytes that a strategy is told to keep to, None where it is told none."""
        if strategy.checkpoints:
            return None if self.memory == AUTO else self.budget
        return self.budget if strategy.bounded else None

    @property
    def command(self) -> str:
        """The command that repeats this run, every setting written out so that it outlives a change of defaults."""
        words = ["python", "-m", "compare", "run"]
        names = [strategy.name for strategy in self.strategies]
        usual = [name for name, strategy in STRATEGIES.items() if strategy.by_default]
        for engine in [ALL, *(name for name in names if name not in usual)] if {*usual} <= {*names} else names:
            words += ["--engine", engine]
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if field.name == "momentum" and self.optimizer not in WITH_MOMENTUM:
                continue
            if field.name not in ("engines", "full", "force", "name"):
                words += [f"--{field.name.replace('_', '-')}", str(value)]
        words += ["--full"] * self.full + ["--force"] * self.force + ["--name", self.title]
        return shlex.join(words)


def _check_fit(network: Network, data: Description) -> None:
    """Raise `InputError` when `network` cannot be trained on `data`, naming what would fit either."""
    if fits(network, data):
        return
    wanted = f"{network.takes} inputs" if network.inputs is None else f"{network.takes} inputs {network.inputs}"
    others = [name for name, other in NETWORKS.items() if fits(other, data)]
    raise InputError(
        f"network {network.name!r} and data set {data.name!r} do not fit: the network takes {wanted} for"
        f" {' or '.join([network.task, *network.tasks])}, the data are {data.form} inputs {data.shape} for {data.task}; data sets that fit"
        f" {network.name}: {', '.join(name for name, other in DATASETS.items() if fits(network, other)) or 'none'};"
        f" networks that fit {data.name}: {', '.join(others) or 'none'}"
    )


def fits(network: Network, data: Description) -> bool:
    """Whether `network` can be trained on `data`."""
    delivered = data.delivered(network.takes)
    if delivered is None or network.learning(data.task) is None:
        return False
    return network.inputs in (None, delivered) and network.outputs in (None, data.outputs)


def _bytes(memory: int | str) -> int:
    """A memory budget in bytes."""
    from diffcore.budget import parse_bytes

    try:
        return parse_bytes(memory)
    except ValueError as error:
        raise InputError(f"{error}, or {AUTO!r}") from None


def slug(data: str) -> str:
    """The name of a data set as part of a file's name: of a path the last part, of that the letters that a name may have."""
    kind, colon, rest = data.partition(":")
    stem = rest.replace("\\", "/").rstrip("/").rpartition("/")[2].partition(".")[0].partition(":")[0]
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)[:40]
    return f"{kind}-{kept}" if colon else kind


def require_count(name: str, value: Any, *, least: int) -> int:
    """`value` as an integer. Raises `InputError` unless it is a whole number that the setting `name` may have."""
    most, found = LARGEST_OF.get(name, LARGEST), whole(value, least)
    if found is None or found > most:
        raise InputError(f"`{name}` (={value!r}) must be a whole number from {least} to {most}")
    return found


def require_name(name: str) -> None:
    """Raise `InputError` unless `name` can be that of a run's files."""
    if len(name) > NAME_LENGTH or name[0] in ".-" or not all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in name):
        raise InputError(
            f"`name` (={name!r}) must be at most {NAME_LENGTH} letters, digits, '.', '-' and '_' (no folder), and not begin with '.' or '-'"
        )
