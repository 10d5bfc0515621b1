"""Sums of products over labelled axes: multilinear in any number of operands, so that the adjoints are such sums again.

The kernel takes the plain form that `diffcore.ops.einsum` brings an equation to: two operands or more, each a string of distinct labels,
one size per label, and no label that only one operand has and the result has not. Exchanging an operand and the result keeps that form.
"""

from __future__ import annotations

import itertools
import math
from functools import cache
from typing import Any

import numpy as np

from diffcore.kernels.record import Call, Kernel, Shape, register

Labels = tuple[str, ...]


@cache
def _path(inputs: Labels, output: str, shapes: tuple[Shape, ...]) -> tuple[tuple[int, ...], ...]:
    """Which operands to contract with one another, pair by pair, at the least cost that numpy finds."""
    letters = {label: i for i, label in enumerate(sorted(set("".join(inputs))))}
    stand_ins: list[Any] = []
    for labels, shape in zip(inputs, shapes, strict=True):
        stand_ins += [np.broadcast_to(np.zeros(()), shape), [letters[label] for label in labels]]
    thoroughly = "optimal" if len(inputs) < 6 else "greedy"
    return tuple(np.einsum_path(*stand_ins, [letters[label] for label in output], optimize=thoroughly)[0][1:])


def _einsum(xp: Any, *operands: Any, inputs: Labels, output: str) -> Any:
    if xp is not np:
        letters = {label: chr(ord("a") + i) if i < 26 else chr(ord("A") + i - 26) for i, label in enumerate(sorted(set("".join(inputs))))}
        spelt = ["".join(letters[label] for label in labels) for labels in (*inputs, output)]
        return xp.einsum(f"{','.join(spelt[:-1])}->{spelt[-1]}", *operands)
    if len(operands) == 2:
        return _pair(operands[0], operands[1], inputs[0], inputs[1], output)
    left: list[tuple[Any, str]] = list(zip(operands, inputs, strict=True))
    for chosen in _path(inputs, output, tuple(x.shape for x in operands)):
        (x, a), *others = [left.pop(i) for i in sorted(chosen, reverse=True)]
        while others:
            y, b = others.pop()
            rest = [labels for _, labels in (*left, *others)]
            wanted = _still_wanted(a + b, output, rest) if rest else output
            x, a = _pair(x, y, a, b, wanted), wanted
        left.append((x, a))
    return left[0][0]


def _still_wanted(labels: str, output: str, rest: list[str]) -> str:
    """Those of `labels` that the result or a later product needs."""
    needed = set(output).union(*rest)
    return "".join(label for label in dict.fromkeys(labels) if label in needed)


def _arranged(x: Any, labels: str, order: str) -> Any:
    return x if labels == order else x.transpose(tuple(labels.index(label) for label in order))


def _pair(x: Any, y: Any, a: str, b: str, output: str) -> Any:
    """Two operands: one (stack of) matrix product(s), or where nothing is summed an elementwise product."""
    size = {label: n for operand, labels in ((x, a), (y, b)) for label, n in zip(labels, operand.shape, strict=True)}
    summed = "".join(label for label in a if label in b and label not in output)
    stack = "".join(label for label in output if label in a and label in b)
    rows, columns = ("".join(label for label in output if label in one and label not in other) for one, other in ((a, b), (b, a)))
    if not summed:
        return _spread(x, a, output) * _spread(y, b, output)
    shape = tuple(size[label] for label in stack)
    m, k, n = (math.prod(size[label] for label in labels) for labels in (rows, summed, columns))
    left = _arranged(x, a, stack + rows + summed).reshape((*shape, m, k))
    right = _arranged(y, b, stack + summed + columns).reshape((*shape, k, n))
    found = (left @ right).reshape(tuple(size[label] for label in stack + rows + columns))
    return _arranged(found, stack + rows + columns, output)


def _spread(x: Any, labels: str, output: str) -> Any:
    """`x` with its axes in the order of `output`, and axes of size one for the labels it has not."""
    x = _arranged(x, labels, "".join(label for label in output if label in labels))
    shape = iter(x.shape)
    return x.reshape(tuple(next(shape) if label in labels else 1 for label in output))


def _unused(inputs: Labels, count: int) -> str:
    """Labels for the leading axes of tangents: Greek letters, which no equation has, and no rule has used before."""
    used = "".join(inputs)
    return "".join(itertools.islice((label for label in map(chr, itertools.count(ord("α"))) if label not in used), count))


def _pushforward(call: Call, tangents: Any) -> Any:
    inputs, output = call.params["inputs"], call.params["output"]
    total = None
    for i, t in enumerate(tangents):
        if t is None:
            continue
        lead = _unused(inputs, t.ndim - len(call.shapes[i]))
        operands = (*call.primals[:i], t, *call.primals[i + 1 :])
        term = call.kernel(*operands, inputs=(*inputs[:i], lead + inputs[i], *inputs[i + 1 :]), output=lead + output)
        total = term if total is None else total + term
    return total


def _pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    inputs, output = call.params["inputs"], call.params["output"]
    lead = _unused(inputs, g.ndim - len(call.shape))
    return [
        call.kernel(
            *call.primals[:i], g, *call.primals[i + 1 :], inputs=(*inputs[:i], lead + output, *inputs[i + 1 :]), output=lead + inputs[i]
        )
        if need
        else None
        for i, need in enumerate(needs)
    ]


def _rows_of(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    """Row `b` of the result depends on row `b` of an operand whose first label is the result's first."""
    return bool(params["output"]) and params["inputs"][operand][:1] == params["output"][:1]


def _axis_of_label(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    """Where the label of an axis is in the result."""
    after = params["output"].find(params["inputs"][operand][axis])
    return after if after >= 0 else None


@cache
def einsum(count: int) -> Kernel:
    """The kernel for `count` operands: `inputs` are their labels, `output` the result's."""
    names = tuple(f"operand {i}" for i in range(count))
    return Kernel(
        "einsum",
        names,
        _einsum,
        _pushforward,
        _pullback,
        keeps=tuple(frozenset(names[:i] + names[i + 1 :]) for i in range(count)),
        examples=_rows_of,
        carries_axis=_axis_of_label,
        sites=tuple(range(1, count)),
        reads_shapes=False,
    )


register(einsum(2))
