"""Claim 7: what dropout does to expectations, and what it does in evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from compare.report.units import percent
from diffcore import ops
from diffcore.nn.functional import dropout


@dataclass(frozen=True, kw_only=True)
class Dropout(Claim):
    """`values` numbers are dropped `draws` times with each probability of `rates`."""

    values: int = 64
    draws: int = 20000
    rates: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 0.9)

    experiment = (
        "Fixed values, and a sum of their squares differentiated by both engines, are put through dropout thousands of times, "
        "and the means "
        "are held against what they are without dropout, in units of their standard error. The same is done with a nonlinear function "
        "behind the dropout, and in evaluation."
    )
    needs = (
        AGREE,
        Criterion("distance of the mean from the value, in standard errors, root mean square over all values and rates", "score", high=1.3),
        Criterion("the largest of them, of the mean of all values", "score_mean", high=4.0),
        Criterion("distance of the mean gradient from the gradient of a linear loss, in standard errors", "score_gradient", high=1.3),
        Criterion("share of values dropped, largest distance from the rate in standard errors", "score_share", high=4.0),
        Criterion("evaluation: largest change", "evaluation", low=0.0, high=0.0),
        Criterion("evaluation: largest distance of the derivative from the identity", "evaluation_jacobian", low=0.0, high=0.0),
    )
    limits = (
        Limit(
            "a nonlinear function of dropped values has another expectation: at rate 0.5 a mean of tanh is off by {} standard errors",
            "score_tanh",
            low=5.0,
        ),
    )

    def measure(self) -> Measured:
        """Means, their standard errors, gradients, and evaluation."""
        rng = np.random.default_rng(self.seed)
        x = rng.normal(size=self.values)
        weights = rng.normal(size=self.values)
        found: dict[str, Any] = {}
        scores, shares, means = [], [], []
        for rate in self.rates:
            dropped = self._dropped(x, rate)
            error = np.abs(x) * np.sqrt(
                rate / (1 - rate) / self.draws
            )  # the standard error of a mean of values that are 0 or x / (1 - rate)
            scores.append((dropped.mean(axis=0) - x) / error)
            means.append((dropped.mean() - x.mean()) / (np.sqrt((error**2).sum()) / self.values))
            count = dropped.size
            shares.append(((dropped == 0).sum() - count * rate) / np.sqrt(count * rate * (1 - rate)))
        found["score"] = float(np.sqrt(np.mean(np.square(scores))))
        found["score_mean"] = float(np.abs(means).max())
        found["score_share"] = float(np.abs(shares).max())
        gradients, gap = self._gradients(x, weights)
        found["agreement"] = gap
        off = (gradients.mean(axis=0) - weights) / (np.abs(weights) / np.sqrt(len(gradients)))
        found["score_gradient"] = float(np.sqrt(np.mean(np.square(off))))
        half = np.tanh(self._dropped(x, 0.5))
        found["score_tanh"] = float(np.abs((half.mean(axis=0) - np.tanh(x)) / (half.std(axis=0) / np.sqrt(self.draws))).max())
        found["spread"] = float((self._dropped(x, 0.9).std(axis=0) / np.abs(x)).mean())
        evaluated = dropout(x, 0.5, training=False)
        found["evaluation"] = float(np.abs(evaluated - x).max())
        jacobians = [engine.jacobian(lambda x: dropout(x, 0.5, training=False))(x) for engine in ENGINES.values()]
        found["evaluation_jacobian"] = float(max(np.abs(j - np.eye(self.values)).max() for j in jacobians))
        counts = np.unique(np.geomspace(1, self.draws, 60).astype(int))
        running = self._dropped(x, 0.5).mean(axis=1).cumsum() / np.arange(1, self.draws + 1)
        bend = half.mean(axis=1).cumsum() / np.arange(1, self.draws + 1)
        series = {
            "counts": counts,
            "error": np.abs(running[counts - 1] - x.mean()),
            "error_tanh": np.abs(bend[counts - 1] - np.tanh(x).mean()),
            "expected": np.sqrt((x**2).sum() / counts) / self.values,
            "scores": [float(np.sqrt(np.mean(np.square(each)))) for each in scores],
        }
        return Measured(found, {name: numbers(values) for name, values in series.items()})

    def _dropped(self, x: Any, rate: float) -> Any:
        """`x` after each of many draws, one a row, the same for one rate."""
        generator = np.random.default_rng([self.seed, round(100 * rate)])
        return dropout(np.broadcast_to(x, (self.draws, self.values)).copy(), rate, generator=generator)

    def _gradients(self, x: Any, weights: Any) -> tuple[Any, float]:
        """Gradients of a linear loss of dropped values, one a draw, and the largest distance of the engines over squares, same masks."""
        draws = min(self.draws, 400)
        found: dict[str, list[Any]] = {mode: [] for mode in ENGINES}
        squared: dict[str, list[Any]] = {mode: [] for mode in ENGINES}
        for mode, engine in ENGINES.items():
            generator = np.random.default_rng(self.seed)
            linear = engine.grad(lambda x, g=generator: ops.sum(dropout(x, 0.5, generator=g) * weights))
            square = engine.grad(lambda x, g=generator: ops.sum(ops.square(dropout(x, 0.5, generator=g))))
            for _ in range(draws):
                found[mode].append(linear(x))
                squared[mode].append(square(x))
        gap = max(difference(found["forward"], found["reverse"]), difference(squared["forward"], squared["reverse"]))
        return np.array(found["reverse"]), gap

    def figure(self, measured: Measured) -> Figure:
        """The error of the running mean over the number of draws."""
        s = measured.series
        curves = [
            Curve(s["counts"], s["error"], "strategy-0", "plain"),
            Curve(s["counts"], s["error_tanh"], "strategy-1", "plain"),
            Curve(s["counts"], s["expected"], "muted", "dashed"),
        ]
        svg = draw(
            "Distance of running means from their values without dropout, over draws",
            Panel("Distance of the mean from that without dropout", "draws, rate 0.5", curves, "xy"),
            height=210,
        )
        legend = [("dropout", "strategy-0"), ("tanh behind dropout", "strategy-1"), ("standard error (dashed)", "muted")]
        return Figure(svg, legend)

    def table(self, measured: Measured) -> Table:
        """Scores by rate."""
        scores = [number(v or 0) for v in measured.series["scores"]]
        body = [("distance of the mean, in standard errors, root mean square", *scores)]
        caption = f"At rate 90 % the standard deviation of a value is {times(measured['spread'])} the value."
        return Table(("rate", *(percent(rate) for rate in self.rates)), body, caption)


CLAIM = Dropout()
