"""What theory says of depth, by the ledger: reverse mode keeps bytes linear in it, forward mode constant, binomial checkpoints logarithmic.

The chain has `depth` equal layers `tanh(x @ W.T + b)` from `[N, W]` to `[N, W]`; a value between layers has `VALUE` bytes.
"""

import math
from math import comb
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.ledger import Ledger

N, W = 8, 16
VALUE = N * W * 4
PRODUCT = 2 * N * W * W
DEPTHS = (2, 4, 8, 16, 32)


def chain(engine: Any, depth: int) -> Any:
    """The layers, each one step to a schedule."""

    class Layer(engine.nn.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(x).tanh()

    return engine.nn.Sequential(*(Layer(W, W, device="meta") for _ in range(depth)))


def reverse(depth: int, **checkpoints: Any) -> Ledger:
    """The ledger of the gradient of a scalar of the chain, with checkpoints where they are asked for."""
    with Ledger() as ledger:
        with ledger.role("parameter"):
            net = chain(revdiff, depth)
        with ledger.role("input"):
            x = revdiff.zeros((N, W), device="meta")
        run = (lambda net, x: revdiff.checkpoint(net, x, **checkpoints)) if checkpoints else (lambda net, x: net(x))
        revdiff.value_and_grad(lambda net, x: run(net, x).sum())(net, x)
    return ledger


def fit(x: Any, y: Any) -> tuple[float, float]:
    """Slope and coefficient of determination of the best line."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    slope, intercept = np.polyfit(x, y, 1)
    return slope, 1 - ((y - slope * x - intercept) ** 2).sum() / ((y - y.mean()) ** 2).sum()


def test_reverse_mode_keeps_one_value_per_layer() -> None:
    kept = [reverse(depth).peaks["residual"] for depth in DEPTHS]
    slope, determined = fit(DEPTHS, kept)
    assert determined > 0.999
    assert slope == pytest.approx(VALUE, rel=1e-12)
    assert kept == [depth * VALUE for depth in DEPTHS]


@pytest.mark.parametrize("k", [1, 3])
def test_forward_mode_carries_the_same_at_every_depth(k: int) -> None:
    """Of `k` directions the tangents of the values before and behind a layer, and of what a layer makes on its way."""

    def carried(depth: int, differentiate: Any) -> tuple[int, int]:
        net = chain(dualdiff, depth).requires_grad_(False)
        x = dualdiff.zeros((N, W), device="meta")
        with Ledger() as ledger:
            differentiate(lambda x: net(x).sum(), x)
        return ledger.peaks["tangent"], ledger.peak

    estimates = {carried(depth, lambda f, x: dualdiff.forward_gradient(f, directions=k)(x)) for depth in DEPTHS}
    assert len(estimates) == 1
    if k == 1:
        ((tangents, peak),) = {carried(depth, lambda f, x: dualdiff.jvp(f, (x,), (x,))) for depth in DEPTHS}
        assert tangents == 3 * VALUE
        assert peak <= 8 * VALUE


def test_tangents_of_all_activations_grow_with_their_directions() -> None:
    """`W` directions a layer, all carried through the last ones: linear in depth; of those the values before and behind a layer."""

    def carried(depth: int) -> int:
        net, x = chain(dualdiff, depth), dualdiff.zeros((N, W), device="meta")
        with Ledger() as ledger:
            dualdiff.value_and_grad(lambda net, x: net(x).sum(), seeding="activations")(net, x)
        return ledger.peaks["tangent"]

    depths = DEPTHS[1:]
    found = [carried(depth) for depth in depths]
    slope, determined = fit(depths, found)
    assert determined > 0.999
    assert slope == pytest.approx(2 * W * VALUE, rel=1e-3)


def test_within_a_budget_chunks_keep_them_below_it_at_every_depth() -> None:
    memory = 60_000
    for depth in (4, 12):
        net, x = chain(dualdiff, depth), dualdiff.zeros((N, W), device="meta")
        with Ledger() as ledger:
            dualdiff.value_and_grad(lambda net, x: net(x).sum(), seeding="activations", memory=memory)(net, x)
        assert ledger.peaks["tangent"] <= memory


def test_binomial_checkpoints_grow_with_the_logarithm_of_depth() -> None:
    """`ceil(log2 n) + 1` snapshots, and the residuals of the one layer that is differentiated."""
    depths = (4, 8, 16, 32, 64)
    kept = [reverse(depth, schedule="revolve").peaks["residual"] for depth in depths]
    slope, determined = fit(np.log2(depths), kept)
    assert slope == pytest.approx(VALUE, rel=1e-12)
    assert determined > 1 - 1e-12
    assert fit(depths, kept)[1] < 0.95
    assert kept == [(math.ceil(math.log2(depth)) + 2) * VALUE for depth in depths]


def griewank(steps: int, snapshots: int) -> tuple[int, int]:
    """The fewest further steps `t(l, s) = r l - beta(s + 1, r - 1)`, and `r`: the most that any step is run again.

    `beta(s, r) = (s + r)! / (s! r!)` and `beta(s, r - 1) < l <= beta(s, r)` (Griewank and Walther 2000, "Algorithm 799: revolve").
    """
    r = 0
    while comb(snapshots + r, r) < steps:
        r += 1
    return r * steps - (comb(snapshots + r, r - 1) if r else 0), r


@pytest.mark.parametrize("snapshots", [1, 2, 3, 5])
def test_so_many_snapshots_cost_what_was_published_and_keep_no_more(snapshots: int) -> None:
    for depth in DEPTHS:
        ledger = reverse(depth, schedule="revolve", snapshots=snapshots)
        further, repetitions = griewank(depth, snapshots)
        assert sum(count for (phase, _), count in ledger.products.items() if phase == "recompute") == further * PRODUCT
        assert further <= repetitions * depth
        assert ledger.peaks["residual"] <= (snapshots + 1) * VALUE
