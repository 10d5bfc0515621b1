"""Claim 4: how long descent stays at saddles, and what leaves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.notes.bench import ENGINES, difference
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from compare.report.units import whole
from diffcore import ops

WAYS = ("descent", "momentum", "stochastic")
TOKENS = {"descent": "strategy-0", "momentum": "strategy-1", "stochastic": "strategy-2"}


def valley(p: Any, noise: Any) -> Any:
    """x²/2 + y⁴/4 − y²/2: a saddle at 0 between minima at y = ±1; an example tilts it by its own amount, all together by none."""
    x, y = p[0], p[1]
    return 0.5 * x * x + 0.25 * y * y * y * y - 0.5 * y * y + noise[0] * x + noise[1] * y


def monkey(p: Any, noise: Any) -> Any:
    """x³/3 − x y² + (x² + y²)²/4: three ways down from 0, where the whole Hessian is zero."""
    x, y = p[0], p[1]
    r = x * x + y * y
    return x * x * x / 3 - x * y * y + 0.25 * r * r + noise[0] * x + noise[1] * y


def twins(p: Any, noise: Any) -> Any:
    """The loss of a net of two hidden tanh units on one example of a task that needs both; units that are equal stay equal."""
    x, wanted = noise[0], noise[1]
    out = p[2] * ops.tanh(p[0] * x + p[4]) + p[3] * ops.tanh(p[1] * x + p[5])
    return 0.5 * (out - wanted) * (out - wanted)


@dataclass(frozen=True, kw_only=True)
class Saddle(Claim):
    """`offsets` are the distances from the ridge at the start; `budget` steps at rate `lr`; `spread` is that of the examples’ tilts."""

    offsets: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
    budget: int = 2000
    lr: float = 0.05
    momentum: float = 0.9
    spread: float = 0.1
    runs: int = 10

    experiment = (
        "Descent starts on the ridge that leads to a saddle, at growing nearness to it, and the steps are counted until it has left: with "
        "the whole gradient, with momentum, and with the gradient of one example at a time, whose tilts average to nothing. The same is "
        "tried from exactly on the ridge, at a monkey saddle, and in a net whose two units begin equal."
    )
    needs = (
        AGREE,
        Criterion(
            "steps of descent to leave, from the start nearest to the ridge over those from the farthest", "stall", low=2.0, show=times
        ),
        Criterion("steps of descent over those with momentum, median of the starts", "momentum", low=1.5, show=times),
        Criterion("steps of descent from the nearest start over those of one example at a time", "stochastic", low=1.5, show=times),
        Criterion("runs of descent that leave from exactly on the ridge", "exact_descent", high=0.0),
        Criterion("share of stochastic runs that leave from exactly on the ridge", "exact_stochastic", low=1.0),
        Criterion("monkey saddle: steps of descent over those with momentum", "monkey_momentum", low=1.5, show=times),
        Criterion("monkey saddle: steps of descent over the median of stochastic runs", "monkey_stochastic", low=1.5, show=times),
    )
    limits = (
        Limit(
            "from exactly on the ridge momentum leaves as rarely as descent, in {} of 1 runs, for there is no gradient to gather",
            "exact_momentum",
            high=0.0,
        ),
        Limit(
            "units that begin equal are a saddle that single examples do not leave either: they differ by {} at the end, so "
            "symmetry must be "
            "broken at the start",
            "twins",
            high=1e-12,
        ),
    )

    def measure(self) -> Measured:
        """Steps to leave from every start, by every way, and the distance of both engines’ paths."""
        rng = np.random.default_rng(self.seed)
        quiet = np.zeros((self.budget, 2))
        tilts = [self._tilts(rng) for _ in range(self.runs)]
        series: dict[str, Any] = {"offsets": self.offsets}
        gap = 0.0
        for way in WAYS:
            noise = tilts[0] if way == "stochastic" else quiet
            paths = [self._path("reverse", valley, np.array([1.0, offset]), noise, way) for offset in self.offsets]
            again = self._path("forward", valley, np.array([1.0, self.offsets[2]]), noise, way)
            gap = max(gap, difference(again, paths[2]))
            series[way] = [self._left(path) for path in paths]
            series[f"path_{way}"] = np.abs(paths[-1][: self.budget // 4, 1])
        start = np.array([1.0, 0.0])
        exact = {"descent": [quiet], "momentum": [quiet], "stochastic": tilts}
        left = {way: [self._left(self._path("reverse", valley, start, noise, way)) for noise in exact[way]] for way in WAYS}
        out = {way: self._monkey(way, quiet, tilts) for way in WAYS}
        found = {
            "agreement": gap,
            "stall": _over(series["descent"][-1], series["descent"][0]),
            "momentum": float(np.median([_over(a, b) for a, b in zip(series["descent"], series["momentum"], strict=True)])),
            "stochastic": _over(series["descent"][-1], series["stochastic"][-1]),
            "exact_descent": sum(steps is not None for steps in left["descent"]),
            "exact_momentum": sum(steps is not None for steps in left["momentum"]),
            "exact_stochastic": sum(steps is not None for steps in left["stochastic"]) / self.runs,
            "monkey_momentum": _over(out["descent"], out["momentum"]),
            "monkey_stochastic": _over(out["descent"], out["stochastic"]),
            "twins": self._twins(rng),
            **{f"monkey_{way}_steps": steps for way, steps in out.items()},
        }
        return Measured(found, {name: [None if v is None else float(v) for v in values] for name, values in series.items()})

    def _tilts(self, rng: Any) -> Any:
        """The tilt of the example drawn at each step; those of a round of 20 examples sum to zero."""
        examples = rng.normal(size=(20, 2)) * self.spread
        examples -= examples.mean(axis=0)
        return examples[rng.integers(0, 20, size=self.budget)]

    def _path(self, mode: str, f: Callable[..., Any], start: Any, noise: Any, way: str) -> Any:
        """The points of descent, one row a step."""
        gradient = ENGINES[mode].grad(f)
        beta = self.momentum if way == "momentum" else 0.0
        p, velocity, path = start, np.zeros_like(start), [start]
        for tilt in noise:
            velocity = beta * velocity + gradient(p, tilt)
            p = p - self.lr * velocity
            path.append(p)
            if len(p) == 2 and (abs(p[1]) > 0.8 if f is valley else abs(p).max() > 0.8):
                break  # it has left for good
        return np.array(path)

    @staticmethod
    def _left(path: Any) -> int | None:
        """The first step at which the way down is half done; `None` where it never is."""
        away = np.abs(path[:, 1]) > 0.5
        return int(away.argmax()) if away.any() else None

    def _monkey(self, way: str, quiet: Any, tilts: Any) -> float | None:
        """Steps to fall below half the depth of the monkey saddle’s valleys (−1/12) from near its centre; the median of stochastic runs."""
        steps = []
        for noise in tilts if way == "stochastic" else [quiet]:
            path = self._path("reverse", monkey, np.array([0.05, 0.01]), noise, way)
            height = np.array([float(monkey(p, (0.0, 0.0))) for p in path])
            steps.append(int((height < -1 / 24).argmax()) if (height < -1 / 24).any() else self.budget)
        return float(np.median(steps))

    def _twins(self, rng: Any) -> float:
        """The difference of two units that began equal, after training on single examples."""
        x = rng.uniform(-2, 2, size=min(self.budget, 300))
        path = self._path("reverse", twins, np.array([0.5, 0.5, 0.3, 0.3, 0.1, 0.1]), np.stack([x, np.abs(x)], axis=1), "stochastic")
        return float(np.abs(path[-1, ::2] - path[-1, 1::2]).max())

    def figure(self, measured: Measured) -> Figure:
        """Steps to leave over the distance at the start, and the way from the nearest start."""
        s = measured.series
        steps = [Curve(s["offsets"], s[way], TOKENS[way]) for way in WAYS]
        paths = [Curve(range(len(s[f"path_{way}"])), s[f"path_{way}"], TOKENS[way], "plain") for way in WAYS]
        svg = draw(
            "Steps to leave the saddle over the distance from its ridge, and the paths from the nearest start",
            Panel("Steps to leave", "distance from the ridge at the start", steps, "x", y_from=0),
            Panel("Distance from the ridge, nearest start", "step", paths, "y"),
        )
        return Figure(
            svg, [("descent", TOKENS["descent"]), ("momentum", TOKENS["momentum"]), ("one example at a time", TOKENS["stochastic"])]
        )

    def table(self, measured: Measured) -> Table:
        """Steps by way and start."""
        s = measured.series
        body = []
        for way in WAYS:
            exact = measured["exact_stochastic"] * self.runs if way == "stochastic" else measured[f"exact_{way}"]
            cells = [whole(int(v)) if v is not None else "never" for v in s[way]]
            runs = self.runs if way == "stochastic" else 1
            body.append((way, *cells, f"{exact:.0f} of {runs}", whole(int(measured[f"monkey_{way}_steps"]))))
        head = ("steps to leave", *(f"from {number(offset)}" for offset in self.offsets), "leave from exactly 0", "monkey saddle")
        return Table(head, body, f"At most {whole(self.budget)} steps of rate {self.lr:g}, momentum {self.momentum:g}.")


def _over(a: float | None, b: float | None) -> float:
    return float("nan") if a is None or not b else a / b


CLAIM = Saddle()
