"""Chains of layers on the tape: several operations in one node, until somebody looks at them.

A run of layers that each come to one kernel (see `diffcore.nn.chain`) is computed in one loop and recorded as one closed node, which
holds the call of every kernel with its residuals. The backward pass goes over these calls in one loop too. Whatever needs the operations
apart (a recorded backward pass, a graph that is kept, shown or watched, a change in place) opens the node: it becomes the last
operation's, with nodes for the others before it, just as if they had been recorded one by one.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import clock
from diffcore.kernels.record import Call, Kernel, Rule
from diffcore.nn.chain import Chain
from revdiff.node import CHAIN, NO_PARAMS, Node, mode
from revdiff.residuals import settle

if TYPE_CHECKING:
    from revdiff.tensor import Tensor

_new = object.__new__
_primals, _carried, _levels, _dtypes, _kernels, _shapes = map(attrgetter, ("primal", "carried", "level", "dtype", "kernel", "shape"))
_ARRAYS, _LEAVES = ({ndarray}, {AbstractArray}), {None}


class Recorded(NamedTuple):
    """A step of a chain, and what of its call is kept (see `diffcore.kernels.record.Plan`); `needs` is empty where nothing is recorded.

    `stand_in` is that of the kernel where the next step does not keep the result as its operand.
    """

    kernel: Kernel
    start: int
    stop: int
    needs: tuple[bool, ...]
    drop: tuple[int, ...] = ()
    keep_out: bool = False
    keep_aux: tuple[bool, ...] | None = None
    stand_in: Rule | None = None


def _plan(chain: Chain, needed: bool) -> list[Recorded]:
    """What is kept of every step. Whether a cotangent of its first operand is `needed` is given for the first, and so known for all."""
    found: list[Recorded] = []
    for kernel, start, stop in chain.steps:
        mask = (2 << stop - start) - 1 - (not needed)
        found.append(Recorded(kernel, start, stop, *kernel.plan(mask, 1 + stop - start)) if mask else Recorded(kernel, start, stop, ()))
        needed = needed or bool(mask)
        if len(found) > 1 and 0 in found[-1].drop:
            found[-2] = found[-2]._replace(stand_in=found[-2].kernel.stand_in)
    return found


def through(x: Tensor, chain: Chain) -> Tensor | None:
    """The tensor that `chain` makes of `x`, in one step; `None` where its layers have to be called one by one.

    That is unless `x` and the parameters are numpy arrays of one floating dtype at one level, and the parameters all variables.
    """
    parameters = chain.values()
    value, what, level = x.primal, x.carried, x.level
    arrays = [*map(_primals, parameters)]
    if {type(value), *map(type, arrays)} not in _ARRAYS or {level, *map(_levels, parameters)} != {level} or value.ndim < 2:
        return None
    dtype = value.dtype
    if dtype.kind != "f" or {dtype, *map(_dtypes, arrays)} != {dtype}:
        return None
    variables = [*map(_carried, parameters)]
    node: Node | None = None
    try:
        if not mode.enabled or (what is None and not variables):
            for kernel, start, stop in chain.steps:
                value = kernel.compute(np, value, *arrays[start:stop])
        elif None in variables:
            return None
        else:
            plan = chain.plans.get(what is None)
            if plan is None:
                plan = chain.plans[what is None] = _plan(chain, what is not None)
            calls: list[Call] = []
            shape, shapes = value.shape, [*map(_shapes, variables)]  # each tuple once; numpy would make it anew for every call
            for kernel, start, stop, needs, drop, keep_out, keep_aux, stand_in in plan:
                operands = [value, *arrays[start:stop]]
                if not needs:
                    value = kernel.compute(np, value)
                    shape = value.shape
                    continue
                call: Call = _new(Call)
                call.kernel = kernel
                call.primals = operands
                call.params = NO_PARAMS
                call.shapes = (shape, *shapes[start:stop]) if kernel.reads_shapes else ()
                if kernel.aux:
                    value, aux = kernel.forward(np, *operands)
                    call.aux = aux if keep_aux is None else tuple([a if kept else None for a, kept in zip(aux, keep_aux, strict=True)])
                else:
                    value = kernel.compute(np, *operands)
                    call.aux = ()
                call.out = (value if stand_in is None else stand_in(value)) if keep_out else None
                call.shape = shape = value.shape
                for i in drop:
                    operands[i] = None
                calls.append(call)
            node = _new(Node)
            node.kernel = CHAIN
            node.parents = [what, *variables]
            node.aux = plan, calls
            node.needs = node.primals = node.shapes = ()
            node.out = None
            node.params = NO_PARAMS
            node.shape = shape
            node.dtype = dtype
            node.order = next(clock)
            if what is not None and what.kernel is not None and what.kernel.deferred:
                settle(calls[0].kernel, what, calls[0].primals[0])
    except (ValueError, TypeError, IndexError):
        return None  # called one by one, the layer that fails says what does not fit
    result: Tensor = _new(x.box)  # type: ignore[assignment]
    result.primal = value
    result.level = level
    result.carried = node
    return result


def pull(node: Node, g: Any, found: dict[Node, Any]) -> tuple[list[Any], list[Any]]:
    """Carry the cotangent `g` of a closed chain back through it, which frees it, call by call.

    The gradients of its parameters go into `found`; returns what is still to be carried on: parents and their cotangents.
    """
    plan, calls = node.aux
    below, *variables = node.parents
    gradients = [None] * len(variables)
    node.parents = node.aux = None
    node.kernel = plan[-1].kernel  # by whose name it goes
    for step in plan[: -len(calls) - 1 : -1]:
        call = calls.pop()
        g, *gradients[step.start : step.stop] = step.kernel.pullback(call, g, step.needs)
    # Nearly always the parameters are leaves, used once: then they need not be looked at one by one.
    if found.keys().isdisjoint(variables) and {*map(_kernels, variables)} == _LEAVES and len({*variables}) == len(variables):
        found.update(zip(variables, gradients, strict=True))
        return [below], [g]
    return [below, *variables], [g, *gradients]


def open_chain(node: Node) -> Node:
    """`node` itself, which is now that of the last operation of its chain. Other nodes are left as they are."""
    if node.kernel is not CHAIN or node.parents is None:
        return node
    plan, calls = node.aux
    below, *variables = node.parents
    for i, (step, call) in enumerate(zip(plan[-len(calls) :], calls, strict=True), 1):
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
