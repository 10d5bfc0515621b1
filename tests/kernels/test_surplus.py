"""What convolutions on numpy do beyond the products of their definition, as the ledger tells it, is what they hand to numpy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels import columns
from diffcore.kernels.convolution import window_of
from diffcore.ledger import Ledger
from tests.kernels.convolutions import GEOMETRIES


class Counting:
    """numpy, with a count of the operations of products and of sums along axes."""

    def __init__(self) -> None:
        self.done = 0
        self.add = self

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def matmul(self, a: Any, b: Any, **options: Any) -> Any:
        out = np.matmul(a, b, **options)
        self.done += 2 * out.size * a.shape[-1] if isinstance(out, np.ndarray) else 0
        return out

    def reduce(self, x: Any, **options: Any) -> Any:
        self.done += x.size if isinstance(x, np.ndarray) else 0
        return np.add.reduce(x, **options)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    proxy = Counting()
    monkeypatch.setattr(columns, "np", proxy)
    return proxy


def sums(array: Any, kind: str, batch: int) -> Iterator[tuple[str, Any]]:
    """The three sums of a geometry, each on arrays by `array(shape)`."""
    size, taps, options = GEOMETRIES[kind]
    rank, groups = len(size) - 2, options.get("groups", 1)
    stride, padding, dilation = (
        (a,) * rank if isinstance(a, int) else a for a in (options.get("stride", 1), options.get("padding", 0), options.get("dilation", 1))
    )
    window = window_of(size[2:], taps[2:], stride, tuple((p, p) for p in padding), dilation)
    x, weight, g = array((batch, *size[1:])), array(taps), array((batch, taps[0], *window.counts))
    yield "convolve", lambda: columns.convolve(x, weight, window, groups)
    yield "spread", lambda: columns.spread(g, weight, window, groups, tuple(size[2:]))
    yield "correlate", lambda: columns.correlate(x, g, window, groups)


@pytest.mark.parametrize("batch", [2, 33])
@pytest.mark.parametrize("kind", GEOMETRIES)
def test_products_and_what_is_done_besides_are_what_numpy_does(counting: Counting, kind: str, batch: int) -> None:
    real = sums(lambda shape: np.ones(shape), kind, batch)
    abstract = sums(lambda shape: AbstractArray(shape, np.dtype(np.float64)), kind, batch)
    for (name, run), (_, plan) in zip(real, abstract, strict=True):
        counting.done = 0
        run()
        with Ledger() as ledger:
            plan()
        assert sum(ledger.products.values()) + sum(ledger.surplus.values()) == counting.done, name
        assert sum(ledger.products.values()) == sum(ledger.flops.values())
