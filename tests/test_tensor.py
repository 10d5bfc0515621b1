"""The tensor surface of both engines: operators, methods, attributes, casts, devices and printing."""

import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.tensors import A, B, plain

BINARY = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

OTHERS: dict[str, Callable[[ModuleType], Any]] = {
    "tensor": lambda engine: engine.tensor(B),
    "variable": lambda engine: engine.tensor(B, requires_grad=True),
    "array": lambda engine: B,
    "row": lambda engine: B[0],
    "numpy scalar": lambda engine: np.float64(1.5),
    "0-d array": lambda engine: np.array(1.5),
    "int": lambda engine: 2,
    "float": lambda engine: 1.5,
    "bool": lambda engine: True,
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("symbol", BINARY)
def test_operators_with_anything_on_either_side(engine: ModuleType, symbol: str, other: str) -> None:
    op, right = BINARY[symbol], OTHERS[other](engine)
    for left in (engine.tensor(A), engine.tensor(A, requires_grad=True)):
        for result, expected in ((op(left, right), op(A, plain(right))), (op(right, left), op(plain(right), A))):
            assert isinstance(result, engine.Tensor)
            np.testing.assert_array_equal(plain(result), expected)
            assert result.dtype == expected.dtype
            assert result.requires_grad == (expected.dtype == np.float64 and (left.requires_grad or other == "variable"))


@pytest.mark.parametrize("other", ["tensor", "array", "int", "float", "numpy scalar"])
def test_powers_with_anything_on_either_side(engine: ModuleType, other: str) -> None:
    positive, right = engine.tensor(abs(A)), OTHERS[other](engine)
    np.testing.assert_allclose(plain(positive**right), abs(A) ** plain(right), rtol=1e-15)
    if other != "array":
        base = 2 if other == "tensor" else right
        np.testing.assert_allclose(plain(base**positive), plain(base) ** abs(A), rtol=1e-15)


def test_products_on_either_side(engine: ModuleType) -> None:
    a = engine.tensor(A)
    for left, right in ((a, B.T), (A, engine.tensor(B.T)), (a, engine.tensor(B.T)), (a, B[0]), (A[0], engine.tensor(B[0])), (A[0], a.T)):
        result = left @ right
        assert isinstance(result, engine.Tensor)
        np.testing.assert_allclose(plain(result), plain(left) @ plain(right), rtol=1e-15)
    for bad in (2, 2.0, [1.0, 2.0]):
        with pytest.raises(TypeError):
            a @ bad
        with pytest.raises(TypeError):
            bad @ a


@pytest.mark.parametrize("other", ["text", None, [1.0, 2.0, 3.0], object()])
def test_operands_that_are_no_numbers_are_refused(engine: ModuleType, other: Any) -> None:
    x = engine.tensor(A)
    for op in (operator.add, operator.mul, operator.lt, operator.truediv, operator.pow):
        with pytest.raises(TypeError):
            op(x, other)
        with pytest.raises(TypeError):
            op(other, x)
    assert (x == other) is False
    assert (x != other) is True


def test_unary_operators(engine: ModuleType) -> None:
    x = engine.tensor(A)
    np.testing.assert_array_equal(plain(-x), -A)
    np.testing.assert_array_equal(plain(abs(x)), abs(A))


def test_operators_with_jax_arrays_on_either_side(engine: ModuleType, x64: None) -> None:
    import jax
    import jax.numpy as jnp

    x, y = engine.tensor(A), jnp.asarray(B)
    for symbol in ("+", "-", "*", "/", "<", "=="):
        op = BINARY[symbol]
        pairs = [(x, y, A, B), (y, x, B, A), (engine.tensor(y), A, B, A), (A, engine.tensor(y), A, B), (y[0, 0], x, B[0, 0], A)]
        for left, right, a, b in pairs:
            result, expected = op(left, right), op(a, b)
            assert isinstance(result, engine.Tensor), symbol
            assert isinstance(result.array, jax.Array), symbol
            np.testing.assert_allclose(plain(result), expected, rtol=1e-15)
    for result in (x @ y.T, x @ engine.tensor(y.T), A @ engine.tensor(y.T)):
        assert isinstance(result, engine.Tensor)
        np.testing.assert_allclose(plain(result), A @ B.T, rtol=1e-15)
    assert isinstance(y @ x.T, engine.Tensor)

METHODS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], Any]]] = {
    "exp": (lambda x: x.exp(), np.exp),
    "log": (lambda x: x.abs().log(), lambda x: np.log(abs(x))),
    "sqrt": (lambda x: x.abs().sqrt(), lambda x: np.sqrt(abs(x))),
    "tanh": (lambda x: x.tanh(), np.tanh),
    "sigmoid": (lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    "relu": (lambda x: x.relu(), lambda x: np.maximum(x, 0)),
    "sign": (lambda x: x.sign(), np.sign),
    "neg": (lambda x: x.neg(), np.negative),
    "arithmetic": (lambda x: x.add(1).sub(2).mul(3).div(4).abs().pow(2), lambda x: abs((x + 1 - 2) * 3 / 4) ** 2),
    "sum": (lambda x: x.sum(), np.sum),
    "sum over an axis": (lambda x: x.sum(dim=-1, keepdim=True), lambda x: x.sum(-1, keepdims=True)),
    "sum over axes": (lambda x: x.sum(axis=(0, 1), keepdims=True), lambda x: x.sum((0, 1), keepdims=True)),
    "mean": (lambda x: x.mean(0), lambda x: x.mean(0)),
    "max": (lambda x: x.max(), np.max),
    "max along": (lambda x: x.max(1).values, lambda x: x.max(1)),
    "where the max is": (lambda x: x.max(1, keepdim=True).indices, lambda x: x.argmax(1)[:, None]),
    "amax": (lambda x: x.amax((0, 1)), lambda x: x.max((0, 1))),
    "argmax": (lambda x: x.argmax(), np.argmax),
    "argmax along": (lambda x: x.argmax(dim=0), lambda x: x.argmax(0)),
    "logsumexp": (lambda x: x.logsumexp(1), lambda x: np.log(np.exp(x).sum(1))),
    "log_softmax": (lambda x: x.log_softmax(0), lambda x: x - np.log(np.exp(x).sum(0))),
    "softmax": (lambda x: x.softmax(dim=1), lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    "reshape": (lambda x: x.reshape(3, -1), lambda x: x.reshape(3, 2)),
    "reshape to a tuple": (lambda x: x.reshape((6,)), lambda x: x.reshape(6)),
    "flatten": (lambda x: x.reshape(1, 2, 3).flatten(1), lambda x: x.reshape(1, 6)),
    "transpose": (lambda x: x.transpose(0, -1), lambda x: x.T),
    "permute": (lambda x: x.reshape(1, 2, 3).permute(2, 0, 1), lambda x: x.reshape(1, 2, 3).transpose(2, 0, 1)),
    "T": (lambda x: x.T, lambda x: x.T),
    "mT": (lambda x: x.reshape(1, 2, 3).mT, lambda x: x.reshape(1, 2, 3).mT),
    "t": (lambda x: x.t(), lambda x: x.T),
    "broadcast_to": (lambda x: x.broadcast_to((2, 2, 3)), lambda x: np.broadcast_to(x, (2, 2, 3))),
    "expand": (lambda x: x[:, :1].expand(-1, 4), lambda x: np.broadcast_to(x[:, :1], (2, 4))),
    "matmul": (lambda x: x.matmul(x.T), lambda x: x @ x.T),
    "gather": (lambda x: x.gather(1, np.array([[2], [0]])), lambda x: np.take_along_axis(x, np.array([[2], [0]]), 1)),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods(engine: ModuleType, name: str) -> None:
    ours, theirs = METHODS[name]
    expected = np.asarray(theirs(A))
    for x in (engine.tensor(A), engine.tensor(A, requires_grad=True)):
        result = ours(x)
        assert result.shape == expected.shape
        assert result.dtype == expected.dtype
        assert result.requires_grad == (x.requires_grad and expected.dtype == np.float64 and name != "sign")
        np.testing.assert_allclose(plain(result), expected, rtol=1e-14, atol=1e-15)


def test_every_public_op_is_used_as_a_method_where_torch_has_it(engine: ModuleType) -> None:
    names = """abs add amax argmax broadcast_to div exp flatten gather log log_softmax logsumexp matmul max mean mul neg permute pow
        relu reshape sigmoid sign softmax sqrt sub sum tanh transpose"""
    for name in names.split():
        assert callable(getattr(engine.Tensor, name))

INDEXES: list[Any] = [
    0,
    -1,
    (1, 2),
    (slice(None), 1),
    slice(0, 1),
    slice(None, None, -1),
    (..., 0),
    (None, 0),
    (slice(None), None, slice(1, 3)),
    [1, 0, 1],
    ([0, 1], [2, 0]),
    np.array([[1, 0], [0, 0]]),
    A > 0.4,
    np.array([True, False]),
    (np.int64(1), np.uint8(2)),
    (),
    Ellipsis,
    [],
    slice(5, 9),
]


@pytest.mark.parametrize("index", INDEXES, ids=repr)
def test_indexing_follows_numpy(engine: ModuleType, index: Any) -> None:
    expected = A[np.array(index, int) if isinstance(index, list) else index]
    for x in (engine.tensor(A), engine.tensor(A, requires_grad=True)):
        found = x[index]
        assert found.shape == expected.shape
        np.testing.assert_array_equal(plain(found), expected)


def test_indexing_by_tensors(engine: ModuleType) -> None:
    x = engine.tensor(A)
    np.testing.assert_array_equal(plain(x[engine.tensor([1, 0])]), A[[1, 0]])
    np.testing.assert_array_equal(plain(x[x > 0.4]), A[A > 0.4])
    np.testing.assert_array_equal(plain(x[engine.tensor(1)]), A[1])
    np.testing.assert_array_equal(plain(x[:, x.argmax(1)]), A[:, A.argmax(1)])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (2, "out of bounds"),
        ((0, 0, 0), "too many indices for tensor of dimension 2"),
        ((..., ...), "single ellipsis"),
        (1.5, r"not by 1\.5"),
        ("a", "not by 'a'"),
        (np.array([1.0]), "indexed by integers"),
        (np.array([True, False, True]), "shape of the mask"),
        ([0, 5], "out of bounds"),
    ],
)
def test_indexes_that_do_not_fit(engine: ModuleType, index: Any, message: str) -> None:
    for x in (engine.tensor(A), engine.tensor(A, requires_grad=True)):
        with pytest.raises(IndexError, match=message):
            x[index]


def test_views_share_memory_and_copies_do_not(engine: ModuleType) -> None:
    source = A.copy()
    x = engine.tensor(source)
    assert not np.shares_memory(x.numpy(), source)
    for view in (x[0], x.T, x.reshape(3, 2), x[:, ::2], x.detach(), x.data, x.flatten()):
        assert np.shares_memory(view.numpy(), x.numpy())
    for copy in (x + 0, x[[0, 1]], engine.tensor(x)):
        assert not np.shares_memory(copy.numpy(), x.numpy())
    assert x.numpy() is x.numpy()
