"""An array with a shape, a dtype and strides but no data, which numpy's own functions accept.

Shapes and dtypes come from numpy itself: ufuncs resolve their own dtypes, views are taken of a stand-in with the same strides
whose memory is never read, so that numpy decides what is a view and what a copy. What numpy does not tell is written here and in
`diffcore.arrays.functions`, once per *array function*, together with its cost; no kernel needs a second, abstract formula. A function not
listed is an error (`UnknownCostError`), never a cost of 0. Reading a value is an error too (`AbstractValueError`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from diffcore.arrays.indexing import gathered_order, gathered_shape, is_basic, sliced, unknown_positions
from diffcore.arrays.results import (
    axes_of,
    axis_of,
    broadcast,
    is_transcendental,
    kind_of,
    product,
    reduced_dtype,
    reduced_shape,
    resulting,
    shape_of,
)
from diffcore.arrays.strides import Shape, Trait, layout_of, row_major, strides_after, strides_of, strides_of_order, weightless
from diffcore.arrays.works import moved, multiplied, reduced, scattered, walked
from diffcore.errors import AbstractValueError, UnknownCostError
from diffcore.ledger import Storage, did, state

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""numpy function -> its shape and cost on abstract arrays; `diffcore.arrays` fills it."""
_POWERS = {"2": np.square, "-1": np.reciprocal, "0.5": np.sqrt}


