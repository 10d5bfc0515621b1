"""Cotangents that meet are added in memory that the pass has made itself; nothing that others hold is ever changed."""

import tracemalloc
from typing import Any

import numpy as np

import revdiff

RNG = np.random.default_rng(0)
X, W, V = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4)), RNG.normal(size=(4, 4))


def variable(value: Any) -> Any:
    return revdiff.tensor(value, requires_grad=True)


def test_products_of_one_tensor() -> None:
    x, w = variable(X), variable(W)
    h = x * 1.0
    (x + h @ w + h @ w @ V + (h @ w).mT.mT).sum().backward()
    ones = np.ones((3, 4))
    np.testing.assert_allclose(x.grad.numpy(), ones + 2 * ones @ W.T + ones @ V.T @ W.T, rtol=1e-13)
    np.testing.assert_allclose(w.grad.numpy(), X.T @ (2 * ones + ones @ V.T), rtol=1e-13)


def test_a_product_of_a_matrix_with_itself() -> None:
    w = variable(W)
    (w @ w).sum().backward()
    ones = np.ones((4, 4))
    np.testing.assert_allclose(w.grad.numpy(), ones @ W.T + W.T @ ones, rtol=1e-13)


def test_what_hooks_and_callers_hold_stays_as_it_was() -> None:
    x, held = variable(X), list[Any]()
    h, k = x * 2.0, x * 3.0
    for tensor in (h, k):
        tensor.register_hook(lambda g: held.append((g, g.numpy().copy())))
    out = (h @ W + k + h @ V + (h + k) @ W).sum()
    found = revdiff.autograd.grad(out, (h, k, x), retain_graph=True)
    again = revdiff.autograd.grad(out, (x, h, k))
    for g, copy in held:
        np.testing.assert_array_equal(g.numpy(), copy)
    arrays = [g.numpy() for g in (*found, *again)]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])
    for ours, order in zip(found, (1, 2, 0), strict=True):
        np.testing.assert_array_equal(ours.numpy(), again[order].numpy())
    ones = np.ones((3, 4))
    np.testing.assert_allclose(found[0].numpy(), ones @ (2 * W + V).T, rtol=1e-13)


def test_many_directions_at_once_and_the_second_order() -> None:
    def f(x: Any) -> Any:
        y = x.exp()
        return (y @ W) * (y @ V) + y

    jacobian, step = revdiff.jacobian(f)(X), 1e-6
    direction = RNG.normal(size=X.shape)
    slope = (f(revdiff.tensor(X + step * direction)) - f(revdiff.tensor(X - step * direction))).numpy() / (2 * step)
    np.testing.assert_allclose(np.tensordot(jacobian, direction, 2), slope, rtol=1e-7)
    loss = lambda x: f(x).sum()
    hessian = revdiff.hessian(loss)(X)
    slope = (revdiff.grad(loss)(X + step * direction) - revdiff.grad(loss)(X - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.tensordot(hessian, direction, 2), slope, rtol=1e-6)


def test_a_weight_used_many_times_takes_two_arrays_of_its_size() -> None:
    """Its gradient, and the part of it that is being added."""
    w, start = RNG.normal(size=(300, 300)) / 20, np.ones((2, 300))

    def f(w: Any) -> Any:
        h = start
        for _ in range(6):
            h = (h @ w).tanh()
        return h.sum()

    gradient = revdiff.grad(f)
    gradient(w)
    tracemalloc.start()
    try:
        gradient(w)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.3 * w.nbytes
