"""The benchmark: both engines against a pass written by hand and against `jax.jacfwd`, in one process.

Float32, batch 64, the network 64-32-10 with tanh. All contestants compute the same loss and gradients, which is checked
first; then they are timed in interleaved rounds, and what counts is the median over the rounds of the ratio within a round,
whose contestants ran on the same machine in the same mood. A benchmark, not a test: targets that are missed are shown, not raised.
"""

from __future__ import annotations

import gc
import importlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compare.errors import CompareError
from compare.handwritten import value_and_grad
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer

if TYPE_CHECKING:
    from rich.console import Console

ROUND = 0.01
"""Seconds that one contestant's round is made to last, by repeating short work."""
TOLERANCE = 1e-5
"""Largest difference of gradients, relative to the largest gradient, at which contestants compute the same."""

HANDWRITTEN = "hand-written"
JACFWD = "jax.jit(jax.jacfwd)"

Gradients = dict[str, NDArray[np.floating[Any]]]
Work = Callable[[], tuple[Any, Gradients]]


@dataclass(frozen=True)
class Target:
    """The ratio of two contestants' times, and the bound it is wanted to keep: at most, or with `least` at least."""

    work: str
    against: str
    bound: float
    least: bool = False


TARGETS = (
    Target("reverse", HANDWRITTEN, 2.0),
    Target("forward-activations", HANDWRITTEN, 6.0),
    Target(JACFWD, "forward-activations", 50.0, least=True),
)


@dataclass(frozen=True)
class Row:
    """One line of the result: the median ratio and whether the target is met."""

    target: Target
    ratio: float

    @property
    def met(self) -> bool:
        """Whether the ratio keeps its bound."""
        return self.ratio >= self.target.bound if self.target.least else self.ratio <= self.target.bound


@dataclass(frozen=True)
class Result:
    """Seconds for one evaluation, in every round of every contestant."""

    rounds: dict[str, list[float]]

    @property
    def medians(self) -> dict[str, float]:
        """Median seconds by contestant."""
        return {name: statistics.median(times) for name, times in self.rounds.items()}

    @property
    def rows(self) -> list[Row]:
        """The targets and what became of them."""
        return [Row(target, self._ratio(target.work, target.against)) for target in TARGETS]

    def _ratio(self, work: str, against: str) -> float:
        """The median over the rounds of the ratio of two contestants within a round."""
        return statistics.median(a / b for a, b in zip(self.rounds[work], self.rounds[against], strict=True))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in seconds."""
        rows = [
            {
                "work": row.target.work,
                "against": row.target.against,
                "ratio": row.ratio,
                "target": row.target.bound,
                "sense": "at least" if row.target.least else "at most",
                "met": row.met,
            }
            for row in self.rows
        ]
        return {"medians": self.medians, "ratios": rows, "rounds": self.rounds}


def measure(rounds: int) -> Result:
    """Time every contestant in `rounds` interleaved rounds. Raises `CompareError` when their gradients differ."""
    works = _contestants()
    _check(works)
    repeats = {name: _repeats(work) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, work in works.items():
                times[name].append(_time(work, repeats[name]))
    finally:
        gc.enable()
    return Result(times)


def show(result: Result, console: Console) -> None:
    """Print the ratios as a table, then the medians."""
    from rich.table import Table

    medians = result.medians
    table = Table(box=None, pad_edge=False)
    table.add_column("work")
    table.add_column("against")
    for title in ("ratio", "target"):
        table.add_column(title, justify="right")
    table.add_column("met")
    for row in result.rows:
        bound = f"{'at least' if row.target.least else 'at most'} {row.target.bound:g}x"
        table.add_row(row.target.work, row.target.against, f"{row.ratio:.2f}x", bound, "yes" if row.met else "NO")
    console.print(table)
    console.print()
    console.print("Median time of one loss and gradient, float32, batch 64, network 64-32-10:")
    for name, median in medians.items():
        console.print(f"  {name:<22}{median * 1e3:9.3f} ms")


def _contestants() -> dict[str, Work]:
    """Each contestant's work by name: the loss and the gradients of the same network on the same batch."""
    settings = Settings()
    rng = np.random.default_rng(settings.seed)
    images = rng.random((settings.batch, *settings.inputs), np.float32)
    labels = rng.integers(0, settings.outputs, settings.batch)
    works: dict[str, Work] = {}
    parameters: Gradients = {}
    for name in ("reverse", "forward-activations"):
        trainer = Trainer(settings, STRATEGIES[name], device="cpu", dtype="float32", compiled=False)
        parameters = trainer.parameters()
        works[name] = _engine(trainer, images, labels)
    hand = value_and_grad(parameters)
    return {HANDWRITTEN: lambda: hand(images, labels), **works, JACFWD: _jacfwd(parameters, images, labels)}


def _engine(trainer: Trainer, images: Any, labels: Any) -> Work:
    return lambda: trainer.value_and_grad(trainer.net, images, labels)


def _jacfwd(parameters: Gradients, images: Any, labels: Any) -> Work:
    jax = importlib.import_module("jax")
    weight, bias, last_weight, last_bias = list(parameters)

    def loss(p: dict[str, Any], x: Any, y: Any) -> tuple[Any, Any]:
        hidden = jax.numpy.tanh(x @ p[weight].T + p[bias])
        logs = jax.nn.log_softmax(hidden @ p[last_weight].T + p[last_bias])
        value = -jax.numpy.take_along_axis(logs, y[:, None], 1).mean()
        return value, value

    compiled = jax.jit(jax.jacfwd(loss, has_aux=True))
    arguments = jax.device_put((parameters, images, labels))

    def work() -> tuple[Any, Gradients]:
        gradients, value = jax.block_until_ready(compiled(*arguments))
        return value, gradients

    return work


def _check(works: dict[str, Work]) -> None:
    """Raise `CompareError` when a contestant does not compute what the hand-written pass computes."""
    value, expected = works[HANDWRITTEN]()
    expected = {name: gradient.copy() for name, gradient in expected.items()}
    scale = max(float(abs(gradient).max()) for gradient in expected.values())
    for name, work in works.items():
        loss, gradients = work()
        worst = max(float(abs(np.asarray(gradients[key]) - expected[key]).max()) / scale for key in expected)
        if not max(worst, abs(float(loss) - float(value))) <= TOLERANCE:
            raise CompareError(f"bench: gradients of {name} differ from the hand-written ones by {worst:.3g} of the largest")


def _repeats(work: Work) -> int:
    """How often to do `work` in a round; finding out warms it up."""
    count = 1
    while (elapsed := _time(work, count) * count) < ROUND / 2:
        count *= 2
    return max(1, round(count * ROUND / elapsed))


def _time(work: Work, count: int) -> float:
    """Mean seconds of `count` repetitions."""
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count
