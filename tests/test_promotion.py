"""Types of mixed operands are PyTorch's: whole numbers never widen floating ones, nor scalars tensors."""

from types import ModuleType

import numpy as np
import pytest

KINDS = {"f4": np.float32, "f8": np.float64, "i8": np.int64, "i4": np.int32, "b": np.bool_}
SHAPES = {"vector": (2,), "scalar": ()}
OPERATIONS = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "where", "atan2")


def made(library, kind, shape):
    return library.tensor(np.ones(SHAPES[shape], KINDS[kind]))


def result(library, op, x, y):
    if op == "where":
        return library.where(library.tensor(np.ones(2, bool)), x, y)
    return getattr(library, op)(x, y)


@pytest.mark.parametrize("op", OPERATIONS)
def test_torch_agrees_on_two_operands(engine: ModuleType, op: str) -> None:
    torch = pytest.importorskip("torch", reason="torch, an outside oracle, is not installed")
    for kind in KINDS:
        for other in KINDS:
            for shape in SHAPES:
                for other_shape in SHAPES:
                    operands = [(kind, shape), (other, other_shape)]
                    try:
                        expected = result(torch, op, *[made(torch, *x) for x in operands])
                    except RuntimeError:
                        continue  # what PyTorch refuses (booleans subtracted, say) is numpy's to decide
                    found = result(engine, op, *[made(engine, *x) for x in operands])
                    assert str(found.dtype) == str(expected.dtype).removeprefix("torch."), operands


@pytest.mark.parametrize("op", "exp log sqrt sin tanh sigmoid reciprocal log1p erf".split())
@pytest.mark.parametrize("kind", KINDS)
def test_torch_agrees_on_functions(engine: ModuleType, op: str, kind: str) -> None:
    torch = pytest.importorskip("torch", reason="torch, an outside oracle, is not installed")
    x = np.ones(2, KINDS[kind])
    found, expected = getattr(engine, op)(engine.tensor(x)), getattr(torch, op)(torch.tensor(x))
    assert str(found.dtype) == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_python_numbers_have_no_say(engine: ModuleType) -> None:
    x = engine.tensor([1.0, 2.0])
    for y in (x * 2, x * 2.5, 2.5 * x, x / 3, 3 / x, x**2, x + True, x.clamp(0, 1.5)):
        assert y.dtype == np.float32
    whole = engine.arange(3)
    assert (whole * 2).dtype == np.int64
    assert (whole / 2).dtype == (whole * 1.5).dtype == np.float32


def test_derivatives_are_in_the_dtype_of_their_variable(engine: ModuleType) -> None:
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    y = engine.tensor(np.array(3.0))
    whole = engine.tensor([4, 5])
    (x * y * whole / whole).exp().sum().backward()
    assert x.grad.dtype == np.float32
    jacobian = (x * y * whole).jacobian(x) if hasattr(x, "jacobian") else np.float32(0)
    assert jacobian.dtype == np.float32
    np.testing.assert_allclose(x.grad.numpy(), 3 * np.exp(3 * np.array([1.0, 2.0])), rtol=1e-5)
