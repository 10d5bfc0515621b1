"""What the rows of a kernel cover, read off the kernel calls that their programs make, not off what the rows are called.

Every differentiable kernel is tried on each property below, on at least `LEAST_ROWS` rows, and misused in at least `LEAST_MISUSES` ways.
What a kernel cannot have is in `EXEMPT`, with the reason, and with the misuse that shows that it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from diffcore.kernels.record import Call, Kernel
from diffcore.testing.checks import active, calls_of
from diffcore.testing.scenario import Misuse, Scenario

LEAST_ROWS, LEAST_MISUSES = 12, 4
PROPERTIES = ("0-d", "empty", "size one", "broadcast", "non-contiguous", "repeated", "aliased")
"""What there must be a call with: an operand without axes, without elements, with one element (and axes), one repeated to the shape of
another, one with gaps in memory; the same tensor twice; two views that share memory.
"""


class Exemption(NamedTuple):
    """Why a kernel has no call with a property; `refused` is the case of the misuse that shows it."""

    reason: str
    refused: str = ""


def _needs_an_axis(reason: str, refused: str, *kernels: str) -> dict[str, dict[str, Exemption]]:
    return {kernel: {"0-d": Exemption(reason, refused)} for kernel in kernels}


EXEMPT: dict[str, dict[str, Exemption]] = {
    **_needs_an_axis("a product sums over an axis", "given a number", "matmul"),
    **_needs_an_axis("features or classes lie along an axis", "given a number", "linear", "linear_unbiased", "cross_entropy"),
    **_needs_an_axis("channels lie along an axis", "given a number", "conv", "conv_unbiased", "conv_transpose", "conv_weight"),
    **_needs_an_axis("it runs along an axis", "given a number", "cumsum", "cumprod", "prod", "logcumsumexp", "roll", "normalise"),
    **_needs_an_axis("it runs along an axis", "scalars", "recurrence"),
    **_needs_an_axis("it runs along an axis", "given a 0-d tensor", "gather", "scatter_add", "softmax", "log_softmax"),
    **_needs_an_axis("its rows lie along an axis", "given a number", "embedding"),
    **_needs_an_axis("matrices have two axes", "number", "solve", "solve_triangular", "inv", "cofactor", "det", "slogdet", "cholesky"),
    **_needs_an_axis("a diagonal lies in two axes, or is one", "number", "diagonal", "embed_diagonal"),
    **_needs_an_axis("windows slide along an axis", "given a number", "unfold", "max_pool", "window_sum"),
    **_needs_an_axis("windows slide along an axis", "axes", "pool_gather", "pool_scatter", "window_spread"),
    **_needs_an_axis("the windows are an axis", "number", "fold"),
    **_needs_an_axis("features lie along an axis", "given a number", "gru_cell", "recurrent"),
    **_needs_an_axis("features lie along an axis", "attention, a number", "attention"),
    "lstm_cell": {
        "0-d": Exemption("features lie along an axis", "given a number"),
        "repeated": Exemption("the gates are four times as wide as the cell", "gates for a cell"),
    },
}
"""Kernel -> property -> why it has none."""


def several(kernel: Kernel, rows: tuple[Scenario, ...]) -> bool:
    """Whether a call of the kernel can have several floating operands."""
    return any(len(active(call)) > 1 for row in rows for call in calls_of(row) if call.kernel.name == kernel.name)


def covered(kernel: Kernel, rows: tuple[Scenario, ...]) -> dict[str, list[str]]:
    """Property -> the cases among `rows` that have it. A row laid out with gaps by the checkers counts as non-contiguous."""
    found: dict[str, list[str]] = {name: [] for name in PROPERTIES}
    within = several(kernel, rows)
    for row in rows:
        program = calls_of(row)
        calls = [call for call in program if call.kernel.name == kernel.name]
        properties = set(_of_operands(calls)) | set(_of_one_call(calls) if within else _of_two_calls(calls, program))
        elsewhere = () if row.strided or row.contiguous else calls_of(replace(row, strided=True))
        if any(_has_gaps(call) for call in elsewhere if call.kernel.name == kernel.name):
            properties.add("non-contiguous")
        for name in properties:
            found[name].append(row.case)
    return found


def missing(kernel: Kernel, rows: tuple[Scenario, ...]) -> list[str]:
    """The properties that no row has and that the kernel is not exempt from. One operand alone is never broadcast."""
    excused = set(EXEMPT.get(kernel.name, ())) | (set() if len(kernel.operands) > 1 else {"broadcast"})
    return [name for name, cases in covered(kernel, rows).items() if not cases and name not in excused]


def _of_operands(calls: list[Call]) -> Iterator[str]:
    for call in calls:
        for i in active(call):
            x = call.primals[i]
            if x.shape == ():
                yield "0-d"
            elif x.size == 1:
                yield "size one"
            elif x.size == 0:
                yield "empty"
        if _has_gaps(call):
            yield "non-contiguous"
        if any(_is_broadcast(one, other) for one in call.shapes for other in (*call.shapes, call.shape)):
            yield "broadcast"


def _has_gaps(call: Call) -> bool:
    return any(isinstance(call.primals[i], np.ndarray) and not call.primals[i].flags.c_contiguous for i in active(call))


def _is_broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether `one` has fewer axes than `other`, or an axis of size one where that has more."""
    return len(one) < len(other) or any(a == 1 != b for a, b in zip(reversed(one), reversed(other), strict=False))


def _of_one_call(calls: list[Call]) -> Iterator[str]:
    """What holds of two operands of one call."""
    for call in calls:
        for x, y in combinations([call.primals[i] for i in active(call)], 2):
            yield from _relation(x, y)


def _of_two_calls(calls: list[Call], program: list[Call]) -> Iterator[str]:
    """What holds of the operand of a call and one of another call of the program, for kernels with one operand.

    A view that another was taken from, or that was taken from it, is not a second one: calls whose results are views count only with
    calls of the same kernel.
    """
    for call, other in product(calls, program):
        if other is call or _makes_view(other) and other.kernel is not call.kernel:
            continue
        for x, y in product((call.primals[i] for i in active(call)), (other.primals[i] for i in active(other))):
            if x is y or other.kernel is call.kernel or not _makes_view(call):
                yield from _relation(x, y)


def _relation(x: Any, y: Any) -> Iterator[str]:
    if x is y:
        yield "repeated"
    elif np.may_share_memory(x, y):
        yield "aliased"


def _makes_view(call: Call) -> bool:
    return any(np.may_share_memory(call.out, call.primals[i]) for i in active(call))


def unfounded(kernel: str, misuses: tuple[Misuse, ...]) -> list[str]:
    """The exemptions of `kernel` that its misuses do not bear out: there is none of that name, or its operands lack the property."""
    found = {row.case: row for row in misuses}
    wrong = []
    for name, exemption in EXEMPT.get(kernel, {}).items():
        if not exemption.refused:
            continue
        row = found.get(exemption.refused)
        if row is None or name == "0-d" and all(np.shape(x) for x in row.operands()):
            wrong.append(f"{kernel}: no misuse {exemption.refused!r} shows that {name} is refused")
    return wrong
