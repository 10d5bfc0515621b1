"""Wrong kernels, made on purpose from right ones: each must be caught, or the checkers are not to be trusted.

`MUTATIONS` maps a name to a function from a kernel's call to the calls that its wrong copies would be checked on: none where this call
leaves nothing to spoil. `spared` says why no call of a kernel does, by the kernel's own declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from diffcore.kernels.record import Call, Kernel
from diffcore.testing.checks import active, altered, normal_like, push, with_kernel

Mutation = Callable[[Call], Iterator[Call]]
Change = Callable[[Any], Any]

PUSH, PULL = "pushforward", "pullback"


def _spoilt(call: Call, change: Change, *rules: str) -> Call:
    """`call` under a kernel whose `rules` return what `change` makes of what they returned."""
    kernel, wrong = call.kernel, dict[str, Any]()
    if PUSH in rules:
        wrong[PUSH] = lambda call, tangents: _changed(kernel.pushforward(call, tangents), change)  # type: ignore[misc]
    if PULL in rules:
        wrong[PULL] = lambda call, g, needs: [_changed(h, change) for h in kernel.pullback(call, g, needs)]  # type: ignore[misc]
    return with_kernel(call, altered(kernel, **wrong))


def _changed(x: Any, change: Change) -> Any:
    return None if x is None else change(np.asarray(x))


def changing(change: Change, *rules: str) -> Mutation:
    """Each of `rules` returns what `change` makes of each array it returned."""

    def mutation(call: Call) -> Iterator[Call]:
        yield _spoilt(call, change, *rules)

    return mutation


def rolled(axis: int) -> Change:
    """The elements moved along an axis by one, as when axes are confused."""
    return lambda x: np.roll(x, 1, axis) if x.ndim >= (-axis if axis < 0 else axis + 1) else x


def transposed(rule: str) -> Mutation:
    """The last two axes swapped where the shape stays, for a rule that returns something that is not symmetric."""

    def mutation(call: Call) -> Iterator[Call]:
        if any(not _symmetric(x) for x in _squares(call, rule)):
            yield _spoilt(call, lambda x: x.swapaxes(-1, -2) if _square(x) else x, rule)

    return mutation


def _square(x: Any) -> bool:
    return bool(x.ndim > 1 and x.shape[-1] == x.shape[-2] > 1)


def _symmetric(x: Any) -> bool:
    return np.allclose(x, x.swapaxes(-1, -2), 1e-12, 1e-12)


def _squares(call: Call, rule: str) -> list[Any]:
    """What a rule returns in squares, for one and for three random tangents of all operands, or random cotangents."""
    rng, operands, found = np.random.default_rng(0), active(call), list[Any]()
    needs = tuple(i in operands for i in range(len(call.primals)))
    for lead in ((), (3,)):
        if rule == PUSH:
            found.append(push(call, {i: normal_like(rng, call.primals[i], *lead) for i in operands}, lead))
        else:
            found += call.kernel.pullback(call, normal_like(rng, call.out, *lead), needs)  # type: ignore[misc]
    return [np.asarray(x) for x in found if x is not None and _square(x)]


def unsummed(call: Call) -> Iterator[Call]:
    """The sum over the axes along which an operand was broadcast is left out, so that its cotangent has the shape of the result's."""
    operands = active(call)
    for i in operands if len(operands) > 1 else ():
        if call.shapes[i] != call.shape:
            yield _replacing(call, i, lambda h, g: np.zeros(g.shape))


def _replacing(call: Call, operand: int, change: Callable[[Any, Any], Any]) -> Call:
    pullback: Any = call.kernel.pullback

    def wrong(call: Call, g: Any, needs: Any) -> Any:
        found = list(pullback(call, g, needs))
        found[operand] = None if found[operand] is None else change(found[operand], g)
        return found

    return with_kernel(call, altered(call.kernel, pullback=wrong))


