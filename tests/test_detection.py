"""Patterns that are found: of programs that change tensors in place, of transforms in one another, of choices."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import dualdiff
import revdiff
from diffcore import ops
from diffcore.errors import AbstractValueError, ShapeError

X = np.arange(1.0, 7.0)


# ------------------------------------------------------------------------------------------------ changes in place


def element_by_element(engine: ModuleType, x: Any) -> Any:
    y = engine.zeros(6, dtype=engine.float64)
    for i in range(6):
        y[i] = x[i] * x[0]
    return y


def added(engine: ModuleType, x: Any) -> Any:
    y = engine.zeros(6, dtype=engine.float64)
    y += x * x
    return y


def parts_of_a_matrix(engine: ModuleType, x: Any) -> Any:
    y = engine.ones(2, 3, dtype=engine.float64)
    y[0] = x[:3]
    y[:, 1] *= x[4]
    return y


def copied(engine: ModuleType, x: Any) -> Any:
    y = engine.zeros(6, dtype=engine.float64)
    y.copy_(x * x)
    return y + x


def through_a_view(engine: ModuleType, x: Any) -> Any:
    y = engine.ones(6, dtype=engine.float64)
    view = y[2:]
    view.add_(x[:4])
    y.mul_(x)  # which the view is to see
    return ops.cat([y, view])


def through_a_view_made_afterwards(engine: ModuleType, x: Any) -> Any:
    y = engine.ones(6, dtype=engine.float64)
    y += x
    view = y[:3]
    y *= x.flip(0)
    view.sin_()
    return y * y.detach()


def part_of_a_tensor_like_it(engine: ModuleType, x: Any) -> Any:
    y = engine.zeros_like(x)
    y[1:] = x[:-1]
    return y


def filled_without_derivatives(engine: ModuleType, x: Any) -> Any:
    y = engine.empty(6, dtype=engine.float64)
    with engine.no_grad():
        y.fill_(2.0)
    return y.mul_(x)


def overwritten(engine: ModuleType, x: Any) -> Any:
    y = engine.zeros(6, dtype=engine.float64)
    y += x
    y.fill_(3.0)
    y[0] = x[1] * 2
    return y


def into_an_output(engine: ModuleType, x: Any) -> Any:
    out = engine.empty(6, dtype=engine.float64)
    ops.add(x.detach(), 1.0, out=out)
    return out * x


def recurrent(engine: ModuleType, x: Any) -> Any:
    state = engine.zeros(3, dtype=engine.float64)
    for i in range(2):
        state = (state * 0.5 + x[3 * i : 3 * i + 3]).tanh_()
    return state


IN_PLACE = (
    element_by_element,
    added,
    parts_of_a_matrix,
    copied,
    through_a_view,
    through_a_view_made_afterwards,
    part_of_a_tensor_like_it,
    filled_without_derivatives,
    overwritten,
    into_an_output,
    recurrent,
)


@pytest.mark.parametrize("program", IN_PLACE)
def test_changes_in_place_are_followed(engine: ModuleType, program: Any) -> None:
    f = lambda x: program(engine, x)
    dense = engine.jacobian(f)(X).reshape(-1, 6)
    found = engine.jacobian(f, sparsity="auto", check=True)(X)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-13)
    assert found.nnz == np.count_nonzero(dense)
    with engine.no_grad():
        assert not ((dense != 0) & ~engine.jacobian_sparsity(f)(X).toarray()).any()
    scalar = lambda x: (f(x) ** 2).sum()
    np.testing.assert_allclose(engine.hessian(scalar, sparsity="auto")(X).toarray(), engine.hessian(scalar)(X), rtol=1e-12, atol=1e-12)


def test_a_constant_of_one_engine_takes_a_tensor_of_the_other() -> None:
    for outer, inner in ((revdiff, dualdiff), (dualdiff, revdiff)):

        def f(x: Any, inner: ModuleType = inner) -> Any:
            y = inner.zeros(6, dtype=inner.float64)
            y += x
            return y * x

        np.testing.assert_array_equal(outer.jacobian(f)(X), np.diag(2 * X))


# ------------------------------------------------------------------------------------------------ transforms in one another


def test_a_pattern_found_within_another_one(engine: ModuleType) -> None:
    def f(x: Any) -> Any:
        inner = engine.hessian_sparsity(lambda y: (y[1:] * y[:-1] * x[0] * x[1]).sum())(np.ones(9))
        assert inner.nnz == 25
        return (x[1:] * x[:-1]).exp().sum() * 1e-6 + x[0] ** 3

    expected = engine.hessian(f)(X)
    found = engine.hessian(f, sparsity="auto", check=True)(X)
    assert found.nnz == 16
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-13)


def test_a_hessian_within_a_jacobian(engine: ModuleType) -> None:
    inner = engine.hessian(lambda y: (y[1:] * y[:-1] * 1.0).sum(), sparsity="auto")
    f = lambda x: x * x * inner(np.ones(9)).sum()
    np.testing.assert_allclose(engine.jacobian(f, sparsity="auto")(X).toarray(), np.diag(2 * 16 * X), rtol=1e-13)


# ------------------------------------------------------------------------------------------------ choices


@pytest.mark.parametrize(
    ("function", "entries"),
    [
        (lambda x: ops.max_pool1d(x.reshape(1, 1, 16), 2), 8),
        (lambda x: ops.max_pool1d(x.reshape(1, 1, 16), 3, 1, 1), 16),
        (lambda x: ops.max_pool2d(x.reshape(1, 1, 4, 4).sin(), 2, 1), 9),
        (lambda x: ops.clamp(x, -1.0, 1.0), 16),
    ],
)
def test_a_choice_is_followed_to_what_it_takes(function: Any, entries: int) -> None:
    x = np.random.default_rng(0).normal(size=16)
    found = revdiff.jacobian_sparsity(function)(x)
    assert found.nnz == entries
    assert not ((revdiff.jacobian(function)(x).reshape(found.shape) != 0) & ~found.toarray()).any()


def test_choices_have_no_second_derivatives() -> None:
    x = np.random.default_rng(0).normal(size=16)
    assert revdiff.hessian_sparsity(lambda x: ops.max_pool1d(x.reshape(1, 1, 16), 2).sum())(x).nnz == 0
    curved = lambda x: (ops.max_pool1d(x.reshape(1, 1, 16), 2) ** 2).sum()
    np.testing.assert_array_equal(revdiff.hessian_sparsity(curved)(x).toarray(), revdiff.hessian(curved)(x) != 0)


def test_a_choice_that_is_traced_may_take_anything(engine: ModuleType, x64: None) -> None:
    import jax

    f = lambda x: ops.max_pool1d(x.reshape(1, 1, 6), 2).reshape(-1)
    found = jax.jit(engine.jacobian(f, sparsity="auto"))(X)
    np.testing.assert_allclose(found.todense(), revdiff.jacobian(f)(X))


# ------------------------------------------------------------------------------------------------ patterns of jax's


def test_a_bcoo_is_a_pattern(engine: ModuleType, x64: None) -> None:
    import jax
    import jax.numpy as jnp
    from jax.experimental.sparse import BCOO

    f = lambda x: x[1:] * x[:-1]
    pattern = BCOO.fromdense(jnp.asarray(np.eye(5, 6) + np.eye(5, 6, 1)), nse=14)  # with places that only fill it up
    for given in (pattern, BCOO((jnp.zeros(14), pattern.indices), shape=(5, 6))):
        for x in (X, jnp.asarray(X)):
            found = engine.jacobian(f, sparsity=given, check=True)(x)
            dense = found.toarray() if isinstance(found, scipy.sparse.csr_array) else found.todense()
            np.testing.assert_allclose(dense, revdiff.jacobian(f)(X))
    again = engine.jacobian(f, sparsity=engine.jacobian(f, sparsity="auto")(jnp.asarray(X)))(X)
    assert again.nnz == 10
    with pytest.raises(ShapeError, match=r"both of them sparse, got a BCOO of shape \(5, 6\) with n_batch=0 and n_dense=1"):
        engine.jacobian(f, sparsity=BCOO.fromdense(jnp.ones((5, 6)), n_dense=1))
    with pytest.raises(AbstractValueError, match="traced"):
        jax.jit(lambda pattern: engine.jacobian(f, sparsity=pattern)(X).todense())(pattern)
