"""Attention in blocks of examples: what they come to together, and that nothing is kept for every pair of positions."""

from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels import attention
from diffcore.ledger import Ledger

RNG = np.random.default_rng(5)
SHAPES = [(3, 2, 4, 2), (3, 2, 5, 2), (3, 2, 5, 3)]


def slopes(function: Any, operands: list[Any]) -> Any:
    return revdiff.value_and_grad(lambda *xs: (function(*xs) ** 2).sum(), (0, 1, 2))(*operands)


@pytest.mark.parametrize("mask", [None, (4, 5), (3, 1, 1, 5), (1, 2, 4, 5), (3, 2, 4, 5)])
def test_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch, mask: Any) -> None:
    operands = [RNG.normal(size=shape) for shape in SHAPES]
    allowed = None if mask is None else RNG.random(mask) < 0.6
    masked = (lambda *xs: ops.scaled_dot_product_attention(*xs, allowed))  # fmt: skip

    def composed(query: Any, key: Any, value: Any) -> Any:
        scores = query @ key.mT / np.sqrt(2)
        if allowed is None:
            return ops.softmax(scores, -1) @ value
        attends = allowed.any(axis=-1, keepdims=True)
        return ops.where(attends, ops.softmax(ops.where(allowed | ~attends, scores, -np.inf), -1), 0) @ value

    value, expected = slopes(composed, operands)
    for scores in (attention.SCORES, 80, 20, 1):  # all three examples, two and one, one at a time, one head at a time
        monkeypatch.setattr(attention, "SCORES", scores)
        found, gradients = slopes(masked, operands)
        np.testing.assert_allclose(found, value, rtol=1e-13)
        for g, e in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-11, atol=1e-13)


def test_nothing_is_kept_for_pairs_of_positions() -> None:
    def kept(length: int) -> int:
        with Ledger() as ledger:
            operands = [revdiff.tensor(AbstractArray((2, 3, length, 4), np.float32), requires_grad=True) for _ in range(3)]
            before = ledger.live.total()
            out = ops.scaled_dot_product_attention(*operands)
            assert out.shape == (2, 3, length, 4)
            return ledger.live.total() - before

    assert kept(8) == 2 * 3 * 8 * (4 + 1) * 4
    assert kept(16) == 2 * kept(8)


def test_heads_are_joined_without_a_copy() -> None:
    out = ops.scaled_dot_product_attention(*(RNG.normal(size=shape) for shape in SHAPES))
    assert np.shares_memory(out.transpose(0, 2, 1, 3).reshape(3, 4, 6), out)


@pytest.mark.parametrize("given", ["dropout", "numbers", "weights"])
def test_what_one_kernel_does_not_do_is_composed(given: str) -> None:
    x = revdiff.tensor(RNG.normal(size=(2, 3, 4)), requires_grad=True)
    if given == "weights":
        _, weights = revdiff.nn.MultiheadAttention(4, 2, batch_first=True, dtype=np.float64)(x, x, x)
        np.testing.assert_allclose(weights.sum(-1).detach(), np.ones((2, 3)), rtol=1e-13)
        return
    mask = revdiff.tensor(RNG.normal(size=(3, 3)), requires_grad=True) if given == "numbers" else None
    ops.scaled_dot_product_attention(x, x, x, mask, 0.5 if given == "dropout" else 0.0).sum().backward()
    assert (x.grad if mask is None else mask.grad) is not None
