"""Hessians, and their products with vectors."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import DiffError, GradientError
from tests.transforms.functions import RNG, Array, X, Y, close


def quartic(x: Any, y: Any) -> Any:
    return (x @ y).tanh().sum() * (y * y).sum() + ((x * x) @ y).sum()


def test_hessian_and_hvp(engine: ModuleType, array: Array) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    (xx, xy), (yx, yy) = (
        [block.numpy() for block in row]
        for row in torch.autograd.functional.hessian(
            lambda x, y: (x @ y).tanh().sum() * (y * y).sum() + ((x * x) @ y).sum(), (torch.tensor(X), torch.tensor(Y))
        )
    )
    found = engine.hessian(quartic, (0, 1))(array(X), array(Y))
    for row, expected in zip(found, [[xx, xy], [yx, yy]], strict=True):
        for block, wanted in zip(row, expected, strict=True):
            close(block, wanted, rtol=1e-12)
    v = RNG.normal(size=3)
    of_y = lambda y: quartic(array(X), y)
    close(engine.hessian(of_y)(array(Y)), yy, rtol=1e-12)
    close(engine.hvp(of_y, array(Y), array(v)), yy @ v, rtol=1e-12)
    hx, hy = engine.hvp(quartic, (array(X), array(Y)), (array(X), array(v)))
    close(hx, np.tensordot(xx, X, 2) + xy @ v, rtol=1e-12)
    close(hy, np.tensordot(yx, X, 2) + yy @ v, rtol=1e-12)


def test_hvp_takes_structures(engine: ModuleType) -> None:
    f = lambda t: (t["a"] * t["a"] * t["b"]).sum()
    point, along = {"a": Y, "b": Y + 1}, {"b": np.ones(3), "a": np.zeros(3)}
    found = engine.hvp(f, point, along)
    close(found["a"], 2 * Y)
    close(found["b"], np.zeros(3), rtol=0)


def test_hvp_refuses_directions_that_do_not_match(engine: ModuleType) -> None:
    with pytest.raises(DiffError):
        engine.hvp(lambda x: (x * x).sum(), Y, Y[:2])
    with pytest.raises(DiffError):
        engine.hvp(lambda x, y: (x * y).sum(), (Y, Y), (Y,))


def test_a_missing_tangent_of_a_second_derivative_is_zero(engine: ModuleType) -> None:
    f = lambda a, b: (a["w"] ** 2 * b).sum() + a["c"].exp().sum() * b[0]
    a, b = {"w": np.array([1.0, 2.0, 3.0]), "c": np.array([0.5, -0.5])}, np.array([2.0, 3.0, 5.0])
    v, u = {"w": np.array([0.5, 1.0, -1.0]), "c": np.array([1.0, 2.0])}, np.array([1.0, -2.0, 0.5])
    zeros = {"w": np.zeros(3), "c": np.zeros(2)}
    for given, full in (
        ((v, None), (v, np.zeros(3))),
        ((None, u), (zeros, u)),
        (({"w": None, "c": v["c"]}, u), ({"w": zeros["w"], "c": v["c"]}, u)),
        ((None, None), (zeros, np.zeros(3))),
    ):
        found, expected = engine.hvp(f, (a, b), given), engine.hvp(f, (a, b), full)
        for name in ("w", "c"):
            np.testing.assert_array_equal(found[0][name], expected[0][name])
        np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(engine.hvp(lambda b: (b**3).sum(), b, None), np.zeros(3))
    for wrong, error, got in ((None, TypeError, "NoneType"), ((u,), GradientError, "1")):
        with pytest.raises(error, match=rf"hvp: `tangents` must be a tuple .* each of the 2 `primals` \(`None` for zeros\), got {got}"):
            engine.hvp(f, (a, b), wrong)
