"""Counts of categories in repeated draws."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import ArgumentError, DTypeError


def test_counts_add_up_and_follow_the_weights(engine: ModuleType) -> None:
    engine.manual_seed(0)
    die = engine.distributions.multinomial.Multinomial(10_000, engine.ones(6) / 6)
    rolled = die.sample()
    assert (rolled.shape, rolled.dtype, rolled.sum().item()) == ((6,), np.float32, 10_000)
    np.testing.assert_allclose(rolled.numpy() / 10_000, 1 / 6, atol=0.02)
    loaded = engine.distributions.Multinomial(1000, engine.tensor([0.0, 1.0, 3.0], dtype=engine.float64))
    many = loaded.sample((200, 2))
    assert (many.shape, many.dtype) == ((200, 2, 3), np.float64)
    assert np.all(many.sum(-1).numpy() == 1000)
    assert np.all(many.numpy()[..., 0] == 0)
    np.testing.assert_allclose(many.numpy().mean((0, 1)), [0, 250, 750], atol=3)


def test_batches_of_weights(engine: ModuleType) -> None:
    weights = engine.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    both = engine.distributions.Multinomial(8, weights)
    assert (both.batch_shape, both.event_shape) == ((3,), (2,))
    assert both.sample().tolist()[:2] == [[8.0, 0.0], [0.0, 8.0]]
    assert both.sample((5,)).shape == (5, 3, 2)
    assert both.sample(engine.Size([4, 1])).shape == (4, 1, 3, 2)


def test_moments_are_those_of_torch(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch")

    def moments(t: Any) -> list[Any]:
        found = []
        for made in (
            t.distributions.multinomial.Multinomial(7, t.tensor([1.0, 2.0, 5.0])),
            t.distributions.multinomial.Multinomial(7, logits=t.tensor([[0.0, 1.0], [2.0, -1.0]])),
        ):
            found += [made.mean.numpy(), made.variance.numpy(), made.probs.numpy(), tuple(made.sample((2,)).shape)]
        return found

    for ours, theirs in zip(moments(engine), moments(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_one_seed_gives_both_engines_the_same_counts() -> None:
    drawn = []
    for engine in (revdiff, dualdiff):
        engine.manual_seed(1)
        drawn.append(engine.distributions.Multinomial(100, engine.tensor([0.2, 0.3, 0.5])).sample((4,)).tolist())
    assert drawn[0] == drawn[1]


def test_misuse(engine: ModuleType) -> None:
    multinomial = engine.distributions.Multinomial
    for weights in ([1.0, -1.0], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]):
        with pytest.raises(ArgumentError, match="non-negative, finite `probs`"):
            multinomial(3, engine.tensor(weights))
    with pytest.raises(ArgumentError, match="`total_count` must be non-negative, got -1"):
        multinomial(-1, engine.ones(2))
    with pytest.raises(TypeError, match="`total_count` must be an int"):
        multinomial(1.5, engine.ones(2))
    with pytest.raises(TypeError, match="`probs` must be a Tensor, not list"):
        multinomial(1, [0.5, 0.5])
    with pytest.raises(DTypeError, match="floating-point"):
        multinomial(1, engine.tensor([1, 2]))
    with pytest.raises(ArgumentError, match="at least one-dimensional"):
        multinomial(1, engine.tensor(1.0))
    with pytest.raises(ValueError, match="Either `probs` or `logits`"):
        multinomial(1)
