"""An array with a shape, a dtype and strides but no data, which numpy's own functions accept.

Shapes and dtypes come from numpy itself: ufuncs resolve their own dtypes, views are taken of a stand-in with the same strides
whose memory is never read, so that numpy decides what is a view and what a copy. What numpy does not tell is written here once per
*array function*, together with its cost; no kernel needs a second, abstract formula. A function not listed is an
error (`UnknownCostError`), never a cost of 0. Reading a value is an error too (`AbstractValueError`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from diffcore.arrays.works import moved, multiplied, reduced, scattered, walked
from diffcore.errors import AbstractValueError, UnknownCostError
from diffcore.ledger import Storage, did, state

Shape = tuple[int, ...]

_TRANSCENDENTAL = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
    "power float_power arctan2 hypot logaddexp erf erfc".split()
)
_FREE = frozenset(("positive", "conjugate"))
CALLS = 4096
"""Calls whose results are remembered: a network calls a few functions on operands that are alike over and over."""
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
        return self.swapaxes(-1, -2) if self.ndim > 1 else _view(self, np.matrix_transpose)  # which is an error, in numpy's words

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
            return _book(np.size(inputs[-1]))
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
        if not _is_basic(parts):
            gathered = _gathered_shape(self.shape, tuple(_index_stand_in(part) for part in parts))
            scattered("gather", self, parts[-1] if len(parts) == self.ndim else None, math.prod(gathered))
            return _gathered(self, parts, gathered)
        did("view", "getitem")
        shape, strides = _sliced(self, parts)
        if not shape and Ellipsis not in parts:  # one element: numpy makes a scalar of it, which is a copy
            return AbstractArray((), self.dtype)
        return AbstractArray(shape, self.dtype, self.storage, strides)

    def __setitem__(self, index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if _is_basic(parts):
            shape, strides = _sliced(self, parts)
            moved("put", AbstractArray(shape, self.dtype, self.storage, strides), value)
        else:
            shape = _gathered_shape(self.shape, tuple(_index_stand_in(part) for part in parts))
            scattered("scatter", self, parts[-1] if len(parts) == self.ndim else None, math.prod(shape))
        _broadcast((_shape(value), shape))

    def __pow__(self, exponent: Any) -> Any:
        """numpy has functions of their own for some exponents; of integers for squares alone."""
        ufunc = _POWERS.get(repr(exponent)) if exponent.__class__ in (int, float) else None
        if ufunc is None or self.dtype.kind != "f" and ufunc is not np.square:
            return np.power(self, exponent)
        return ufunc(self)

    def astype(self, dtype: Any, copy: bool = True) -> AbstractArray:
        """A cast: a new buffer, no arithmetic."""
        return self if not copy and self.dtype == np.dtype(dtype) else _copied("cast", _new((self,), self.shape, np.dtype(dtype)), self)

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
        return _copied("copy", AbstractArray(self.shape, self.dtype), self)

    def reshape(self, *shape: Any, **_: Any) -> AbstractArray:
        return _reshape(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int | np.integer) else shape)

    def ravel(self) -> AbstractArray:
        return _reshape(self, (-1,))

    def transpose(self, *axes: Any) -> AbstractArray:
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return _transposed(self, order or None)

    def swapaxes(self, first: int, second: int) -> AbstractArray:
        order = list(range(self.ndim))
        first, second = _axis(first, self.ndim), _axis(second, self.ndim)
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
        _book(self.size)
        reduced("argmax", self.dtype, self, _axes(self.shape, axis))
        return AbstractArray(_reduced(self.shape, axis, keepdims)[0], np.intp)

    argmin = argmax


def _book(flops: int, transcendentals: int = 0) -> None:
    if state.ledger is not None:
        state.ledger.book(flops, transcendentals)


@cache
def _resolve(ufunc: np.ufunc, kinds: tuple[Any, ...]) -> np.dtype[Any]:
    return ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))[-1]


@cache
def _reduced_dtype(ufunc: np.ufunc, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.asarray(ufunc.reduce(np.ones(1, dtype))).dtype


def _kind(value: Any) -> Any:
    """What numpy's promotion looks at: a dtype, or the Python type of a number (which promotes weakly)."""
    return type(value) if type(value) in (int, float, complex) else np.result_type(value) if not hasattr(value, "dtype") else value.dtype


