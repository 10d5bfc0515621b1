"""What rows of the scenario table cannot say of indexing: what many parts of one tensor cost together."""

import numpy as np
import pytest

import revdiff
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import Ledger

PARTS = {
    "rows": (lambda x: list(x), [[i] for i in range(6)]),
    "blocks": (lambda x: x.split(2), [[0, 1], [2, 3], [4, 5]]),
    "every second": (lambda x: [x[0::2], x[1::2]], [[0, 2, 4], [1, 3, 5]]),
    "with overlaps": (lambda x: [x[:4], x[2:], x[::-1]], [[0, 1, 2, 3], [2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]),
    "by arrays": (lambda x: [x[np.array([0, 0, 3])], x[1:]], [[0, 0, 3], [1, 2, 3, 4, 5]]),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_of_a_leaf_and_of_a_result(case, array):
    parts, rows = PARTS[case]
    x = array(np.random.default_rng(0).normal(size=(6, 3)))
    weight = np.zeros((6, 3))
    for i, chosen in enumerate(rows):
        np.add.at(weight, chosen, i + 1)

    def weighted(x):
        return sum((part * (i + 1)).sum() for i, part in enumerate(parts(x)))

    for program in (weighted, lambda x: weighted(x * 3) / 3):
        np.testing.assert_allclose(np.asarray(revdiff.grad(program)(x)), weight, rtol=1e-14)
    if isinstance(x, np.ndarray):
        second = revdiff.hessian(lambda x: weighted(x * x))(x)
        np.testing.assert_allclose(second.reshape(18, 18), np.diag(2 * weight.reshape(-1)), rtol=1e-14)


def test_gradients_of_parts_add_to_what_is_there():
    x = revdiff.tensor(np.zeros((3, 2)), requires_grad=True)
    for _ in range(2):
        (x[0] * 2 + x[2] * 3).sum().backward()
    assert x.grad.tolist() == [[4, 4], [0, 0], [6, 6]]
    given = np.ones((3, 2))
    y = x * 1.0
    (first,) = revdiff.autograd.grad((y,), (x,), (revdiff.tensor(given),), retain_graph=True)
    (y[1].sum() + y[0].sum() + (y * revdiff.tensor(given)).sum()).backward()
    assert given.tolist() == [[1, 1], [1, 1], [1, 1]]
    assert first.tolist() == given.tolist()
    assert x.grad.tolist() == [[6, 6], [2, 2], [7, 7]]


@pytest.mark.parametrize("many", [16, 64])
def test_the_cotangents_of_many_parts_take_the_arithmetic_of_the_whole_once(many):
    x = AbstractArray((many, 8), np.float32)
    with Ledger() as ledger:
        revdiff.grad(lambda x: sum((row * 2).sum() for row in x * 1))(x)
    assert ledger.by_kernel["adjoint", "getitem"] == (many - 1) * 8
