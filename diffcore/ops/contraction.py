"""Sums of products in Einstein's notation, and products over chosen axes."""

from __future__ import annotations

import builtins
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

from diffcore.errors import ShapeError
from diffcore.kernels import einsum as _k
from diffcore.ops.axes import Tensor, axis_of
from diffcore.ops.indexing import getitem
from diffcore.ops.out import with_out
from diffcore.ops.reduction import sum
from diffcore.ops.shape import permute, reshape
from diffcore.whole import integer

__all__ = ["einsum", "tensordot"]

_ELLIPSIS = string.digits + string.punctuation
"""Labels of the axes that `...` stands for, of the last of them last."""


def einsum(equation: Any, *operands: Any) -> Tensor:
    """The sum of products that `equation` spells: `einsum("bij,bjk->bik", x, y)`.

    Labels are letters; one repeated in an operand takes its diagonal, one missing after `->` is summed over; `...` stands for the remaining
    axes, which broadcast. Without `->`, the result has `...` and then the labels that occur once, in alphabetical order. Operands with
    lists of numbers, `einsum(x, [0, 1], y, [1, 2], [0, 2])`, mean the same. Raises `ShapeError` where sizes or labels do not fit.
    """
    if not isinstance(equation, str):
        equation, operands = _spelt((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    inputs, output = _parsed(equation, operands)
    size = _sizes(inputs, operands)
    plain = [_diagonal(x, labels, size) for x, labels in zip(operands, inputs, strict=True)]
    for i, (x, labels) in enumerate(plain):
        elsewhere = set(output).union(*(other for j, (_, other) in enumerate(plain) if j != i))
        alone = tuple(axis for axis, label in enumerate(labels) if label not in elsewhere)
        if alone:
            plain[i] = sum(x, alone), "".join(label for label in labels if label in elsewhere)
    if len(plain) == 1:
        x, labels = plain[0]
        return permute(x, tuple(labels.index(label) for label in output))
    return _k.einsum(len(plain))(*(x for x, _ in plain), inputs=tuple(labels for _, labels in plain), output=output)


def _spelt(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Operands alternating with lists of numbers, as an equation and operands."""
    count = len(arguments) // 2

    def word(axes: Any) -> str:
        try:
            return "".join("..." if axis is Ellipsis else string.ascii_letters[axis] for axis in axes)
        except (TypeError, IndexError):
            raise ShapeError(f"einsum: subscripts {axes!r} must be a list of `...` and numbers from 0 to 51") from None

    equation = ",".join(word(axes) for axes in arguments[1 : 2 * count : 2])
    if len(arguments) % 2:
        equation += "->" + word(arguments[-1])
    return equation, arguments[0 : 2 * count : 2]


def _parsed(equation: str, operands: Sequence[Any]) -> tuple[list[str], str]:
    """Labels of each operand and of the result, one character per axis."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        few = "fewer" if len(operands) < len(terms) else "more"
        raise ShapeError(f"einsum: {few} operands ({len(operands)}) were provided than specified in the equation ({len(terms)})")
    most = builtins.max(_hidden(term, x, i) for i, (term, x) in enumerate(zip(terms, operands, strict=True)))
    inputs = [
        term.replace("...", _ELLIPSIS[most - _hidden(term, x, i) : most]) for i, (term, x) in enumerate(zip(terms, operands, strict=True))
    ]
    if arrow:
        if not _letters(right):
            raise ShapeError(f"einsum: invalid subscript in the output {right!r}: subscripts must be letters and at most one `...`")
        output = right.replace("...", _ELLIPSIS[:most])
    else:
        count = Counter("".join(inputs))
        output = _ELLIPSIS[:most] + "".join(sorted(label for label, n in count.items() if n == 1 and label in string.ascii_letters))
    for label in output:
        if output.count(label) > 1:
            raise ShapeError(f"einsum: output subscript {label} appears more than once in the output")
        if label not in "".join(inputs):
            raise ShapeError(f"einsum: output subscript {label} does not appear in the equation for any input operand")
    return inputs, output


def _letters(term: str) -> bool:
    rest = term.replace("...", "", 1)
    return all(label in string.ascii_letters for label in rest)


def _hidden(term: str, x: Tensor, i: int) -> int:
    """How many axes of operand `i` the `...` in `term` stands for."""
    if not _letters(term):
        raise ShapeError(f"einsum: invalid subscript in {term!r} for operand {i}: subscripts must be letters and at most one `...`")
    named = len(term.replace("...", ""))
    if named > x.ndim or named < x.ndim and "..." not in term:
        none = "" if "..." in term else " and no ellipsis was given"
        raise ShapeError(
            f"einsum: the number of subscripts in the equation ({named}) does not match the number of dimensions ({x.ndim}) "
            f"for operand {i}{none}"
        )
    return x.ndim - named


def _sizes(inputs: list[str], operands: Sequence[Any]) -> dict[str, int]:
    """The size of each label, to which operands of size one broadcast."""
    size: dict[str, int] = {}
    for i, (labels, x) in enumerate(zip(inputs, operands, strict=True)):
        for label, n in zip(labels, x.shape, strict=True):
            once = x.shape[labels.index(label)]
            if n != once:
                raise ShapeError(f"einsum: subscript {label} is repeated for operand {i} but the sizes don't match, {n} != {once}")
            if size.setdefault(label, n) == 1:
                size[label] = n
            elif n not in (1, size[label]):
                raise ShapeError(
                    f"einsum: subscript {label} has size {n} for operand {i} which does not broadcast with previously seen size "
                    f"{size[label]}"
                )
    return size


def _diagonal(x: Tensor, labels: str, size: dict[str, int]) -> tuple[Tensor, str]:
    """`x` with one axis per label, on the diagonal of those that repeat, and without the axes that broadcast."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first, second = labels.index(label), labels.rindex(label)
            n = x.shape[first]
            rest = [axis for axis in range(len(labels)) if axis not in (first, second)]
            square = permute(x, (*rest, first, second))
            x = getitem(reshape(square, (*square.shape[:-2], n * n)), (..., slice(None, None, n + 1)))
            labels = "".join(labels[axis] for axis in rest) + label
    stay = [axis for axis, label in enumerate(labels) if x.shape[axis] == size[label]]
    if len(stay) < len(labels):
        x = reshape(x, tuple(x.shape[axis] for axis in stay))
    return x, "".join(labels[axis] for axis in stay)


def _counted(x: Tensor, axes: Any) -> list[int]:
    """Axes as numbers from 0."""
    return [axis_of(axis, x.ndim) + x.ndim for axis in (axes if isinstance(axes, Sequence) else [axes])]


@with_out
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over `dims`: that many last axes of `a` and first axes of `b`, or a pair of lists of axes."""
    if not isinstance(dims, Sequence):
        dims = integer("tensordot", "dims", dims)
        if not 0 <= dims <= builtins.min(a.ndim, b.ndim):
            raise ShapeError(f"tensordot: `dims` (={dims}) must be between 0 and the number of axes of `a` ({a.ndim}) and `b` ({b.ndim})")
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        left, right = (_counted(x, axes) for x, axes in zip((a, b), dims, strict=True))
    if len(left) != len(right):
        raise ShapeError(f"tensordot: both operands must have as many dims to contract, got {list(dims[0])} and {list(dims[1])}")
    for i, j in zip(left, right, strict=True):
        if a.shape[i] != b.shape[j]:
            raise ShapeError(
                f"tensordot: contracted dimensions need to match, but `a` {tuple(a.shape)} has size {a.shape[i]} in dim {i} and "
                f"`b` {tuple(b.shape)} has size {b.shape[j]} in dim {j}"
            )
    letters = iter(string.ascii_letters)
    labels = [next(letters) for _ in range(a.ndim)]
    others = [labels[left[right.index(j)]] if j in right else next(letters) for j in range(b.ndim)]
    free = [label for i, label in enumerate(labels) if i not in left] + [label for j, label in enumerate(others) if j not in right]
    return einsum(f"{''.join(labels)},{''.join(others)}->{''.join(free)}", a, b)
