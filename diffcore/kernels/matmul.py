"""Matrix products: multilinear, so a tangent is pushed by the product itself and the adjoints are products again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.broadcast import align, fill, unbroadcast
from diffcore.kernels.families import multilinear
from diffcore.kernels.layout import MANY, in_order
from diffcore.kernels.placed import Placed
from diffcore.kernels.record import Call, Inline, Shape
from diffcore.seeds import divided_of, one_hot_of


def _product(xp: Any, a: Any, b: Any) -> Any:
    """`a @ b`; a stack of matrices times one matrix is one product of a taller matrix, and one matrix times many vectors one product."""
    if a.ndim > 2 and b.ndim == 2:
        return xp.matmul(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b).reshape((*a.shape[:-1], b.shape[-1]))
    if a.ndim == 2 and b.ndim > 2 and b.shape[-1] == 1 and a.shape[-1] == b.shape[-2]:
        return xp.matmul(b.reshape(math.prod(b.shape[:-2]), b.shape[-2]), a.mT).reshape((*b.shape[:-2], a.shape[0], 1))
    return xp.matmul(a, b)


def _lined_up(call: Call, operand: int, t: Any) -> Any:
    """`t` with its directions axis in front of all batch axes of the product."""
    ndim = len(call.shapes[operand])
    return t if t.ndim == ndim else align(t, ndim, len(call.shape))


def _push_matmul(call: Call, operand: int, t: Any) -> Any:
    a, b = call.primals
    t = _lined_up(call, operand, t)
    if operand == 0:
        return matmul(t, b)
    if len(call.shapes[0]) == 2 and t.ndim == 3 and t.shape[-1] == 1 and t.shape[0] >= MANY:
        directions, inner, _ = t.shape
        return matmul(a, t.reshape((directions, inner)).mT).mT.reshape((directions, call.shape[0], 1))
    return matmul(a, t)


def _flat(x: Any, lead: int) -> Any:
    """`x` as a matrix (after `lead` axes): every axis but the last merged."""
    return x if x.ndim == lead + 2 else x.reshape((*x.shape[:lead], math.prod(x.shape[lead:-1]), x.shape[-1]))


def _adjoint_a(g: Any, call: Call, b: Any) -> Any:
    return unbroadcast(matmul(g, b.mT), len(call.shape), call.shapes[0])


def _adjoint_b(g: Any, call: Call, a: Any) -> Any:
    if len(call.shapes[1]) == 2:
        return matmul(_flat(a, 0).mT, _flat(g, g.ndim - len(call.shape)))
    return unbroadcast(matmul(a.mT, g), len(call.shape), call.shapes[1])


def _explain_matmul(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str:
    x, y = shapes
    if len(x) < 2 or len(y) < 2:
        return f"both operands need at least one axis, got {x} and {y}"
    if x[-1] == y[-2]:
        return f"batch axes of `x` {x} and `y` {y} do not broadcast"
    hint = ". Did you mean `x @ y.T`?" if len(y) == 2 and x[-1] == y[-1] else ""
    return f"`x` {x} and `y` {y} disagree: {x[-1]} != {y[-2]}{hint}"


def _rows_of_product(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    """Row `b` of `a @ b` depends on row `b` of `a` alone; of `b` only where axis 0 is a batch axis of both."""
    if len(shapes[operand]) != len(shape) or shapes[operand][0] != shape[0]:
        return False
    return len(shape) > 2 or operand == 0


def _axes_of_product(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    """Rows of `a`, columns of `b`, and the batch axes of both."""
    after = axis + len(shape) - len(shapes[operand])
    summed = len(shapes[operand]) - (1 if operand == 0 else 2)
    return after if axis != summed and shapes[operand][axis] == shape[after] else None


def diagonal_in_right(a: Any, scale: Any, rows: slice, inner: Any, outer: Any, columns: int) -> Any:
    """`a @ b` for tangents of `b` that touch one element each, scaled by `scale[j]`: `[k, batch, columns]`, `Placed` where it can be.

    They are the `rows` of all elements, (`inner[j]`, `outer[j]`).
    """
    if columns == 1:  # of a vector, every element is touched once and in order
        picked = in_order(a[:, rows]).T if a[:, rows].shape[1] >= MANY else in_order(a.T[rows])
    else:
        picked = a.T[inner]
    if scale is not None:
        picked = picked * scale.reshape((-1, 1))
    k, batch = picked.shape
    if columns == 1:
        return picked.reshape((k, batch, 1))
    if is_mutable(picked):  # to be put into zeros, which takes a fraction of multiplying by them
        return Placed(picked, outer, columns)
    return picked.reshape((k, batch, 1)) * one_hot_of(a, outer, columns).reshape((k, 1, columns))


def _picked(scale: Any, rows: slice) -> Any:
    return None if scale is None else scale.reshape(-1)[rows]


def _diagonal_matmul(call: Call, operand: int, scale: Any, rows: slice, examples: bool) -> Any:
    a = call.primals[0]
    if len(call.shapes[0]) != 2 or len(call.shapes[1]) != 2 or examples or operand == 0:
        return None
    inner, outer = divided_of(a, rows, math.prod(call.shapes[1]), call.shapes[1][1])
    return diagonal_in_right(a, _picked(scale, rows), rows, inner, outer, call.shape[-1])


def _right_factor(call: Call, operand: int) -> Any:
    return call.primals[1] if operand == 0 and len(call.shapes[1]) == 2 else None


matmul = multilinear(
    "matmul",
    lambda xp, a, b: _product(xp, a, b),
    push=_push_matmul,
    diagonal=_diagonal_matmul,
    matrix=_right_factor,
    examples=_rows_of_product,
    carries_axis=_axes_of_product,
    sites=(1,),
    explain=_explain_matmul,
    a=_adjoint_a,
    b=_adjoint_b,
)


def _push_linear(call: Call, operand: int, t: Any) -> Any:
    if operand == 0:
        return matmul(t, call.primals[1].mT)
    if operand == 1:
        return matmul(call.primals[0], _lined_up(call, 1, t).mT)
    return fill(align(t, 1, len(call.shape)), call.shape, t.ndim - 1)


def _diagonal_linear(call: Call, operand: int, scale: Any, rows: slice, examples: bool) -> Any:
    if len(call.shapes[0]) != 2 or operand != 1 or examples:
        return None
    outer, inner = divided_of(call.primals[0], rows, math.prod(call.shapes[1]), call.shapes[1][1])
    return diagonal_in_right(call.primals[0], _picked(scale, rows), rows, inner, outer, call.shape[-1])


def _weight_of(call: Call, operand: int) -> Any:
    return call.primals[1].mT if operand == 0 else None


def _explain_linear(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str:
    x, weight = shapes[:2]
    if x[-1] != weight[-1]:
        return f"`input` {x} and `weight` {weight} disagree: the last axis of `input` must have {weight[-1]} features, not {x[-1]}"
    return f"`bias` {shapes[-1]} and `weight` {weight} disagree: `bias` must have shape {weight[:1]}"


def _linear(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    out = _product(xp, x, weight.mT)
    if xp is np and out.dtype == bias.dtype:
        out += bias  # the product is ours to change
        return out
    return out + bias


def _weight_adjoint(g: Any, call: Call, x: Any) -> Any:
    """`g^T x`, summed over every axis but the last."""
    return matmul(_flat(g, g.ndim - len(call.shape)).mT, _flat(x, 0))


def _bias_adjoint(g: Any, call: Call) -> Any:
    if type(g) is np.ndarray and g.ndim == 2:
        return np.add.reduce(g, axis=0)  # what `sum` comes to, without its detours
    return g.sum(axis=tuple(range(-len(call.shape), -1)))


def _input_adjoint(g: Any, call: Call, weight: Any) -> Any:
    return matmul(g, weight)


def _pull_linear(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    """The adjoints together: `linear` is in every network, and a small one spends a tenth of its time on calls of Python's."""
    x, weight = call.primals[:2]
    if g.ndim == 2 == len(call.shape):
        found = g @ weight if needs[0] else None, g.mT @ x if needs[1] else None
    else:
        found = _input_adjoint(g, call, weight) if needs[0] else None, _weight_adjoint(g, call, x) if needs[1] else None
    return found if len(needs) == 2 else (*found, _bias_adjoint(g, call) if needs[2] else None)


