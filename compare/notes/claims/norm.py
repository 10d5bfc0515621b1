"""Claim 13: which normalisation sees the other examples of the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Measured, Table, number
from diffcore.ops.normalisation import batch_norm, layer_norm

KINDS = ("layer norm", "batch norm, training", "batch norm, evaluation")
TOKENS = dict(zip(KINDS, ("strategy-0", "strategy-1", "strategy-2"), strict=True))


@dataclass(frozen=True, kw_only=True)
class Norm(Claim):
    """Batches of `batch` examples with `features`; `sizes` of the batch are swept, `trials` of each; running statistics of `history`
    batches.
    """

    batch: int = 8
    features: int = 16
    sizes: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128)
    trials: int = 50
    history: int = 100

    experiment = (
        "One example is normalised among different companions, by layer norm, by batch norm in training and in evaluation, and its results "
        "are compared. The Jacobian shows whether the companions have an influence, in both modes, and the batch size is swept."
    )
    needs = (
        AGREE,
        Criterion("layer norm: largest change of an example’s result by its companions", "change_layer", low=0.0, high=0.0),
        Criterion("batch norm in evaluation: the same", "change_evaluation", low=0.0, high=0.0),
        Criterion("batch norm in training: the same", "change_training", low=1e-2),
        Criterion("layer norm: largest derivative of an example’s result by another example", "jacobian_layer", low=0.0, high=0.0),
        Criterion("batch norm in evaluation: the same", "jacobian_evaluation", low=0.0, high=0.0),
        Criterion("batch norm in training: the same", "jacobian_training", low=1e-2),
        Criterion("layer norm alone and in the batch: largest difference", "alone", high=1e-12),
    )

    def measure(self) -> Measured:
        """Changes by companions, Jacobians, the batch size, the running statistics."""
        rng = np.random.default_rng(self.seed)
        batches = [rng.normal(size=(self.batch, self.features)) for _ in range(2)]
        batches[1][0] = batches[0][0]
        statistics = self._statistics(rng)
        functions = self._functions(statistics)
        found: dict[str, Any] = {}
        gaps = []
        for name, key in zip(KINDS, ("layer", "training", "evaluation"), strict=True):
            f = functions[name]
            found[f"change_{key}"] = float(np.abs(f(batches[0])[0] - f(batches[1])[0]).max())
            jacobians = [np.asarray(engine.jacobian(lambda x, f=f: f(x)[0])(batches[0])) for engine in ENGINES.values()]
            gaps.append(difference(jacobians[1], jacobians[0]))
            found[f"jacobian_{key}"] = float(max(np.abs(j[:, 1:]).max() for j in jacobians))
        found["agreement"] = max(gaps)
        layer = functions["layer norm"]
        found["alone"] = difference(layer(batches[0][:1])[0], layer(batches[0])[0])
        found["past"] = self._past(batches[0], statistics)
        series: dict[str, Any] = {"sizes": self.sizes}
        for name in KINDS:
            series[name] = [self._spread(functions[name], n) for n in self.sizes]
        return Measured(found, {name: numbers(values) for name, values in series.items()})

    def _statistics(self, rng: Any) -> tuple[Any, Any]:
        """Running mean and variance after batches of training."""
        mean, variance = np.zeros(self.features), np.ones(self.features)
        for _ in range(self.history):
            batch_norm(rng.normal(size=(self.batch, self.features)), mean, variance, training=True)
        return mean, variance

    def _functions(self, statistics: tuple[Any, Any]) -> dict[str, Callable[[Any], Any]]:
        mean, variance = statistics
        return dict(
            zip(
                KINDS,
                (
                    lambda x: layer_norm(x, (self.features,)),
                    lambda x: batch_norm(x, None, None, training=True),
                    lambda x: batch_norm(x, mean, variance, training=False),
                ),
                strict=True,
            )
        )

    @staticmethod
    def _past(x: Any, statistics: tuple[Any, Any]) -> float:
        """The change in evaluation by one more batch of training, its data shifted by 3."""
        mean, variance = (each.copy() for each in statistics)
        before = batch_norm(x, mean, variance, training=False)
        batch_norm(x + 3.0, mean, variance, training=True)
        return float(np.abs(batch_norm(x, mean, variance, training=False) - before).max())

    def _spread(self, f: Callable[[Any], Any], n: int) -> float:
        """The standard deviation of one example’s result over many companions, in batches of `n`."""
        rng = np.random.default_rng([self.seed, n])
        example = np.random.default_rng(self.seed).normal(size=self.features)
        results = [f(np.vstack([example[None], rng.normal(size=(n - 1, self.features))]))[0] for _ in range(self.trials)]
        return float(np.std(np.array(results) - results[0], axis=0).mean())

    def figure(self, measured: Measured) -> Figure:
        """The spread of a result over companions, by the batch size."""
        s = measured.series
        order = ("batch norm, training", "layer norm", "batch norm, evaluation")
        kinds = {"layer norm": "line", "batch norm, training": "line", "batch norm, evaluation": "dashed"}
        curves = [Curve(s["sizes"], s[name], TOKENS[name], kinds[name]) for name in order]
        svg = draw(
            "Standard deviation of one example's result over its companions, by the batch size",
            Panel("Spread of one example’s result over companions", "examples in the batch", curves, "x", y_from=-0.02),
            height=210,
        )
        legend = [(name + (" (dashed)" if kinds[name] == "dashed" else ""), TOKENS[name]) for name in KINDS]
        return Figure(svg, legend)

    def table(self, measured: Measured) -> Table:
        """The spread by the batch size."""
        s = measured.series
        body = [(name, *(number(v or 0) for v in s[name])) for name in KINDS]
        caption = (
            "Spread of one example’s result over its companions. In evaluation batch norm depends on the batches that it was "
            "trained on: after "
            f"one more, of shifted data, results change by {number(measured['past'])}."
        )
        return Table(("examples in the batch", *(number(n) for n in self.sizes)), body, caption)


CLAIM = Norm()
