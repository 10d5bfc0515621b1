"""Claim 11: what convolution and pooling do with position."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.notes.bench import ENGINES, difference, numbers
from compare.notes.charts import Curve, Panel, draw
from compare.notes.claim import AGREE, Claim, Criterion, Figure, Limit, Measured, Table, number, times
from diffcore.arrays.abstract import AbstractArray
from diffcore.ops.convolution import conv2d
from diffcore.ops.neural import pad
from diffcore.ops.pooling import avg_pool2d, max_pool2d


def shifted(x: Any, rows: int, columns: int = 0) -> Any:
    """`x` moved down and right, around the edges."""
    return np.roll(x, (rows, columns), (-2, -1))


@dataclass(frozen=True, kw_only=True)
class Convolution(Claim):
    """Images of `size` with `channels`, kernels of `kernel`; sizes of outputs are tried for all n, k, p, s up to `largest`."""

    size: int = 16
    channels: int = 3
    kernel: int = 3
    largest: tuple[int, int, int, int] = (12, 5, 3, 4)
    shifts: int = 4

    experiment = (
        "An image is moved before and after a convolution and the results are compared, pixel by pixel; the Jacobian of "
        "single output pixels "
        "shows which inputs they depend on. Output sizes are tried for all small n, k, p and s, and images before and after pooling are "
        "compared with their moved selves."
    )
    needs = (
        AGREE,
        Criterion("moved before and after, away from the border: largest relative difference", "interior", high=1e-12),
        Criterion("the same everywhere, where the image goes around", "circular", high=1e-12),
        Criterion("the same with stride 2, moved by two before and by one after", "stride_two", high=1e-12),
        Criterion("inputs that an output pixel depends on, over kernel area times channels", "local", low=1.0, high=1.0),
        Criterion("of them outside the window", "outside", high=0.0),
        Criterion("output sizes that are not floor((n − k + 2p + s)/s), with p on each side", "sizes_wrong", high=0.0),
        Criterion("1×1: pixels other than its own that an output depends on", "pointwise", high=0.0),
        Criterion("1×1 against the matrix product over channels", "pointwise_matmul", high=1e-12),
        Criterion("change by a move of one pixel, after max pooling over before", "pooled", high=0.9),
        Criterion("the same, average pooling", "averaged", high=0.9),
    )
    limits = (
        Limit("at a border padded with zeros the two differ by {} of the largest value", "border", low=1e-3),
        Limit("with stride 2 a move of one pixel is no move of the output: they differ by {}", "stride", low=1e-3),
        Limit(
            "p must count both sides together: with p on each side, (n − k + p + s)/s is wrong in {} of the cases", "sizes_notes", low=1.0
        ),
    )

    def measure(self) -> Measured:
        """Equivariance, dependence, sizes, 1×1, pooling."""
        rng = np.random.default_rng(self.seed)
        k, c, n = self.kernel, self.channels, self.size
        x, w = rng.normal(size=(1, c, n, n)), rng.normal(size=(4, c, k, k))
        edge = k // 2
        plain = self._moved(lambda x: conv2d(x, w, padding=edge), x, 1)
        inside = (..., slice(edge + 1, -edge - 1), slice(edge + 1, -edge - 1))
        around = self._moved(lambda x: conv2d(pad(x, (edge,) * 4, mode="circular"), w), x, 1)
        strided = {
            move: self._moved(lambda x: conv2d(pad(x, (edge,) * 4, mode="circular"), w, stride=2), x, move, move // 2) for move in (1, 2)
        }
        found: dict[str, Any] = {
            "interior": difference(plain[0][inside], plain[1][inside]),
            "border": difference(*plain),
            "circular": difference(*around),
            "stride": difference(*strided[1]),
            "stride_two": difference(*strided[2]),
        }
        found |= self._dependence(rng, w)
        found |= self._sizes()
        found |= self._pointwise(rng)
        series = self._pooling(rng)
        found |= {"pooled": (series["max"][0] / series["before"][0]), "averaged": series["mean"][0] / series["before"][0]}
        weights = [engine.grad(lambda w: (conv2d(x, w, padding=1, stride=2) ** 2).sum())(w) for engine in ENGINES.values()]
        found["agreement"] = max(found["agreement"], difference(*weights))
        return Measured(found, {name: numbers(values) for name, values in series.items()})

    @staticmethod
    def _moved(f: Any, x: Any, move: int, out: int | None = None) -> tuple[Any, Any]:
        """`f` of the moved image, and the moved `f` of the image."""
        return np.asarray(f(shifted(x, move, move))), shifted(np.asarray(f(x)), move if out is None else out, move if out is None else out)

    def _dependence(self, rng: Any, w: Any) -> dict[str, float]:
        """Which inputs single output pixels depend on, by the Jacobian in both modes."""
        k, c, n = self.kernel, self.channels, min(self.size, 9)
        x = rng.normal(size=(1, c, n, n))
        row, column = n // 2, n // 2 - 1
        jacobians = [engine.jacobian(lambda x: conv2d(x, w, padding=k // 2)[0, 0, row, column])(x) for engine in ENGINES.values()]
        depends = np.asarray(jacobians[0])[0] != 0
        window = np.zeros((c, n, n), bool)
        window[:, row - k // 2 : row + k // 2 + 1, column - k // 2 : column + k // 2 + 1] = True
        return {
            "agreement": difference(*jacobians),
            "local": float((depends & window).sum() / (c * k * k)),
            "outside": float((depends & ~window).sum()),
        }

    def _sizes(self) -> dict[str, float]:
        """How often the formulas are wrong, over all cases in which the kernel fits."""
        wrong, notes, cases = 0, 0, 0
        sizes, kernels, paddings, strides = (range(low, high + 1) for low, high in zip((1, 1, 0, 1), self.largest, strict=True))
        for n, k, p, s in itertools.product(sizes, kernels, paddings, strides):
            if n + 2 * p < k:
                continue
            out = conv2d(
                AbstractArray((1, 1, n, 2), np.dtype(float)), AbstractArray((1, 1, k, 1), np.dtype(float)), stride=(s, 1), padding=(p, 0)
            )
            cases += 1
            wrong += out.shape[2] != (n - k + 2 * p + s) // s
            notes += out.shape[2] != (n - k + p + s) // s
        return {"sizes_wrong": float(wrong), "sizes_notes": float(notes), "cases": float(cases)}

    def _pointwise(self, rng: Any) -> dict[str, float]:
        """Whether a 1×1 convolution mixes pixels, and whether it is a matrix product over channels."""
        c, n = self.channels, 5
        x, w = rng.normal(size=(1, c, n, n)), rng.normal(size=(4, c, 1, 1))
        jacobian = np.asarray(ENGINES["forward"].jacobian(lambda x: conv2d(x, w))(x))[0, :, :, :, 0]
        others = sum(bool(jacobian[:, i, j, :, a, b].any()) for i, j, a, b in itertools.product(range(n), repeat=4) if (i, j) != (a, b))
        product = np.einsum("oc,bchw->bohw", w[:, :, 0, 0], x)
        return {"pointwise": float(others), "pointwise_matmul": difference(np.asarray(conv2d(x, w)), product)}

    def _pooling(self, rng: Any) -> dict[str, Any]:
        """The relative change of smooth images by moves, before pooling, after max and after average pooling by 4, mean over images."""
        n = 4 * max(4, self.size // 4)
        images = rng.normal(size=(32, 1, n, n))
        for axis in (-2, -1):
            images = (images + np.roll(images, 1, axis) + np.roll(images, -1, axis)) / 3
        images -= images.min()
        ways = {"before": lambda x: x, "max": lambda x: max_pool2d(x, 4), "mean": lambda x: avg_pool2d(x, 4)}
        found: dict[str, Any] = {"shifts": range(1, self.shifts + 1)}
        for name, way in ways.items():
            rest = np.asarray(way(images))
            found[name] = [
                float(np.linalg.norm(np.asarray(way(shifted(images, 0, m))) - rest) / np.linalg.norm(rest)) for m in found["shifts"]
            ]
        return found

    def figure(self, measured: Measured) -> Figure:
        """The change by a move, before and after pooling."""
        s = measured.series
        curves = [Curve(s["shifts"], s[name], token) for name, token in POOLS.items()]
        svg = draw(
            "Relative change of an image by a move, before and after pooling",
            Panel("Relative change by a move", "pixels moved", curves, y_from=0.0),
            height=210,
        )
        return Figure(
            svg, [("before pooling", POOLS["before"]), ("max pooling by 4", POOLS["max"]), ("average pooling by 4", POOLS["mean"])]
        )

    def table(self, measured: Measured) -> Table:
        """Sizes and strides."""
        body = [
            ("cases of n, k, p, s tried", number(measured["cases"])),
            ("difference after a move by 1, stride 2", number(measured["stride"])),
            ("difference after a move by 2, stride 2", number(measured["stride_two"])),
            ("change by one pixel, max pooling over none", times(measured["pooled"])),
            ("change by one pixel, average pooling over none", times(measured["averaged"])),
        ]
        return Table(("number", "measured"), body)


POOLS = {"before": "strategy-0", "max": "strategy-1", "mean": "strategy-2"}

CLAIM = Convolution()
