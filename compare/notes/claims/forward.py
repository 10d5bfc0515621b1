"""Claim 1: what forward mode gives at once, what it does not keep, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.measure import traced
from compare.notes.bench import TOKENS, difference, numbers, planned, slope
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, times
from compare.notes.programs import network_loss
from compare.report.units import size, whole
from diffcore import ops


def layers(x: Any, weight: Any, depth: int) -> list[Any]:
    """The values of `depth` layers `tanh(weight @ ...)`, one after the other."""
    values = []
    for _ in range(depth):
        x = ops.tanh(ops.matmul(weight, x))
        values.append(x)
    return values


def last(x: Any, weight: Any, depth: int) -> Any:
    """The value of the last of `layers`, the others let go."""
    for _ in range(depth):
        x = ops.tanh(ops.matmul(weight, x))
    return x


def scalar(x: Any, weight: Any, depth: int) -> Any:
    """The sum of the last layer: a loss."""
    return ops.sum(last(x, weight, depth))


def shallow(x: Any, weight: Any) -> Any:
    """One layer from n inputs to m outputs."""
    return ops.tanh(ops.matmul(weight, x))


@dataclass(frozen=True, kw_only=True)
class Forward(Claim):
    """`width` inputs and units; `depths`, `inputs` and `outputs` are swept; `batch` examples for the network of `hidden` units."""

    width: int = 64
    depths: tuple[int, ...] = (2, 4, 8, 16, 32, 64)
    inputs: tuple[int, ...] = (16, 32, 64, 128, 256)
    outputs: tuple[int, ...] = (16, 32, 64, 128, 256)
    hidden: int = 32
    batch: int = 64

    experiment = (
        "A chain of layers tanh(W x) is differentiated while it is computed, and its Jacobian after every operation is held "
        "against reverse "
        "mode’s, which must go back once for each. Depth, number of inputs n and number of outputs m are then swept, and operations and "
        "bytes counted."
    )
    needs = (
        AGREE,
        Criterion("derivatives ready with the operations, of all intermediate values", "ready", low=1.0, show=lambda v: f"{100 * v:.0f} %"),
        Criterion(
            "one direction: peak bytes at the greatest depth over those at the least, counted", "depth_forward", high=1.05, show=times
        ),
        Criterion("the same measured by tracemalloc", "depth_forward_traced", high=1.25, show=times),
        Criterion("tangent bytes grow as n to the power of", "power_inputs", low=0.9, high=1.1),
        Criterion("tangent bytes grow as m to the power of", "power_outputs", low=0.9, high=1.1),
        Criterion("operations of a gradient over those of the function, at the most inputs", "work", low=10.0, show=times),
    )
    limits = (
        Limit(
            "n × m is the textbook’s count: directions shared by the batch at each layer’s output compute the same gradient "
            "of a network in "
            "{} of the textbook’s tangent bytes",
            "shared",
            high=0.5,
            show=lambda v: f"{100 * v:.2g} %",
        ),
    )

    def measure(self) -> Measured:
        """Agreement and readiness on values; bytes and operations on shapes, and once by tracemalloc."""
        rng = np.random.default_rng(self.seed)
        n, depth = self.width, self.depths[-1]
        weight, start = rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=n)
        columns = rng.normal(size=(n, 512))  # large enough that arrays outweigh Python's own objects
        ready, gap = self._ready(start, weight, min(depth, 16))
        cost_f = [planned(partial(self._one_direction, depth=d), (n,), (n, n)).peak for d in self.depths]
        cost_r = [planned(lambda x, w, d=d: revdiff.grad(scalar)(x, w, d), (n,), (n, n)).peak for d in self.depths]
        traced_f = [traced(partial(self._one_direction, columns, weight, d)) for d in (self.depths[0], depth)]
        by_inputs = [self._tangent_bytes(k, self.outputs[0]) for k in self.inputs]
        by_outputs = [self._tangent_bytes(self.inputs[0], k) for k in self.outputs]
        work = {mode: [self._work(grad, k) for k in self.inputs] for mode, grad in (("forward", dualdiff.grad), ("reverse", revdiff.grad))}
        textbook, shared = (self._network_bytes(seeding) for seeding in ("parameters", "activations"))
        found: dict[str, Any] = {
            "agreement": gap,
            "ready": ready,
            "depth_forward": cost_f[-1] / cost_f[0],
            "depth_reverse": cost_r[-1] / cost_r[0],
            "depth_forward_traced": traced_f[1] / traced_f[0],
            "power_inputs": slope(self.inputs, by_inputs),
            "power_outputs": slope(self.outputs, by_outputs),
            "work": work["forward"][-1],
            "work_reverse": work["reverse"][-1],
            "passes": self._passes(min(depth, 16)),
            "textbook": textbook,
            "shared": shared / textbook,
        }
        series: dict[str, Any] = {"depths": self.depths, "bytes_forward": cost_f, "bytes_reverse": cost_r}
        series |= {"inputs": self.inputs, "outputs": self.outputs}
        series |= {"tangent_by_inputs": by_inputs, "tangent_by_outputs": by_outputs}
        series |= {"work_forward": work["forward"], "work_reverse": work["reverse"]}
        return Measured(found, {name: numbers(values) for name, values in series.items()}, ["depth_forward_traced"])

    def _ready(self, start: Any, weight: Any, depth: int) -> tuple[float, float]:
        """The share of intermediate values whose Jacobian is carried already, and its distance from reverse mode's."""
        x = dualdiff.tensor(start, requires_grad=True)
        w = dualdiff.tensor(weight)
        value, carried, wanted = x, [], []
        for k in range(1, depth + 1):
            value = ops.tanh(ops.matmul(w, value))
            carried.append(np.asarray(value.jacobian(x)))
            wanted.append(np.asarray(revdiff.jacobian(lambda x, k=k: last(x, weight, k))(start)))
        return sum(bool(block.any()) for block in carried) / depth, difference(carried, wanted)

    @staticmethod
    def _one_direction(x: Any, weight: Any, depth: int) -> Any:
        return dualdiff.jvp(lambda x: last(x, weight, depth), (x,), (x,))

    def _passes(self, depth: int) -> float:
        """Operations of the Jacobians of all intermediate values, reverse over forward."""
        n = self.width
        counts = [
            planned(lambda x, w, engine=engine: engine.jacobian(lambda x: layers(x, w, depth))(x), (n,), (n, n)).flops
            for engine in (revdiff, dualdiff)
        ]
        return counts[0] / counts[1]

    @staticmethod
    def _tangent_bytes(n: int, m: int) -> int:
        return planned(dualdiff.jacobian(shallow), (n,), (m, n)).roles["tangent"]

    @staticmethod
    def _work(grad: Callable[..., Any], n: int) -> float:
        """Operations of the gradient of `scalar` over those of `scalar`, with 4 layers of `n` units."""
        gradient = planned(lambda x, w: grad(scalar)(x, w, 4), (n,), (n, n)).flops
        return gradient / planned(lambda x, w: scalar(x, w, 4), (n,), (n, n)).flops

    def _network_bytes(self, seeding: str) -> int:
        h = self.hidden
        step = dualdiff.value_and_grad(network_loss, seeding=seeding)
        return planned(lambda a, b, x: step((a, b), x), (h, h), (10, h), (self.batch, h)).roles["tangent"]

    def figure(self, measured: Measured) -> Figure:
        """Bytes over depth, tangent bytes over n and m, work over n."""
        s = measured.series
        bytes_of = [Curve(s["depths"], s[f"bytes_{mode}"], token) for mode, token in TOKENS.items()]
        grown = [
            Curve(s["inputs"], s["tangent_by_inputs"], "strategy-1"),
            Curve(s["outputs"], s["tangent_by_outputs"], "strategy-2", "dashed"),
        ]
        work = [Curve(s["inputs"], s[f"work_{mode}"], token) for mode, token in TOKENS.items()]
        svg = draw(
            "Peak bytes over depth, tangent bytes over inputs and outputs, operations over inputs",
            Panel("Peak bytes, one direction or one cotangent", "layers", bytes_of, "xy", ticks=size),
            Panel("Tangent bytes of a Jacobian in forward mode", "inputs n (orange), outputs m (green, dashed)", grown, "xy", ticks=size),
            Panel("Operations of a gradient over the function’s", "inputs n", work, "xy", ticks=times),
        )
        return Figure(svg, [("reverse mode", "strategy-0"), ("forward mode", "strategy-1")])

    def table(self, measured: Measured) -> Table:
        """What the criteria compare with."""
        s = measured.series
        rows = [
            ("peak bytes, least to greatest depth, forward", f"{size(s['bytes_forward'][0] or 0)} to {size(s['bytes_forward'][-1] or 0)}"),
            ("the same, reverse", f"{size(s['bytes_reverse'][0] or 0)} to {size(s['bytes_reverse'][-1] or 0)}"),
            ("operations for the Jacobians of all intermediate values, reverse over forward", times(measured["passes"])),
            ("operations of a gradient over the function’s, reverse, at the most inputs", times(measured["work_reverse"])),
            ("textbook’s tangent bytes of the network’s gradient", size(measured["textbook"])),
            ("parameters of that network", whole(self.hidden * (self.hidden + 10))),
        ]
        return Table(("number", "measured"), rows)


CLAIM = Forward()
