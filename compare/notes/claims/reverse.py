"""Claim 2: what reverse mode keeps, what it carries back, and why networks with one loss are trained with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.notes.bench import ENGINES, TOKENS, Cost, crossing, difference, fastest, numbers, planned, slope
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from compare.notes.programs import network_loss
from compare.report.units import duration, operations, size, whole
from diffcore import ops


def trunk(x: Any, weight: Any, head: Any) -> Any:
    """From n inputs through three layers of as many units to m outputs."""
    for _ in range(3):
        x = ops.tanh(ops.matmul(weight, x))
    return ops.matmul(head, x)


@dataclass(frozen=True, kw_only=True)
class Reverse(Claim):
    """`inputs` of the function whose `outputs` are swept; `hidden` units and `depths` of the networks; `timed` seconds for a timing."""

    inputs: int = 32
    outputs: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    hidden: tuple[int, ...] = (4, 8, 16, 32, 64)
    depths: tuple[int, ...] = (2, 4, 8, 16, 32)
    batch: int = 32
    timed: float = 0.1

    experiment = (
        "The Jacobian of a function of n inputs is computed in both modes while its number of outputs m grows, and the gradient of a "
        "network’s loss while the network grows in width and in depth. Operations and bytes are counted, and time is taken."
    )
    needs = (
        AGREE,
        Criterion("values kept for the way back grow as depth to the power of", "power_kept", low=0.9, high=1.1),
        Criterion("the cotangent that runs back: bytes at the greatest depth over those at the least", "cotangent", high=1.1, show=times),
        Criterion("one output: operations of the gradient over those of the function", "one_output", high=5.0, show=times),
        Criterion(
            "operations of a network’s gradient, textbook’s forward over reverse, at the most parameters", "flops", low=10.0, show=times
        ),
        Criterion("the same in peak bytes", "bytes", low=10.0, show=times),
        Criterion("the same in seconds", "seconds", low=10.0, show=times),
    )
    limits = (
        Limit(
            "from m = {} outputs on forward mode needs fewer operations for a Jacobian",
            "crossing_flops",
            low=1.0,
            show=lambda v: number(round(v)),
        ),
        Limit("what is kept grows with depth, to {} of the forward pass’s own peak in the deepest network", "kept", low=2.0, show=times),
    )

    def measure(self) -> Measured:
        """Sweeps over outputs, parameters and depth."""
        rng = np.random.default_rng(self.seed)
        by_outputs, gap = self._by_outputs(rng)
        by_size, apart = self._by_size(rng)
        by_depth = self._by_depth()
        series = by_outputs | by_size | by_depth
        found = {
            "agreement": max(gap, apart),
            "one_output": by_depth["flops_depth"][-1] / by_depth["function_flops"][-1],
            "power_kept": slope(self.depths, by_depth["kept_bytes"]),
            "cotangent": by_depth["cotangent_bytes"][-1] / by_depth["cotangent_bytes"][0],
            "kept": by_depth["kept_bytes"][-1] / by_depth["function_bytes"][-1],
        }
        for kind in ("flops", "bytes", "seconds"):
            found[kind] = by_size[f"net_{kind}_forward"][-1] / by_size[f"net_{kind}_reverse"][-1]
            crossed = crossing(self.outputs, by_outputs[f"{kind}_forward"], by_outputs[f"{kind}_reverse"])
            found[f"crossing_{kind}"] = crossed
        timed = [name for name in series if "seconds" in name]
        return Measured(found, {name: numbers(values) for name, values in series.items()}, ["seconds", "crossing_seconds", *timed])

    def _by_outputs(self, rng: Any) -> tuple[dict[str, Any], float]:
        """Jacobians of `trunk` in both modes: operations, bytes and seconds by the number of outputs, and the distance of the modes."""
        n = self.inputs
        weight, start = rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=n)
        heads = [rng.normal(size=(m, n)) for m in self.outputs]
        series: dict[str, Any] = {"outputs": self.outputs}
        jacobians = []
        for mode, engine in ENGINES.items():
            costs = [planned(engine.jacobian(trunk), (n,), (n, n), (m, n)) for m in self.outputs]
            series[f"flops_{mode}"] = [cost.flops for cost in costs]
            series[f"bytes_{mode}"] = [cost.peak for cost in costs]
            jacobian = engine.jacobian(trunk)
            series[f"seconds_{mode}"] = [fastest(partial(jacobian, start, weight, a), repeats=30, seconds=self.timed) for a in heads]
            jacobians.append([jacobian(start, weight, a) for a in heads])
        return series, difference(*jacobians)

    def _by_size(self, rng: Any) -> tuple[dict[str, Any], float]:
        """Gradients of the network’s loss in both modes by the number of parameters."""
        series: dict[str, Any] = {"parameters": [sum(m * n for m, n in self._shapes(h, 2)) for h in self.hidden]}
        steps = {"reverse": revdiff.grad(network_loss), "forward": dualdiff.grad(network_loss, seeding="parameters")}
        for mode in steps:
            series |= {f"net_{kind}_{mode}": [] for kind in ("flops", "bytes", "seconds")}
        gap = 0.0
        for h in self.hidden:
            weights = tuple(rng.normal(size=shape) / np.sqrt(shape[1]) for shape in self._shapes(h, 2))
            x, gradients = rng.normal(size=(self.batch, h)), []
            for mode, step in steps.items():
                cost = self._planned(step, h, 2)
                series[f"net_flops_{mode}"].append(cost.flops)
                series[f"net_bytes_{mode}"].append(cost.peak)
                series[f"net_seconds_{mode}"].append(fastest(partial(step, weights, x), repeats=10, seconds=self.timed))
                gradients.append(step(weights, x))
            gap = max(gap, difference(*gradients))
        return series, gap

    def _by_depth(self) -> dict[str, Any]:
        """What reverse mode keeps and carries by the number of layers."""
        h, gradient = self.hidden[-1], revdiff.grad(network_loss)
        costs = [self._planned(gradient, h, depth) for depth in self.depths]
        functions = [self._planned(network_loss, h, depth) for depth in self.depths]
        # By the input alone: the gradients of the weights are results, not what runs back.
        carried = [self._planned(lambda weights, x: revdiff.grad(network_loss, 1)(weights, x), h, depth) for depth in self.depths]
        return {
            "depths": self.depths,
            "kept_bytes": [cost.roles["residual"] for cost in costs],
            "cotangent_bytes": [cost.roles["cotangent"] for cost in carried],
            "flops_depth": [cost.flops for cost in costs],
            "function_flops": [cost.flops for cost in functions],
            "function_bytes": [cost.peak for cost in functions],
        }

    @staticmethod
    def _shapes(hidden: int, depth: int) -> list[tuple[int, int]]:
        return [*[(hidden, hidden)] * depth, (10, hidden)]

    def _planned(self, step: Any, hidden: int, depth: int) -> Cost:
        shapes = self._shapes(hidden, depth)
        return planned(lambda *operands: step(operands[:-1], operands[-1]), *shapes, (self.batch, hidden))

    def figure(self, measured: Measured) -> Figure:
        """Operations over outputs and over parameters, bytes over depth."""
        s = measured.series
        jacobian = [Curve(s["outputs"], s[f"flops_{mode}"], token) for mode, token in TOKENS.items()]
        network = [Curve(s["parameters"], s[f"net_bytes_{mode}"], token) for mode, token in TOKENS.items()]
        clock = [Curve(s["parameters"], s[f"net_seconds_{mode}"], token) for mode, token in TOKENS.items()]
        kept = [Curve(s["depths"], s["kept_bytes"], "role-residual"), Curve(s["depths"], s["cotangent_bytes"], "role-cotangent")]
        svg = draw(
            "Operations over outputs, peak bytes and seconds over parameters, bytes kept and carried over depth",
            Panel(f"Operations of a Jacobian, n = {self.inputs} inputs", "outputs m", jacobian, "xy", ticks=lambda v: operations(v, "")),
            Panel("Peak bytes of a network’s gradient", "parameters", network, "xy", ticks=size),
            Panel("Seconds of a network’s gradient", "parameters", clock, "xy", ticks=duration),
            Panel("Reverse mode: bytes kept (blue), carried (violet)", "layers", kept, "xy", ticks=size),
            height=150,
        )
        return Figure(svg, [("reverse mode", "strategy-0"), ("forward mode, a direction per parameter", "strategy-1")])

    def table(self, measured: Measured) -> Table:
        """The network’s gradient by its size, and where the modes cross."""
        s = measured.series
        body = []
        for i, count in enumerate(s["parameters"]):
            cells = [show(s[f"net_{kind}_{mode}"][i] or 0) for kind, show in SHOWN.items() for mode in TOKENS]
            body.append((whole(int(count or 0)), *cells))
        crossed = ", ".join(f"{NAMES[kind]} at m = {number(measured[f'crossing_{kind}'])}" for kind in SHOWN)
        head = ("parameters", *(f"{NAMES[kind]}, {mode}" for kind in SHOWN for mode in TOKENS))
        return Table(head, body, f"Gradient of a network’s loss. Jacobians with n = {self.inputs} inputs cross over in {crossed}.")


SHOWN: dict[str, Callable[[float], str]] = {"flops": lambda value: operations(value, "").strip(), "bytes": size, "seconds": duration}
"""How each kind of cost is written."""
NAMES = {"flops": "operations", "bytes": "bytes", "seconds": "seconds"}

CLAIM = Reverse()
