"""One run of a function on variables of a fresh level, and cotangents carried back through it: what the transforms are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

from diffcore import tree
from diffcore.dispatch import new_level
from diffcore.replay import within
from diffcore.transforms import Arguments, as_primal
from revdiff import tape
from revdiff.tensor import Tensor

_carried = attrgetter("carried")


def run(function: Callable[..., Any], arguments: Arguments) -> tuple[Any, list[tape.Node], int]:
    """The function's result on variables of a fresh level, and their nodes."""
    level = new_level()
    lifted = arguments.lifted(Tensor) or ()
    outer, tape.mode.enabled = tape.mode.enabled, True
    try:
        if lifted:  # a leaf is only where a cotangent ends, so parameters keep theirs
            leaves = [*map(_carried, lifted)]
            for parameter in lifted:
                parameter.level = level
            with within(partial(_raised, lifted, level)):
                out = arguments.call(function, lifted, partial(Tensor, level=level))
            if type(out) is not Tensor:  # a parameter handed back as it is will go down with the others
                out = tree.map(lambda y: Tensor(y.primal, level, y.carried) if any(y is p for p in lifted) else y, out)
        else:
            leaves = [tape.leaf(p.shape, p.dtype) for p in arguments.primals]
            variables = [Tensor(p, level, node) for p, node in zip(arguments.primals, leaves, strict=True)]
            out = arguments.call(function, variables, partial(Tensor, level=level))
    finally:
        tape.mode.enabled = outer
        for parameter in lifted:
            parameter.level = 0
    return out, leaves, level


@contextmanager
def _raised(parameters: Sequence[Tensor], level: int) -> Iterator[None]:
    """With `parameters` at a level, for a further run of what was run while they were."""
    before = [parameter.level for parameter in parameters]
    for parameter in parameters:
        parameter.level = level
    try:
        yield
    finally:
        for parameter, own in zip(parameters, before, strict=True):
            parameter.level = own


def _is_own(out: Any, level: int) -> bool:
    return isinstance(out, Tensor) and out.level == level


def below(out: Any, level: int) -> Any:
    """What lies under a result of this level; other values as they are."""
    return out.primal if _is_own(out, level) else as_primal(out)


def pull(outs: Sequence[Any], cotangents: Sequence[Any], level: int) -> dict[Any, Any]:
    """Cotangents of the leaves for those of `outs`; the graph stays whole."""
    pairs = [(y.carried, g) for y, g in zip(outs, cotangents, strict=True) if _is_own(y, level) and y.carried is not None]
    return tape.backward([node for node, _ in pairs], [g for _, g in pairs], keep=True)


