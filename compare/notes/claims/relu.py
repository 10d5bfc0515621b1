"""Claim 6: how ReLU units die, and what LeakyReLU does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number
from compare.report.units import percent
from diffcore import ops
from diffcore.ops.activation import leaky_relu

Weights = dict[str, Any]
TOKENS = {"ReLU": "strategy-0", "LeakyReLU 0.01": "strategy-1", "LeakyReLU 0.1": "strategy-2"}
SLOPES = {"ReLU": 0.0, "LeakyReLU 0.01": 0.01, "LeakyReLU 0.1": 0.1}


def outputs(w: Weights, x: Any, slope: float) -> tuple[Any, Any]:
    """What a net of one hidden layer puts out, and what its units are given before the activation."""
    given = ops.linear(x, w["weight"], w["bias"])
    active = leaky_relu(given, slope) if slope else ops.relu(given)
    return ops.matmul(active, w["out"]) + w["shift"], given


@dataclass(frozen=True, kw_only=True)
class Relu(Claim):
    """`units` whose biases begin at `bias`, so that no example reaches them, are trained for `steps` at rate `lr` on `examples`."""

    units: int = 32
    features: int = 2
    examples: int = 64
    bias: float = -2.0
    steps: int = 1000
    lr: float = 0.2
    rates: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0)

    experiment = (
        "A hidden layer begins with biases so low that no example makes a unit active, and is trained with ReLU and with "
        "LeakyReLU from the "
        "same start. A second net begins alive and is trained at growing rates, and the units that die are counted."
    )
    needs = (
        AGREE,
        Criterion("units that no example reaches at the start", "dead_start", low=1.0, show=percent),
        Criterion("ReLU: largest gradient by a dead unit’s weights", "gradient_relu", low=0.0, high=0.0),
        Criterion("ReLU: units still dead after training", "dead_relu", low=1.0, show=percent),
        Criterion("ReLU: units that die in training from an ordinary start, at the highest rate", "die", low=0.1, show=percent),
        Criterion("LeakyReLU 0.01: smallest gradient of a unit at the start", "gradient_leaky", low=1e-12),
        Criterion("LeakyReLU 0.01: least that a unit’s weights moved in training", "moved_leaky", low=1e-3),
        Criterion("loss reached by LeakyReLU 0.01 over that by ReLU", "loss_slight", high=0.8),
        Criterion("loss reached by LeakyReLU 0.1 over that by ReLU", "loss_leaky", high=0.8),
    )
    limits = (
        Limit(
            "what lives again is the learning, through the slope below zero, as in a linear net; made active by an example "
            "again are {} of the "
            "units",
            "alive_slight",
            high=0.5,
            show=percent,
        ),
    )

    def measure(self) -> Measured:
        """The loss and the share of living units, step by step; and of those that die, by the rate."""
        rng = np.random.default_rng(self.seed)
        x = rng.uniform(-1, 1, size=(self.examples, self.features))
        y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2
        start = self._start(rng, self.bias)
        series: dict[str, Any] = {}
        found: dict[str, Any] = {"dead_start": float(np.mean(~self._alive(start, x, 0.0)))}
        gaps, ends = [], {}
        for name, slope in SLOPES.items():
            both = [engine.grad(self._loss)(start, x, y, slope) for engine in ENGINES.values()]
            gaps.append(difference(both[0], both[1]))
            if name == "ReLU":
                found["gradient_relu"] = float(max(abs(g[k]).max() for g in both for k in ("weight", "bias")))
            elif slope == 0.01:
                found["gradient_leaky"] = float(np.linalg.norm(both[0]["weight"], axis=1).min())
            series[name], ends[name] = self._train("reverse", start, x, y, slope, self.lr, self.steps)
        few = max(2, self.steps // 15)
        gaps.append(difference(*(self._train(mode, start, x, y, 0.1, self.lr, few)[1] for mode in ENGINES)))
        alive = {name: float(self._alive(w, x, SLOPES[name]).mean()) for name, w in ends.items()}
        found |= {
            "agreement": max(gaps),
            "dead_relu": 1 - alive["ReLU"],
            "alive_slight": alive["LeakyReLU 0.01"],
            "alive_leaky": alive["LeakyReLU 0.1"],
            "moved_leaky": float(np.linalg.norm(ends["LeakyReLU 0.01"]["weight"] - start["weight"], axis=1).min()),
            "loss_slight": series["LeakyReLU 0.01"][-1] / series["ReLU"][-1],
            "loss_leaky": series["LeakyReLU 0.1"][-1] / series["ReLU"][-1],
        }
        ordinary = self._start(rng, 0.0)
        series["rates"] = self.rates
        trained = [self._train("reverse", ordinary, x, y, 0.0, rate, min(self.steps, 200))[1] for rate in self.rates]
        series["die"] = [1 - float(self._alive(w, x, 0.0).mean()) for w in trained]
        found["die"] = series["die"][-1]
        return Measured(found, {name: numbers(values) for name, values in series.items()})

    def _start(self, rng: Any, bias: float) -> Weights:
        weight = rng.normal(size=(self.units, self.features))
        return {
            "weight": weight / np.linalg.norm(weight, axis=1, keepdims=True),
            "bias": np.full(self.units, bias),
            "out": rng.normal(size=self.units) / np.sqrt(self.units),
            "shift": np.zeros(()),
        }

    @staticmethod
    def _loss(w: Weights, x: Any, y: Any, slope: float) -> Any:
        return ops.mean(ops.square(outputs(w, x, slope)[0] - y))

    @staticmethod
    def _alive(w: Weights, x: Any, slope: float) -> Any:
        """Which units are active for an example."""
        return (np.asarray(outputs(w, x, slope)[1]) > 0).any(axis=0)

    def _train(self, mode: str, w: Weights, x: Any, y: Any, slope: float, rate: float, steps: int) -> tuple[list[float], Weights]:
        """The loss before every step, and the weights at the end, of descent with the gradient’s norm clipped to 5."""
        step, losses = ENGINES[mode].value_and_grad(self._loss), []
        for _ in range(steps):
            loss, g = step(w, x, y, slope)
            losses.append(float(loss))
            norm = float(np.sqrt(sum(float((each**2).sum()) for each in g.values())))
            w = {name: value - rate * min(1.0, 5.0 / (norm or 1.0)) * g[name] for name, value in w.items()}
        return losses, w

    def figure(self, measured: Measured) -> Figure:
        """The loss over steps, and units that die over the rate."""
        s = measured.series
        losses = [Curve(range(len(s[name])), s[name], token, "plain") for name, token in TOKENS.items()]
        died = [Curve(s["rates"], s["die"], "strategy-0")]
        svg = draw(
            "Loss over training from a dead layer, and units that die over the rate",
            Panel("Loss of a net whose hidden units begin dead", "step", losses, y_from=0.0),
            Panel("ReLU, ordinary start: units that died", "learning rate", died, "x", y_from=-0.02, ticks=lambda v: f"{100 * v:.0f} %"),
        )
        return Figure(svg, list(TOKENS.items()))

    def table(self, measured: Measured) -> Table:
        """Deaths by the rate."""
        s = measured.series
        died = ("units that died", *(percent(v or 0) for v in s["die"]))
        again = f"LeakyReLU 0.01: {percent(measured['alive_slight'])}, 0.1: {percent(measured['alive_leaky'])}"
        caption = f"Units that an example makes active again after training with {again}."
        return Table(("learning rate", *(number(rate or 0) for rate in s["rates"])), [died], caption)


CLAIM = Relu()
