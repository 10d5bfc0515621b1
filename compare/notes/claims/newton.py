"""Claim 3: what second derivatives cost and buy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.notes.bench import ENGINES, difference, fastest, numbers, planned, slope
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from compare.report.units import duration, size, whole
from diffcore import ops


def logistic(w: Any, x: Any, y: Any) -> Any:
    """The mean logistic loss of labels of -1 and 1, and a small ridge, which makes it strictly convex."""
    return ops.mean(ops.softplus(-(y * ops.matmul(x, w)))) + 0.005 * ops.sum(w * w)


def along(gradient: Callable[..., Any], w: Any, v: Any, *data: Any) -> Any:
    """The Hessian times `v`: the gradient pushed forward, so the Hessian itself is never there."""
    return dualdiff.jvp(lambda w: gradient(w, *data), (w,), (v,))[1]


NESTINGS: dict[str, Callable[..., Any]] = {
    "reverse over reverse": lambda f, w, v: revdiff.hvp(f, w, v),
    "forward over forward": lambda f, w, v: dualdiff.hvp(f, w, v),
    "forward over reverse": lambda f, w, v: dualdiff.jvp(revdiff.grad(f), (w,), (v,))[1],
    "reverse over forward": lambda f, w, v: revdiff.vjp(dualdiff.grad(f), w)[1](v)[0],
}
"""The Hessian times a vector, in every nesting of the engines."""


@dataclass(frozen=True, kw_only=True)
class Newton(Claim):
    """`examples` of `features` are classified; `sizes` are the numbers of variables swept, on `few` examples, so that n × examples stays
    below n × n; `solved` are the sizes of the linear solve.
    """

    features: int = 30
    examples: int = 200
    few: int = 8
    sizes: tuple[int, ...] = (64, 128, 256, 512)
    solved: tuple[int, ...] = (200, 400, 800, 1600)
    descents: int = 3000
    tolerance: float = 1e-8

    experiment = (
        "The bytes of Hessians and of Hessian-vector products of a logistic regression are counted for growing numbers of variables n, and "
        "the linear solve that Newton’s step needs is timed. Newton, Newton by conjugate gradients on products alone, and gradient descent "
        "then minimise the same loss."
    )
    needs = (
        AGREE,
        Criterion("peak bytes of the Hessian grow as n to the power of, reverse over reverse", "power_reverse", low=1.7, high=2.3),
        Criterion("the same, forward over forward", "power_forward", low=1.7),
        Criterion("operations of the linear solve grow as n to the power of", "power_solve", low=2.5, high=3.2),
        Criterion("Newton’s steps to a gradient below the tolerance", "newton", high=20.0),
        Criterion("gradient descent’s steps over Newton’s", "speedup", low=10.0, show=times),
    )
    limits = (
        Limit(
            "n² is not needed to take Newton’s step: bytes of a Hessian-vector product grow as n to the power of {}, and "
            "conjugate gradients on "
            "products reach the same minimum",
            "power_product",
            high=1.3,
        ),
        Limit(
            "where the Hessian has negative eigenvalues Newton walks to the saddle, and ends at a distance of {} from it",
            "saddle",
            high=1e-6,
        ),
    )

    def measure(self) -> Measured:
        """Agreement of Hessians and products, powers by fitting, and the three ways to the minimum."""
        rng = np.random.default_rng(self.seed)
        n = self.features
        x = rng.normal(size=(self.examples, n))
        y = np.sign(x @ rng.normal(size=n) + rng.normal(size=self.examples))
        w, v = 0.1 * rng.normal(size=n), rng.normal(size=n)
        f = partial(logistic, x=x, y=y)
        hessians = {mode: engine.hessian(f)(w) for mode, engine in ENGINES.items()}
        products = {name: product(f, w, v) for name, product in NESTINGS.items()}
        gap = max(
            difference(hessians["forward"], hessians["reverse"]), *(difference(p, hessians["reverse"] @ v) for p in products.values())
        )
        shapes = [((k,), (self.few, k), (self.few,)) for k in self.sizes]
        series: dict[str, Any] = {"sizes": self.sizes, "solved": self.solved}
        for mode, engine in ENGINES.items():
            series[f"bytes_{mode}"] = [planned(engine.hessian(logistic), *shape).peak for shape in shapes]
        gradient = revdiff.grad(logistic)
        series["bytes_product"] = [planned(lambda w, x, y: along(gradient, w, w, x, y), *shape).peak for shape in shapes]
        series["seconds_solve"] = [self._solve(k, rng) for k in self.solved]
        series["flops_solve"] = [planned(np.linalg.solve, (k, k), (k,)).flops for k in self.solved]
        newton, again = (self._newton(f, engine, "Newton") for engine in ENGINES.values())
        gap = max(gap, abs(len(newton) - len(again)), difference(again[:3], newton[:3]))
        cg, gd = self._newton(f, revdiff, "NewtonCG"), self._descend(f)
        found: dict[str, Any] = {
            "agreement": gap,
            "power_reverse": slope(self.sizes, series["bytes_reverse"]),
            "power_forward": slope(self.sizes, series["bytes_forward"]),
            "power_product": slope(self.sizes, series["bytes_product"]),
            "power_solve": slope(self.solved, series["flops_solve"]),
            "power_seconds": slope(self.solved, series["seconds_solve"]),
            "newton": len(newton) - 1,
            "newton_cg": len(cg) - 1,
            "descent": len(gd) - 1,
            "descent_left": gd[-1],
            "speedup": (len(gd) - 1) / (len(newton) - 1),
            "saddle": self._at_a_saddle(),
        }
        series |= {"norms_newton": newton, "norms_cg": cg, "norms_descent": gd}
        return Measured(found, {name: numbers(values) for name, values in series.items()}, ["seconds_solve", "power_seconds"])

    @staticmethod
    def _solve(n: int, rng: Any) -> float:
        matrix, b = rng.normal(size=(n, n)) + n * np.eye(n), rng.normal(size=n)
        return fastest(lambda: np.linalg.solve(matrix, b), repeats=3)

    def _newton(self, f: Callable[..., Any], engine: Any, kind: str) -> list[float]:
        """The norm of the gradient at every step of an optimizer of second order from 0."""
        w = engine.tensor(np.zeros(self.features), requires_grad=True)
        optimizer, gradient = getattr(engine.optim, kind)([w]), engine.grad(f)
        norms = [float(np.linalg.norm(gradient(w.detach().numpy())))]
        while norms[-1] > self.tolerance and len(norms) <= 50:
            optimizer.step(lambda: f(w))
            norms.append(float(np.linalg.norm(gradient(w.detach().numpy()))))
        return norms

    def _descend(self, f: Callable[..., Any]) -> list[float]:
        """The same by gradient descent, its rate the inverse of the largest curvature at the start."""
        w, gradient = np.zeros(self.features), revdiff.grad(f)
        rate = 1 / np.linalg.eigvalsh(revdiff.hessian(f)(w))[-1]
        norms = [float(np.linalg.norm(gradient(w)))]
        while norms[-1] > self.tolerance and len(norms) <= self.descents:
            w = w - rate * gradient(w)
            norms.append(float(np.linalg.norm(gradient(w))))
        return norms

    @staticmethod
    def _at_a_saddle() -> float:
        """The distance from the saddle of x^2/2 + y^4/4 - y^2/2 at which Newton ends that begins near it."""

        def f(p: Any) -> Any:
            return 0.5 * p[0] * p[0] + 0.25 * p[1] ** 4 - 0.5 * p[1] * p[1]

        p = revdiff.tensor(np.array([1.0, 0.3]), requires_grad=True)
        optimizer = revdiff.optim.Newton([p])
        for _ in range(20):
            optimizer.step(lambda: f(p))
        return float(np.linalg.norm(p.detach().numpy()))

    def figure(self, measured: Measured) -> Figure:
        """Bytes over n, seconds over n, gradient norms over steps."""
        s = measured.series
        held = [Curve(s["sizes"], s[f"bytes_{name}"], token) for name, token in COLOURS.items()]
        paths = [Curve(range(len(s[f"norms_{name}"])), s[f"norms_{name}"], token, kind) for name, token, kind in WAYS]
        paths = [Curve([i + 1 for i in range(len(curve.y))], curve.y, curve.token, curve.kind) for curve in paths]
        svg = draw(
            "Bytes of Hessians over variables, seconds of the solve, gradient norm over steps",
            Panel("Peak bytes of second derivatives", "variables n", held, "xy", ticks=size),
            Panel("Seconds of the linear solve", "variables n", [Curve(s["solved"], s["seconds_solve"], "ink")], "xy", ticks=duration),
            Panel("Norm of the gradient", "steps, the start counted as 1", paths, "xy"),
        )
        legend = [
            ("Hessian, reverse over reverse", "strategy-0"),
            ("Hessian, forward over forward", "strategy-1"),
            ("product with a vector, forward over reverse", "strategy-2"),
            ("below: Newton", "strategy-3"),
            ("Newton by conjugate gradients (dashed)", "strategy-4"),
            ("gradient descent", "strategy-5"),
        ]
        return Figure(svg, legend)

    def table(self, measured: Measured) -> Table:
        """The ways to the minimum."""
        stopped = "" if measured["descent_left"] <= self.tolerance else f", stopped at {number(measured['descent_left'])}"
        body = [
            ("Newton, n × n Hessian and a solve", whole(int(measured["newton"]))),
            ("Newton by conjugate gradients on products", whole(int(measured["newton_cg"]))),
            ("gradient descent", whole(int(measured["descent"])) + stopped),
        ]
        caption = f"Seconds of the solve grow as n to the power of {number(measured['power_seconds'])}."
        return Table(("way", f"steps to a gradient below {self.tolerance:g}"), body, caption)


COLOURS = {"reverse": "strategy-0", "forward": "strategy-1", "product": "strategy-2"}
WAYS = (("newton", "strategy-3", "line"), ("cg", "strategy-4", "dashed"), ("descent", "strategy-5", "plain"))

CLAIM = Newton()
