"""Penalties: L2 as weight decay, L1 by proximal steps."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 8))
Y = X @ [2.0, 0.0, 0.0, -1.0, 0.0, 0.5, 0.0, 0.0] + 0.1 * RNG.normal(size=60)


def regression(engine: ModuleType) -> tuple[Any, Any]:
    """A linear model and half its mean squared error."""
    w = engine.nn.Parameter(engine.zeros(8, dtype=np.float64))
    x, y = engine.tensor(X), engine.tensor(Y)

    def loss() -> Any:
        error = x @ w - y
        return (error * error).mean() / 2

    return w, loss


def descend(optimizer: Any, loss: Any, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_weight_decay_is_an_l2_penalty_for_sgd(engine: ModuleType, options: dict[str, Any]) -> None:
    found = []
    for decay, penalty in ((0.3, 0.0), (0.0, 0.3)):
        w, loss = regression(engine)
        optimizer = engine.optim.SGD([w], lr=0.05, weight_decay=decay, **options)
        descend(optimizer, lambda w=w, loss=loss, penalty=penalty: loss() + penalty / 2 * (w * w).sum(), 30)
        found.append(w.detach().numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_weight_decay_shrinks_before_the_step(engine: ModuleType) -> None:
    """`w <- (1 - lr * decay) w - lr * g`."""
    w = engine.nn.Parameter(engine.tensor([2.0, -4.0], dtype=np.float64))
    (w * engine.tensor([1.0, 3.0], dtype=np.float64)).sum().backward()
    engine.optim.SGD([w], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(w.detach(), [0.95 * 2 - 0.1, -0.95 * 4 - 0.3], rtol=1e-15)


def test_weight_decay_of_adam_is_no_penalty_when_decoupled(engine: ModuleType) -> None:
    found = {}
    for name in ("Adam", "AdamW"):
        w, loss = regression(engine)
        descend(getattr(engine.optim, name)([w], lr=0.05, weight_decay=0.3), loss, 20)
        found[name] = w.detach().numpy()
    assert abs(found["Adam"] - found["AdamW"]).max() > 1e-3


@pytest.mark.parametrize("l1", [0.05, 0.2])
def test_proximal_steps_solve_the_lasso(engine: ModuleType, l1: float) -> None:
    from sklearn.linear_model import Lasso

    expected = Lasso(alpha=l1, fit_intercept=False, tol=1e-14, max_iter=100000).fit(X, Y).coef_
    w, loss = regression(engine)
    rate = 1 / np.linalg.eigvalsh(X.T @ X / len(X))[-1]
    descend(engine.optim.ProximalSGD([w], lr=rate, l1=l1), loss, 300)
    np.testing.assert_allclose(w.detach(), expected, atol=1e-10)
    assert (w.detach().numpy() == 0).tolist() == (expected == 0).tolist()
    assert 0 < (expected == 0).sum() < 8


def test_with_weight_decay_it_is_the_elastic_net(engine: ModuleType) -> None:
    from sklearn.linear_model import ElasticNet

    expected = ElasticNet(alpha=0.3, l1_ratio=0.5, fit_intercept=False, tol=1e-14, max_iter=100000).fit(X, Y).coef_
    w, loss = regression(engine)
    descend(engine.optim.ProximalSGD([w], lr=0.3, l1=0.15, weight_decay=0.15), loss, 400)
    np.testing.assert_allclose(w.detach(), expected, atol=1e-10)


def test_a_subgradient_does_not_reach_zero(engine: ModuleType) -> None:
    """What the proximal step is for: descent on `loss + l1 |w|` leaves small numbers where the minimum has zeros."""
    w, loss = regression(engine)
    descend(engine.optim.SGD([w], lr=0.3), lambda: loss() + 0.2 * w.abs().sum(), 300)
    assert (w.detach().numpy() != 0).all()


def test_groups_and_backends(engine: ModuleType) -> None:
    found = []
    for device in ("cpu", "jax"):
        weight, bias = (engine.nn.Parameter(engine.tensor([0.3, -2.0, 0.0], device=device)) for _ in range(2))
        (weight.sum() + bias.sum()).backward()
        engine.optim.ProximalSGD([{"params": [weight], "l1": 0.8}, {"params": [bias]}], lr=0.5).step()
        found.append([weight.detach().numpy(), bias.detach().numpy()])
    np.testing.assert_allclose(found[0], [[0.0, -2.1, -0.1], [-0.2, -2.5, -0.5]], rtol=1e-6)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_a_proximal_step_can_be_planned(engine: ModuleType) -> None:
    from diffcore.ledger import Ledger

    with Ledger() as ledger:
        w = engine.nn.Parameter(engine.zeros(100, device="meta"))
        (w * w).sum().backward()
        engine.optim.ProximalSGD([w], l1=0.1).step()
    assert ledger.flops["update"] >= 500
    assert ledger.live["optimizer state"] == 0
