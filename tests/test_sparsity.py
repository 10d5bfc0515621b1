"""Sparse Jacobians and Hessians: patterns, colourings, what they cost, and patterns that are found."""

import warnings
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import dualdiff
import revdiff
from diffcore import ops, tree
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import AbstractValueError, DiffError, GradientError, MemoryBudgetError, ShapeError
from diffcore.kernels import registered
from diffcore.ledger import Ledger
from diffcore.sparsity import Pattern, count_of
from diffcore.testing.scenarios import rows_of

N = 12
X = np.random.default_rng(3).normal(size=N)


def chain(x: Any) -> Any:
    """Every element with its neighbours."""
    return (x[1:-1] * x[2:] - x[:-2].sin()).tanh()


def band(n: int = N) -> Any:
    """The pattern of `chain`."""
    return scipy.sparse.diags_array([np.ones(n - 2)] * 3, offsets=[0, 1, 2], shape=(n - 2, n))


def energy(x: Any) -> Any:
    return (x[1:] * x[:-1]).exp().sum() + (x**4).sum()


# ------------------------------------------------------------------------------------------------ results


PATTERNS = {
    "auto": "auto",
    "diagonals": band(),
    "columns": band().tocsc(),
    "booleans": band().toarray() != 0,
    "full": np.ones((N - 2, N), bool),
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_a_sparse_jacobian_is_the_dense_one(engine: ModuleType, kind: str) -> None:
    pattern = PATTERNS[kind]
    found = engine.jacobian(chain, sparsity=pattern, check=True)(X)
    assert isinstance(found, scipy.sparse.csr_array)
    assert found.shape == (N - 2, N)
    assert found.dtype == X.dtype
    np.testing.assert_allclose(found.toarray(), engine.jacobian(chain)(X), rtol=1e-14)


def test_it_is_that_of_jax(engine: ModuleType, x64: None) -> None:
    import jax
    import jax.numpy as jnp

    theirs = jax.jacfwd(lambda x: jnp.tanh(x[1:-1] * x[2:] - jnp.sin(x[:-2])))(X)
    np.testing.assert_allclose(engine.jacobian(chain, sparsity=band())(X).toarray(), theirs, rtol=1e-12)


def test_on_jax_it_is_a_bcoo_also_under_jit(engine: ModuleType, x64: None) -> None:
    import jax
    import jax.numpy as jnp
    from jax.experimental.sparse import BCOO

    dense = revdiff.jacobian(chain)(X)
    for transform in (engine.jacobian(chain, sparsity=band()), jax.jit(engine.jacobian(chain, sparsity="auto"))):
        found = transform(jnp.asarray(X))
        assert isinstance(found, BCOO)
        assert found.nse == band().nnz
        np.testing.assert_allclose(found.todense(), dense, rtol=1e-12)


def test_a_stored_zero_is_an_entry(engine: ModuleType) -> None:
    pattern = band().tocsr()
    pattern.data[:] = 0
    np.testing.assert_allclose(engine.jacobian(chain, sparsity=pattern)(X).toarray(), revdiff.jacobian(chain)(X), rtol=1e-14)


def test_entries_named_twice_count_once(engine: ModuleType) -> None:
    pattern = scipy.sparse.coo_array((np.ones(4), ([0, 0, 1, 0], [0, 0, 1, 0])), shape=(2, 2))
    np.testing.assert_array_equal(engine.jacobian(lambda x: x * x, sparsity=pattern)(X[:2]).toarray(), np.diag(2 * X[:2]))


def test_arrays_of_more_axes_count_their_elements_in_order(engine: ModuleType) -> None:
    f = lambda x, y: (x[:, 1:] * y[:, :-1]).T
    x = X.reshape(3, 4)
    for number in (0, 1):
        expected = revdiff.jacobian(f, number)(x, x).reshape(9, 12)
        found = engine.jacobian(f, number, sparsity="auto", check=True)(x, x)
        assert found.nnz == 9
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-14)


