"""Claim 5: what depth and time do to gradients, and what keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from diffcore import ops
from diffcore.nn import init
from diffcore.ops.normalisation import batch_norm, layer_norm

TOKENS = {
    "sigmoid": "strategy-0",
    "tanh, weights too large": "strategy-1",
    "tanh, Xavier": "strategy-2",
    "ReLU, Kaiming": "strategy-3",
    "sigmoid, batch norm": "strategy-4",
    "sigmoid, residual": "strategy-5",
}
"""The nets, with their colours."""


def _normal(x: Any) -> Any:
    return batch_norm(x, None, None, training=True)


NETS: dict[str, tuple[float, Callable[[Any, Any], Any]]] = {
    "sigmoid": (1.0, lambda x, w: ops.sigmoid(ops.linear(x, w))),
    "tanh, weights too large": (25.0, lambda x, w: ops.tanh(ops.linear(x, w))),
    "tanh, Xavier": (1.0, lambda x, w: ops.tanh(ops.linear(x, w))),
    "ReLU, Kaiming": (2.0, lambda x, w: ops.relu(ops.linear(x, w))),
    "sigmoid, batch norm": (1.0, lambda x, w: ops.sigmoid(_normal(ops.linear(x, w)))),
    "sigmoid, residual": (1.0, lambda x, w: x + ops.sigmoid(ops.linear(layer_norm(x, (x.shape[-1],)), w)) - 0.5),
}
"""Net -> the variance of its weights times their fan-in, and one layer of it."""


def forward(x: Any, weights: Any, layer: Callable[[Any, Any], Any]) -> list[Any]:
    """The values of all layers."""
    values = [x]
    for w in weights:
        values.append(layer(values[-1], w))
    return values


@dataclass(frozen=True, kw_only=True)
class Vanishing(Claim):
    """`depth` layers of `width` units on `batch` examples; `steps` in time of nets with `hidden` units."""

    depth: int = 20
    width: int = 64
    batch: int = 128
    steps: tuple[int, ...] = (5, 10, 20, 40)
    hidden: int = 8

    experiment = (
        "The gradient of a loss reaches every layer of deep nets that differ in activation, initialisation, normalisation and "
        "shortcuts, and "
        "its size at the first layer is held against that at the last. The variance of values and of gradients is followed layer by layer, "
        "and a recurrent net and an LSTM are followed through time."
    )
    needs = (
        AGREE,
        Criterion("largest derivative of the sigmoid, both engines", "peak", low=0.25 - 1e-9, high=0.25),
        Criterion("its distance from 0, where that is", "peak_at", high=1e-12),
        Criterion("sigmoid: gradient at the first layer over that at the last", "sigmoid", high=1e-6),
        Criterion("weights too large: the same", "tanh, weights too large", low=1e3),
        Criterion("ReLU with Kaiming: the same", "ReLU, Kaiming", low=0.1, high=10.0),
        Criterion("residual: the same", "sigmoid, residual", low=0.1, high=10.0),
        Criterion("batch norm: the same over that without", "gain_norm", low=1e3),
        Criterion("Xavier, linear layers: variance of the values, last over first", "variance_values", low=0.33, high=3.0),
        Criterion("Xavier, linear layers: variance of the gradients, first over last", "variance_gradients", low=0.33, high=3.0),
        Criterion("norm of the exploded gradient after clipping to 1", "clipped", low=1 - 1e-3, high=1.0),
        Criterion("through time: gradient of the LSTM over that of the RNN, at the most steps", "lstm_over_rnn", low=1e3),
    )
    limits = (
        Limit("clipping mends no vanished gradient: the first layer’s is {} of what it was", "clipped_vanished", high=1.5, show=times),
        Limit(
            "Xavier keeps the variance where layers are equally wide; where widths alternate 1 : 2 it falls to {}",
            "variance_uneven",
            high=0.5,
        ),
        Limit("batch norm overdoes it: the gradient at the first layer is {} of the last", "sigmoid, batch norm", low=10.0, show=times),
        Limit("the LSTM’s gradient still falls, to {} of its size at the fewest steps", "lstm_left", high=0.5),
    )

    def measure(self) -> Measured:
        """The sigmoid’s derivative, gradients by layer, variances by layer, gradients through time."""
        rng = np.random.default_rng(self.seed)
        grid = np.linspace(-8, 8, 1601)
        slopes = {mode: engine.grad(lambda x: ops.sum(ops.sigmoid(x)))(grid) for mode, engine in ENGINES.items()}
        gaps = [difference(slopes["forward"], slopes["reverse"])]
        x = rng.normal(size=(self.batch, self.width))
        series: dict[str, Any] = {}
        found: dict[str, Any] = {
            "peak": float(max(s.max() for s in slopes.values())),
            "peak_at": float(abs(grid[slopes["reverse"].argmax()])),
        }
        for name, (spread, layer) in NETS.items():
            norms, gap = self._norms(x, self._weights(rng, spread), layer)
            series[name] = norms
            found[name] = norms[0] / norms[-1]
            gaps.append(gap)
        found["gain_norm"] = found["sigmoid, batch norm"] / found["sigmoid"]
        values, gradients = self._variances(rng, x, 1)
        uneven, _ = self._variances(rng, x, 2)
        series |= {"variance_values": values, "variance_gradients": gradients}
        found |= {"variance_values": values[-1] / values[0], "variance_gradients": gradients[0] / gradients[-1]}
        found["variance_uneven"] = uneven[-1] / uneven[0]
        rng = np.random.default_rng(self.seed)
        found["clipped"] = self._clipped(x, self._weights(rng, 25.0), "tanh, weights too large")["norm"]
        found["clipped_vanished"] = self._clipped(x, self._weights(rng, 1.0), "sigmoid")["first"]
        times, gap = self._times(rng)
        series |= {"steps": self.steps, **times}
        found["lstm_over_rnn"] = times["lstm"][-1] / times["rnn"][-1]
        found["lstm_left"] = times["lstm"][-1] / times["lstm"][0]
        found["agreement"] = max(*gaps, gap)
        return Measured(found, {name: numbers(each) for name, each in series.items()})

    def _weights(self, rng: Any, spread: float, depth: int | None = None) -> list[Any]:
        n = self.width
        return [rng.normal(size=(n, n)) * np.sqrt(spread / n) for _ in range(depth or self.depth)]

    @staticmethod
    def _gradients(engine: Any, x: Any, weights: list[Any], layer: Callable[[Any, Any], Any], **options: Any) -> Any:
        """The gradients of a loss by the weights of every layer."""

        def loss(weights: Any) -> Any:
            return ops.mean(ops.square(forward(x, weights, layer)[-1]))

        return engine.grad(loss, **options)(weights)

    def _norms(self, x: Any, weights: list[Any], layer: Callable[[Any, Any], Any]) -> tuple[list[float], float]:
        """The norm of the gradient by each layer’s weights, and the distance of the modes in a net of fewer, narrower layers."""
        norms = [_norm([g]) for g in self._gradients(revdiff, x, weights, layer)]
        few, some = [w[:6, :6] for w in weights[:4]], x[:8, :6]
        small = [self._gradients(engine, some, few, layer) for engine in (dualdiff, revdiff)]
        return norms, difference(*small)

    @staticmethod
    def _clipped(x: Any, weights: list[Any], net: str) -> dict[str, float]:
        """The norm of a gradient after `clip_grad_norm_` to 1, and what that made of the first layer's: the ratio of after to before."""
        parameters = [revdiff.tensor(w, requires_grad=True) for w in weights]
        ops.mean(ops.square(forward(x, parameters, NETS[net][1])[-1])).backward()
        before = _norm([parameters[0].grad.numpy()])
        revdiff.nn.utils.clip_grad_norm_(parameters, 1.0)
        gradients = [parameter.grad.numpy() for parameter in parameters]
        return {"norm": _norm(gradients), "first": _norm(gradients[:1]) / before}

    def _variances(self, rng: Any, x: Any, factor: int) -> tuple[list[float], list[float]]:
        """The variance of values and of the gradients by them, every second of linear layers under Xavier; the others are `factor` times
        as wide.
        """
        widths = [self.width * (1 if i % 2 == 0 else factor) for i in range(self.depth + 1)]
        weights = [init.xavier_uniform_(revdiff.empty(m, n, dtype=np.float64), generator=rng).numpy() for n, m in pairwise(widths)]
        nudges = [np.zeros((self.batch, m)) for m in widths]
        direction = rng.normal(size=nudges[-1].shape)

        def loss(nudges: Any) -> Any:
            value = nudges[0] + x
            for w, nudge in zip(weights, nudges[1:], strict=True):
                value = ops.linear(value, w) + nudge
            return ops.sum(value * direction)

        gradients = [float(g.var()) for g in revdiff.grad(loss)(nudges)]
        values = [float(value.var()) for value in forward(x, weights, ops.linear)]
        return values[::2], gradients[::2]

    def _times(self, rng: Any) -> tuple[dict[str, list[float]], float]:
        """The norm of the derivative of the last state by the first input, by the number of steps.

        The RNN's matrix shrinks every direction to 0.7; the LSTM's forget gates begin open (bias 3; Gers et al. 2000).
        """
        h = self.hidden
        inputs = 0.5 * rng.normal(size=(self.steps[-1], h))
        drawn = {"rnn": 0.7 * np.linalg.qr(rng.normal(size=(h, h)))[0], "lstm": rng.normal(size=(4 * h, h)) / (2 * np.sqrt(h))}
        found: dict[str, list[float]] = {"rnn": [], "lstm": []}
        gap = 0.0
        for name in found:
            nets = [self._recurrent(engine, name, drawn[name]) for engine in (dualdiff, revdiff)]
            for steps in self.steps:

                def by_first(first: Any, net: Any, steps: int = steps) -> Any:
                    _, state = net(ops.cat([ops.reshape(first, (1, h)), inputs[1:steps]]))
                    return state[1] if isinstance(state, tuple) else state

                engines = (dualdiff, revdiff)
                jacobians = [engine.jacobian(by_first)(inputs[0], net) for engine, net in zip(engines, nets, strict=True)]
                gap = max(gap, difference(*jacobians))
                found[name].append(_norm([jacobians[1]]))
        return found, gap

    def _recurrent(self, engine: Any, name: str, matrix: Any) -> Any:
        """A recurrent net of `engine` whose weights are constants, equal for both engines."""
        h = self.hidden
        net = (engine.nn.RNN if name == "rnn" else engine.nn.LSTM)(h, h, dtype=np.float64).requires_grad_(False)
        bias = np.zeros(len(matrix))
        if name == "lstm":
            bias[h : 2 * h] = 3.0
        identity = np.eye(h) if name == "rnn" else np.tile(np.eye(h), (4, 1)) * np.repeat([0.0, 0.0, 1.0, 0.0], h)[:, None]
        zero = np.zeros(len(matrix))
        net.load_state_dict({"weight_ih_l0": identity, "weight_hh_l0": matrix, "bias_ih_l0": bias, "bias_hh_l0": zero})
        return net

    def figure(self, measured: Measured) -> Figure:
        """Gradient norms by layer, variances by layer, gradients through time."""
        s = measured.series
        layers = [
            Curve(range(1, self.depth + 1), [(v or 0) / (s[name][-1] or 1) for v in s[name]], token) for name, token in TOKENS.items()
        ]
        every = range(0, 2 * len(s["variance_values"]), 2)
        variances = [
            Curve(every, [(v or 0) / (s["variance_values"][0] or 1) for v in s["variance_values"]], "ink"),
            Curve(every, [(v or 0) / (s["variance_gradients"][-1] or 1) for v in s["variance_gradients"]], "muted", "dashed"),
        ]
        clock = [Curve(s["steps"], s["rnn"], "strategy-0"), Curve(s["steps"], s["lstm"], "strategy-2", "dashed")]
        svg = draw(
            "Gradient norms by layer, variances by layer under Xavier, gradients through time",
            Panel("Gradient by layer, over that of the last layer", "layer", layers, "y"),
            Panel("Xavier: variance of values (solid), gradients (dashed)", "layer", variances, y_from=0.0),
            Panel("Last state by first input: RNN, LSTM (dashed)", "steps", clock, "y"),
        )
        return Figure(svg, list(TOKENS.items()))

    def table(self, measured: Measured) -> Table:
        """First over last, for every net."""
        body = [
            (name, number(measured.series[name][0] or 0), number(measured.series[name][-1] or 0), number(measured[name])) for name in TOKENS
        ]
        s = measured.series
        for name in ("rnn", "lstm"):
            few, most = s[name][0] or 0.0, s[name][-1] or 0.0
            title = f"{name.upper()}, last state by first input: {self.steps[-1]} and {self.steps[0]} steps"
            body.append((title, number(most), number(few), number(most / (few or 1.0))))
        return Table(("gradient norm", "first layer", "last layer", "ratio"), body)


def _norm(arrays: list[Any]) -> float:
    return float(np.sqrt(sum(float((a * a).sum()) for a in arrays)))


CLAIM = Vanishing()
