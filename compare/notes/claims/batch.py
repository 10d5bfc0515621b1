"""Claim 12: what the batch size does to time and memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.measure import traced
from compare.notes.bench import TOKENS, difference, fastest, numbers, planned, slope
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from compare.report.units import duration, size, whole
from diffcore import ops
from diffcore.ops.losses import cross_entropy


def loss(parameters: tuple[Any, ...], x: Any, y: Any) -> Any:
    """The loss of a network with one hidden layer of tanh units."""
    w1, b1, w2, b2 = parameters
    return cross_entropy(ops.linear(ops.tanh(ops.linear(x, w1, b1)), w2, b2), y)


STEPS = {"reverse": revdiff.value_and_grad(loss), "forward": dualdiff.value_and_grad(loss, seeding="activations")}
"""Loss and gradient in each mode; forward mode with directions shared by the batch."""


@dataclass(frozen=True, kw_only=True)
class Batch(Claim):
    """A network from `features` over `hidden` units to `classes`, on batches of `sizes`; `timed` seconds a timing may take, in `rounds`."""

    features: int = 64
    hidden: int = 32
    classes: int = 10
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    timed: float = 0.25
    rounds: int = 5

    experiment = (
        "Loss and gradient of one network are computed on batches from one example to thousands, in both modes; time is "
        "taken, and the peak "
        "bytes are counted and measured."
    )
    needs = (
        AGREE,
        Criterion("reverse: time per example, batch of one over the best", "waste_reverse", low=3.0, show=times),
        Criterion("forward: the same", "waste_forward", low=3.0, show=times),
        Criterion("reverse: peak bytes over the four largest batches grow as the size to the power of", "power_reverse", low=0.8, high=1.2),
        Criterion("forward: the same", "power_forward", low=0.8, high=1.2),
        Criterion("reverse: measured peak bytes, largest batch over the smallest", "bytes_reverse", low=10.0, show=times),
        Criterion("forward: the same", "bytes_forward", low=10.0, show=times),
    )
    limits = (
        Limit("the largest batch wastes time too: in reverse mode an example takes {} the best time", "slow_reverse", low=1.5, show=times),
        Limit("in forward mode the largest batch takes {} the best time per example", "slow_forward", low=1.5, show=times),
    )

    def measure(self) -> Measured:
        """Seconds and bytes by the batch size."""
        rng = np.random.default_rng(self.seed)
        shapes = ((self.hidden, self.features), (self.hidden,), (self.classes, self.hidden), (self.classes,))
        parameters = tuple(rng.normal(size=shape) / math.sqrt(self.features) for shape in shapes)
        series: dict[str, Any] = {"sizes": self.sizes}
        found: dict[str, Any] = {}
        results = []
        for mode, step in STEPS.items():
            counted, measured = [], []
            for n in self.sizes:
                x, y = self._examples(n)
                counted.append(planned(lambda *p, y=y, step=step: step(p[:-1], p[-1], y), *shapes, (n, self.features)).peak)
                measured.append(traced(partial(step, parameters, x, y)))
            results.append(step(parameters, x, y))
            clock = self._clock(partial(step, parameters))
            series |= {f"seconds_{mode}": clock, f"planned_{mode}": counted, f"traced_{mode}": measured}
            found[f"waste_{mode}"] = clock[0] / min(clock)
            found[f"slow_{mode}"] = clock[-1] / min(clock)
            found[f"power_{mode}"] = slope(self.sizes[-4:], counted[-4:])
            found[f"bytes_{mode}"] = measured[-1] / measured[0]
        clock = series["seconds_reverse"]
        found["enough"] = next(n for n, seconds in zip(self.sizes, clock, strict=True) if seconds <= min(clock) / 0.9)
        found["dearer"] = series["planned_forward"][-1] / series["planned_reverse"][-1]
        found["agreement"] = difference(results[1], results[0])
        varying = [name for name in (*found, *series) if name.startswith(("waste", "bytes", "seconds", "traced", "enough", "slow"))]
        return Measured(found, {name: numbers(values) for name, values in series.items()}, varying)

    def _examples(self, n: int) -> tuple[Any, Any]:
        return np.random.default_rng([self.seed, n]).normal(size=(n, self.features)), np.arange(n) % self.classes

    def _clock(self, step: Any) -> list[float]:
        """Seconds per example by the batch size: the fastest of rounds over all sizes, so that a slow moment hits no size alone."""
        best = [float("inf")] * len(self.sizes)
        for _ in range(self.rounds):
            for i, n in enumerate(self.sizes):
                x, y = self._examples(n)
                best[i] = min(best[i], fastest(partial(step, x, y), repeats=10, seconds=self.timed / self.rounds) / n)
        return best

    def figure(self, measured: Measured) -> Figure:
        """Time per example and peak bytes over the batch size."""
        s = measured.series
        clock = [Curve(s["sizes"], s[f"seconds_{mode}"], token) for mode, token in TOKENS.items()]
        held = [Curve(s["sizes"], s[f"traced_{mode}"], token) for mode, token in TOKENS.items()]
        svg = draw(
            "Seconds per example and peak bytes over the batch size",
            Panel("Time per example", "examples in the batch", clock, "xy", ticks=duration),
            Panel("Peak bytes, measured", "examples in the batch", held, "xy", ticks=size),
            height=180,
        )
        return Figure(svg, [("reverse mode", TOKENS["reverse"]), ("forward mode, activation directions", TOKENS["forward"])])

    def table(self, measured: Measured) -> Table:
        """Both costs in both modes."""
        s = measured.series
        body = []
        for i, n in enumerate(self.sizes):
            cells = (show(s[f"{kind}_{mode}"][i] or 0) for kind, show in KINDS.items() for mode in TOKENS)
            body.append((whole(n), *cells))
        head = ("examples", *(f"{name}, {mode}" for name in ("time per example", "planned peak", "measured peak") for mode in TOKENS))
        caption = (
            f"From {number(measured['enough'])} examples on a larger batch saves less than a tenth of reverse mode’s time per "
            f"example; forward "
            f"mode’s planned peak at the largest batch is {times(measured['dearer'])} reverse mode’s."
        )
        return Table(head, body, caption)


KINDS = {"seconds": duration, "planned": size, "traced": size}

CLAIM = Batch()
