"""What a function may return to be differentiated: real numbers, arrays of them, structures of both; anything else is one clear line."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import GradientError

X = np.array([1.0, 2.0])
FOREIGN: dict[str, Callable[[Any], Any]] = {
    "a text": lambda x: "loss",
    "a text beside": lambda x: (x * 2, "loss"),
    "an object": lambda x: object(),
    "a set": lambda x: {1.0, 2.0},
    "a generator": lambda x: (y for y in [x]),
    "a function": lambda x: lambda: x,
    "a range": lambda x: range(3),
    "a complex number": lambda x: 1j,
    "an array of complex numbers": lambda x: np.array([1j, 2]),
    "an array of texts": lambda x: np.array(["a"]),
    "an array of objects": lambda x: np.array([None]),
    "an array of dates": lambda x: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "nothing": lambda x: None,
}
"""What is no result for any transform; jax refuses all but `None`, which has no derivative to be found either."""
WHOLE: dict[str, Callable[[Any], Any]] = {
    "a whole number": lambda x: 3,
    "a whole number of numpy's": lambda x: np.int64(3),
    "a boolean": lambda x: True,
    "an array of whole numbers": lambda x: np.arange(2),
    "a mask": lambda x: x > 1,
    "a position": lambda x: x.argmax(),
    "a whole number beside": lambda x: {"y": x * 2, "n": 3},
}
FLOATS: dict[str, Callable[[Any], Any]] = {
    "a number": lambda x: 3.0,
    "a number of numpy's": lambda x: np.float64(3),
    "an array": lambda x: np.arange(3.0),
    "a list": lambda x: [1.0, 2.0],
    "an array beside": lambda x: (x * x, np.ones((2, 1))),
}
JACOBIANS: dict[str, Callable[..., Any]] = {
    "jacobian": lambda engine, f: engine.jacobian(f)(X),
    "per example": lambda engine, f: engine.jacobian(f, per_example=True)(X),
    "diagonal": lambda engine, f: engine.jacobian(f, structure="diagonal")(X),
    "sparse": lambda engine, f: engine.jacobian(f, sparsity=np.eye(2))(X),
    "sparse, found": lambda engine, f: engine.jacobian(f, sparsity="auto")(X),
    "pattern": lambda engine, f: engine.jacobian_sparsity(f)(X),
}
SCALAR: dict[str, Callable[..., Any]] = {
    "value_and_grad": lambda engine, f, x=X: engine.value_and_grad(f)(x),
    "value_and_grad beside": lambda engine, f, x=X: engine.value_and_grad(lambda x: (f(x), None), has_aux=True)(x),
    "grad": lambda engine, f, x=X: engine.grad(f)(x),
    "hessian": lambda engine, f, x=X: engine.hessian(f)(x),
    "hessian found sparse": lambda engine, f, x=X: engine.hessian(f, sparsity="auto")(x),
    "hessian given sparse": lambda engine, f, x=X: engine.hessian(f, sparsity=np.eye(2))(x),
    "hessian_sparsity": lambda engine, f, x=X: engine.hessian_sparsity(f)(x),
    "hvp": lambda engine, f, x=X: engine.hvp(f, x, x),
    "forward_gradient": lambda engine, f, x=X: dualdiff.forward_gradient(f)(x),
}
"""Each by the name of what is called, and in which way."""
POSITIONS: dict[str, Callable[..., Any]] = {
    "value_and_grad": lambda engine, argnums: engine.value_and_grad(np.sum, argnums)(X),
    "grad": lambda engine, argnums: engine.grad(np.sum, argnums)(X),
    "jacobian": lambda engine, argnums: engine.jacobian(np.sum, argnums)(X),
    "jacobian_sparsity": lambda engine, argnums: engine.jacobian_sparsity(np.sum, argnums)(X),
    "hessian": lambda engine, argnums: engine.hessian(np.sum, argnums)(X),
    "hessian_sparsity": lambda engine, argnums: engine.hessian_sparsity(np.sum, argnums)(X),
    "forward_gradient": lambda engine, argnums: dualdiff.forward_gradient(np.sum, argnums)(X),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("transform", JACOBIANS)
def test_a_jacobian_of_what_is_no_number_is_refused(engine: ModuleType, transform: str, name: str) -> None:
    with pytest.raises(GradientError, match=r"^jacobian(_sparsity)?( requires|: the function returned None)") as error:
        JACOBIANS[transform](engine, FOREIGN[name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("transform", JACOBIANS)
def test_a_jacobian_of_whole_numbers_is_refused(engine: ModuleType, transform: str, name: str) -> None:
    with pytest.raises(GradientError, match=r"requires floating point outputs, got (int64|bool) of shape \(.*\), which has no"):
        JACOBIANS[transform](engine, WHOLE[name])


@pytest.mark.parametrize("name", {**FOREIGN, **WHOLE})
@pytest.mark.parametrize("transform", SCALAR)
def test_derivatives_of_what_is_no_scalar_are_refused(engine: ModuleType, transform: str, name: str) -> None:
    with pytest.raises(GradientError, match=rf"^{transform.split()[0]} (requires a|is only defined for scalar-output functions)"):
        SCALAR[transform](engine, {**FOREIGN, **WHOLE}[name])


@pytest.mark.parametrize("transform", SCALAR)
def test_derivatives_of_an_array_are_refused_in_the_words_of_what_was_called(engine: ModuleType, transform: str) -> None:
    called = transform.split()[0]
    instead = {"hessian": "the `jacobian` of its `jacobian`", "hessian_sparsity": "`jacobian_sparsity`"}
    fix = instead.get("hessian" if called == "hvp" else called, "`jacobian`")
    wanted = f"{called} is only defined for scalar-output functions, got an output of shape (2,): use {fix}"
    with pytest.raises(GradientError) as error:
        SCALAR[transform](engine, lambda x: x * x)
    assert str(error.value) == wanted


@pytest.mark.parametrize("transform", SCALAR)
def test_variables_that_have_no_derivatives_are_refused_in_the_words_of_what_was_called(engine: ModuleType, transform: str) -> None:
    with pytest.raises(GradientError, match=rf"^{transform.split()[0]}: can only differentiate .* floating point inputs, got int"):
        SCALAR[transform](engine, lambda x: (x * x).sum(), np.arange(2))


@pytest.mark.parametrize("transform", POSITIONS)
def test_positions_without_an_argument_are_refused_in_the_words_of_what_was_called(engine: ModuleType, transform: str) -> None:
    with pytest.raises(ValueError, match=rf"^{transform}: argnums 1 is out of range for a call with 1 positional arguments$"):
        POSITIONS[transform](engine, 1)
    with pytest.raises(TypeError, match=rf"^{transform}: `argnums` \(='x'\) must be"):
        POSITIONS[transform](engine, "x")


def test_directions_of_other_shapes_are_refused_by_both_engines_alike(engine: ModuleType) -> None:
    with pytest.raises(GradientError, match=r"^hvp: primal and tangent shapes must be equal; got primal \(2,\) and tangent \(3,\)$"):
        engine.hvp(lambda x: (x * x).sum(), X, np.ones(3))
    with pytest.raises(GradientError, match=r"^hvp: primal and tangent shapes must be equal; got primal \(2,\) and tangent \(1, 2\)$"):
        engine.hvp(lambda x, y: (x * y).sum(), (X, X), (None, np.ones((1, 2))))
    with pytest.raises(GradientError, match=r"^jvp: primal and tangent shapes must be equal"):
        dualdiff.jvp(lambda x: x, (X,), (np.ones(3),))


def test_the_jacobian_of_the_jacobian_holds_second_derivatives_of_arrays(engine: ModuleType) -> None:
    """As the error of `hessian` suggests."""
    found = engine.jacobian(engine.jacobian(lambda x: x**3))(X)
    np.testing.assert_allclose(found, 6 * X * np.eye(2)[:, :, None] * np.eye(2), rtol=1e-14)


@pytest.mark.parametrize("name", FOREIGN)
def test_products_with_a_jacobian_of_what_is_no_number_are_refused(name: str) -> None:
    with pytest.raises(GradientError, match=r"^jvp"):
        dualdiff.jvp(FOREIGN[name], (X,), (X,))
    with pytest.raises(GradientError, match=r"^vjp"):
        revdiff.vjp(FOREIGN[name], X)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_have_values_and_zero_derivatives_in_products(name: str) -> None:
    """As in jax, where `vjp` and `jvp` alone take them."""
    out, tangent = dualdiff.jvp(WHOLE[name], (X,), (np.ones(2),))
    again, pullback = revdiff.vjp(WHOLE[name], X)
    doubled = isinstance(out, dict)
    wanted = WHOLE[name](X)["n"] if doubled else WHOLE[name](X)
    for found in (out, again):
        np.testing.assert_array_equal(found["n"] if doubled else found, wanted)
    np.testing.assert_array_equal(tangent["n"] if doubled else tangent, np.zeros_like(wanted))
    (gradient,) = pullback(again)
    np.testing.assert_array_equal(gradient, 4 * X if doubled else np.zeros(2))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("transform", ["jacfwd", "jacrev"])
def test_constants_have_zero_jacobians_as_in_jax(engine: ModuleType, x64: None, transform: str, name: str) -> None:
    jax = pytest.importorskip("jax")
    theirs = jax.tree.leaves(getattr(jax, transform)(FLOATS[name])(jax.numpy.array(X)))
    found = engine.jacobian(FLOATS[name])(X)
    for mine, wanted in zip(found if isinstance(found, list | tuple) else [found], theirs, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-12)
        assert mine.dtype == wanted.dtype


@pytest.mark.parametrize("name", [name for name in FOREIGN if name not in ("nothing", "a generator")])
def test_jax_refuses_the_same(x64: None, name: str) -> None:
    jax = pytest.importorskip("jax")
    with pytest.raises(TypeError):
        jax.jacrev(FOREIGN[name])(jax.numpy.array(X))


def test_parts_that_are_missing_stay_so(engine: ModuleType) -> None:
    found = engine.jacobian(lambda x: (x * 2, None, {"z": None}))(X)
    np.testing.assert_array_equal(found[0], 2 * np.eye(2))
    assert found[1:] == (None, {"z": None})


def test_traced_results_are_looked_at_by_their_dtype(engine: ModuleType, x64: None) -> None:
    jax = pytest.importorskip("jax")
    x = jax.numpy.array(X)
    np.testing.assert_allclose(jax.jit(engine.jacobian(lambda x: (x * x, 3.0)))(x)[0], np.diag(2 * X), rtol=1e-15)
    with pytest.raises(GradientError, match="requires floating point outputs, got bool"):
        jax.jit(engine.jacobian(lambda x: x > 1))(x)