def _rows_of_input(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return operand == 0


def _axes_of_input(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return axis if operand == 0 and axis < len(shape) - 1 else None


_UNBIASED = Inline(
    ("{out} = np.matmul({x}, {weight}.mT)",),
    {"weight": ("{g_weight} = {g}.mT @ {x}",), "x": ("{g_x} = {g} @ {weight}",)},
    {},
    ndim=2,
)
_BIASED = _UNBIASED._replace(
    forward=(*_UNBIASED.forward, "{out} += {bias}"),
    pullback={"bias": ("{g_bias} = np.add.reduce({g}, axis=0) if type({g}) is ndarray else {g}.sum(axis=0)",), **_UNBIASED.pullback},
)

linear = multilinear(
    "linear",
    _linear,
    push=_push_linear,
    diagonal=_diagonal_linear,
    matrix=_weight_of,
    examples=_rows_of_input,
    carries_axis=_axes_of_input,
    sites=(1, 2),
    reads_shapes=False,
    explain=_explain_linear,
    pullback=_pull_linear,
    inline=_BIASED,
    x=_input_adjoint,
    weight=_weight_adjoint,
    bias=_bias_adjoint,
)
"""`x @ weight.T + bias` for `x` `[..., in]` (two axes or more), `weight` `[out, in]`, `bias` `[out]`."""

linear_unbiased = multilinear(
    "linear_unbiased",
    lambda xp, x, weight: _product(xp, x, weight.mT),
    push=_push_linear,
    diagonal=_diagonal_linear,
    matrix=_weight_of,
    examples=_rows_of_input,
    carries_axis=_axes_of_input,
    sites=(1,),
    reads_shapes=False,
    explain=_explain_linear,
    pullback=_pull_linear,
    inline=_UNBIASED,
    x=_input_adjoint,
    weight=_weight_adjoint,
)
"""`x @ weight.T`."""
