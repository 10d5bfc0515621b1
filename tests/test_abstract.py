"""Abstract arrays have the shapes, dtypes and aliasing of numpy's, and no values. The table's rows run on them in `test_kernels`."""

import numpy as np
import pytest

from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import AbstractValueError, UnknownCostError

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def agree_on_sharing(found, shadow, out, x):
    """Whether `found` is a view of `shadow` as `out` is of `x`; without elements there is nothing to share."""
    return not out.size or (found.storage is shadow.storage) == np.shares_memory(out, x)


def kind(x):
    return tuple(x.shape), np.dtype(x.dtype)


# views and copies, as numpy has them

VIEWS = {
    "itself": lambda x: x[...],
    "row": lambda x: x[1],
    "element": lambda x: x[1, 2],
    "step": lambda x: x[::2, ::-1],
    "new axis": lambda x: x[:, None],
    "empty slice": lambda x: x[2:2],
    "transpose": lambda x: x.T,
    "matrix transpose": lambda x: x.mT,
    "reshape": lambda x: x.reshape(6, 4),
    "reshape with a rest": lambda x: x.reshape((2, -1, 2)),
    "reshape of a step": lambda x: x[:, ::2].reshape(-1),
    "reshape of rows": lambda x: x[::2].reshape(2, 3, 2),
    "reshape of a transpose": lambda x: x.T.reshape(-1),
    "transpose of a transpose": lambda x: x.T.T.reshape(-1),
    "ravel": lambda x: x.ravel(),
    "ravel of a transpose": lambda x: x.T.ravel(),
    "broadcast": lambda x: np.broadcast_to(x, (2, 4, 6)),
    "reshape of a broadcast": lambda x: np.broadcast_to(x[0], (4, 6)).reshape(-1),
    "swapped axes": lambda x: np.swapaxes(x, 0, 1),
    "moved axis": lambda x: np.moveaxis(x, 0, -1),
    "expanded": lambda x: np.expand_dims(x, 1),
    "squeezed": lambda x: np.squeeze(x[:, None]),
    "flipped": lambda x: np.flip(x, 0),
    "diagonal": lambda x: np.diagonal(x),
    "integers": lambda x: x[np.array([0, 2])],
    "integers and slice": lambda x: x[1:, np.array([0, 0, 5])],
    "integers apart": lambda x: x[None][np.array([0]), :, np.array([1])],
    "mask": lambda x: x[np.arange(4) > 1],
    "copy": lambda x: x.copy(),
    "cast": lambda x: x.astype(np.float32),
    "cast to the same": lambda x: x.astype(np.float64),
    "cast without copying": lambda x: x.astype(np.float64, copy=False),
    "positive sum": lambda x: x + 0,
    "concatenated": lambda x: np.concatenate([x, x], axis=1),
    "stacked": lambda x: np.stack([x, x], axis=1),
    "taken along an axis": lambda x: np.take_along_axis(x, np.zeros((4, 1), int), axis=1),
    "zeros like": lambda x: np.zeros_like(x, shape=(2, 3)),
    "ones like": lambda x: np.ones_like(x),
    "full like": lambda x: np.full_like(x, 2),
}


@pytest.mark.parametrize("take", VIEWS.values(), ids=VIEWS)
def test_views_and_copies(take):
    real = np.arange(24.0).reshape(4, 6)
    shadow = AbstractArray(real.shape, real.dtype)
    out, found = take(real), take(shadow)
    assert kind(found) == kind(out)
    assert agree_on_sharing(found, shadow, out, real)
    if out.size and found.storage is shadow.storage and found.strides is not None:
        assert found.strides == out.strides


RESULTS = {
    "of a transpose": lambda x: x.T + 1,
    "of a transpose and a row": lambda x: x.T * np.ones(4),
    "of two orders": lambda x: x.reshape(6, 4) + x.T,
    "of a transpose and a scalar": lambda x: np.exp(x.T),
    "of swapped axes": lambda x: x.reshape(2, 3, 4).transpose(1, 0, 2) * 2,
    "of a cycle": lambda x: -x.reshape(2, 3, 4).transpose(2, 0, 1),
    "of an outer product": lambda x: x.T.reshape(6, 4, 1) * x[:2].T[:, None],
    "of a broadcast": lambda x: np.broadcast_to(x[0], (4, 6)) + 1,
    "of a flipped": lambda x: x[::-1] + 1,
    "cast": lambda x: x.T.astype(np.float32),
    "contiguous": lambda x: x[1:] + 1,
    "copied": lambda x: x.T.copy(),
    "reshaped": lambda x: (x.T + 1).reshape(2, 3, 4),
}


@pytest.mark.parametrize("compute", RESULTS.values(), ids=RESULTS)
def test_results_are_laid_out_as_numpys(compute):
    """So that a reshape of them is a view where it is one in numpy."""
    out, found = compute(np.arange(24.0).reshape(4, 6)), compute(AbstractArray((4, 6), np.float64))
    assert kind(found) == kind(out)
    for shape in [(-1,), (out.shape[0], -1), (-1, out.shape[-1])]:
        assert (found.reshape(shape).storage is found.storage) == np.shares_memory(out.reshape(shape), out), shape


def test_an_element_is_a_copy():
    x = AbstractArray((2, 3), np.float64)
    assert x[0, 1].storage is not x.storage
    assert x[0, 1, ...].storage is x.storage
    assert x[0, 1, None].storage is x.storage


