"""Whole Jacobians of both engines."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from tests.transforms.functions import Array, W, X, Y, close, numerically, vector


def test_jacobian_equals_differences(engine: ModuleType, array: Array) -> None:
    numpy_vector = lambda x, y: np.exp(x * y).sum(1) * y[0]
    jx, jy = engine.jacobian(vector, (0, 1))(array(X), array(Y))
    close(jx, numerically(numpy_vector, [X, Y], 0), rtol=1e-8)
    close(jy, numerically(numpy_vector, [X, Y], 1), rtol=1e-8)


def test_jacobian_of_matrices_and_structures(engine: ModuleType, array: Array) -> None:
    def f(tree: Any) -> Any:
        return {"outer": tree["a"].reshape(2, 1) * tree["b"], "same": (tree["a"],)}

    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    found = engine.jacobian(f)({"a": array(a), "b": array(b)})
    close(found["outer"]["a"], np.einsum("ij,k->ikj", np.eye(2), b))
    close(found["outer"]["b"], np.einsum("i,jk->ijk", a, np.eye(3)))
    close(found["same"][0]["a"], np.eye(2))
    close(found["same"][0]["b"], np.zeros((2, 3)), rtol=0)


@pytest.mark.parametrize("shape", [(), (1,), (2, 2), (0,), (0, 3)])
def test_jacobian_of_results_of_any_shape(engine: ModuleType, shape: tuple[int, ...]) -> None:
    point = np.arange(np.prod(shape), dtype=float).reshape(shape) + 1
    found = engine.jacobian(lambda x: x * x)(point)
    assert found.shape == (*shape, *shape)
    close(found, np.diag(2 * point.reshape(-1)).reshape((*shape, *shape)))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_rows_of_a_reverse_jacobian_come_in_chunks(size: int) -> None:
    whole = revdiff.jacobian(vector, (0, 1))(X, Y)
    chunked = revdiff.jacobian(vector, (0, 1), chunk_size=size)(X, Y)
    for a, b in zip(whole, chunked, strict=True):
        close(a, b, rtol=1e-15)


@pytest.mark.parametrize("size", [0, -1, 1.5, "2"])
def test_a_chunk_size_must_be_a_positive_integer(size: Any) -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        revdiff.jacobian(vector, chunk_size=size)(X, Y)


@pytest.mark.parametrize("seeding", ["auto", "parameters", "activations"])
def test_forward_jacobians_by_every_seeding(seeding: str) -> None:
    f = lambda w, b: (X @ w.T + b).tanh() @ w
    b = np.array([0.1, -0.2])
    for found, expected in zip(dualdiff.jacobian(f, (0, 1), seeding=seeding)(W, b), revdiff.jacobian(f, (0, 1))(W, b), strict=True):
        close(found, expected, rtol=1e-12)


@pytest.mark.parametrize("argnums", ["x", 1.0, None, (), [], ("x",), (0.0,)], ids=repr)
@pytest.mark.parametrize("transform", ["grad", "jacobian", "value_and_grad", "hessian"])
def test_positions_that_are_none_are_refused(engine, transform, argnums):
    with pytest.raises(TypeError, match=r"`argnums` \(=.*\) must be the position of an argument"):
        getattr(engine, transform)(lambda x: x * 2, argnums)(np.ones(3))
