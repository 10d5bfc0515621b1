"""Tensors made, cast and moved."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import AbstractValueError, DeviceError, DiffError, DTypeError, GradientError, ShapeError
from tests.tensors import A, B, plain


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.0, np.float32),
        ([1.0, 2.0], np.float32),
        ([[1, 2.5]], np.float32),
        (1, np.int64),
        ([1, 2], np.int64),
        ([True, False], np.bool_),
        ([], np.float32),
        (np.array([1.0]), np.float64),
        (np.float64(1.0), np.float64),
        ([np.float64(1.0), 2.0], np.float64),
        (np.array([1], np.int32), np.int32),
        (np.float16([1.0]), np.float16),
        (range(3), np.int64),
    ],
)
def test_default_dtypes_are_those_of_torch(engine: ModuleType, data: Any, dtype: Any) -> None:
    assert engine.tensor(data).dtype == dtype
    assert engine.tensor(data, dtype=np.float64).dtype == np.float64


def test_a_list_of_tensors_of_one_element(engine: ModuleType) -> None:
    parts = [engine.tensor(1.0), engine.tensor(2.0)]
    np.testing.assert_array_equal(engine.tensor(parts).numpy(), np.float32([1, 2]))


@pytest.mark.parametrize("data", ["text", ["a"], None, {"a": 1}, object(), [None]])
def test_data_that_is_no_numbers_is_refused(engine: ModuleType, data: Any) -> None:
    with pytest.raises((DTypeError, TypeError), match="cannot make a tensor"):
        engine.tensor(data)


def test_ragged_data_is_refused(engine: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"inhomogeneous|ragged"):
        engine.tensor([[1.0], [2.0, 3.0]])


def test_casts_are_recorded(engine: ModuleType) -> None:
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    for cast in (lambda x: x.double(), lambda x: x.to(np.float64), lambda x: x.to("float64"), lambda x: x.astype(np.float64)):
        y = cast(x)
        assert y.dtype == np.float64
        assert y.requires_grad
        x.grad = None
        (y * y).sum().backward()
        assert x.grad.dtype == np.float32
        np.testing.assert_array_equal(x.grad.numpy(), [2, 4])
    assert x.float() is x
    assert x.to(np.float32) is x
    assert x.long().dtype == np.int64
    assert x.is_floating_point()
    assert not x.long().is_floating_point()
    np.testing.assert_array_equal(plain(engine.tensor([1.7, -1.7]).long()), [1, -1])


def test_devices(engine: ModuleType) -> None:
    import jax

    x = engine.tensor([1.0, 2.0])
    assert x.device == "cpu"
    assert x.to("cpu") is x
    assert x.cpu() is x
    for name in ("jax", "jax:cpu"):
        y = engine.tensor([1.0, 2.0], device=name)
        assert isinstance(y.array, jax.Array)
        if jax.devices()[0].platform == "cpu":
            assert y.device == "jax:cpu"
        back = x.to(name).cpu()
        assert back.device == "cpu"
        np.testing.assert_array_equal(back.numpy(), [1, 2])
        assert back.numpy().flags.writeable
    v = engine.tensor([1.0], device="jax", requires_grad=True)
    (v * v).sum().backward()
    assert isinstance(v.grad.array, jax.Array)
    with pytest.raises(GradientError, match="cannot move a tensor that carries a derivative"):
        (v * v).to("cpu")


def test_meta_tensors_have_shapes_only(engine: ModuleType) -> None:
    x = engine.tensor(np.zeros((4, 3)), device="meta", requires_grad=True)
    w = engine.tensor(np.zeros((3, 2)), device="meta", requires_grad=True)
    y = (x @ w).tanh().sum(1)
    assert (y.shape, y.dtype, y.device, y.requires_grad) == ((4,), np.float64, "meta", True)
    y.sum().backward()
    assert (x.grad.shape, w.grad.shape, w.grad.device) == ((4, 3), (3, 2), "meta")
    for read in (lambda y: y.detach().numpy(), lambda y: y.sum().item(), lambda y: float(y.sum()), lambda y: bool(y.sum() > 0)):
        with pytest.raises(AbstractValueError, match="has no values"):
            read(y)
    with pytest.raises(DeviceError, match="\"meta\" tensor has no data, so it cannot be moved to 'cpu'"):
        x.detach().cpu()
    assert x.detach().to(np.float32).dtype == np.float32


@pytest.mark.parametrize("name", ["banana", "cuda:x", "CPU", "cpu:0", ""])
def test_unknown_devices(engine: ModuleType, name: str) -> None:
    with pytest.raises(DeviceError, match=f'device {name!r} is unknown: expected "cpu" \\(numpy\\), "jax"'):
        engine.tensor(1.0, device=name)
    with pytest.raises(DiffError, match=f"{name!r}.*device"):
        engine.tensor(1.0).to(name)


def test_devices_that_are_not_there(engine: ModuleType) -> None:
    for name in ("cuda:99", "tpu:7"):
        for move in (lambda name=name: engine.tensor(1.0, device=name), lambda name=name: engine.tensor(1.0).to(name)):
            with pytest.raises(DeviceError, match=rf"device '{name}' is not there; jax has .*:0"):
                move()


@pytest.mark.gpu
def test_cuda(engine: ModuleType) -> None:
    x = engine.tensor([1.0, 2.0]).cuda()
    assert x.device == "cuda:0"
    x.requires_grad = True
    (x * x).sum().backward()
    assert x.grad.device == "cuda:0"
    np.testing.assert_array_equal(x.grad.cpu().numpy(), [2, 4])


def test_sizes(engine: ModuleType) -> None:
    x = engine.tensor(A)
    assert (x.shape, x.size(), x.size(1), x.size(-1), x.ndim, x.dim(), x.numel()) == ((2, 3), (2, 3), 3, 3, 2, 2, 6)
    assert engine.tensor(1.0).shape == ()
    assert engine.tensor(1.0).numel() == 1


def test_shapes_that_do_not_fit_name_both(engine: ModuleType) -> None:
    with pytest.raises(ShapeError, match=r"add: shapes \(2, 3\) and \(2,\) do not broadcast: they disagree at axis -1, 2 != 3"):
        engine.tensor(A) + engine.tensor(A[:, 0])
    with pytest.raises(ShapeError, match=r"matmul: `x` \(2, 3\) and `y` \(2, 3\) disagree: 3 != 2. Did you mean `x @ y.T`"):
        engine.tensor(A) @ engine.tensor(B)