def test_a_result_that_does_not_depend_on_the_variable_has_zeros(engine: ModuleType) -> None:
    found = engine.jacobian(lambda x: x.detach() * 2, sparsity=np.eye(N), check=True)(X)
    assert found.nnz == N
    assert not found.toarray().any()
    assert engine.jacobian(lambda x: x.detach() * 2, sparsity="auto")(X).nnz == 0


def test_a_sparse_hessian_is_the_dense_one(engine: ModuleType) -> None:
    pattern = scipy.sparse.diags_array([np.ones(N - 1), np.ones(N), np.ones(N - 1)], offsets=[-1, 0, 1])
    expected = revdiff.hessian(energy)(X)
    for given in (pattern, "auto"):
        found = engine.hessian(energy, sparsity=given, check=True)(X)
        assert found.nnz == pattern.nnz
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-13)


# ------------------------------------------------------------------------------------------------ cost


def test_columns_of_a_band_take_as_many_colours_as_it_is_wide() -> None:
    pattern = Pattern(band(500))
    assert count_of(pattern.colours_of_columns) == count_of(pattern.colours_of_rows) == 3
    arrow = np.eye(9, dtype=bool)
    arrow[:, 0] = True
    assert count_of(Pattern(arrow).colours_of_columns) == 2
    assert count_of(Pattern(arrow).colours_of_rows) == 9
    assert count_of(Pattern(np.zeros((3, 4))).colours_of_columns) == 1


@pytest.mark.parametrize("seed", range(5))
def test_no_two_columns_of_one_colour_share_a_row(seed: int) -> None:
    dense = np.random.default_rng(seed).random((9, 14)) < 0.2
    pattern = Pattern(dense)
    for matrix, colours in ((dense, pattern.colours_of_columns), (dense.T, pattern.colours_of_rows)):
        for colour in range(count_of(colours)):
            assert (matrix[:, colours == colour].sum(1) <= 1).all()


def flops(program: Any) -> tuple[int, int]:
    """Operations of the primal, and of what derivatives add."""
    with Ledger() as ledger:
        program()
    return ledger.flops["primal"], ledger.flops["tangent"] + ledger.flops["adjoint"]


def test_a_direction_per_colour_is_all_that_is_computed(engine: ModuleType) -> None:
    n = 200
    x = AbstractArray((n,), np.dtype("float64"))
    rates = np.arange(1.0, n + 1)
    f = lambda x: x.sin() * rates  # two operations per element and direction
    pattern = scipy.sparse.diags_array([np.ones(n), np.ones(n - 1)], offsets=[0, 1])
    _, sparse = flops(lambda: engine.jacobian(f, sparsity=pattern)(x))
    _, dense = flops(lambda: engine.jacobian(f, sparsity=np.ones((n, n), bool))(x))
    # what elementwise kernels do to tangents, forward mode multiplies for all directions at once, and then with each
    per_direction, once = (1, 1) if engine is dualdiff else (2, 0)
    assert sparse == per_direction * n * 2 + once * n
    assert dense == per_direction * n * n + once * n


def test_directions_keep_the_memory_budget() -> None:
    pattern = np.ones((N - 2, N), bool)
    with pytest.raises(MemoryBudgetError) as caught:
        dualdiff.jacobian(chain, sparsity=pattern, memory=1)(X)
    found = dualdiff.jacobian(chain, sparsity=pattern, memory=caught.value.least)(X)
    np.testing.assert_allclose(found.toarray(), revdiff.jacobian(chain)(X), rtol=1e-14)
    found = revdiff.jacobian(chain, sparsity=band(), chunk_size=2, check=True)(X)
    np.testing.assert_allclose(found.toarray(), revdiff.jacobian(chain)(X), rtol=1e-14)


