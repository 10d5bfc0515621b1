"""Chains of layers on the tape: several operations in one node, until somebody looks at them.

A run of layers that each come to one kernel (see `diffcore.nn.chain`) is computed by code that is written for this sequence of kernels
(see `revdiff.straight`) and recorded as one closed node, which holds the residuals. The backward pass over it is such code too. Whatever
needs the operations apart (a recorded backward pass, a graph that is kept, shown or watched, a change in place) opens the node: it becomes
the last operation's, with nodes for the others before it, just as if they had been recorded one by one.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import clock
from diffcore.nn.chain import Chain
from revdiff.node import CHAIN, NO_PARAMS, Node, mode
from revdiff.residuals import settle
from revdiff.straight import Straight, straight

if TYPE_CHECKING:
    from revdiff.tensor import Tensor

_new = object.__new__
_primals, _levels, _dtypes = map(attrgetter, ("primal", "level", "dtype"))
_ARRAYS = {ndarray}, {AbstractArray}


def through(x: Tensor, chain: Chain) -> Tensor | None:
    """The tensor that `chain` makes of `x`, in one step; `None` where its layers have to be called one by one.

    That is unless `x` and the parameters are numpy arrays of one floating dtype at one level, and the parameters all variables.
    """
    value, what, level = x.primal, x.carried, x.level
    node: Node | None = None
    try:
        if not mode.enabled or what is None and not chain.places:
            value = _computed(value, level, chain)
            if value is None:
                return None
        else:
            code = chain.plans.get((what is None, value.ndim)) or _code(chain, what is not None, value.ndim)
            if code is None:
                return None
            made = code.forward(value, level, what, chain.values())
            if made is None:
                return None
            node = _new(Node)
            value, node.shape, node.dtype, node.parents, kept = made
            node.kernel = CHAIN
            node.aux = code, kept
            node.needs = node.primals = node.shapes = ()
            node.out = None
            node.params = NO_PARAMS
            node.order = next(clock)
            if what is not None and what.kernel is not None and what.kernel.deferred:
                first = code.recorded[0]
                settle(first.kernel, what, None if 0 in first.drop else x.primal)
    except (ValueError, TypeError, IndexError):
        return None  # called one by one, the layer that fails says what does not fit
    result: Tensor = _new(x.box)  # type: ignore[assignment]
    result.primal = value
    result.level = level
    result.carried = node
    return result


def _code(chain: Chain, needed: bool, ndim: int) -> Straight | None:
    """The code of `chain` for such an input, which the chain remembers."""
    if ndim < 2:
        return None
    found = chain.plans[not needed, ndim] = straight(tuple(chain.steps), needed, ndim)
    return found


def _computed(value: Any, level: int, chain: Chain) -> Any:
    """What the kernels of `chain` make of an array, where nothing is recorded."""
    parameters = chain.values()
    arrays = [*map(_primals, parameters)]
    if {type(value), *map(type, arrays)} not in _ARRAYS or {level, *map(_levels, parameters)} != {level} or value.ndim < 2:
        return None
    dtype = value.dtype
    if dtype.kind != "f" or {dtype, *map(_dtypes, arrays)} != {dtype}:
        return None
    for kernel, start, stop in chain.steps:
        value = kernel.compute(np, value, *arrays[start:stop])
    return value


def pull(node: Node, g: Any, found: dict[Node, Any]) -> tuple[list[Any], list[Any]]:
    """Carry the cotangent `g` of a closed chain back through it, which frees it.

    The gradients of its parameters go into `found`; returns what is still to be carried on: parents and their cotangents.
    """
    code = node.aux[0]
    below, *variables = node.parents
    node.kernel = code.recorded[-1].kernel  # by whose name it goes
    g, gradients = code.pullback(node, g)
    # Nearly always the parameters are leaves, used once: then they are at the end of their way here.
    for i, variable in enumerate(variables):
        if variable.kernel is not None or variable in found:
            return [below, *variables[i:]], [g, *gradients[i:]]
        found[variable] = gradients[i]
    return [below], [g]


def open_chain(node: Node) -> Node:
    """`node` itself, which is now that of the last operation of its chain. Other nodes are left as they are."""
    if node.kernel is not CHAIN or node.parents is None:
        return node
    code = node.aux[0]
    calls = code.calls(node)
    below, *variables = node.parents
    for i, (step, call) in enumerate(zip(code.recorded, calls, strict=True), 1):
        made: Node = node if i == len(calls) else _new(Node)
        if made is not node:
            made.dtype = node.dtype
            made.order = node.order - 1 + i / len(calls)  # between what came before and the last
        made.kernel = step.kernel
        made.parents = [below, *variables[step.start : step.stop]]
        made.needs = step.needs
        made.primals, made.out, made.params, made.aux = call.primals, call.out, call.params, call.aux
        made.shapes, made.shape = call.shapes, call.shape
        below = made
    return node