REDUCTIONS = {
    "sum": lambda x: x.sum(axis=0),
    "sum of all": lambda x: x.sum(),
    "sum kept": lambda x: x.sum(axis=(0, -1), keepdims=True),
    "mean": lambda x: x.mean(axis=1),
    "product": lambda x: x.prod(axis=1),
    "max": lambda x: x.max(axis=-1),
    "min": lambda x: x.min(axis=0, keepdims=True),
    "any": lambda x: (x > 0).any(axis=0),
    "argmax": lambda x: x.argmax(axis=1),
    "argmax of all": lambda x: x.argmax(),
    "function": lambda x: np.sum(x, axis=1),
    "sum of booleans": lambda x: (x > 0).sum(axis=0),
    "sum of small integers": lambda x: x.astype(np.int8).sum(),
    "argmin": lambda x: x.argmin(axis=0, keepdims=True),
    "all": lambda x: x.all(axis=0),
    "running sum": lambda x: np.add.accumulate(x, axis=1),
    "running product of small integers": lambda x: np.multiply.accumulate(x.astype(np.int8), axis=-1),
    "order": lambda x: np.argsort(x, axis=0, stable=True),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int32])
@pytest.mark.parametrize("reduce", REDUCTIONS.values(), ids=REDUCTIONS)
def test_reductions(reduce, dtype):
    assert kind(reduce(AbstractArray((3, 4), dtype))) == kind(reduce(np.ones((3, 4), dtype)))


PROMOTIONS = {
    "number": lambda x: x + 1,
    "fraction": lambda x: 0.5 * x,
    "wider array": lambda x: x + np.ones(4),
    "wider scalar": lambda x: x * np.float64(2),
    "scalar array": lambda x: x * np.array(2.0),
    "comparison": lambda x: x > 0,
    "quotient": lambda x: x / 2,
    "power": lambda x: x**2,
    "where": lambda x: np.where(x > 0, x, 0),
    "where with a fraction": lambda x: np.where(x > 0, 0.5, x),
    "where of numbers": lambda x: np.where(x > 0, 1.0, 0.0),
    "where of whole numbers": lambda x: np.where(x > 0, 1, 0),
    "maximum": lambda x: np.maximum(x, 0),
    "exp": lambda x: np.exp(x),
    "isfinite": lambda x: np.isfinite(x),
    "product with booleans": lambda x: x * (x > 0),
    "matrix product": lambda x: x @ np.ones((4, 2), np.float32),
    "reflected": lambda x: np.ones((3, 4)) - x,
    "out": lambda x: np.add(x, x, out=x),
    "in place": lambda x: x.__iadd__(1),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("promote", PROMOTIONS.values(), ids=PROMOTIONS)
def test_promotion(promote, dtype):
    assert kind(promote(AbstractArray((3, 4), dtype))) == kind(promote(np.ones((3, 4), dtype)))


# what they refuse

READS = {
    "bool": bool,
    "int": int,
    "float": float,
    "index": lambda x: range(10)[x],
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "iteration": list,
    "conversion": np.asarray,
    "branch": lambda x: 1 if x > 0 else 0,
    "mask": lambda x: np.ones(())[x > 0],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reading_a_value_is_an_error(read):
    with pytest.raises(AbstractValueError, match="has no values"):
        read(AbstractArray((), np.float64))


def test_a_mask_of_unknown_values_is_an_error():
    x = AbstractArray((3,), np.float64)
    with pytest.raises(AbstractValueError):
        x[x > 0]
    with pytest.raises((AbstractValueError, UnknownCostError)):
        ops.getitem(x, x > 0)


@pytest.mark.parametrize("name", ["fft.fft", "linalg.eig", "cumsum", "sort", "median"])
def test_a_function_without_a_cost_is_an_error_that_names_it(name):
    function = np
    for part in name.split("."):
        function = getattr(function, part)
    with pytest.raises(UnknownCostError, match=rf"numpy\.{function.__name__} has no shape and cost rule"):
        function(AbstractArray((4, 4), np.float64))


def test_a_method_of_a_ufunc_without_a_cost_is_an_error_that_names_it():
    with pytest.raises(UnknownCostError, match=r"numpy\.add\.outer"):
        np.add.outer(AbstractArray((4,), np.float64), 1.0)


def test_shapes_that_do_not_fit_are_errors():
    x = AbstractArray((3, 4), np.float64)
    with pytest.raises(ValueError, match="broadcast"):
        x + AbstractArray((3,), np.float64)
    with pytest.raises(ValueError, match="4 != 3"):
        x @ x
    with pytest.raises(ValueError):
        x.reshape(5, 2)
    with pytest.raises(IndexError):
        x[5]
    with pytest.raises(np.exceptions.AxisError):
        x.sum(axis=2)


def test_gathering_many_elements_takes_no_time_that_grows_with_them() -> None:
    taken = AbstractArray((10**6, 10**5), np.float32)[..., AbstractArray((2, 64, 56, 56), np.int64)]
    assert taken.shape == (10**6, 2, 64, 56, 56)
    assert AbstractArray((4, 10**9, 5), np.float32)[np.array([[0], [3]]), :, np.array([1, 2, 4])].shape == (2, 3, 10**9)
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        AbstractArray((4, 2), np.float32)[np.array([0, 4])]