def test_a_pattern_found_again_is_not_coloured_anew(engine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import networkx

    counted = []
    colour = networkx.greedy_color
    monkeypatch.setattr(networkx, "greedy_color", lambda *args, **options: counted.append(1) or colour(*args, **options))
    transform = engine.jacobian(chain, sparsity="auto")
    for shift in range(3):
        transform(X + shift)
    assert len(counted) == 1


# ------------------------------------------------------------------------------------------------ patterns found


@pytest.mark.parametrize("kernel", registered())
def test_what_is_found_misses_no_entry(kernel: str) -> None:
    for row in rows_of(kernel)[:3]:
        operands = row.operands()

        def function(*args: Any, row: Any = row) -> Any:
            return next((y for y in tree.flatten(row.function(*args))[0] if hasattr(y, "dtype") and y.dtype.kind == "f"), None)

        for number in row.variables[:2]:
            size = operands[number].size
            if not 0 < size <= 24 or (value := function(*operands)) is None or not value.size:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dense = np.asarray(revdiff.jacobian(function, number)(*operands)).reshape(-1, size)
                found = dualdiff.jacobian_sparsity(function, number)(*operands).toarray()
                if not np.isfinite(dense).all():
                    continue
                assert not (dense.astype(bool) & ~found).any(), row.id
                scalar = lambda *args, f=function: f(*args).sum()
                curved = np.asarray(revdiff.hessian(scalar, number)(*operands)).reshape(size, size)
                found = dualdiff.hessian_sparsity(scalar, number)(*operands).toarray()
                assert not np.isfinite(curved).all() or not (curved.astype(bool) & ~found).any(), row.id


@pytest.mark.parametrize(
    ("function", "entries"),
    [
        (lambda x: x * x + 1, 12),
        (lambda x: x.reshape(3, 4).T, 12),
        (lambda x: x.reshape(3, 4).sum(1), 12),
        (lambda x: x.reshape(3, 4).softmax(-1), 48),
        (lambda x: x.flip(0).cumsum(0), 78),
        (lambda x: ops.conv1d(x.reshape(1, 1, 12), np.ones((1, 1, 3))), 30),
        (lambda x: ops.linear(x.reshape(3, 4), np.triu(np.ones((4, 4)))), 30),
        (lambda x: ops.cat([x[:3], x[-2:]]) * x[5], 10),
        (lambda x: x.sum() * x.detach(), 144),
        (lambda x: x.sign() * 3, 0),
        (lambda x: ops.pad(x, (1, 1)), 12),
    ],
)
def test_found_patterns_are_tight(function: Any, entries: int) -> None:
    found = revdiff.jacobian_sparsity(function)(X)
    assert found.nnz == entries
    assert found.dtype == bool
    assert ((revdiff.jacobian(function)(X).reshape(found.shape) != 0) <= found.toarray()).all()


def test_products_of_constants_and_sums_have_no_second_derivatives() -> None:
    assert revdiff.hessian_sparsity(lambda x: (ops.linear(x.reshape(3, 4), np.ones((2, 4))) * 3 - x[0]).sum())(X).nnz == 0
    assert revdiff.hessian_sparsity(lambda x: (x[:6] * x[6:]).sum())(X).nnz == 24  # with the diagonal, which a product alone has not
    assert revdiff.hessian_sparsity(lambda x: x.sum().exp())(X).nnz == N * N


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("sparsity", "error", "match"),
    [
        (band().T, ShapeError, r"`sparsity` has shape \(12, 10\).*12 elements of the variable"),
        (np.ones((3, N)), ShapeError, r"`sparsity` has shape \(3, 12\), but the Jacobian of a result \(10,\) by a variable \(12,\) has"),
        (np.ones(N), ShapeError, r"must have two axes.*got shape \(12,\)"),
        ("dense", TypeError, r"`sparsity` must be a matrix of scipy.sparse.*got 'dense'"),
        (7, TypeError, "got int"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(engine: ModuleType, sparsity: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        engine.jacobian(chain, sparsity=sparsity)(X)


def test_a_square_pattern_that_is_turned_is_found_out(engine: ModuleType) -> None:
    f = lambda x: ops.cumsum(x, 0)
    right = np.tril(np.ones((N, N), bool))
    engine.jacobian(f, sparsity=right, check=True)(X)
    with pytest.raises(GradientError, match=r"leaves out entries that are not zero"):
        engine.jacobian(f, sparsity=np.eye(N), check=True)(X)


def test_single_entries_left_out_are_found_out(engine: ModuleType) -> None:
    for row, column in ((0, 0), (4, 6), (9, 10)):
        pattern = band().toarray()
        pattern[row, column] = 0
        with pytest.raises(GradientError, match="leaves out entries"):
            engine.jacobian(chain, sparsity=pattern, check=True)(X)


EYE, NOTHING = scipy.sparse.eye_array(60, format="csr"), scipy.sparse.csr_array((60, 60))


def large(x: Any) -> float:
    """So many times that the digits of a derivative that is added to it and taken apart again are mostly lost, but not all."""
    return 1e12 if x.dtype == np.float64 else 1e4


ROUNDED = {
    "single precision on the way": (lambda x: ((x.to(dtype=np.float32) * 0.3).sin() * 1.7).to(dtype=np.float64) * x, EYE),
    "half precision on the way": (lambda x: (x.to(dtype=np.float16) * 3.3).to(dtype=np.float64), EYE),
    "large derivatives that cancel": (lambda x: large(x) * x + x - large(x) * x, EYE),
    "large sums that cancel": (lambda x: (x * large(x)).cumsum(0) - (x * large(x)).cumsum(0) + x, EYE),
    "all that there is cancels": (lambda x: x.exp().log() - x, NOTHING),
    "sums in two orders": (lambda x: (x.sum() - x.flip(0).sum()) * np.ones(60), NOTHING),
    "rounded and subtracted": (lambda x: (x.to(dtype=np.float32) * 3 + x.to(dtype=np.float32)).to(dtype=np.float64) - 4 * x, NOTHING),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", ROUNDED)
def test_rounding_is_no_entry(engine: ModuleType, case: str, dtype: Any) -> None:
    f, pattern = ROUNDED[case]
    x = np.random.default_rng(0).normal(size=60).astype(dtype)
    for given in (pattern, "auto"):
        engine.jacobian(f, sparsity=given, check=True)(x)


@pytest.mark.parametrize("case", [case for case, (_, pattern) in ROUNDED.items() if pattern.nnz])
def test_entries_left_out_are_told_from_rounding(engine: ModuleType, case: str) -> None:
    f, pattern = ROUNDED[case]
    x = np.random.default_rng(0).normal(size=60)
    for left_out in (0, 31, 59):
        wrong = pattern.tolil()
        wrong[left_out, left_out] = 0
        with pytest.raises(GradientError, match="leaves out entries"):
            engine.jacobian(f, sparsity=scipy.sparse.csr_array(wrong.tocsr()), check=True)(x)


def test_a_steep_function_is_told_from_rounding(engine: ModuleType) -> None:
    with pytest.raises(GradientError, match="leaves out entries"):
        engine.jacobian(lambda x: (x * 20).exp() + x * x, sparsity=NOTHING, check=True)(np.linspace(-3, 3, 60))


def test_a_check_draws_the_same_random_numbers(engine: ModuleType) -> None:
    f = lambda x: engine.nn.functional.dropout((x.to(dtype=np.float32) * 0.3).to(dtype=np.float64) - 0.3 * x, 0.5)
    engine.jacobian(f, sparsity=EYE, check=True)(np.linspace(-3, 3, 60))


def test_halves_of_jax_are_checked_too(engine: ModuleType) -> None:
    import jax.numpy as jnp

    x = jnp.linspace(-1, 1, 60, dtype=jnp.bfloat16)
    engine.jacobian(lambda x: x * x + x.sin(), sparsity=EYE, check=True)(x)
    with pytest.raises(GradientError, match="leaves out entries"):
        engine.jacobian(lambda x: x * x + x.flip(0), sparsity=EYE, check=True)(x)


def test_a_check_needs_values(engine: ModuleType) -> None:
    import jax

    transform = engine.jacobian(chain, sparsity=band(), check=True)
    with pytest.raises(AbstractValueError, match=r"traced by `jax.jit`"):
        jax.jit(transform)(X)
    with pytest.raises(AbstractValueError, match="abstract arrays have none"):
        transform(AbstractArray((N,), np.dtype("float64")))


def test_options_that_exclude_each_other_are_refused(engine: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"per_example=True and sparsity=.* exclude each other"):
        engine.jacobian(chain, sparsity="auto", per_example=True)
    with pytest.raises(ValueError, match=r"`check` .* which is not given"):
        engine.jacobian(chain, check=True)
    with pytest.raises(ValueError, match=r"`check` .* which is not given"):
        engine.hessian(energy, check=True)
    with pytest.raises(ValueError, match=r"returns one array, got 2"):
        engine.jacobian(lambda x: (x, x), sparsity=np.eye(N))(X)
    with pytest.raises(ValueError, match=r"returns one array, got 2"):
        engine.jacobian_sparsity(lambda x: (x, x))(X)


NOT_ONE: dict[str, tuple[Callable[..., Any], str]] = {
    "parameters": (
        lambda transform, net: transform(lambda net, x: net(x))(net, X),
        r"argument 0 is a Module \(Linear\), whose parameters are 2 arrays: differentiate by an array \(`argnums=1`\)",
    ),
    "parameters alone": (
        lambda transform, net: transform(lambda net: net(X))(net),
        r"argument 0 is a Module \(Linear\), whose parameters are 2 arrays: differentiate by an array",
    ),
    "two arrays": (
        lambda transform, net: transform(lambda x, y: x * y, (0, 1))(X, X),
        r"`argnums` \(=\(0, 1\)\) names 2 arguments: name one \(`argnums=0`\), or join the arrays into one vector",
    ),
    "one of several": (
        lambda transform, net: transform(lambda x, y: x * y, (1,))(X, X),
        r"`argnums` \(=\(1,\)\) names a tuple of one: name one \(`argnums=1`\)",
    ),
    "a structure": (
        lambda transform, net: transform(lambda parts: parts["a"] * parts["b"])({"a": X, "b": X}),
        r"argument 0 holds 2 arrays: join them into one vector, and part that in the function",
    ),
}


@pytest.mark.parametrize(("call", "got"), NOT_ONE.values(), ids=NOT_ONE.keys())
def test_variables_that_are_not_one_array_are_told_how_to_be(engine: ModuleType, call: Callable[..., Any], got: str) -> None:
    net = engine.nn.Linear(N, 2, dtype=np.float64)
    for name, pattern in (("jacobian", "auto"), ("jacobian", np.eye(N)), ("hessian", "auto")):
        transform = partial(getattr(engine, name), sparsity=pattern)
        with pytest.raises(ValueError, match=f"^{name}: a sparse matrix has a column .*, but {got}, or leave `sparsity` out$"):
            call(transform, net)
    for name in ("jacobian_sparsity", "hessian_sparsity"):
        with pytest.raises(ValueError, match=f"^{name}: a sparse matrix has a column .*, but {got}.*"):
            call(getattr(engine, name), net)


@pytest.mark.parametrize("outer", [dualdiff, revdiff], ids=lambda module: module.__name__)
def test_a_sparse_result_holds_no_tensors_of_an_outer_transform(engine: ModuleType, outer: ModuleType) -> None:
    with pytest.raises(DiffError, match="outer transform"):
        outer.jacobian(lambda x: engine.jacobian(chain, sparsity=band())(x))(X)
