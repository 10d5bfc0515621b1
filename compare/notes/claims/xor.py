"""Claim 10: what can and what cannot learn XOR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Bars, Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number
from compare.report.units import percent
from diffcore import ops

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([-1.0, 1.0, 1.0, -1.0])

Weights = tuple[Any, ...]
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"none": lambda x: x, "tanh": ops.tanh, "ReLU": ops.relu}


def logits(w: Weights, activation: str) -> Any:
    """What many nets at once put out, `[nets, 4]`: one weight `[nets, 2, h]` and bias `[nets, 1, h]` after the other."""
    value: Any = X
    for i in range(0, len(w), 2):
        value = ops.matmul(value, w[i]) + w[i + 1]
        if i + 2 < len(w):
            value = ACTIVATIONS[activation](value)
    return value[..., 0]


def losses(w: Weights, activation: str) -> Any:
    """The sum over nets of each net’s mean logistic loss, so that each net’s gradient is its own."""
    return ops.sum(ops.mean(ops.softplus(-Y * logits(w, activation)), 1))


@dataclass(frozen=True, kw_only=True)
class Xor(Claim):
    """`nets` of each kind, each from its own start, are trained for `steps` at rate `lr`; `widths` of the hidden layer are swept."""

    nets: int = 50
    steps: int = 800
    lr: float = 1.0
    widths: tuple[int, ...] = (1, 2, 4, 16)
    epochs: int = 100

    experiment = (
        "The four points of XOR are learned from many starts each by the perceptron’s rule, by a linear net, by nets with a linear "
        "hidden layer, and by nets with one hidden layer of tanh or ReLU units of growing width. A net has learned when all "
        "four points are "
        "on their side."
    )
    needs = (
        AGREE,
        Criterion("perceptron: starts that ever get all four points right", "perceptron", high=0.0, show=percent),
        Criterion("perceptron on AND: the same, so that the rule is known to work", "perceptron_and", low=1.0, show=percent),
        Criterion("linear net: starts that learn", "linear", high=0.0, show=percent),
        Criterion("linear net: largest distance of a loss from ln 2, that of guessing", "linear_loss", high=1e-6),
        Criterion("linear hidden layer: starts that learn", "deep", high=0.0, show=percent),
        Criterion("linear hidden layer: the least loss below ln 2 by", "deep_loss", high=1e-6),
        Criterion("hidden layer of the most tanh units: starts that learn", "tanh", low=0.95, show=percent),
        Criterion("hidden layer of the most ReLU units: starts that learn", "relu", low=0.95, show=percent),
    )
    limits = (
        Limit("two tanh units, which are enough, learn it from {} of the starts", "tanh_two", high=0.95, show=percent),
        Limit("two ReLU units from {}", "relu_two", high=0.95, show=percent),
        Limit("one tanh unit from {}", "tanh_one", high=0.05, show=percent),
    )

    def measure(self) -> Measured:
        """The share of starts that learn, by kind and width."""
        rng = np.random.default_rng(self.seed)
        found: dict[str, Any] = {
            "perceptron": self._perceptron(rng, Y),
            "perceptron_and": self._perceptron(rng, np.array([-1, -1, -1, 1.0])),
        }
        right, loss, _ = self._train(self._start(rng, ()), "none")
        found |= {"linear": right, "linear_loss": float(np.abs(loss - np.log(2)).max())}
        right, loss, deep = self._train(self._start(rng, (8,)), "none")
        found |= {"deep": right, "deep_loss": float(np.log(2) - loss.min())}
        series: dict[str, Any] = {"widths": self.widths, "loss_deep": deep}
        for name in ("tanh", "ReLU"):
            shares = []
            for width in self.widths:
                right, _, path = self._train(self._start(rng, (width,)), name)
                shares.append(right)
            series |= {name.lower(): shares, f"loss_{name.lower()}": path}
            found |= {name.lower(): shares[-1], f"{name.lower()}_two": shares[self.widths.index(2)], f"{name.lower()}_one": shares[0]}
        found["agreement"] = self._agreement(rng)
        return Measured(found, {name: numbers(values) for name, values in series.items()})

    def _start(self, rng: Any, hidden: tuple[int, ...]) -> Weights:
        """The weights of many nets, uniform within one over the root of the fan-in, as PyTorch draws them."""
        sizes = (2, *hidden, 1)
        drawn: list[Any] = []
        for n, m in pairwise(sizes):
            drawn += [rng.uniform(-1, 1, size=(self.nets, k, m)) / np.sqrt(n) for k in (n, 1)]
        return tuple(drawn)

    def _train(self, w: Weights, activation: str, mode: str = "reverse", steps: int | None = None) -> tuple[float, Any, list[float]]:
        """The share of nets with all points right, every net’s loss, and the mean loss now and then."""
        step, path = ENGINES[mode].value_and_grad(losses), []
        for number_of_step in range(steps or self.steps):
            value, gradients = step(w, activation)
            if number_of_step % max(1, self.steps // 60) == 0:
                path.append(float(value) / self.nets)
            w = tuple(each - self.lr * g for each, g in zip(w, gradients, strict=True))
        out = np.asarray(logits(w, activation))
        return float(((out * Y) > 0).all(axis=1).mean()), np.log1p(np.exp(-Y * out)).mean(axis=1), path

    def _perceptron(self, rng: Any, labels: Any) -> float:
        """The share of starts from which the perceptron’s rule (Rosenblatt 1958) has, after any epoch, all points right."""
        learned = 0
        inputs = np.hstack([X, np.ones((4, 1))])
        for _ in range(self.nets):
            w, right = rng.normal(size=3), False
            for _ in range(self.epochs):
                for i in rng.permutation(4):
                    if labels[i] * (inputs[i] @ w) <= 0:
                        w = w + labels[i] * inputs[i]
                right = right or bool((labels * (inputs @ w) > 0).all())
            learned += right
        return learned / self.nets

    def _agreement(self, rng: Any) -> float:
        """The distance of the engines after training a few nets of each kind."""
        gap = 0.0
        for hidden, activation in (((), "none"), ((2,), "none"), ((3,), "tanh"), ((3,), "ReLU")):
            w = tuple(each[:2] for each in self._start(rng, hidden))
            gap = max(gap, difference(*(self._train(w, activation, mode, 25)[1] for mode in ENGINES)))
        return gap

    def figure(self, measured: Measured) -> Figure:
        """Shares that learn by kind, by width, and mean losses over steps."""
        s = measured.series
        kinds: list[tuple[str, list[float | None]]] = [(name, [measured[key]]) for name, key in KINDS.items()]
        every = max(1, self.steps // 60)
        paths = [
            Curve([i * every for i in range(len(s[f"loss_{name}"]))], s[f"loss_{name}"], token, "plain") for name, token in LOSSES.items()
        ]
        widths = [Curve(s["widths"], s[name], LOSSES[name]) for name in ("tanh", "relu")]
        svg = draw(
            "Starts that learn XOR by kind and by width, and mean loss over steps",
            Bars("Starts that learn XOR", "", kinds, ["strategy-0"], percent),
            Panel("Starts that learn, hidden layer", "units", widths, "x", ticks=lambda v: f"{100 * v:.0f} %", y_from=-0.03),
            Panel("Mean loss", "step", paths, levels=[(float(np.log(2)), "ln 2")], y_from=0.0),
        )
        return Figure(svg, [("linear", "strategy-0"), ("tanh", "strategy-1"), ("ReLU", "strategy-2")])

    def table(self, measured: Measured) -> Table:
        """Shares by width."""
        s = measured.series
        body = [(name, *(percent(v or 0) for v in s[name.lower()])) for name in ("tanh", "ReLU")]
        return Table(("hidden units", *(number(width) for width in self.widths)), body, f"Starts that learn, of {self.nets}.")


KINDS = {
    "perceptron": "perceptron",
    "linear net": "linear",
    "linear hidden layer": "deep",
    "one tanh unit": "tanh_one",
    "two tanh units": "tanh_two",
    "most tanh units": "tanh",
}
"""Names in the figure, and their numbers."""
LOSSES = {"deep": "strategy-0", "tanh": "strategy-1", "relu": "strategy-2"}

CLAIM = Xor()
