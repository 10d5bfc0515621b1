"""Normalisation: elements less their mean, divided by their deviation, scaled and shifted, in one kernel.

    out = (x - mean) * rstd * weight + bias,    rstd = 1 / sqrt(mean((x - mean)^2) + eps)

over any axes, so that batch, layer, group and instance norm differ by axes alone. The derivative goes through the statistics. What is kept
is the input and one mean and one `rstd` per group of elements, which is one array of the input's size; the normalised elements are
made anew. Where all elements of a group are equal, `rstd` is `1 / sqrt(eps)`, and so is the derivative's scale.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.kernels.broadcast import align, fill, unbroadcast
from diffcore.kernels.elementwise import pow
from diffcore.kernels.families import irregular
from diffcore.kernels.owned import less, scaled
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.reduction import Axes, count, kept
from diffcore.seeds import zeros_of


def _average(x: Any, axis: Axes) -> Any:
    return x.sum(axis=axis, keepdims=True) / max(count(x.shape, axis), 1)


def _forward(
    xp: Any, x: Any, weight: Any, bias: Any, *, axis: Axes, eps: float, centred: bool, report: list[Any] | None
) -> tuple[Any, tuple[Any, Any]]:
    if centred:
        centre = _average(x, axis)
        out = x - centre
        variance = _average(out * out, axis)
    else:
        out, variance = x, _average(x * x, axis)
        centre = xp.zeros_like(variance)
    if report is not None:
        report[:] = centre, variance
    rstd = 1 / xp.sqrt(variance + eps)
    for factor in _factors(rstd, weight, x.shape):
        if out is x:
            out = x * factor
        else:
            out *= factor  # ours to change
    if hasattr(bias, "shape"):
        out += bias
    return out, (centre, rstd)


def _factors(rstd: Any, weight: Any, shape: Shape) -> tuple[Any, ...]:
    """`rstd * weight`, as one factor where that is smaller than what it scales."""
    if not hasattr(weight, "shape"):
        return (rstd,)
    if math.prod(np.broadcast_shapes(rstd.shape, weight.shape)) < math.prod(shape):
        return (rstd * weight,)
    return rstd, weight


def _constant(shape: Shape, axis: Axes) -> bool:
    """Whether a weight or bias of this shape has one value per group of elements."""
    return all(shape[a] == 1 for a in axis if -a <= len(shape))


def _normal(call: Call) -> Any:
    """`(x - mean) * rstd`: a new array or tensor."""
    x, (centre, rstd) = call.primals[0], call.aux
    if not call.params["centred"]:
        return x * rstd
    out = x - centre
    out *= rstd
    return out


def _through(t: Any, normal: Any, call: Call, scale: Any, first: Any = None, second: Any = None) -> Any:
    """`scale * (t - mean(t) - normal * mean(t * normal))`: the derivative of normalisation is symmetric.

    `first` and `second` are the sums of `t` and `t * normal` where the caller has them.
    """
    axis, centred = call.params["axis"], call.params["centred"]
    n = max(count(call.shapes[0], axis), 1)
    if second is None:
        second = (t * normal).sum(axis=axis, keepdims=True)
    out = normal * (second / n)
    out = np.subtract(t, out, out=out) if is_mutable(out) and is_mutable(t) and out.dtype == t.dtype else t - out
    if centred:
        out = less(out, (t.sum(axis=axis, keepdims=True) if first is None else first) / n)
    return scaled(out, scale)


def _pushforward(call: Call, tangents: Any) -> Any:
    (x, weight, bias), ndim = tangents, len(call.shape)
    total = None
    if x is not None or weight is not None:
        normal = _normal(call)
    if x is not None:
        first, *further = _factors(call.aux[1], call.primals[1], call.shape)
        total = _through(x, normal, call, first)
        for factor in further:
            total = scaled(total, factor)
    if weight is not None:
        term = align(weight, len(call.shapes[1]), ndim) * normal
        total = term if total is None else total + term
    if bias is not None:
        term = align(bias, len(call.shapes[2]), ndim)
        total = fill(term, call.shape, bias.ndim - len(call.shapes[2])) if total is None else total + term
    return total


def _pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    shape, of_weight, of_bias = call.shapes
    axis, ndim = call.params["axis"], len(shape)
    weight = call.primals[1]
    found: list[Any] = [None, None, None]
    normal = _normal(call) if needs[0] or needs[1] else None
    constant = _constant(of_weight, axis)
    first = g.sum(axis=axis, keepdims=True) if constant and needs[0] or needs[2] and _constant(of_bias, axis) else None
    product = g * normal if needs[1] or constant and needs[0] else None
    if constant and product is not None:
        product = product.sum(axis=axis, keepdims=True)
    if needs[0] and constant:
        scale = call.aux[1] * weight if hasattr(weight, "shape") else call.aux[1]
        found[0] = _through(g, normal, call, scale, first, product)
    elif needs[0]:
        found[0] = _through(g * weight, normal, call, call.aux[1])
    if needs[1]:
        found[1] = unbroadcast(product, ndim, of_weight)
    if needs[2]:
        found[2] = unbroadcast(first if _constant(of_bias, axis) else g, ndim, of_bias)
    return found


def _centre(x: Any, axis: Axes, centred: bool) -> Any:
    return _average(x, axis) if centred else zeros_of(x, kept(x.shape, axis))


def _rstd(x: Any, axis: Axes, centred: bool, eps: float) -> Any:
    out = x - _centre(x, axis, centred)
    return pow(_average(out * out, axis) + eps, -0.5)


normalise = irregular(
    "normalise",
    lambda xp, x, weight, bias, *, axis, eps, centred, report: _forward(
        xp, x, weight, bias, axis=axis, eps=eps, centred=centred, report=report
    )[0],
    forward=_forward,
    aux={"centre": _centre, "rstd": _rstd},
    pushforward=_pushforward,
    pullback=_pullback,
    keeps=(frozenset(("x", "weight", "centre", "rstd")), frozenset(("x", "centre", "rstd")), frozenset()),
    examples=lambda operand, shapes, shape, params: operand == 0 and len(shape) > 1 and -len(shape) not in params["axis"],
    carries_axis=lambda axis, operand, shapes, shape, params: axis if operand == 0 and axis - len(shape) not in params["axis"] else None,
    sites=(1, 2),
)
"""`x` normalised over `axis`, times `weight`, plus `bias`, which broadcast against it or are the numbers 1 and 0.

Without `centred` nothing is subtracted (RMS norm). A list given as `report` is filled with the mean and the (biased) variance, arrays of
which running statistics are made: they cost two more passes over the input otherwise.
"""