def summed_wrongly(call: Call) -> Iterator[Call]:
    """The sum for a row that was broadcast against a square matrix is taken over the other axis. The call is made anew, with such a row."""
    kernel, operands = call.kernel, active(call)
    square = len(call.shape) == 2 and call.shape[0] == call.shape[1] > 1
    if not kernel.partials or len(operands) < 2 or not square or any(call.shapes[i] != call.shape for i in operands):
        return
    for i in operands:
        primals = [x[0] if j == i else x for j, x in enumerate(call.primals)]
        out, aux = kernel.forward(np, *primals, **call.params)
        shapes = tuple(getattr(x, "shape", ()) for x in primals)
        whole = [np.broadcast_to(x, call.shape) if j == i else x for j, x in enumerate(primals)]

        def wrong(h: Any, g: Any, whole: Any = whole, i: int = i, made: Any = (out, aux)) -> Any:
            full = Call(kernel, whole, made[0], call.params, call.shapes, call.shape, made[1])
            return kernel.pullback(full, g, tuple(j == i for j in range(len(whole))))[i].sum(axis=-1)  # type: ignore[misc]

        yield _replacing(Call(kernel, primals, out, call.params, shapes, tuple(out.shape), aux), i, wrong)


def dropped(rule: str) -> Mutation:
    """One operand forgotten by a rule."""

    def mutation(call: Call) -> Iterator[Call]:
        operands = active(call)
        for i in operands if len(operands) > 1 else ():
            if rule == PULL:
                yield _replacing(call, i, lambda h, g: np.zeros_like(h))
            else:
                yield with_kernel(call, altered(call.kernel, pushforward=_without(call.kernel.pushforward, i)))

    return mutation


def _without(pushforward: Any, operand: int) -> Any:
    def push(call: Call, tangents: Any) -> Any:
        rest = tuple(None if i == operand else t for i, t in enumerate(tangents))
        return None if all(t is None for t in rest) else pushforward(call, rest)

    return push


def undeclared(call: Call) -> Iterator[Call]:
    """A residual that the cotangent of an operand reads is not declared."""
    keeps = call.kernel.keeps
    for i in () if call.kernel.variadic else active(call):  # of any number of operands nothing is kept
        for name in sorted(keeps[i]):
            less = tuple(names - {name} if j == i else names for j, names in enumerate(keeps))
            yield with_kernel(call, altered(call.kernel, keeps=less))


MUTATIONS: dict[str, Mutation] = {
    **{
        f"{name} in {' and '.join(rules)}": changing(change, *rules)
        for name, change in {
            "relative error 1e-9": lambda x: x * (1 + 1e-9),
            "flipped sign": lambda x: -x,
            "NaN": lambda x: x * np.nan,
            "zeros": lambda x: 0 * x,
        }.items()
        for rules in ((PUSH,), (PULL,), (PUSH, PULL))
    },
    **{
        f"{name} in {rule}": changing(change, rule)
        for name, change in {
            "rolled along the last axis": rolled(-1),
            "rolled along the first axis": rolled(0),
        }.items()
        for rule in (PUSH, PULL)
    },
    **{f"transposed in {rule}": transposed(rule) for rule in (PUSH, PULL)},
    "broadcast sum left out": unsummed,
    "broadcast sum over the wrong axis": summed_wrongly,
    "operand dropped in pushforward": dropped(PUSH),
    "operand dropped in pullback": dropped(PULL),
    "residual not declared": undeclared,
}
"""Name -> mutation."""


def spared(mutation: str, kernel: Kernel, calls: list[Call]) -> str:
    """Why `mutation` has nothing to spoil in any call of `kernel`; empty where it has."""
    single = all(len(active(call)) < 2 for call in calls)
    if mutation.startswith(("broadcast", "operand")) and single:
        return "one differentiable operand"
    if mutation == "broadcast sum over the wrong axis" and not kernel.partials:
        return "not elementwise, so it sums over broadcast axes nowhere"
    if mutation == "residual not declared" and not any(kernel.keeps):
        return "no rule reads a residual"
    if mutation.startswith("transposed"):
        squares = [x for call in calls for x in _squares(call, mutation.split()[-1])]
        return "what the rule returns is symmetric" if squares and all(map(_symmetric, squares)) else ""
    return ""


@contextmanager
def replaced(kernel: Kernel, **changes: Any) -> Iterator[None]:
    """The registered kernel itself with some fields changed while the block runs, so that engines use it so."""
    before = {name: getattr(kernel, name) for name in changes}
    try:
        for name, value in changes.items():
            object.__setattr__(kernel, name, value)
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(kernel, name, value)