class AbstractArray(NDArrayOperatorsMixin):
    """Shape, dtype and strides of a numpy array, and the `Storage` that stands for its buffer.

    `AbstractArray(shape, dtype)` makes a new C-contiguous buffer; views share their base's storage. `base` is `None` for the array that a
    buffer was made for, as in numpy, and the storage for a view.
    """

    __slots__ = ("__weakref__", "base", "dtype", "shape", "storage", "strides")
    __array_priority__ = 100.0

    def __init__(self, shape: Shape, dtype: Any, storage: Storage | None = None, strides: Shape | None = None) -> None:
        if not isinstance(dtype, np.dtype):
            dtype = np.dtype(dtype)
        self.shape = shape
        self.dtype = dtype
        self.strides = strides
        self.base = storage
        self.storage = Storage(math.prod(shape) * dtype.itemsize) if storage is None else storage

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def T(self) -> AbstractArray:
        return self.transpose()

    @property
    def mT(self) -> AbstractArray:
        return self.swapaxes(-1, -2) if self.ndim > 1 else view_by(self, np.matrix_transpose)  # which is an error, in numpy's words

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"AbstractArray(shape={self.shape}, dtype={self.dtype})"

    def _no_value(self, *_: Any) -> Any:
        raise AbstractValueError(
            f"an abstract array {self.shape} has no values: this program reads one, so its cost cannot be planned without running it"
        )

    __bool__ = __int__ = __float__ = __index__ = __complex__ = __iter__ = item = tolist = nonzero = __array__ = _no_value

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        target = out[0] if isinstance(out, tuple) else out
        if method == "__call__":
            return _matmul(inputs, target) if ufunc is np.matmul else _elementwise(ufunc, inputs, target, options)
        if method == "reduce":
            return _reduce(ufunc, inputs[0], target, **options)
        if method == "at":
            did("scatter", ufunc.__name__, np.size(inputs[-1]))
            return book(np.size(inputs[-1]))
        if method == "accumulate":
            return _accumulate(ufunc, inputs[0], **options)
        raise UnknownCostError(f"numpy.{ufunc.__name__}.{method} has no shape and cost rule for abstract arrays")

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        rule = FUNCTIONS.get(function.__name__)
        if rule is None:
            raise UnknownCostError(f"numpy.{function.__name__} has no shape and cost rule for abstract arrays")
        return rule(*args, **kwargs)

    def __getitem__(self, index: Any) -> AbstractArray:
        parts = index if isinstance(index, tuple) else (index,)
        if not is_basic(parts):
            gathered = gathered_shape(self.shape, tuple(_index_stand_in(part) for part in parts))
            scattered("gather", self, parts[-1] if len(parts) == self.ndim else None, math.prod(gathered))
            return _gathered(self, parts, gathered)
        did("view", "getitem")
        shape, strides = sliced(self, parts)
        if not shape and Ellipsis not in parts:  # one element: numpy makes a scalar of it, which is a copy
            return AbstractArray((), self.dtype)
        return AbstractArray(shape, self.dtype, self.storage, strides)

    def __setitem__(self, index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if is_basic(parts):
            shape, strides = sliced(self, parts)
            moved("put", AbstractArray(shape, self.dtype, self.storage, strides), value)
        else:
            shape = gathered_shape(self.shape, tuple(_index_stand_in(part) for part in parts))
            scattered("scatter", self, parts[-1] if len(parts) == self.ndim else None, math.prod(shape))
        broadcast((shape_of(value), shape))

    def __pow__(self, exponent: Any) -> Any:
        """numpy has functions of their own for some exponents; of integers for squares alone."""
        ufunc = _POWERS.get(repr(exponent)) if exponent.__class__ in (int, float) else None
        if ufunc is None or self.dtype.kind != "f" and ufunc is not np.square:
            return np.power(self, exponent)
        return ufunc(self)

    def astype(self, dtype: Any, copy: bool = True) -> AbstractArray:
        """A cast: a new buffer, no arithmetic."""
        return self if not copy and self.dtype == np.dtype(dtype) else copied("cast", new_after((self,), self.shape, np.dtype(dtype)), self)

    def view(self, dtype: Any) -> AbstractArray:
        """The same bytes as elements of another dtype of as many bytes."""
        if np.dtype(dtype).itemsize != self.dtype.itemsize:
            raise UnknownCostError("numpy.ndarray.view with elements of another size has no shape rule for abstract arrays")
        return AbstractArray(self.shape, dtype, self.storage, self.strides)

    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps."""
        if self.strides is None or 0 in self.shape:
            return True
        whole = row_major(self.shape, self.dtype.itemsize)
        return all(n == 1 or found == wanted for n, found, wanted in zip(self.shape, self.strides, whole, strict=True))

    def copy(self, order: str = "C") -> AbstractArray:
        return copied("copy", AbstractArray(self.shape, self.dtype), self)

    def reshape(self, *shape: Any, **_: Any) -> AbstractArray:
        return reshaped(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int | np.integer) else shape)

    def ravel(self) -> AbstractArray:
        return reshaped(self, (-1,))

    def transpose(self, *axes: Any) -> AbstractArray:
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return _transposed(self, order or None)

    def swapaxes(self, first: int, second: int) -> AbstractArray:
        order = list(range(self.ndim))
        first, second = axis_of(first, self.ndim), axis_of(second, self.ndim)
        order[first], order[second] = second, first
        return _transposed(self, order)

    def sum(self, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> AbstractArray:
        return _reduce(np.add, self, None, axis=axis, keepdims=keepdims, dtype=dtype)

    def prod(self, axis: Any = None, keepdims: bool = False) -> AbstractArray:
        return _reduce(np.multiply, self, None, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> AbstractArray:
        return _reduce(np.maximum, self, None, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> AbstractArray:
        return _reduce(np.minimum, self, None, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> AbstractArray:
        return _reduce(np.logical_or, self, None, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> AbstractArray:
        return _reduce(np.logical_and, self, None, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> AbstractArray:
        total = self.sum(axis=axis, keepdims=keepdims)
        if self.dtype.kind in "iub":
            total = total.astype(np.float64)
        total /= self.size / max(total.size, 1)
        return total

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> AbstractArray:
        book(self.size)
        reduced("argmax", self.dtype, self, axes_of(self.shape, axis))
        return AbstractArray(reduced_shape(self.shape, axis, keepdims)[0], np.intp)

    argmin = argmax


def book(flops: int, transcendentals: int = 0) -> None:
    """Count operations in the open ledger, where there is one."""
    if state.ledger is not None:
        state.ledger.book(flops, transcendentals)


def _trait(x: Any) -> Trait:
    if type(x) is AbstractArray:
        return x.shape, x.dtype, x.strides
    return shape_of(x), kind_of(x), getattr(x, "strides", None)


def _elementwise(ufunc: np.ufunc, inputs: Any, out: Any, options: dict[str, Any]) -> Any:
    if ufunc.signature is not None or options and options.get("where", True) is not True:
        raise UnknownCostError(f"numpy.{ufunc.__name__} with {options or ufunc.signature} has no cost rule for abstract arrays")
    dtype, order = options.get("dtype"), options.get("order", "K")
    shape, dtype, strides, flops, transcendentals = resulting(ufunc, tuple([_trait(x) for x in inputs]), dtype, order)
    if flops or transcendentals:
        book(flops, transcendentals)
    return told(ufunc.__name__, inputs, AbstractArray(shape, dtype, None, strides) if out is None else _checked(out, shape))


def told(function: str, inputs: Any, out: AbstractArray) -> AbstractArray:
    """`out`, told as made of `inputs` element by element."""
    if state.ledger is not None and state.ledger.works:
        like = next((x.dtype for x in inputs if getattr(x, "shape", ())), out.dtype)
        walked(function, like, out.shape, (out, *inputs))
    return out


def copied(function: str, target: AbstractArray, source: Any) -> AbstractArray:
    """`target`, told as a copy of `source`."""
    moved(function, target, source)
    return target


def _into(out: Any, shape: Shape, dtype: Any) -> Any:
    return AbstractArray(shape, dtype) if out is None else _checked(out, shape)


def _checked(out: Any, shape: Shape) -> Any:
    """`out`, into which a result of `shape` goes."""
    if shape_of(out) != shape:
        raise ValueError(f"non-broadcastable output operand with shape {shape_of(out)} doesn't match the broadcast shape {shape}")
    return out


def new_after(inputs: Any, shape: Shape, dtype: np.dtype[Any]) -> AbstractArray:
    """A new array for the result of an elementwise operation, its axes ordered in memory as numpy orders them after `inputs`."""
    return AbstractArray(shape, dtype, None, strides_after(tuple([_trait(x) for x in inputs]), shape, dtype))


def laid_out(shape: Shape, dtype: Any, axes: Any) -> AbstractArray:
    """A new array whose `axes` follow each other so in memory, the last one without gaps."""
    return AbstractArray(shape, dtype, strides=strides_of_order(shape, dtype, axes))


def made_like(x: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> AbstractArray:
    """A new array like `x`, its axes in memory in the order of those of `x`; numpy's `empty_like`."""
    did("make", "")
    shape = x.shape if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    if order == "C" or len(shape) != len(x.shape) or x.strides is None:
        return AbstractArray(shape, dtype)
    return laid_out(shape, dtype, sorted(range(len(shape)), key=lambda axis: -abs(x.strides[axis])))


def _matmul(inputs: Any, out: Any) -> Any:
    shape, dtype, strides, (batch, m, n, terms) = product(_trait(inputs[0]), _trait(inputs[1]))
    made = AbstractArray(shape, dtype, None, strides) if out is None else _checked(out, shape)
    if state.ledger is not None:
        state.ledger.book_product(2 * batch * m * n * terms)
        multiplied(dtype, batch, m, n, terms, (*inputs, made))
    return made


def _reduce(
    ufunc: np.ufunc, x: Any, out: Any = None, *, axis: Any = 0, keepdims: bool = False, dtype: Any = None, initial: Any = None
) -> Any:
    book(x.size)
    reduced(f"{ufunc.__name__}.reduce", x.dtype, x, axes_of(x.shape, axis))
    if dtype is None:
        dtype = reduced_dtype(ufunc, x.dtype)
    shape, left = reduced_shape(x.shape, axis, keepdims)
    if out is not None or len(shape) < 2 or x.strides is None:
        return _into(out, shape, dtype)
    return laid_out(shape, np.dtype(dtype), sorted(range(len(shape)), key=lambda i: -abs(x.strides[left[i]])))


def _accumulate(ufunc: np.ufunc, x: Any, axis: int = 0, dtype: Any = None) -> AbstractArray:
    """Running values: one operation per element."""
    axis_of(axis, x.ndim)
    book(*((0, x.size) if is_transcendental(ufunc) else (x.size, 0)))
    reduced(f"{ufunc.__name__}.accumulate", x.dtype, x, (axis % x.ndim,))
    return made_like(x, reduced_dtype(ufunc, x.dtype) if dtype is None else dtype)


def view_by(x: AbstractArray, take: Callable[[Any], Any]) -> AbstractArray:
    """A view of `x` as numpy would take it; the stand-in has `x`'s strides over one element that is never read."""
    layout = take(layout_of(x))
    did("view", "transpose")
    return AbstractArray(layout.shape, x.dtype, x.storage, layout.strides)


def _transposed(x: AbstractArray, order: Any) -> AbstractArray:
    """`x` with its axes in another order, by default the opposite one."""
    axes = range(x.ndim - 1, -1, -1) if order is None else [axis_of(axis, x.ndim) for axis in order]
    if order is not None and sorted(axes) != list(range(x.ndim)):
        return view_by(x, lambda layout: layout.transpose(order))  # which is an error, in numpy's words
    strides = strides_of(x)
    did("view", "transpose")
    return AbstractArray(tuple([x.shape[axis] for axis in axes]), x.dtype, x.storage, tuple([strides[axis] for axis in axes]))


def reshaped(x: AbstractArray, shape: Any, copy: bool | None = None, **_: Any) -> AbstractArray:
    """`x` in another shape: a view where numpy takes one, else a view of a copy."""
    if x.is_contiguous():
        whole = tuple(map(operator.index, (shape,) if isinstance(shape, int | np.integer) else shape))
        if -1 in whole and whole.count(-1) == 1 and x.size and 0 not in whole:
            whole = tuple([n if n != -1 else x.size // -math.prod(whole) for n in whole])
        if math.prod(whole) == x.size and min(whole, default=0) >= 0:
            did("view", "transpose")
            return AbstractArray(whole, x.dtype, x.storage)
    layout = layout_of(x)
    try:
        return view_by(x, lambda _: np.reshape(layout, shape, copy=False))
    except ValueError:
        if copy is False:
            raise
        made = copied("copy", AbstractArray(x.shape, x.dtype), x)
        return AbstractArray(weightless(x.shape).reshape(shape).shape, x.dtype, made.storage)  # a view of a copy


def _index_stand_in(part: Any) -> Any:
    """Positions in no memory for positions whose values are not known."""
    if isinstance(part, AbstractArray):
        if part.dtype == np.bool_:
            part._no_value()
        return unknown_positions(part.shape)
    if hasattr(part, "shape") and not isinstance(part, np.ndarray | np.generic):  # traced: there is no value to look at
        return unknown_positions(part.shape)
    return part


def _gathered(x: AbstractArray, index: Any, shape: Shape) -> AbstractArray:
    """What numpy gathers of `x` by an index that is not all numbers and slices."""
    if x.ndim < 2:
        return AbstractArray(shape, x.dtype)
    order, swapped = gathered_order(x, index, shape)
    made = laid_out(shape, x.dtype, order)
    if swapped:
        made.base = made.storage
    return made
