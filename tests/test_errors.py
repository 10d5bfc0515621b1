"""Misuse: every message says what, with which value, what is allowed, and leaves everything as it was."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore import errors
from diffcore.errors import DiffError, DTypeError, GradientError, ShapeError

A = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])

PARENTS = {
    "ArgumentError": (ValueError, RuntimeError),
    "ShapeError": (ValueError, RuntimeError),
    "DTypeError": (TypeError, RuntimeError),
    "GradientError": (RuntimeError,),
    "CheckpointError": (GradientError,),
    "DeviceError": (RuntimeError,),
    "StateError": (RuntimeError,),
    "FormatError": (ValueError,),
    "AbstractValueError": (TypeError,),
    "UnknownCostError": (TypeError,),
    "MemoryBudgetError": (ValueError,),
    "AnomalyError": (RuntimeError,),
    "LinAlgError": (np.linalg.LinAlgError, RuntimeError),
}


def test_the_tree_of_exceptions_is_the_documented_one() -> None:
    found = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, DiffError)}
    assert set(found) == {"DiffError", *PARENTS}
    for name, parents in PARENTS.items():
        assert issubclass(found[name], (DiffError,))
        for parent in parents:
            assert issubclass(found[name], parent)
        assert name in (errors.__doc__ or "")


CASES: dict[str, tuple[Callable[[Any, ModuleType], Any], type[Exception], str]] = {
    "broadcasting": (
        lambda x, e: x + np.ones((3, 2)),
        ShapeError,
        r"add: shapes \(2, 3\) and \(3, 2\) do not broadcast: they disagree at axis -1, 2 != 3",
    ),
    "broadcasting three": (lambda x, e: e.where(np.ones(3, bool), x, np.ones((4, 3))), ShapeError, r"where: .*\(2, 3\).*\(4, 3\).*axis -2"),
    "products": (lambda x, e: x @ np.ones((2, 3)), ShapeError, r"matmul: `x` \(2, 3\) and `y` \(2, 3\) disagree: 3 != 2. Did you mean"),
    "products with a vector": (lambda x, e: x @ np.ones(2), ShapeError, r"\(2, 3\).*disagree: 3 != 2"),
    "products of stacks": (
        lambda x, e: e.matmul(x.reshape(2, 1, 3), np.ones((3, 3, 2))),
        ShapeError,
        r"batch axes of `x` \(2, 1, 3\) and `y` \(3, 3, 2\) do not broadcast",
    ),
    "products with a scalar": (lambda x, e: x @ np.array(2.0), ShapeError, r"at least one axis, got \(2, 3\) and \(\)"),
    "reshape": (lambda x, e: x.reshape(4, 2), ShapeError, r"shape \(4, 2\) is invalid for input of shape \(2, 3\)"),
    "reshape with a rest": (lambda x, e: x.reshape(4, -1), ShapeError, r"shape \[4, -1\] is invalid for input of size 6"),
    "reshape with two rests": (lambda x, e: x.reshape(-1, -1), ShapeError, r"shape \[-1, -1\] is invalid"),
    "reshape to a negative size": (lambda x, e: x.reshape(-2, -3), ShapeError, r"shape \(-2, -3\) is invalid"),
    "a permutation": (lambda x, e: x.permute(0, 0), ShapeError, r"permute: dims \(0, 0\) is not a permutation of the 2 axes"),
    "too few axes": (lambda x, e: x.permute(0), ShapeError, r"permute: dims \(0,\)"),
    "an axis that is not there": (
        lambda x, e: x.sum(2),
        IndexError,
        r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)",
    ),
    "an axis twice": (lambda x, e: x.sum((0, -2)), ShapeError, r"dim \(0, -2\) appears multiple times"),
    "an axis that is no number": (lambda x, e: x.sum("rows"), TypeError, "integer"),
    "max of nothing": (lambda x, e: x[:0].max(), IndexError, r"at least one element, `x` has shape \(0, 3\)"),
    "argmax of nothing": (lambda x, e: x[:0].argmax(), (IndexError, ValueError), "argmax"),
    "broadcast_to": (lambda x, e: x.broadcast_to((2, 4)), ShapeError, r"shape \(2, 3\) cannot be broadcast to \(2, 4\)"),
    "expand": (lambda x, e: x.expand(3, 3), ShapeError, r"shape \(2, 3\) cannot be broadcast to \(3, 3\)"),
    "expand to fewer axes": (lambda x, e: x.expand(3), ShapeError, r"\(2, 3\)"),
    "gather": (lambda x, e: x.gather(1, np.array([[3], [0]])), IndexError, "out of bounds"),
    "gather along a wrong axis": (lambda x, e: x.gather(5, np.array([[0], [0]])), IndexError, "Dimension out of range"),
    "gather by floats": (lambda x, e: x.gather(1, np.array([[0.0], [1.0]])), (IndexError, DTypeError), "integer"),
    "flatten": (lambda x, e: x.flatten(1, 0), ShapeError, "start_dim 1 cannot come after end_dim 0"),
    "mean of integers": (lambda x, e: x.long().mean(), DTypeError, r"floating-point tensor, got int64. Did you mean `x.float\(\)"),
    "a power that is no number": (lambda x, e: x ** "2", TypeError, "unsupported operand"),
}


@pytest.mark.parametrize("name", CASES)
def test_misuse_is_explained_alike_on_every_kind_of_tensor(engine: ModuleType, name: str) -> None:
    use, error, message = CASES[name]
    for x in (engine.tensor(A), engine.tensor(A, requires_grad=True), engine.tensor(A, requires_grad=True).tanh()):
        with pytest.raises(error, match=message):
            use(x, engine)
        np.testing.assert_array_equal(x.detach().numpy().shape, A.shape)
        if x.requires_grad and x.is_leaf:
            (x * x).sum().backward()
            np.testing.assert_array_equal(x.grad.numpy(), 2 * A)


@pytest.mark.parametrize("name", ["broadcasting", "products", "reshape", "broadcast_to", "an axis that is not there"])
def test_misuse_is_explained_alike_on_jax_and_meta_tensors(engine: ModuleType, name: str) -> None:
    use, error, message = CASES[name]
    for device in ("jax", "meta"):
        x = engine.tensor(A.astype(np.float32), device=device, requires_grad=True)
        with pytest.raises(error, match=message):
            use(x, engine)


@pytest.mark.parametrize("name", ["broadcasting", "products", "reshape", "an axis that is not there"])
def test_misuse_inside_transforms(engine: ModuleType, name: str) -> None:
    use, error, message = CASES[name]
    for transform in (engine.value_and_grad, engine.jacobian, engine.hessian):
        with pytest.raises(error, match=message):
            transform(lambda x: use(x, engine).sum())(A)
    with pytest.raises(error, match=message):
        engine.grad(lambda x: engine.grad(lambda y: use(y * x, engine).sum())(x).sum())(A)


def test_one_line_without_internals(engine: ModuleType) -> None:
    for use, error, _ in CASES.values():
        with pytest.raises(error) as caught:
            use(engine.tensor(A, requires_grad=True), engine)
        text = str(caught.value)
        assert "\n" not in text
        assert "0x" not in text
        assert not isinstance(caught.value, AttributeError)


def test_ordinary_use_warns_of_nothing(engine: ModuleType) -> None:
    """Warnings are errors in this test run, so getting through is the test."""
    x = engine.tensor([[0.0, -0.0, 1e-30, 80.0, -80.0]], requires_grad=True)
    for f in (
        lambda x: x.relu() + x.abs() + x.sign() + x.tanh() + x.sigmoid(),
        lambda x: x.softmax() + x.log_softmax() + x.logsumexp(-1, keepdim=True) + x.exp(),
        lambda x: engine.maximum(x, 0.0) + engine.minimum(x, 0.0) + engine.where(x > 0, x, 0.0),
        lambda x: x**2 + x**3 + x**0 + x**1 + x * x / 3,
        lambda x: x.amax(-1) + x.max() + x.max(1).values + x.mean() + x.sum(),
        lambda x: (x + 100.0).log() + (x + 100.0).sqrt() + (x + 100.0) ** x.detach().tanh(),
        lambda x: x.double() + x.long() + (x > 0) * 1.0,
        lambda x: x[:, 0] + x[0, [0, 1, 1]].sum() + x[x > 0].sum(),
    ):
        x.grad = None
        f(x).sum().backward()
        assert np.isfinite(x.grad.numpy()).all()


def test_empty_tensors_work(engine: ModuleType) -> None:
    x = engine.tensor(np.zeros((0, 3)), requires_grad=True)
    w = engine.tensor(np.ones((3, 2)), requires_grad=True)
    ((x @ w).tanh() + 1.0).sum().backward()
    assert x.grad.shape == (0, 3)
    np.testing.assert_array_equal(w.grad.numpy(), np.zeros((3, 2)))
    for f in (lambda x: x.sum(), lambda x: (x * x).exp().sum(0).sum(), lambda x: x.reshape(-1).sum(), lambda x: x.T.relu().sum()):
        assert engine.grad(f)(np.zeros((0, 3))).shape == (0, 3)


def test_failed_calls_leave_the_switches_alone(engine: ModuleType) -> None:
    for call in (
        lambda: engine.grad(lambda x: x)(A),
        lambda: engine.grad(lambda x: x.sum())(np.array([1])),
        lambda: engine.jacobian(lambda x: x @ x)(A),
        lambda: engine.hvp(lambda x: x.sum(), A, A[0]),
    ):
        with pytest.raises(DiffError):
            call()
        assert engine.is_grad_enabled()
        with engine.no_grad():
            with pytest.raises(DiffError):
                call()
            assert not engine.is_grad_enabled()


def test_a_missing_gradient_is_not_an_attribute_error(engine: ModuleType) -> None:
    with pytest.raises(GradientError):
        engine.tensor(A).backward()
    with pytest.raises(GradientError):
        engine.tensor(A).grad = A
    assert engine.tensor(A).grad is None
