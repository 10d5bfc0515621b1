"""Products with Jacobians, and what they refuse."""

from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError
from tests.transforms.functions import RNG, Array, X, Y, close, vector


def test_vjp_is_the_transposed_jacobian(array: Array) -> None:
    g = array([1.0, -2.0, 0.5, 3.0])
    value, pullback = revdiff.vjp(vector, array(X), array(Y))
    jx, jy = revdiff.jacobian(vector, (0, 1))(X, Y)
    close(value, np.exp(X * Y).sum(1) * Y[0])
    for _ in range(2):  # it can be called many times
        gx, gy = pullback(g)
        close(gx, np.tensordot(np.asarray(g), jx, 1))
        close(gy, np.tensordot(np.asarray(g), jy, 1))


def test_vjp_of_structures_takes_cotangents_by_key() -> None:
    value, pullback = revdiff.vjp(lambda t: {"p": t["x"] * 2.0, "q": t["x"] * t["y"]}, {"x": Y, "y": Y + 1})
    one, two = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    assert list(value) == ["p", "q"]
    for cotangent in ({"p": one, "q": two}, {"q": two, "p": one}):
        (gradient,) = pullback(cotangent)
        close(gradient["x"], 2 * one + two * (Y + 1))
        close(gradient["y"], two * Y)


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((4, 1)), 1.0, [np.ones(4), np.ones(4)], {"p": np.ones(4)}, None])
def test_vjp_refuses_cotangents_that_do_not_match(wrong: Any) -> None:
    _, pullback = revdiff.vjp(vector, X, Y)
    with pytest.raises(GradientError, match="cotangent"):
        pullback(wrong)
    close(pullback(np.zeros(4))[0], np.zeros((4, 3)), rtol=0)


def test_jvp_is_the_jacobian_times_a_direction(array: Array) -> None:
    tx, ty = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    value, tangent = dualdiff.jvp(vector, (array(X), array(Y)), (array(tx), array(ty)))
    jx, jy = revdiff.jacobian(vector, (0, 1))(X, Y)
    close(value, np.exp(X * Y).sum(1) * Y[0])
    close(tangent, np.tensordot(jx, tx, 2) + jy @ ty)


def test_jvp_takes_tangents_by_key_and_zeros_what_does_not_depend() -> None:
    f = lambda t: {"p": t["x"] * t["y"], "c": engine_constant}
    engine_constant = dualdiff.tensor(Y)
    dx, dy = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    for tangents in ({"x": dx, "y": dy}, {"y": dy, "x": dx}):
        value, tangent = dualdiff.jvp(f, ({"x": Y, "y": Y + 1},), (tangents,))
        close(tangent["p"], dx * (Y + 1) + dy * Y)
        close(tangent["c"], np.zeros(3), rtol=0)
        close(value["c"], Y)


@pytest.mark.parametrize(
    ("primals", "tangents", "error", "message"),
    [
        (Y, (Y,), TypeError, "must be tuples or lists; found ndarray and tuple"),
        ((Y,), Y, TypeError, "must be tuples or lists; found tuple and ndarray"),
        ((Y,), (Y[:2],), GradientError, r"shapes must be equal.*\(3,\).*\(2,\)"),
        ((Y, Y), (Y,), GradientError, "jvp"),
        (({"x": Y},), ({"z": Y},), GradientError, "jvp"),
        (({"x": Y, "y": Y},), ([Y, Y],), GradientError, "jvp"),
        ((Y,), (np.array([1, 2, 3]),), GradientError, "floating point"),
        ((np.array([1, 2, 3]),), (Y,), GradientError, "floating point"),
    ],
)
def test_jvp_refuses_tangents_that_do_not_match(primals: Any, tangents: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dualdiff.jvp(lambda x, y=None: x if not isinstance(x, dict) else x["x"], primals, tangents)


def test_jvp_refuses_tangents_of_another_dtype() -> None:
    with pytest.raises(GradientError, match=r"float32.*float64"):
        dualdiff.jvp(lambda x: x * 2, (Y.astype(np.float32),), (Y,))


def test_rows_and_columns_belong_to_one_matrix(array: Array) -> None:
    """`<u, J v> = <J^T u, v>`."""
    u, v = RNG.normal(size=4), RNG.normal(size=(4, 3))
    f = lambda x: vector(x, array(Y))
    left = u @ np.asarray(dualdiff.jvp(f, (array(X),), (array(v),))[1])
    right = (np.asarray(revdiff.vjp(f, array(X))[1](array(u))[0]) * v).sum()
    np.testing.assert_allclose(left, right, rtol=1e-14)
