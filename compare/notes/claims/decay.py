"""Claim 8: weight decay and L2, L1 and zeros, a bound on the norm and its multiplier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import revdiff
from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number
from compare.report.units import percent
from diffcore import ops


def squares(w: Any, x: Any, y: Any) -> Any:
    """Half the mean squared error of a linear model."""
    return 0.5 * ops.mean(ops.square(ops.matmul(x, w) - y))


def penalised(w: Any, x: Any, y: Any, lam: float) -> Any:
    """The same and `lam / 2` times the squared norm."""
    return squares(w, x, y) + 0.5 * lam * ops.sum(w * w)


@dataclass(frozen=True, kw_only=True)
class Decay(Claim):
    """A linear model of `features` numbers, of which `relevant` count, on `examples`; `lam` is the decay of the paths that are compared."""

    features: int = 20
    relevant: int = 5
    examples: int = 60
    steps: int = 100
    settled: int = 2000
    lr: float = 0.05
    lam: float = 0.1
    lams: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    radius: float = 0.6

    experiment = (
        "A linear model is trained by the optimizer’s weight decay, by the gradient of the loss with an L2 penalty, and by "
        "the formula of the "
        "notes; then by Adam in the first two ways. L1 and L2 are minimised for growing λ and exact zeros counted, and the "
        "loss is minimised "
        "within a ball, whose multiplier is measured and used as λ."
    )
    needs = (
        AGREE,
        Criterion("SGD: optimizer’s weight decay against L2 in the loss, relative difference of the weights", "sgd_penalty", high=1e-12),
        Criterion("SGD: optimizer’s weight decay against the formula", "sgd_formula", high=1e-12),
        Criterion("L1: share of weights that are exactly zero, at the largest λ", "zeros_l1", low=0.5, show=percent),
        Criterion("L2: the same", "zeros_l2", high=0.0, show=percent),
        Criterion("L1 at a moderate λ: share of the weights that do not count that are exactly zero", "zeros_found", low=0.5, show=percent),
        Criterion("within the ball: angle of weights and downhill gradient, 1 − cosine", "angle", high=1e-9),
        Criterion("the multiplier λ, gradient over weight norm", "multiplier", low=1e-3),
        Criterion("L2 with that λ: largest relative difference of the weights", "ball_ridge", high=1e-6),
    )
    limits = (
        Limit(
            "for Adam they are two things: decay (AdamW) and L2 in the gradient (Adam) lead to weights {} apart",
            "adam",
            low=1e-3,
            show=percent,
        ),
        Limit(
            "L1 zeroes by its proximal step; with plain subgradients {} of the weights are exactly zero",
            "zeros_subgradient",
            high=0.05,
            show=percent,
        ),
        Limit("a ball that holds the free minimum is no constraint: its multiplier is {}", "multiplier_free", high=1e-9),
    )

    def measure(self) -> Measured:
        """The paths, the zeros and the multiplier."""
        rng = np.random.default_rng(self.seed)
        x = rng.normal(size=(self.examples, self.features))
        truth = np.where(np.arange(self.features) < self.relevant, rng.choice([-1.0, 1.0], self.features), 0.0)
        y = x @ truth + 0.3 * rng.normal(size=self.examples)
        start = rng.normal(size=self.features)
        paths = {mode: self._paths(engine, start, x, y) for mode, engine in ENGINES.items()}
        decayed, penalty, formula = paths["reverse"]
        gradient = ENGINES["reverse"].grad(squares)
        adam = [self._train(ENGINES["reverse"], kind, start, x, y, 4 * self.steps, 0.01) for kind in ("Adam", "AdamW")]
        lasso = [self._lasso(x, y, lam, proximal=True) for lam in self.lams]
        ridge = [self._ridge(x, y, lam) for lam in self.lams]
        rough = self._lasso(x, y, self.lams[-2], proximal=False)
        ball = self._ball(x, y, self.radius)
        downhill = -gradient(ball, x, y)
        multiplier = float(np.linalg.norm(downhill) / np.linalg.norm(ball))
        free = self._ridge(x, y, 0.0)
        loose = self._ball(x, y, 2 * float(np.linalg.norm(free)))
        gradients = [engine.grad(penalised)(start, x, y, self.lam) for engine in ENGINES.values()]
        found: dict[str, Any] = {
            "agreement": max(difference(paths["forward"], paths["reverse"]), difference(*gradients)),
            "sgd_penalty": difference(decayed, penalty),
            "sgd_formula": difference(decayed, formula),
            "adam": difference(adam[1], adam[0]),
            "zeros_l1": float((lasso[-1] == 0).mean()),
            "zeros_l2": float((ridge[-1] == 0).mean()),
            "zeros_found": float((lasso[-3][truth == 0] == 0).mean()),
            "zeros_subgradient": float((rough == 0).mean()),
            "angle": float(1 - downhill @ ball / (np.linalg.norm(downhill) * np.linalg.norm(ball))),
            "multiplier": multiplier,
            "ball_ridge": difference(ball, self._ridge(x, y, multiplier)),
            "multiplier_free": float(np.linalg.norm(gradient(loose, x, y)) / np.linalg.norm(loose)),
            "radius_free": float(np.linalg.norm(free)),
        }
        series: dict[str, Any] = {"lams": self.lams}
        series |= {f"l1_{i}": [w[i] for w in lasso] for i in range(self.features)}
        series |= {"zeros_l1": [(w == 0).sum() for w in lasso], "zeros_l2": [(w == 0).sum() for w in ridge]}
        series |= {"norm_l2": [np.linalg.norm(w) for w in ridge], "norm_l1": [np.linalg.norm(w) for w in lasso]}
        return Measured(found, {name: numbers(values) for name, values in series.items()})

    def _paths(self, engine: Any, start: Any, x: Any, y: Any) -> list[Any]:
        """The weights after training: by the optimizer’s decay, by the penalty’s gradient, by the formula."""
        decayed = self._train(engine, "SGD", start, x, y, self.steps, self.lr)
        gradient, whole = engine.grad(squares), engine.grad(penalised)
        penalty = formula = start
        for _ in range(self.steps):
            penalty = penalty - self.lr * whole(penalty, x, y, self.lam)
            formula = (1 - self.lr * self.lam) * formula - self.lr * gradient(formula, x, y)
        return [decayed, penalty, formula]

    def _train(self, engine: Any, kind: str, start: Any, x: Any, y: Any, steps: int, lr: float) -> Any:
        """The weights after training by an optimizer with its weight decay (of Adam: L2 in the gradient, of AdamW: apart from it)."""
        w = engine.tensor(start.copy(), requires_grad=True)
        optimizer = getattr(engine.optim, kind)([w], lr=lr, weight_decay=self.lam)
        for _ in range(steps):
            optimizer.zero_grad()
            squares(w, x, y).backward()
            optimizer.step()
        return w.detach().numpy()

    @staticmethod
    def _ridge(x: Any, y: Any, lam: float) -> Any:
        """The minimum of `penalised`: one Newton step from 0, which is exact for a quadratic."""
        zero = np.zeros(x.shape[1])
        hessian = ENGINES["reverse"].hessian(penalised)(zero, x, y, lam)
        return -np.linalg.solve(hessian, ENGINES["forward"].grad(penalised)(zero, x, y, lam))

    def _rate(self, x: Any) -> float:
        return float(len(x) / np.linalg.norm(x, 2) ** 2)

    def _lasso(self, x: Any, y: Any, lam: float, *, proximal: bool) -> Any:
        """The minimum of `squares` and `lam` times the L1 norm, by proximal gradient steps, or by subgradients."""
        w = revdiff.tensor(np.full(x.shape[1], 0.5), requires_grad=True)
        rate = self._rate(x)
        optimizer = revdiff.optim.ProximalSGD([w], lr=rate, l1=lam) if proximal else revdiff.optim.SGD([w], lr=rate)
        for _ in range(self.settled // 4):
            optimizer.zero_grad()
            (squares(w, x, y) if proximal else squares(w, x, y) + lam * w.abs().sum()).backward()
            optimizer.step()
        return w.detach().numpy()

    def _ball(self, x: Any, y: Any, radius: float) -> Any:
        """The minimum of `squares` with a norm of at most `radius`, by gradient steps and projection."""
        gradient, rate, w = ENGINES["reverse"].grad(squares), self._rate(x), np.zeros(x.shape[1])
        for _ in range(self.settled):
            w = w - rate * gradient(w, x, y)
            w = w * min(1.0, radius / (np.linalg.norm(w) or 1.0))
        return w

    def figure(self, measured: Measured) -> Figure:
        """Weights under L1 over λ, and the number of zeros."""
        s = measured.series
        weights = [
            Curve(s["lams"], s[f"l1_{i}"], "strategy-0" if i < self.relevant else "strategy-1", "plain")
            for i in reversed(range(self.features))
        ]
        zeros = [Curve(s["lams"], s["zeros_l1"], "strategy-2"), Curve(s["lams"], s["zeros_l2"], "strategy-3")]
        svg = draw(
            "Weights under L1 over lambda, and weights that are exactly zero",
            Panel("Weights under L1", "λ", weights, "x"),
            Panel(f"Weights exactly zero, of {self.features}", "λ", zeros, "x", y_from=-0.4),
        )
        legend = [("weights that count", "strategy-0"), ("weights that do not", "strategy-1"), ("L1", "strategy-2"), ("L2", "strategy-3")]
        return Figure(svg, legend)

    def table(self, measured: Measured) -> Table:
        """Zeros and norms by λ."""
        s = measured.series
        body = [
            ("exact zeros, L1", *(number(v or 0) for v in s["zeros_l1"])),
            ("exact zeros, L2", *(number(v or 0) for v in s["zeros_l2"])),
            ("norm, L1", *(number(v or 0) for v in s["norm_l1"])),
            ("norm, L2", *(number(v or 0) for v in s["norm_l2"])),
        ]
        caption = f"The ball has radius {self.radius:g}; the free minimum lies at {number(measured['radius_free'])}."
        return Table(("λ", *(number(lam) for lam in self.lams)), body, caption)


CLAIM = Decay()
