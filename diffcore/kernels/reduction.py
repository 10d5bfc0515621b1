"""Reductions. Axes are normalised tuples of negative numbers, so that leading direction axes pass through untouched.

The ambiguous points have one answer in both modes, PyTorch's: elements that tie for `max` or `min` share the derivative evenly, `norm` has
derivative 0 where it is 0 (and at elements that are 0), `logsumexp` has `exp(x - out)`, which is NaN where an infinity meets itself.

Rules reduce with the kernel `sum`: for an operand without axes the tuple is empty, which the method `sum` of a tensor takes for all axes.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

from diffcore.arrays import is_mutable
from diffcore.kernels.elementwise import abs, equal, exp, pow, sign, where
from diffcore.kernels.families import alone, always, irregular, linear_map
from diffcore.kernels.layout import in_order
from diffcore.kernels.record import Call, Kernel, Shape
from diffcore.kernels.shape import broadcast_to

Axes = tuple[int, ...]


def kept(shape: Shape, axes: Axes) -> Shape:
    """`shape` with the (negative) `axes` of size one."""
    return tuple(1 if i - len(shape) in axes else n for i, n in enumerate(shape))


def dropped(shape: Shape, axes: Axes) -> Shape:
    """`shape` without the (negative) `axes`."""
    return tuple(n for i, n in enumerate(shape) if i - len(shape) not in axes)


def kept_of(g: Any, call: Call) -> Any:
    """A cotangent or tangent `[*lead, *r]` of the result with the reduced axes of size one."""
    lead = tuple(g.shape[: g.ndim - len(call.shape)])
    return g.reshape((*lead, *kept(call.shapes[0], call.params["axis"])))


def spread(g: Any, call: Call, lead: Shape) -> Any:
    """A cotangent of the reduced result, repeated along the axes that were reduced."""
    return broadcast_to(kept_of(g, call), shape=(*lead, *call.shapes[0]))


def count(shape: Shape, axes: Axes) -> int:
    """How many elements a reduction of `shape` over `axes` combines into one."""
    return math.prod(shape[axis] for axis in axes)


def apart(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    """A reduction keeps examples apart unless it reduces axis 0."""
    axes = params["axis"]
    return len(shapes[operand]) > 1 and -len(shapes[operand]) not in (axes if isinstance(axes, tuple) else (axes,))


def axes_kept(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    """A reduction carries the axes apart that it does not reduce; they move up where the others are dropped."""
    ndim, axes = len(shapes[operand]), params["axis"]
    gone = [a + ndim for a in (axes if isinstance(axes, tuple) else (axes,))]
    if axis in gone:
        return None
    return axis if len(shape) == ndim else axis - builtins.sum(a < axis for a in gone)


def _sum(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
    return x.sum(axis=axis, keepdims=keepdims)


def _mean(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
    return x.sum(axis=axis, keepdims=keepdims) / count(x.shape, axis)


def _of_each_example(call: Call, operand: int, scale: Any, rows: slice, examples: bool) -> Any:
    """A sum over all features: direction `f` touches feature `f` of every example, so it is what becomes of the example's sum."""
    shape = call.shapes[0]
    if not examples or scale is None or sorted(call.params["axis"]) != list(range(1 - len(shape), 0)):
        return None
    columns = in_order(scale.reshape((shape[0], math.prod(shape[1:]))).T[rows])
    return columns.reshape((columns.shape[0], *call.shape))


sum = linear_map(
    "sum", _sum, spread, examples=apart, carries_axis=axes_kept, diagonal=_of_each_example, uniform=always, merges=alone
)


def _number(call: Call) -> int:
    """What a mean divides by; of no elements it is NaN, but its derivative is 0."""
    return builtins.max(count(call.shapes[0], call.params["axis"]), 1)


def _mean_of_each_example(call: Call, operand: int, scale: Any, rows: slice, examples: bool) -> Any:
    columns = _of_each_example(call, operand, scale, rows, examples)
    return None if columns is None else columns / _number(call)


mean = linear_map(
    "mean",
    _mean,
    lambda g, call, lead: spread(g / _number(call), call, lead),
    push=lambda t, call, lead: sum(t, **call.params) / _number(call),
    examples=apart,
    carries_axis=axes_kept,
    uniform=always,
    merges=alone,
    diagonal=_mean_of_each_example,
)


# the largest and the smallest


