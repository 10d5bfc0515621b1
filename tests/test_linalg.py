"""Linear algebra beyond the table of scenarios: singular matrices, costs, residuals, NaN."""

import numpy as np
import pytest

import revdiff
from diffcore import linalg, ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import LinAlgError
from diffcore.ledger import Ledger
from revdiff import tape


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_determinant_has_its_derivative_at_singular_matrices(engine, rank):
    rng = np.random.default_rng(rank)
    a = rng.standard_normal((3, rank)) @ rng.standard_normal((rank, 3))
    minors = np.array([[np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) * (-1) ** (i + j) for j in range(3)] for i in range(3)])
    np.testing.assert_allclose(engine.grad(linalg.det)(a), minors, atol=1e-14)


def test_what_needs_an_inverse_says_so(engine):
    singular = np.diag([1.0, 2.0, 0.0])
    assert linalg.slogdet(singular) == (0, -np.inf)
    for derivative in (engine.hessian(linalg.det), engine.grad(lambda a: linalg.slogdet(a).logabsdet)):
        with pytest.raises(LinAlgError, match="singular"):
            derivative(singular)


COSTS = {
    "solve": (lambda a, b: linalg.solve(a, b), 2 / 3 * 30**3 + 2 * 30**2 * 5),
    "solve_triangular": (lambda a, b: linalg.solve_triangular(a, b, upper=True), 30**2 * 5),
    "inv": (lambda a, b: linalg.inv(a), 2 * 30**3),
    "det": (lambda a, b: linalg.det(a), 2 / 3 * 30**3),
    "cholesky": (lambda a, b: linalg.cholesky(a), 1 / 3 * 30**3 + 2 * 30**2),
    "einsum": (lambda a, b: ops.einsum("ij,jk,k->i", a, b, b[0, :]), 2 * 30 * 5 + 2 * 30 * 30),
}


@pytest.mark.parametrize("name", COSTS)
def test_costs(name):
    compute, expected = COSTS[name]
    with Ledger() as ledger:
        compute(AbstractArray((30, 30), np.float64), AbstractArray((30, 5), np.float64))
    assert ledger.flops["primal"] == pytest.approx(expected, abs=1)


def test_all_directions_share_one_factorisation():
    a, b = AbstractArray((30, 30), np.float64), AbstractArray((30, 2), np.float64)
    with Ledger() as ledger:
        revdiff.jacobian(lambda b: linalg.solve(a, b))(b)
    assert ledger.by_kernel["adjoint", "solve"] == int(2 / 3 * 30**3) + 2 * 30**2 * 2 * 60


def kept(y):
    node = y.node
    assert isinstance(node, tape.Node)
    return [x for x in (*node.primals, node.out, *node.aux) if x is not None]


def test_residuals_are_small():
    x = revdiff.tensor(np.arange(600.0).reshape(2, 300), requires_grad=True)
    assert [r.dtype for r in kept(ops.amax(x, 1))] == [np.bool_]
    assert kept(ops.sort(x, 0).values) == []
    assert ops.sort(x, 0).values.node.params["indices"].dtype == np.uint8
    assert ops.sort(x, 1).values.node.params["indices"].dtype == np.uint16


def test_nan_and_infinities_as_in_pytorch(engine):
    torch = pytest.importorskip("torch", reason="torch, an outside oracle, is not installed")
    for values in ([-np.inf, -np.inf], [np.inf, 1.0], [np.inf, -np.inf], [1.0, np.nan]):
        for ours, theirs in (
            (lambda x: ops.logsumexp(x, -1), lambda x: torch.logsumexp(x, -1)),
            (ops.amax, torch.amax),
            (ops.amin, torch.amin),
            (lambda x: ops.median(x, 0).values, lambda x: torch.median(x, 0).values),
            (lambda x: ops.max(x, 0).values, lambda x: torch.max(x, 0).values),
            (ops.std, torch.std),
            (ops.norm, torch.norm),
        ):
            x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
            theirs(x).backward()
            with np.errstate(all="ignore"):
                value, found = engine.value_and_grad(ours)(np.array(values))
            np.testing.assert_array_equal(value, theirs(x).detach().numpy())
            np.testing.assert_array_equal(found, x.grad.numpy())


def test_traced_matrices_have_no_error(x64):
    import jax

    assert not np.isfinite(jax.jit(linalg.inv)(np.zeros((2, 2)))).any()
    assert np.isnan(jax.jit(linalg.cholesky)(-np.eye(2))).any()


def test_running_products_of_many_factors_with_zeros(engine):
    x = np.linspace(0.5, 1.5, 40)
    x[[7, 20]] = 0
    jacobian = engine.jacobian(lambda x: ops.cumprod(x, 0))(x)
    expected = [[np.prod(np.delete(x[: k + 1], i)) if i <= k else 0 for i in range(40)] for k in range(40)]
    np.testing.assert_allclose(jacobian, expected, atol=1e-15)
