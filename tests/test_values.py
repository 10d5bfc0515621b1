"""The values of tensors as Python has them, and as they are shown."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import DiffError, GradientError
from tests.tensors import A, plain


def test_iteration_and_length(engine: ModuleType) -> None:
    x = engine.tensor(A, requires_grad=True)
    rows = list(x)
    assert len(rows) == len(x) == 2
    assert all(row.requires_grad for row in rows)
    np.testing.assert_array_equal(plain(rows[1]), A[1])
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), A[::-1])
    for use in (len, iter, list):
        with pytest.raises(TypeError, match="0-d tensor"):
            use(engine.tensor(1.0))


def test_numbers_out_of_tensors(engine: ModuleType) -> None:
    for values in (2.5, [2.5], [[2.5]]):
        x = engine.tensor(values, requires_grad=True)
        assert x.item() == 2.5
        assert type(x.item()) is float
        assert float(x) == 2.5
        assert int(x) == 2
        assert bool(x)
    assert type(engine.tensor(3).item()) is int
    assert engine.tensor(True).item() is True
    assert not engine.tensor(0.0)
    assert f"{engine.tensor(2.5, requires_grad=True):.3f}" == "2.500"
    assert f"{engine.tensor(2.5)}" == "2.5"
    assert f"{engine.tensor([2.5])}" == "tensor([2.5000])"
    assert [10, 20, 30][engine.tensor(2)] == 30
    assert engine.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    for read, message in (
        (lambda x: x.item(), "a Tensor with 6 elements cannot be converted to Scalar"),
        (float, "6 elements"),
        (int, "6 elements"),
        (bool, "Boolean value of Tensor with 6 values is ambiguous"),
    ):
        with pytest.raises(DiffError, match=message):
            read(engine.tensor(A))
    with pytest.raises(TypeError, match="integer"):
        [1, 2][engine.tensor(1.0)]


def test_numpy_reads_constants_only(engine: ModuleType) -> None:
    x = engine.tensor(A)
    np.testing.assert_array_equal(np.asarray(x), A)
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert np.shares_memory(np.asarray(x), x.numpy())
    assert not np.shares_memory(np.array(x, copy=True), x.numpy())
    y = engine.tensor(A, requires_grad=True)
    for variable in (y, y * 2):
        for read in (lambda x: x.numpy(), np.asarray, np.array):
            with pytest.raises(GradientError, match=r"Can't call numpy\(\) on Tensor that requires grad. Use tensor.detach\(\).numpy\(\)"):
                read(variable)
    np.testing.assert_array_equal(y.detach(), A)


def test_equality_is_elementwise_and_hashing_by_identity(engine: ModuleType) -> None:
    x, y = engine.tensor(A), engine.tensor(A)
    assert (x == y).numpy().all()
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1

REPRS = [
    (lambda engine: engine.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
    (lambda engine: engine.tensor([1, 2]), "tensor([1, 2])"),
    (lambda engine: engine.tensor([True]), "tensor([True])"),
    (lambda engine: engine.tensor(2.5), "tensor(2.5000)"),
    (lambda engine: engine.tensor(np.array([1.0])), "tensor([1.], dtype=torch.float64)"),
    (lambda engine: engine.tensor(1.0, requires_grad=True), "tensor(1., requires_grad=True)"),
    (lambda engine: engine.tensor(np.zeros((2, 2), np.float32)), "tensor([[0., 0.],\n        [0., 0.]])"),
    (lambda engine: engine.tensor(np.zeros((2, 3), np.float32), device="meta"), "tensor(..., shape=(2, 3), device='meta')"),
    (lambda engine: engine.tensor([]), "tensor([])"),
]


@pytest.mark.parametrize(("make", "text"), REPRS, ids=[text for _, text in REPRS])
def test_printing(engine: ModuleType, make: Any, text: str) -> None:
    assert repr(make(engine)) == text


def test_results_say_where_they_come_from() -> None:
    assert repr(revdiff.tensor([1.0], requires_grad=True) * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    assert repr(dualdiff.tensor([1.0], requires_grad=True) * 2) == "tensor([2.], tangents=<1 seed>)"
    x, y = dualdiff.tensor(1.0, requires_grad=True), dualdiff.tensor(2.0, requires_grad=True)
    assert repr(x * y) == "tensor(2., tangents=<2 seeds>)"