def _shape(value: Any) -> Shape:
    return value.shape if hasattr(value, "shape") else np.shape(value)


Trait = tuple[Shape, Any, Shape | None]
"""What the result of a call depends on in an operand: its shape, what numpy's promotion looks at, and its strides, if it has any."""


def _trait(x: Any) -> Trait:
    if type(x) is AbstractArray:
        return x.shape, x.dtype, x.strides
    return _shape(x), _kind(x), getattr(x, "strides", None)


def _elementwise(ufunc: np.ufunc, inputs: Any, out: Any, options: dict[str, Any]) -> Any:
    if ufunc.signature is not None or options and options.get("where", True) is not True:
        raise UnknownCostError(f"numpy.{ufunc.__name__} with {options or ufunc.signature} has no cost rule for abstract arrays")
    dtype, order = options.get("dtype"), options.get("order", "K")
    shape, dtype, strides, flops, transcendentals = _resulting(ufunc, tuple([_trait(x) for x in inputs]), dtype, order)
    if flops or transcendentals:
        _book(flops, transcendentals)
    return _walked(ufunc.__name__, inputs, AbstractArray(shape, dtype, None, strides) if out is None else _checked(out, shape))


@lru_cache(maxsize=CALLS)
def _resulting(ufunc: np.ufunc, traits: tuple[Trait, ...], dtype: Any, order: str) -> tuple[Shape, Any, Shape | None, int, int]:
    """Shape, dtype and strides of what an elementwise function makes of such operands, its operations and its transcendentals."""
    shape = _broadcast([trait[0] for trait in traits])
    dtype = np.dtype(dtype) if dtype else _resolve(ufunc, tuple([kind for _, kind, _ in traits]))
    strides = _strides_after(() if order == "C" else traits, shape, dtype)
    size = math.prod(shape)
    if ufunc.__name__ in _TRANSCENDENTAL:
        return shape, dtype, strides, 0, size
    return shape, dtype, strides, 0 if ufunc.__name__ in _FREE else size, 0


def _walked(function: str, inputs: Any, out: AbstractArray) -> AbstractArray:
    """`out`, told as made of `inputs` element by element."""
    if state.ledger is not None and state.ledger.works:
        like = next((x.dtype for x in inputs if getattr(x, "shape", ())), out.dtype)
        walked(function, like, out.shape, (out, *inputs))
    return out


def _copied(function: str, target: AbstractArray, source: Any) -> AbstractArray:
    """`target`, told as a copy of `source`."""
    moved(function, target, source)
    return target


def _into(out: Any, shape: Shape, dtype: Any) -> Any:
    return AbstractArray(shape, dtype) if out is None else _checked(out, shape)


def _checked(out: Any, shape: Shape) -> Any:
    """`out`, into which a result of `shape` goes."""
    if _shape(out) != shape:
        raise ValueError(f"non-broadcastable output operand with shape {_shape(out)} doesn't match the broadcast shape {shape}")
    return out


def _new(inputs: Any, shape: Shape, dtype: np.dtype[Any]) -> AbstractArray:
    """A new array for the result of an elementwise operation, its axes ordered in memory as numpy orders them after `inputs`."""
    return AbstractArray(shape, dtype, None, _strides_after(tuple([_trait(x) for x in inputs]), shape, dtype))


@lru_cache(maxsize=CALLS)
def _strides_after(traits: tuple[Trait, ...], shape: Shape, dtype: np.dtype[Any]) -> Shape | None:
    """The strides of a new array as numpy orders its axes after operands like these; `None` where it is contiguous.

    They decide whether a later reshape copies. numpy is asked, with stand-ins of at most two elements along each axis.
    """
    if all(strides is None or len(own) < 2 for own, _, strides in traits):
        return None
    return _strides(shape, dtype, _order([_tiny(trait) for trait in traits], shape))


def _order(stand_ins: list[Any], shape: Shape) -> list[int]:
    """The axes of a result of `shape` as numpy orders them in memory, the last one without gaps, after operands like `stand_ins`."""
    flags = [["readonly"]] * len(stand_ins) + [["writeonly", "allocate"]]
    made = np.nditer((*stand_ins, None), ["zerosize_ok"], flags, itershape=tuple(min(n, 2) for n in shape))  # type: ignore[arg-type]
    small = made.operands[-1].strides
    return sorted(range(len(shape)), key=lambda i: (-small[i] if shape[i] > 1 else 0, i))


