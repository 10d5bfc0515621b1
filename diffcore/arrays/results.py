"""Shapes, dtypes, strides and operations of what numpy's ufuncs, products and reductions make of operands, from their traits alone."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

import numpy as np

from diffcore.arrays.strides import CALLS, Shape, Trait, order_after, strides_after, strides_of_order, tiny

TRANSCENDENTAL = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
    "power float_power arctan2 hypot logaddexp erf erfc".split()
)
_FREE = frozenset(("positive", "conjugate"))


def is_transcendental(ufunc: np.ufunc) -> bool:
    """Whether what it computes is counted apart; so are functions that are not numpy's, such as scipy's, which are no single operations."""
    return ufunc.__name__ in TRANSCENDENTAL or getattr(np, ufunc.__name__, None) is not ufunc


def shape_of(value: Any) -> Shape:
    """The shape of an array, a number or a list."""
    return value.shape if hasattr(value, "shape") else np.shape(value)


def kind_of(value: Any) -> Any:
    """What numpy's promotion looks at: a dtype, or the Python type of a number (which promotes weakly)."""
    return type(value) if type(value) in (int, float, complex) else np.result_type(value) if not hasattr(value, "dtype") else value.dtype


@cache
def resolve(ufunc: np.ufunc, kinds: tuple[Any, ...]) -> np.dtype[Any]:
    """The dtype of the (last) result of `ufunc` on operands of such `kind_of`."""
    return ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))[-1]


@cache
def reduced_dtype(ufunc: np.ufunc, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which `ufunc` reduces elements of `dtype`."""
    return np.asarray(ufunc.reduce(np.ones(1, dtype))).dtype


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """The shape to which all of `shapes` broadcast: that of numpy, which is asked only where they differ."""
    different = {*shapes, ()}
    return different.pop() if len(different) == 1 else np.broadcast_shapes(*different) if len(different) > 2 else max(different, key=len)


def axis_of(axis: Any, ndim: int) -> int:
    """`axis` counted from the front; numpy's error where there is no such axis."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


def axes_of(shape: Shape, axis: Any) -> set[int]:
    """The axes that a reduction of an array of `shape` along `axis` is over."""
    if axis is None:
        return set(range(len(shape)))
    return {axis_of(a, len(shape)) for a in (axis if isinstance(axis, tuple) else (axis,))}


def reduced_shape(shape: Shape, axis: Any, keepdims: bool) -> tuple[Shape, list[int]]:
    """The shape of a reduction, and which axes of the operand its axes are."""
    axes = axes_of(shape, axis)
    left = [i for i in range(len(shape)) if keepdims or i not in axes]
    return tuple(1 if i in axes else shape[i] for i in left), left


@lru_cache(maxsize=CALLS)
def resulting(ufunc: np.ufunc, traits: tuple[Trait, ...], dtype: Any, order: str) -> tuple[Shape, Any, Shape | None, int, int]:
    """Shape, dtype and strides of what an elementwise function makes of such operands, its operations and its transcendentals."""
    shape = broadcast([trait[0] for trait in traits])
    dtype = np.dtype(dtype) if dtype else resolve(ufunc, tuple([kind for _, kind, _ in traits]))
    strides = strides_after(() if order == "C" else traits, shape, dtype)
    size = math.prod(shape)
    if is_transcendental(ufunc):
        return shape, dtype, strides, 0, size
    return shape, dtype, strides, 0 if ufunc.__name__ in _FREE else size, 0


@lru_cache(maxsize=CALLS)
def product(first: Trait, second: Trait) -> tuple[Shape, Any, Shape | None, tuple[int, int, int, int]]:
    """Shape, dtype and strides of a product of matrices, and how many of how many rows, columns and terms."""
    a, b = first[0], second[0]
    if not a or not b:
        raise ValueError("matmul: an operand does not have enough dimensions (needs at least 1)")
    rows, columns = (a[-2:-1], a[-1]), (b[-1:] if len(b) > 1 else (), b[-2] if len(b) > 1 else b[0])
    if rows[1] != columns[1]:
        raise ValueError(f"matmul: {a} and {b} disagree: {rows[1]} != {columns[1]}")
    shape = (*np.broadcast_shapes(a[:-2], b[:-2]), *rows[0], *columns[0])
    dtype = resolve(np.matmul, (first[1], second[1]))
    strides = None
    if len(shape) >= 4 and (first[2] is not None or second[2] is not None):
        stacks = slice(0, -2)  # as the stacks of matrices are ordered in the operands, so they are in the result
        order = order_after([tiny(first, stacks), tiny(second, stacks)], shape[stacks])
        strides = strides_of_order(shape, dtype, [*order, len(shape) - 2, len(shape) - 1])
    m, n = math.prod(rows[0]), math.prod(columns[0])
    return shape, dtype, strides, (math.prod(shape) // max(m * n, 1), m, n, rows[1])
