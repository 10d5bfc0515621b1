"""Claim 9: models too small and too large, data too few, and choosing by K folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from diffcore import ops
from diffcore.data import KFold


def squares(w: Any, x: Any, y: Any) -> Any:
    """The mean squared error of a model that is linear in its weights, with a trace of ridge."""
    return ops.mean(ops.square(ops.matmul(x, w) - y)) + 1e-10 * ops.sum(w * w)


def truth(x: Any) -> Any:
    """The function that is to be learned on [-1, 1]."""
    return np.sin(np.pi * x) + 0.5 * np.cos(2 * np.pi * x)


@dataclass(frozen=True, kw_only=True)
class Fitting(Claim):
    """Polynomials of `degrees` on `examples` noisy values; `sizes` of the data for degree `grown`; `widths` of random features."""

    degrees: tuple[int, ...] = tuple(range(16))
    examples: int = 24
    noise: float = 0.3
    grown: int = 10
    sizes: tuple[int, ...] = (12, 16, 24, 40, 80, 160, 320, 640)
    folds: int = 5
    repeats: int = 15
    widths: tuple[int, ...] = (4, 8, 12, 16, 20, 24, 28, 32, 48, 96, 192, 384, 768)

    experiment = (
        "Polynomials of growing degree are fitted to noisy values of a known function, by one Newton step with derivatives of "
        "both engines, "
        "and their error is measured on the data and on fresh values; then one degree on growing data. K folds choose a degree from the "
        "data alone, and a net of random features is widened past the number of examples."
    )
    needs = (
        AGREE,
        Criterion("underfitting: error on fresh values at degree 0 over the least of all degrees", "under", low=2.0, show=times),
        Criterion("underfitting: error on the data at degree 0 over the noise’s", "under_train", low=2.0, show=times),
        Criterion("overfitting: error on fresh values at the highest degree over the least", "over", low=2.0, show=times),
        Criterion("overfitting: error on the data at the highest degree over that at the best", "over_train", high=1.0),
        Criterion("more data: error on fresh values, fewest examples over most", "data_test", low=2.0, show=times),
        Criterion("more data: error on the data, most examples over fewest", "data_train", low=1.5, show=times),
        Criterion("more data: gap of both errors, most examples over fewest", "gap", high=0.2),
        Criterion("K folds: error on fresh values of the degree chosen over the least, median", "chosen", high=2.0, show=times),
        Criterion("choosing by the error on the data instead, the same", "chosen_train", low=2.0, show=times),
    )
    limits = (
        Limit(
            "size alone does not decide: past as many random features as examples the least-norm solution’s error falls again, to {} of "
            "its peak (double descent)",
            "descent",
            high=0.5,
        ),
        Limit(
            "a choice by folds is a random one: in the worst of the repeats its error is {} the least", "chosen_worst", low=2.0, show=times
        ),
    )

    def measure(self) -> Measured:
        """Errors by degree, by data size, by width; and choices by folds. All are averages over repeats."""
        rng = np.random.default_rng(self.seed)
        fresh = np.linspace(-1, 1, 400)
        gaps: list[float] = []
        train, test, chosen, by_train = [], [], [], []
        for repeat in range(self.repeats):
            x = rng.uniform(-1, 1, size=self.examples)
            y = truth(x) + self.noise * rng.normal(size=self.examples)
            fits = [self._fit(legendre.legvander(x, d), y, "reverse") for d in self.degrees]
            if not gaps:
                gaps = [
                    difference(self._fit(legendre.legvander(x, d), y, "forward"), w) for d, w in zip(self.degrees[:8], fits, strict=False)
                ]
            train.append([self._error(legendre.legvander(x, d) @ w, y) for d, w in zip(self.degrees, fits, strict=True)])
            test.append([self._off(fresh, w) for w in fits])
            scores = [self._folds(x, y, d, repeat) for d in self.degrees]
            chosen.append(test[-1][int(np.argmin(scores))] / min(test[-1]))
            by_train.append(test[-1][int(np.argmin(train[-1]))] / min(test[-1]))
        trained, tested = np.median(train, axis=0), np.median(test, axis=0)
        best = int(tested.argmin())
        grown = np.array([self._grown(rng, size, fresh) for size in self.sizes])
        wide = [self._wide(width) for width in self.widths]
        found = {
            "agreement": max(gaps),
            "best": self.degrees[best],
            "under": tested[0] / tested[best],
            "under_train": trained[0] / self.noise**2,
            "over": tested[-1] / tested[best],
            "over_train": trained[-1] / trained[best],
            "data_test": grown[0, 1] / grown[-1, 1],
            "data_train": grown[-1, 0] / grown[0, 0],
            "gap": (grown[-1, 1] - grown[-1, 0]) / (grown[0, 1] - grown[0, 0]),
            "chosen": float(np.median(chosen)),
            "chosen_worst": float(np.max(chosen)),
            "chosen_train": float(np.median(by_train)),
            "descent": wide[-1] / max(wide),
        }
        series = {"degrees": self.degrees, "train": trained, "test": tested, "sizes": self.sizes, "size_train": grown[:, 0]}
        series |= {"size_test": grown[:, 1], "widths": self.widths, "wide": wide}
        return Measured({name: float(value) for name, value in found.items()}, {name: numbers(values) for name, values in series.items()})

    @staticmethod
    def _error(found: Any, wanted: Any) -> float:
        return float(np.mean(np.square(found - wanted)))

    def _off(self, fresh: Any, w: Any) -> float:
        """The error that a polynomial is to have on noisy values at the points `fresh`."""
        return self._error(legendre.legvander(fresh, len(w) - 1) @ w, truth(fresh)) + self.noise**2

    @staticmethod
    def _fit(features: Any, y: Any, mode: str) -> Any:
        """The least squares solution: one Newton step, exact for a quadratic, with derivatives of one engine."""
        engine, zero = ENGINES[mode], np.zeros(features.shape[1])
        hessian = engine.hessian(squares)(zero, features, y)
        return -np.linalg.solve(hessian, engine.grad(squares)(zero, features, y))

    def _folds(self, x: Any, y: Any, degree: int, seed: int) -> float:
        """The mean error on each fold of a model fitted to the others."""
        errors = []
        for rest, held in KFold(self.folds, shuffle=True, seed=seed).split(x):
            w = self._fit(legendre.legvander(x[rest.indices], degree), y[rest.indices], "reverse")
            errors.append(self._error(legendre.legvander(x[held.indices], degree) @ w, y[held.indices]))
        return float(np.mean(errors))

    def _grown(self, rng: Any, size: int, fresh: Any) -> tuple[float, float]:
        """Errors on the data and on fresh values with `size` examples, medians."""
        errors = []
        for _ in range(self.repeats):
            x = rng.uniform(-1, 1, size=size)
            y = truth(x) + self.noise * rng.normal(size=size)
            w = self._fit(legendre.legvander(x, self.grown), y, "reverse")
            errors.append((self._error(legendre.legvander(x, self.grown) @ w, y), self._off(fresh, w)))
        train, test = np.median(errors, axis=0)
        return float(train), float(test)

    def _wide(self, width: int) -> float:
        """The error on fresh values of the least-norm fit of `width` random ReLU features of 4 numbers, median over repeats."""
        errors = []
        for repeat in range(2 * self.repeats):
            rng = np.random.default_rng([self.seed, repeat])
            x, fresh = rng.normal(size=(self.examples, 4)), rng.normal(size=(400, 4))
            direction = rng.normal(size=4) / 2
            y = np.sin(2 * x @ direction) + self.noise * rng.normal(size=self.examples)
            slopes, shifts = rng.normal(size=(4, self.widths[-1])), rng.normal(size=self.widths[-1])
            features, others = (np.maximum(each @ slopes[:, :width] + shifts[:width], 0) / np.sqrt(width) for each in (x, fresh))
            w = np.linalg.lstsq(features, y, rcond=1e-12)[0]
            errors.append(self._error(others @ w, np.sin(2 * fresh @ direction)) + self.noise**2)
        return float(np.median(errors))

    def figure(self, measured: Measured) -> Figure:
        """Errors by degree, by size of the data, by width."""
        s = measured.series
        floor = [(self.noise**2, "noise")]
        degree = [Curve(s["degrees"], s["train"], "strategy-0"), Curve(s["degrees"], s["test"], "strategy-1")]
        size = [Curve(s["sizes"], s["size_train"], "strategy-0"), Curve(s["sizes"], s["size_test"], "strategy-1")]
        svg = draw(
            "Errors on the data and on fresh values by degree, by examples and by width",
            Panel(f"Squared error, {self.examples} examples", "degree of the polynomial", degree, "y", levels=floor),
            Panel(f"Squared error, degree {self.grown}", "examples", size, "xy", levels=floor),
            Panel("Least-norm fit of random features", "features", [Curve(s["widths"], s["wide"], "strategy-1")], "xy", levels=floor),
        )
        return Figure(svg, [("on the data", "strategy-0"), ("on fresh values", "strategy-1")])

    def table(self, measured: Measured) -> Table:
        """Errors by degree."""
        s = measured.series
        shown = [i for i, degree in enumerate(self.degrees) if degree in (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15)]
        body = [
            ("error on the data", *(number(s["train"][i] or 0) for i in shown)),
            ("error on fresh values", *(number(s["test"][i] or 0) for i in shown)),
        ]
        caption = f"The least error on fresh values is at degree {measured['best']:.0f}; the noise alone makes {number(self.noise**2)}."
        return Table(("degree", *(str(self.degrees[i]) for i in shown)), body, caption)


CLAIM = Fitting()