def _tiny(trait: Trait, axes: slice = slice(None)) -> Any:
    """An operand cut to two elements along each of some axes, with its own strides; never read."""
    shape, kind, strides = trait
    if strides is None:
        strides = row_major(shape, np.dtype(kind).itemsize)
    return as_strided(_NUMBER, tuple([min(n, 2) for n in shape[axes]]), strides[axes], writeable=False)


_NUMBER = np.zeros(())


def _matmul(inputs: Any, out: Any) -> Any:
    shape, dtype, strides, (batch, m, n, terms) = _product(_trait(inputs[0]), _trait(inputs[1]))
    made = AbstractArray(shape, dtype, None, strides) if out is None else _checked(out, shape)
    if state.ledger is not None:
        state.ledger.book_product(2 * batch * m * n * terms)
        multiplied(dtype, batch, m, n, terms, (*inputs, made))
    return made


@lru_cache(maxsize=CALLS)
def _product(first: Trait, second: Trait) -> tuple[Shape, Any, Shape | None, tuple[int, int, int, int]]:
    """Shape, dtype and strides of a product of matrices, and how many of how many rows, columns and terms."""
    a, b = first[0], second[0]
    if not a or not b:
        raise ValueError("matmul: an operand does not have enough dimensions (needs at least 1)")
    rows, columns = (a[-2:-1], a[-1]), (b[-1:] if len(b) > 1 else (), b[-2] if len(b) > 1 else b[0])
    if rows[1] != columns[1]:
        raise ValueError(f"matmul: {a} and {b} disagree: {rows[1]} != {columns[1]}")
    shape = (*np.broadcast_shapes(a[:-2], b[:-2]), *rows[0], *columns[0])
    dtype = _resolve(np.matmul, (first[1], second[1]))
    strides = None
    if len(shape) >= 4 and (first[2] is not None or second[2] is not None):
        stacks = slice(0, -2)  # as the stacks of matrices are ordered in the operands, so they are in the result
        order = _order([_tiny(first, stacks), _tiny(second, stacks)], shape[stacks])
        strides = _strides(shape, dtype, [*order, len(shape) - 2, len(shape) - 1])
    m, n = math.prod(rows[0]), math.prod(columns[0])
    return shape, dtype, strides, (math.prod(shape) // max(m * n, 1), m, n, rows[1])


def _axes(shape: Shape, axis: Any) -> set[int]:
    if axis is None:
        return set(range(len(shape)))
    return {_axis(a, len(shape)) for a in (axis if isinstance(axis, tuple) else (axis,))}


def _reduced(shape: Shape, axis: Any, keepdims: bool) -> tuple[Shape, list[int]]:
    """The shape of a reduction, and which axes of the operand its axes are."""
    axes = _axes(shape, axis)
    left = [i for i in range(len(shape)) if keepdims or i not in axes]
    return tuple(1 if i in axes else shape[i] for i in left), left


def _axis(axis: Any, ndim: int) -> int:
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


def _reduce(
    ufunc: np.ufunc, x: Any, out: Any = None, *, axis: Any = 0, keepdims: bool = False, dtype: Any = None, initial: Any = None
) -> Any:
    _book(x.size)
    reduced(f"{ufunc.__name__}.reduce", x.dtype, x, _axes(x.shape, axis))
    if dtype is None:
        dtype = _reduced_dtype(ufunc, x.dtype)
    shape, left = _reduced(x.shape, axis, keepdims)
    if out is not None or len(shape) < 2 or x.strides is None:
        return _into(out, shape, dtype)
    return _laid_out(shape, np.dtype(dtype), sorted(range(len(shape)), key=lambda i: -abs(x.strides[left[i]])))


def _accumulate(ufunc: np.ufunc, x: Any, axis: int = 0, dtype: Any = None) -> AbstractArray:
    """Running values: one operation per element."""
    _axis(axis, x.ndim)
    _book(*((0, x.size) if ufunc.__name__ in _TRANSCENDENTAL else (x.size, 0)))
    reduced(f"{ufunc.__name__}.accumulate", x.dtype, x, (axis % x.ndim,))
    return _like(x, _reduced_dtype(ufunc, x.dtype) if dtype is None else dtype)


def _view(x: AbstractArray, take: Callable[[Any], Any]) -> AbstractArray:
    """A view of `x` as numpy would take it; the stand-in has `x`'s strides over one element that is never read."""
    layout = take(_layout(x))
    did("view", "transpose")
    return AbstractArray(layout.shape, x.dtype, x.storage, layout.strides)


def _layout(x: AbstractArray) -> Any:
    return as_strided(np.zeros((), x.dtype), x.shape, strides_of(x), writeable=False)


def strides_of(x: Any) -> Shape:
    """Bytes from one element to the next along each axis; those of what has none are of row-major order."""
    strides: Shape | None = getattr(x, "strides", None)
    return row_major(x.shape, x.dtype.itemsize) if strides is None else strides


@lru_cache(maxsize=CALLS)
def row_major(shape: Shape, step: int) -> Shape:
    """The strides of a new array of elements of `step` bytes."""
    strides = [0] * len(shape)
    for i in range(len(shape) - 1, -1, -1):
        strides[i] = step
        step *= shape[i] or 1
    return tuple(strides)


def _broadcast(shapes: Iterable[Shape]) -> Shape:
    """The shape to which all of `shapes` broadcast: that of numpy, which is asked only where they differ."""
    different = {*shapes, ()}
    return different.pop() if len(different) == 1 else np.broadcast_shapes(*different) if len(different) > 2 else max(different, key=len)


def _transposed(x: AbstractArray, order: Any) -> AbstractArray:
    """`x` with its axes in another order, by default the opposite one."""
    axes = range(x.ndim - 1, -1, -1) if order is None else [_axis(axis, x.ndim) for axis in order]
    if order is not None and sorted(axes) != list(range(x.ndim)):
        return _view(x, lambda layout: layout.transpose(order))  # which is an error, in numpy's words
    strides = strides_of(x)
    did("view", "transpose")
    return AbstractArray(tuple([x.shape[axis] for axis in axes]), x.dtype, x.storage, tuple([strides[axis] for axis in axes]))


_BASIC = frozenset((slice, type(None), type(Ellipsis), int))


def _is_basic(parts: tuple[Any, ...]) -> bool:
    """Whether an index is made up of numbers, slices and new axes."""
    return all(type(part) in _BASIC or isinstance(part, int | np.integer) for part in parts)


def _sliced(x: AbstractArray, parts: tuple[Any, ...]) -> tuple[Shape, Shape | None]:
    """Shape and strides of the view of `x` by numbers, slices and new axes; the strides are `None` where the view is contiguous."""
    shape, strides = list[int](), list[int]()
    lengths, steps, axis = x.shape, strides_of(x), 0
    missing = len(lengths) - sum([part is not None and part is not Ellipsis for part in parts])
    if missing < 0 or any(isinstance(part, bool) for part in parts) or sum([part is Ellipsis for part in parts]) > 1:
        taken = _layout(x)[parts]  # mostly an error, in numpy's words
        return taken.shape, taken.strides
    for part in parts if Ellipsis in parts else (*parts, Ellipsis):
        if type(part) is slice:
            if part.start is part.stop is part.step is None:  # as most are
                shape.append(lengths[axis])
                strides.append(steps[axis])
                axis += 1
                continue
            start, stop, step = part.indices(lengths[axis])
            count = len(range(start, stop, step))
            shape.append(count)
            strides.append(steps[axis] * step if count else steps[axis])
            axis += 1
        elif part is Ellipsis:
            shape += lengths[axis : axis + missing]
            strides += steps[axis : axis + missing]
            axis += missing
        elif part is None:
            shape.append(1)
            strides.append(0)
        else:
            if not -lengths[axis] <= part < lengths[axis]:
                raise IndexError(f"index {part} is out of bounds for axis {axis} with size {lengths[axis]}")
            axis += 1
    return tuple(shape), tuple(strides)


def _reshape(x: AbstractArray, shape: Any, copy: bool | None = None, **_: Any) -> AbstractArray:
    if x.is_contiguous():
        whole = tuple(map(operator.index, (shape,) if isinstance(shape, int | np.integer) else shape))
        if -1 in whole and whole.count(-1) == 1 and x.size and 0 not in whole:
            whole = tuple([n if n != -1 else x.size // -math.prod(whole) for n in whole])
        if math.prod(whole) == x.size and min(whole, default=0) >= 0:
            did("view", "transpose")
            return AbstractArray(whole, x.dtype, x.storage)
    layout = _layout(x)
    try:
        return _view(x, lambda _: np.reshape(layout, shape, copy=False))
    except ValueError:
        if copy is False:
            raise
        made = _copied("copy", AbstractArray(x.shape, x.dtype), x)
        return AbstractArray(_weightless(x.shape).reshape(shape).shape, x.dtype, made.storage)  # a view of a copy


def _weightless(shape: Shape) -> Any:
    """A real array of any shape in no memory: its elements have no bytes."""
    return np.empty(shape, "V0")


_FIRST = np.zeros((), np.intp)


def _index_stand_in(part: Any) -> Any:
    """Positions 0 in no memory for positions whose values are not known."""
    if isinstance(part, AbstractArray):
        if part.dtype == np.bool_:
            part._no_value()
        return np.broadcast_to(_FIRST, part.shape)
    if hasattr(part, "shape") and not isinstance(part, np.ndarray | np.generic):  # traced: there is no value to look at
        return np.broadcast_to(_FIRST, part.shape)
    return part


def _gathered(x: AbstractArray, index: Any, shape: Shape) -> AbstractArray:
    """What numpy gathers of `x`: it fills memory in the order of the positions, whichever axes of the result they become."""
    if x.ndim < 2:
        return AbstractArray(shape, x.dtype)
    parts: list[Any] = []
    for part in index:
        if isinstance(part, np.ndarray) and part.dtype == np.bool_ and part.ndim:
            parts += [np.zeros(min(int(part.sum()), 2), np.intp)] * part.ndim
        elif part is None or part is Ellipsis:
            parts.append(part)
        elif isinstance(part, slice):
            parts.append(slice(None))
        else:
            parts.append(np.zeros(_ordered(part).shape, np.intp) if np.ndim(part) else 0)
    small = _ordered(x)[tuple(parts)]
    made = _laid_out(shape, x.dtype, sorted(range(len(shape)), key=lambda i: (-small.strides[i], i)))
    if small.base is not None:
        made.base = made.storage  # numpy hands out its memory with the axes swapped
    return made


def _gathered_shape(shape: Shape, parts: tuple[Any, ...]) -> Shape:
    """The shape of what numpy gathers from an array of `shape` by `parts`, some of which are arrays; numpy is asked where one is a mask."""
    whole = [part for part in parts if part is not None and part is not Ellipsis]
    positions = [part for part in whole if not isinstance(part, slice)]
    if not all(isinstance(part, int | np.integer | np.ndarray) and np.result_type(part).kind in "iu" for part in positions):
        return _weightless(shape)[parts].shape
    if sum(part is Ellipsis for part in parts) > 1 or len(whole) > len(shape):
        return _weightless(shape)[parts].shape  # which is an error, in numpy's words
    if Ellipsis not in [part if part is Ellipsis else None for part in parts]:
        parts = (*parts, Ellipsis)
    extents, kept = iter(shape), list[int]()
    places: list[tuple[int, int]] = []
    for number, part in enumerate(parts):
        if part is Ellipsis:
            kept += [next(extents) for _ in range(len(shape) - len(whole))]
        elif part is None:
            kept.append(1)
        elif isinstance(part, slice):
            kept.append(len(range(*part.indices(next(extents)))))
        else:
            _check_positions(part, next(extents), len(places))
            places.append((number, len(kept)))
    # Positions that stand side by side are replaced by their common shape where they stand, others in front.
    (first, at), (last, _) = places[0], places[-1]
    at = at if last - first == len(places) - 1 else 0
    return (*kept[:at], *np.broadcast_shapes(*map(np.shape, positions)), *kept[at:])


def _check_positions(part: Any, extent: int, number: int) -> None:
    """Raise numpy's error for positions that are not on an axis of `extent` elements."""
    if isinstance(part, np.ndarray) and part.base is _FIRST:
        part = _FIRST if part.size else part
    if np.size(part) and not (-extent <= np.min(part) and np.max(part) < extent):
        wrong = np.ravel(part)[np.ravel((np.asarray(part) < -extent) | (np.asarray(part) >= extent))][0]
        raise IndexError(f"index {wrong} is out of bounds for axis {number} with size {extent}")


def _like(x: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> AbstractArray:
    did("make", "")
    shape = x.shape if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    if order == "C" or len(shape) != len(x.shape) or x.strides is None:
        return AbstractArray(shape, dtype)
    return _laid_out(shape, dtype, sorted(range(len(shape)), key=lambda axis: -abs(x.strides[axis])))


def _laid_out(shape: Shape, dtype: Any, axes: Any) -> AbstractArray:
    """A new array whose `axes` follow each other so in memory, the last one without gaps."""
    return AbstractArray(shape, dtype, strides=_strides(shape, dtype, axes))


def _strides(shape: Shape, dtype: Any, axes: Any) -> Shape:
    """The strides of an array whose `axes` follow each other so in memory, the last one without gaps."""
    strides, step = [0] * len(shape), dtype.itemsize
    for axis in reversed(axes):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def _full_like(x: Any, value: Any, dtype: Any = None, order: str = "K", **options: Any) -> AbstractArray:
    return _copied("fill", _like(x, dtype, order, **options), value)


def _where(condition: Any, x: Any, y: Any) -> AbstractArray:
    shape = np.broadcast_shapes(*map(_shape, (condition, x, y)))
    _book(math.prod(shape))
    return _walked("where", (x, y, condition), _new((condition, x, y), shape, _resolve(np.add, (_kind(x), _kind(y)))))


def _mapped(function: str, inputs: Any, dtype: Any, operations: int = 1) -> AbstractArray:
    """The result of an elementwise function that is no ufunc, at so many operations per element."""
    shape = np.broadcast_shapes(*map(_shape, inputs))
    _book(operations * math.prod(shape))
    return _walked(function, inputs, _new(inputs, shape, np.dtype(dtype)))


def _clip(x: Any, low: Any, high: Any) -> AbstractArray:
    dtype = _resolve(np.minimum, (_resolve(np.maximum, (_kind(x), _kind(low))), _kind(high)))
    return _mapped("clip", (x, low, high), dtype, 2)


def _concatenate(arrays: Any, axis: int = 0, **_: Any) -> AbstractArray:
    shapes = [_shape(a) for a in arrays]
    at = _axis(axis, len(shapes[0]))
    # numpy says what does not fit, of arrays without elements along the axis: it would look at every one, even of no bytes.
    joined = np.concatenate([_weightless((*s[:at], 0, *s[at + 1 :])) for s in shapes], axis=at).shape
    whole = (*joined[:at], sum(s[at] for s in shapes), *joined[at + 1 :])
    dtype = np.result_type(*(a.dtype for a in arrays))
    if all(getattr(a, "strides", None) is None for a in arrays):
        result = AbstractArray(whole, dtype)
    else:
        small = np.concatenate([_ordered(a) for a in arrays], axis=at).strides
        result = _laid_out(whole, dtype, sorted(range(len(whole)), key=lambda i: (-small[i], i)))
    if state.ledger is not None and state.ledger.works:
        did("concatenate", dtype.name, len(shapes))
        for x, shape in zip(arrays, shapes, strict=True):  # each is put into its part of the result
            moved("put", AbstractArray(shape, dtype, result.storage, strides_of(result)), x)
    return result


def _ordered(x: Any) -> Any:
    """A real array of at most two elements along each axis, which lie in memory in the order of `x`."""
    shape = tuple(min(n, 2) for n in x.shape)
    strides = strides_of(x)
    steps, step = [0] * len(shape), 1
    for axis in sorted(range(len(shape)), key=lambda i: (abs(strides[i]), -i)):
        if strides[axis]:
            steps[axis], step = step, 2 * step
    return as_strided(np.zeros(step, np.bool_), shape, steps)


def _take(x: Any, indices: Any, axis: int | None = None, **_: Any) -> AbstractArray:
    shape = _shape(x)
    if axis is None:
        return _gathers(_shape(indices), x.dtype)
    axis = _axis(axis, len(shape))
    return _gathers((*shape[:axis], *_shape(indices), *shape[axis + 1 :]), x.dtype)


def _gathers(shape: Shape, dtype: np.dtype[Any]) -> AbstractArray:
    """A new array of elements that are gathered."""
    did("gather", dtype.name, math.prod(shape))
    return AbstractArray(shape, dtype)


def _take_along_axis(x: Any, indices: Any, axis: int = -1) -> AbstractArray:
    axis = _axis(axis, len(_shape(x)))
    shape = tuple(n if i != axis else _shape(indices)[axis] for i, n in enumerate(np.broadcast_shapes(_off(x, axis), _off(indices, axis))))
    return _gathers(shape, x.dtype)


def _off(x: Any, axis: int) -> Shape:
    return tuple(1 if i == axis else n for i, n in enumerate(_shape(x)))


def _bits(function: str, x: AbstractArray, size: int) -> AbstractArray:
    """Bytes that are packed of bits, or bits of bytes; the longer side is walked."""
    out = AbstractArray((size,), np.uint8)
    walked(function, np.uint8, (max(size, x.size),), (out, x))
    return out


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "reshape": lambda x, shape, order="C", copy=None: _reshape(x, shape, copy),
    "ravel": lambda x, **_: _reshape(x, (-1,)),
    "transpose": lambda x, axes=None: _view(x, lambda layout: np.transpose(layout, axes)),
    "matrix_transpose": lambda x: x.mT,
    "swapaxes": lambda x, a, b: x.swapaxes(a, b),
    "moveaxis": lambda x, source, target: _view(x, lambda layout: np.moveaxis(layout, source, target)),
    "expand_dims": lambda x, axis: _view(x, lambda layout: np.expand_dims(layout, axis)),
    "squeeze": lambda x, axis=None: _view(x, lambda layout: np.squeeze(layout, axis)),
    "broadcast_to": lambda x, shape, **_: _view(x, lambda layout: np.broadcast_to(layout, shape)),
    "flip": lambda x, axis=None: _view(x, lambda layout: np.flip(layout, axis)),
    "roll": lambda x, shift, axis=None: _copied("roll", _like(x), x),
    "sliding_window_view": lambda x, window_shape, axis=None, **_: _view(x, lambda layout: sliding_window_view(layout, window_shape, axis)),
    "diagonal": lambda x, offset=0, axis1=0, axis2=1: _view(x, lambda layout: np.diagonal(layout, offset, axis1, axis2)),
    "sum": lambda x, axis=None, keepdims=False, **_: x.sum(axis=axis, keepdims=keepdims),
    "prod": lambda x, axis=None, keepdims=False, **_: x.prod(axis=axis, keepdims=keepdims),
    "max": lambda x, axis=None, keepdims=False, **_: x.max(axis=axis, keepdims=keepdims),
    "min": lambda x, axis=None, keepdims=False, **_: x.min(axis=axis, keepdims=keepdims),
    "mean": lambda x, axis=None, keepdims=False, **_: x.mean(axis=axis, keepdims=keepdims),
    "argmax": lambda x, axis=None, keepdims=False, **_: x.argmax(axis=axis, keepdims=keepdims),
    "zeros_like": lambda x, *args, **options: _copied("fill", _like(x, *args, **options), 0),
    "ones_like": lambda x, *args, **options: _copied("fill", _like(x, *args, **options), 1),
    "empty_like": _like,
    "full_like": _full_like,
    "copyto": lambda target, source, **_: moved("put", target, source),
    "where": _where,
    "clip": _clip,
    "round": lambda x, decimals=0, **_: _mapped("round", (x,), x.dtype, 3 if decimals else 1),
    "isclose": lambda x, y, **_: _mapped("isclose", (x, y), np.bool_, 6),
    "nan_to_num": lambda x, **_: _mapped("nan_to_num", (x,), x.dtype),
    "packbits": lambda x, axis=None, **_: _bits("packbits", x, -(-x.size // 8)),
    "unpackbits": lambda x, axis=None, count=None, **_: _bits("unpackbits", x, 8 * x.size if count is None else count),
    "concatenate": _concatenate,
    "stack": lambda arrays, axis=0, **_: _concatenate([np.expand_dims(a, axis) for a in arrays], axis),
    "take": _take,
    "take_along_axis": _take_along_axis,
    "put_along_axis": lambda x, indices, values, axis=-1: did("scatter", x.dtype.name, math.prod(_shape(indices))),
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x, axis=None: x.size if axis is None else x.shape[axis],
    "may_share_memory": lambda a, b, **_: a.storage is b.storage,
}
"""numpy function -> its shape and cost on abstract arrays."""

from diffcore.arrays import costs_linalg  # noqa: E402  # it builds on the class above

FUNCTIONS.update(costs_linalg.FUNCTIONS)
