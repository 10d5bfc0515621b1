"""Ops that move elements without arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_contiguous, is_mutable, namespace, values_of
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import indexing as _i
from diffcore.kernels import shape as _s
from diffcore.kernels import strides as _t
from diffcore.ops.axes import Tensor, axes_of, axis_of
from diffcore.seeds import array_under
from diffcore.whole import integer

__all__ = [
    "broadcast_to",
    "clone",
    "expand",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "moveaxis",
    "movedim",
    "permute",
    "ravel",
    "repeat_interleave",
    "reshape",
    "roll",
    "rot90",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "tile",
    "transpose",
    "unflatten",
    "unsqueeze",
]


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one entry may be -1."""
    wanted = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    return _s.reshape(x, shape=_known(tuple(map(operator.index, wanted)), x))


def _known(shape: tuple[int, ...], x: Tensor) -> tuple[int, ...]:
    """`shape` with its -1 worked out from the size of `x`."""
    if -1 not in shape:
        return shape
    size = int(np.prod(x.shape, dtype=np.int64))
    rest = int(np.prod([n for n in shape if n != -1], dtype=np.int64))
    if shape.count(-1) > 1 or rest == 0 or size % rest:
        raise ShapeError(f"reshape: shape {list(shape)} is invalid for input of size {size}")
    return tuple(size // rest if n == -1 else n for n in shape)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge the axes from `start_dim` to `end_dim` (inclusive) into one."""
    if x.ndim == 0:
        return reshape(x, (1,))
    first, last = (axis_of(d, x.ndim) + x.ndim for d in (start_dim, end_dim))
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} cannot come after end_dim {end_dim}")
    return reshape(x, (*x.shape[:first], int(np.prod(x.shape[first : last + 1], dtype=np.int64)), *x.shape[last + 1 :]))


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two axes."""
    order = list(range(-x.ndim, 0))
    a, b = axis_of(dim0, x.ndim), axis_of(dim1, x.ndim)
    if x.ndim:
        order[a], order[b] = order[b], order[a]
    return _s.transpose(x, axes=tuple(order))


def permute(x: Tensor, *dims: Any) -> Tensor:
    """Reorder all axes."""
    wanted = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    axes = tuple(axis_of(d, x.ndim) for d in wanted)
    if sorted(axes) != list(range(-x.ndim, 0)):
        raise ShapeError(f"permute: dims {wanted} is not a permutation of the {x.ndim} axes of shape {tuple(x.shape)}")
    return _s.transpose(x, axes=axes)


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """`x` repeated to `shape` without copying."""
    return _s.broadcast_to(x, shape=tuple(shape))


def expand(x: Tensor, *sizes: Any) -> Tensor:
    """`x` repeated along axes of size one without copying; -1 keeps an axis as it is."""
    wanted = tuple(map(operator.index, _listed(sizes)))
    own = (*(None,) * (len(wanted) - x.ndim), *x.shape)
    return _s.broadcast_to(x, shape=tuple(n if w == -1 else w for w, n in zip(wanted, own, strict=False)))


def astype(x: Tensor, dtype: Any) -> Tensor:
    """A cast, recorded; to the same dtype, `x` itself. Raises `DTypeError` for what is no dtype of numbers."""
    try:
        wanted = None if dtype is None else np.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted is None or wanted.kind not in "biufc" and wanted.name != "bfloat16":
        shown = repr(dtype) if isinstance(dtype, str | np.dtype) else getattr(dtype, "__name__", type(dtype).__name__)
        raise DTypeError(f"astype: `dtype` (={shown}) is not a dtype of numbers: expected one like `numpy.float32`")
    dtype = wanted
    return x if x.dtype == dtype else _s.astype(x, dtype=dtype)


def _listed(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes or axes given one by one or as one sequence."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes


def view(x: Tensor, *shape: Any) -> Tensor:
    """`x` in another shape and the same memory; one entry may be -1. On jax, where memory is never shared, as `reshape`.

    Raises `ShapeError` where numpy could only copy, and as `reshape`.
    """
    wanted = _known(tuple(map(operator.index, _listed(shape))), x)
    array = array_under(x)
    if is_mutable(array) and array.size == int(np.prod(wanted, dtype=np.int64)):
        try:
            np.reshape(array, wanted, copy=False)
        except ValueError:
            raise ShapeError(
                f"view: view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
                f"contiguous subspaces): {tuple(x.shape)} as {wanted}. Use `.reshape(...)` instead."
            ) from None
    return _s.reshape(x, shape=wanted)


def view_as(x: Tensor, other: Tensor) -> Tensor:
    """`x` as a view of the shape of `other`."""
    return view(x, tuple(other.shape))


def reshape_as(x: Tensor, other: Tensor) -> Tensor:
    """`x` in the shape of `other`."""
    return reshape(x, tuple(other.shape))


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """`x` repeated to the shape of `other` without copying."""
    return expand(x, tuple(other.shape))


def ravel(x: Tensor) -> Tensor:
    """All elements along one axis."""
    return reshape(x, (-1,)) if x.ndim != 1 else x


def unflatten(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Axis `dim` split into axes of `sizes`, of which one may be -1. Raises `ShapeError` where they do not multiply up."""
    at = axis_of(dim, x.ndim) + x.ndim
    if not x.ndim or not sizes:
        raise ShapeError(f"unflatten: `sizes` (={tuple(sizes)}) must be non-empty, and `x` {tuple(x.shape)} needs at least one axis")
    n, given = x.shape[at], [operator.index(m) for m in sizes]
    known = int(np.prod([m for m in given if m != -1], dtype=np.int64))
    if given.count(-1) > 1 or (known == 0 or n % known if -1 in given else known != n):
        raise ShapeError(f"unflatten: provided sizes {given} don't multiply up to the size of dim {dim} ({n}) in the input tensor")
    return _s.reshape(x, shape=(*x.shape[:at], *(n // known if m == -1 else m for m in given), *x.shape[at + 1 :]))


def squeeze(x: Tensor, dim: int | Sequence[int] | None = None, *, axis: int | Sequence[int] | None = None) -> Tensor:
    """`x` without its axes of size one: all of them, or those in `dim`, where others are left as they are."""
    dim = axis if dim is None else dim
    axes = range(-x.ndim, 0) if dim is None else () if isinstance(dim, Sequence) and not dim else axes_of(x, dim, None)
    return _s.reshape(x, shape=tuple(n for i, n in enumerate(x.shape, -x.ndim) if n != 1 or i not in axes))


def unsqueeze(x: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`x` with a new axis of size one, which is `dim` of the result."""
    at = axis_of(axis if dim is None else dim, x.ndim + 1) + x.ndim + 1
    return _s.reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


def t(x: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and scalars are left as they are. Raises `ShapeError` for more than two axes."""
    if x.ndim > 2:
        raise ShapeError(f"t: expects a tensor with <= 2 dimensions, but `x` is {x.ndim}D, {tuple(x.shape)}. Did you mean `x.mT`?")
    return transpose(x, 0, 1) if x.ndim == 2 else x


def swapaxes(x: Tensor, axis0: int, axis1: int) -> Tensor:
    """Swap two axes; numpy's name of `transpose`."""
    return transpose(x, axis0, axis1)


def swapdims(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two axes; another name of `transpose`."""
    return transpose(x, dim0, dim1)


def movedim(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The axes `source` moved to the positions `destination`; the others keep their order."""
    pairs = [(d,) if not isinstance(d, Sequence) else tuple(d) for d in (source, destination)]
    if len(pairs[0]) != len(pairs[1]):
        raise ShapeError(f"movedim: `source` (={pairs[0]}) and `destination` (={pairs[1]}) must name equally many axes")
    taken, put = ([axis_of(d, x.ndim) + max(x.ndim, 1) for d in dims] for dims in pairs)
    for name, given, dims in (("source", pairs[0], taken), ("destination", pairs[1], put)):
        if len(set(dims)) != len(dims):
            raise ShapeError(f"movedim: repeated dim in `{name}` (={given})")
    if not x.ndim:
        return x
    order = [i for i in range(x.ndim) if i not in taken]
    for at, i in sorted(zip(put, taken, strict=True)):
        order.insert(at, i)
    return permute(x, order)


def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Another name of `movedim`, as in numpy."""
    return movedim(x, source, destination)


def flip(x: Tensor, *dims: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """A copy of `x` backwards along `dims`. Raises `ShapeError` for an axis named twice, `IndexError` for one that is not there."""
    wanted = _listed(dims if axis is None else (axis,))
    axes = axes_of(x, wanted, None) if wanted else ()
    return _s.flip(x, axes=axes)


def fliplr(x: Tensor) -> Tensor:
    """`x` backwards along axis 1. Raises `ShapeError` for fewer than two axes."""
    if x.ndim < 2:
        raise ShapeError(f"fliplr: input must be >= 2-d, got shape {tuple(x.shape)}")
    return flip(x, 1)


def flipud(x: Tensor) -> Tensor:
    """`x` backwards along axis 0. Raises `ShapeError` for a scalar."""
    if x.ndim < 1:
        raise ShapeError("flipud: input must be >= 1-d, got shape ()")
    return flip(x, 0)


def roll(
    x: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None, *, axis: int | Sequence[int] | None = None
) -> Tensor:
    """`x` shifted along `dims`, what leaves at the end coming in at the beginning; without `dims` as if flattened.

    An axis may be named several times: its shifts add up. Raises `ShapeError` where there are not as many shifts as axes.
    """
    dims = axis if dims is None else dims
    by = tuple(map(operator.index, shifts)) if isinstance(shifts, Sequence) else (operator.index(shifts),)
    if dims is None:
        if len(by) != 1:
            raise ShapeError(f"roll: shifts and dimensions must align. shifts: {len(by)}, dims: 0")
        return reshape(_s.roll(reshape(x, (-1,)), shifts=by, axes=(-1,)), tuple(x.shape))
    along = tuple(dims) if isinstance(dims, Sequence) else (dims,)
    if len(along) != len(by):
        raise ShapeError(f"roll: shifts and dimensions must align. shifts: {len(by)}, dims: {len(along)}")
    axes = tuple(axis_of(d, x.ndim) for d in along)
    return _s.roll(x, shifts=by, axes=axes) if x.ndim else x


def rot90(x: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy of `x` turned by `k` times 90 degrees in the plane of `dims`, from the first towards the second."""
    k = integer("rot90", "k", k)
    if len(dims) != 2:
        raise ShapeError(f"rot90: expected total rotation dims == 2, but got `dims` (={tuple(dims)})")
    first, second = (axis_of(d, x.ndim) for d in dims)
    if first == second:
        raise ShapeError(f"rot90: expected rotation dims to be different, but got `dims` (={tuple(dims)})")
    if k % 4 == 2:
        return flip(x, first, second)
    if k % 4 == 0:
        return clone(x)
    return flip(transpose(x, first, second), first) if k % 4 == 1 else flip(transpose(x, first, second), second)


def repeat(x: Tensor, *sizes: Any) -> Tensor:
    """A copy of `x` side by side `sizes[i]` times along axis `i`, with new axes in front where there are more sizes: `numpy.tile`.

    Raises `ShapeError` for fewer sizes than axes or a negative one.
    """
    return _repeated("repeat", x, tuple(map(operator.index, _listed(sizes))))


def _repeated(op: str, x: Tensor, counts: tuple[int, ...]) -> Tensor:
    if len(counts) < x.ndim:
        raise ShapeError(
            f"{op}: number of dimensions of repeat dims ({len(counts)}) can not be smaller than number of dimensions of tensor, `x` has "
            f"shape {tuple(x.shape)}"
        )
    if min(counts, default=0) < 0:
        raise ShapeError(f"{op}: the numbers of repetitions {counts} must not be negative")
    shape = (*(1,) * (len(counts) - x.ndim), *x.shape)
    apart = _s.reshape(x, shape=tuple(m for n in shape for m in (1, n)))
    spread = broadcast_to(apart, tuple(m for c, n in zip(counts, shape, strict=True) for m in (c, n)))
    return _s.reshape(_s.clone(spread), shape=tuple(c * n for c, n in zip(counts, shape, strict=True)))


def tile(x: Tensor, *dims: Any) -> Tensor:
    """A copy of `x` side by side `dims[i]` times, the last counts for the last axes: `repeat` that takes fewer counts than axes."""
    counts = tuple(map(operator.index, _listed(dims)))
    return _repeated("tile", x, (*(1,) * (x.ndim - len(counts)), *counts))


def repeat_interleave(
    x: Tensor, repeats: Any, dim: int | None = None, *, axis: int | None = None, output_size: int | None = None
) -> Tensor:
    """Each element of `x` `repeats` times in a row along `dim`, or of the flattened tensor: `numpy.repeat`.

    **Arguments:** `repeats`: a number, or integers `[n]` (or `[1]`), one for each position along `dim`; `output_size`: their sum, needed
    where `repeats` is traced by `jax.jit`. Raises `ShapeError` for another number of repeats or a negative one, `DTypeError` for others.
    """
    dim = axis if dim is None else dim
    x, dim = (reshape(x, (-1,)), -1) if dim is None or not x.ndim else (x, axis_of(dim, x.ndim))
    n, count = x.shape[dim], unboxed(repeats)
    if isinstance(count, Sequence):
        count = np.asarray(count, None if len(count) else np.int64)
    if is_array(count) and count.dtype.kind not in "iu":
        raise DTypeError(f"repeat_interleave: expected `repeats` to hold integers, got {count.dtype}")
    if is_array(count) and count.ndim and count.shape != (1,):
        if tuple(count.shape) != (n,):
            raise ShapeError(
                f"repeat_interleave: repeats must have the same size as input along dim, but got repeats {tuple(count.shape)} and `x` "
                f"{tuple(x.shape)} with {n} along dim {dim}"
            )
        known = values_of(count)
        if known is not None and known.min(initial=0) < 0:
            raise ShapeError(f"repeat_interleave: repeats can not be negative, got {known.min()}")
        options = {} if namespace((count,)) is np else {"total_repeat_length": output_size}
        places = namespace((count,)).repeat(np.arange(n), count, **options)
        return _i.getitem(x, index=(*(slice(None),) * (x.ndim + dim), places))
    count = operator.index(count.reshape(()) if is_array(count) else count)
    if count < 0:
        raise ShapeError(f"repeat_interleave: repeats must be non-negative, got {count}")
    at = x.ndim + dim
    apart = broadcast_to(unsqueeze(x, at + 1), (*x.shape[: at + 1], count, *x.shape[at + 1 :]))
    return _s.reshape(_s.clone(apart), shape=(*x.shape[:at], n * count, *x.shape[at + 1 :]))


def clone(x: Tensor) -> Tensor:
    """A copy in memory of its own, recorded: derivatives flow on to `x`. Raises `DTypeError` for what is no tensor."""
    if not isinstance(x, Boxed) and not is_array(x):
        raise DTypeError(f"clone: expected a tensor, got {type(x).__name__}")
    return _s.clone(x)


def contiguous(x: Tensor) -> Tensor:
    """`x` in row-major order: itself where its elements lie so in memory (always on jax), otherwise a copy, recorded."""
    return x if is_contiguous(array_under(x)) else _s.clone(x)


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements along `dimension`, `step` apart, each along a new last axis: a view on numpy.

    Raises `ShapeError` for a window larger than the axis or negative, or a step that is not positive.
    """
    axis = axis_of(dimension, x.ndim)
    size, step = operator.index(size), operator.index(step)
    n = x.shape[axis] if x.ndim else 1
    if size < 0:
        raise ShapeError(f"unfold: `size` is {size} but must be >= 0")
    if step <= 0:
        raise ShapeError(f"unfold: `step` is {step} but must be > 0")
    if size > n:
        raise ShapeError(f"unfold: maximum size for `x` {tuple(x.shape)} at dimension {dimension} is {n} but `size` is {size}")
    if not x.ndim:
        return _i.getitem(reshape(x, (1,)), index=(slice(0, size),))
    return _t.unfold(x, axis=axis, size=size, step=step)