def _extremum(name: str) -> Kernel:
    """`max` or `min`, which keep a mask of where it is attained: one byte per element. At a NaN it is nowhere, and the derivative NaN."""

    def number(call: Call, like: Any) -> Any:
        return sum(call.aux[0], axis=call.params["axis"], keepdims=True).astype(like.dtype)

    def pushforward(call: Call, tangents: Any) -> Any:
        (t,) = tangents
        return sum(call.aux[0] * (t / number(call, t)), **call.params)

    def pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
        return (call.aux[0] * (kept_of(g, call) / number(call, g)),)

    def compute(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
        return getattr(x, name)(axis=axis, keepdims=keepdims)

    return irregular(
        name,
        compute,
        pushforward=pushforward,
        pullback=pullback,
        aux={"attained": lambda x, out, axis: equal(x, out.reshape(kept(x.shape, axis)))},
        keeps=(frozenset(("attained",)),),
        examples=apart,
    carries_axis=axes_kept,
        merges=alone,
    )


max = _extremum("max")
min = _extremum("min")


def _position(name: str) -> Kernel:
    def compute(xp: Any, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
        return getattr(x, name)(axis=axis, keepdims=keepdims)

    return irregular(name, compute)


argmax = _position("argmax")
argmin = _position("argmin")

any = irregular("any", lambda xp, x, *, axis, keepdims=False: x.any(axis=axis, keepdims=keepdims))
all = irregular("all", lambda xp, x, *, axis, keepdims=False: x.all(axis=axis, keepdims=keepdims))


# spread about the mean


def _var(xp: Any, x: Any, *, axis: Axes, correction: float = 1, keepdims: bool = False) -> Any:
    n = count(x.shape, axis)
    centred = x - x.sum(axis=axis, keepdims=True) / n
    if is_mutable(centred):
        centred *= centred
    else:
        centred = centred * centred
    return centred.sum(axis=axis, keepdims=keepdims) / builtins.max(n - correction, 0)


def _var_slope(call: Call) -> Any:
    """2 (x - mean) / (n - correction), infinite or NaN without degrees of freedom."""
    x, axis = call.primals[0], call.params["axis"]
    freedom = count(call.shapes[0], axis) - call.params["correction"]
    return (x - mean(x, axis=axis, keepdims=True)) * (2 / freedom if freedom else math.inf)


def _by_slope(name: str, compute: Any, slope: Any, reads: tuple[str, ...]) -> Kernel:
    """A reduction whose derivative is one number per element of its operand, `slope(call)`, made anew in the rules."""

    def pushforward(call: Call, tangents: Any) -> Any:
        return sum(slope(call) * tangents[0], axis=call.params["axis"], keepdims=call.params.get("keepdims", False))

    def pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
        return (kept_of(g, call) * slope(call),)

    return irregular(
        name,
        compute,
        pushforward=pushforward,
        pullback=pullback,
        keeps=(frozenset(reads),),
        examples=apart,
        carries_axis=axes_kept,
    )


var = _by_slope("var", _var, _var_slope, ("x",))


# norms


def _norm(xp: Any, x: Any, *, axis: Axes, p: float, keepdims: bool = False) -> Any:
    """(sum |x|^p)^(1/p), scaled by the largest element (or for p < 0 the smallest), so that no power overflows."""
    size = xp.abs(x)
    scale = size.max(axis=axis, keepdims=True) if p > 0 else size.min(axis=axis, keepdims=True)
    scale = xp.where((scale > 0) & xp.isfinite(scale), scale, 1)
    ratio = size / scale
    total = (ratio * ratio if p == 2 else ratio**p).sum(axis=axis, keepdims=True)
    out = scale * (xp.sqrt(total) if p == 2 else total ** (1 / p))
    return out if keepdims else out.reshape(dropped(x.shape, axis))


def _norm_slope(call: Call) -> Any:
    """sign(x) (|x| / out)^(p - 1), and 0 where `x` or `out` is 0."""
    p, out = call.params["p"], kept_of(call.out, call)
    zero = equal(out, 0)
    ratio = where(zero, 0, call.primals[0] / where(zero, 1, out))
    if p == 2:
        return ratio
    return sign(ratio) * pow(where(equal(ratio, 0), 1, abs(ratio)), p - 1)


norm = _by_slope("norm", _norm, _norm_slope, ("x", "out"))
"""The vector norm of order `p`, for finite `p` other than 0."""


# sums of exponentials


def shifted(xp: Any, x: Any, axis: Axes) -> tuple[Any, Any]:
    """`x` less its maximum, and that maximum (0 where it is not finite, so that no inf - inf appears)."""
    top = x.max(axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)
    return x - top, top


def _logsumexp(xp: Any, x: Any, *, axis: Axes, keepdims: bool = False) -> Any:
    below, top = shifted(xp, x, axis)
    out = xp.log(xp.exp(below).sum(axis=axis, keepdims=True)) + top
    return out if keepdims else out.reshape(dropped(x.shape, axis))


logsumexp = _by_slope("logsumexp", _logsumexp, lambda call: exp(call.primals[0] - kept_of(call.out, call)), ("x", "out"))
