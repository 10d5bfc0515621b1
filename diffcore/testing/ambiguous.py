"""The ambiguous points: where mathematics leaves a derivative open, or gives none, and what is answered there, in both modes alike.

One list, which the tests hold against both engines, PyTorch and jax, and which the page of `python -m compare check` shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffcore import ops

Program = Callable[..., Any]
Answer = tuple[tuple[float, ...], ...]
"""A gradient for each operand."""

inf, nan = float("inf"), float("nan")


@dataclass(frozen=True)
class Ambiguous:
    """One point: `program(*at)` has `value`, and the sum of it the gradient `answer` (none for an integer).

    **Arguments:** `torch`, `jax`: the same program in theirs, called as `torch(torch, *at)`; `None` where there is none; `by_torch`,
    `by_jax`: the gradient they give where it is another one; `forward`: what forward mode gives where it cannot be the same; `note`: why
    ours is what it is, in a few words.
    """

    point: str
    program: Program
    at: tuple[Any, ...]
    value: tuple[float, ...]
    answer: Answer
    torch: Program | None = None
    jax: Program | None = None
    by_torch: Answer | None = None
    by_jax: Answer | None = None
    forward: Answer | None = None
    note: str = ""

    def operands(self) -> tuple[Any, ...]:
        """The point, as float64 arrays."""
        return tuple(np.array(x, dtype=np.float64) for x in self.at)


def numpy_name(name: str) -> Program:
    """The function of that name in `jax.numpy`."""
    return lambda jax, *xs: getattr(jax.numpy, name)(*xs)


def torch_name(name: str) -> Program:
    """The function of that name in `torch`."""
    return lambda torch, *xs: getattr(torch, name)(*xs)


def same(name: str, torch: str = "") -> dict[str, Any]:
    """The oracles of an op that both have."""
    return {"torch": torch_name(torch or name), "jax": numpy_name(name)}


TIED = ([1.0, 3.0, 3.0],)

def along(name: str) -> dict[str, Any]:
    """The oracles of an op of `jax.nn` and `torch` along the first axis."""
    return {"torch": lambda torch, x: getattr(torch, name)(x, 0), "jax": lambda jax, x: getattr(jax.nn, name)(x, 0)}


def last(function: Program) -> Program:
    """The last element of what `function` gives."""
    return lambda *xs: ops.getitem(function(*xs), -1)


POINTS: list[Ambiguous] = [
    Ambiguous("relu at 0", ops.relu, ([0.0],), (0.0,), ((0.0,),), torch_name("relu"), lambda jax, x: jax.nn.relu(x)),
    Ambiguous(
        "abs at 0", ops.abs, ([0.0, -0.0],), (0.0, 0.0), ((0.0, 0.0),), **same("abs"), by_jax=((1.0, 1.0),), note="the middle of -1 and 1"
    ),
    Ambiguous("sign at 0", ops.sign, ([0.0],), (0.0,), ((0.0,),), **same("sign"), note="constant on either side"),
    Ambiguous("maximum of equals", ops.maximum, ([1.0], [1.0]), (1.0,), ((0.5,), (0.5,)), **same("maximum"), note="half and half"),
    Ambiguous("minimum of equals", ops.minimum, ([1.0], [1.0]), (1.0,), ((0.5,), (0.5,)), **same("minimum"), note="half and half"),
    Ambiguous("amax of ties", ops.amax, TIED, (3.0,), ((0.0, 0.5, 0.5),), **same("max", "amax"), note="shared evenly"),
    Ambiguous(
        "max along a dim, of ties",
        lambda x: ops.max(x, 0).values,
        TIED,
        (3.0,),
        ((0.0, 1.0, 0.0),),
        lambda torch, x: torch.max(x, 0).values,
        note="all to the element whose index is returned, the first",
    ),
    Ambiguous("argmax of ties", ops.argmax, TIED, (1.0,), (), **same("argmax"), note="the first; an integer has no derivative"),
    Ambiguous("sqrt at 0", ops.sqrt, ([0.0],), (0.0,), ((inf,),), **same("sqrt")),
    Ambiguous(
        "0 ** 0",
        ops.pow,
        ([0.0], [0.0]),
        (1.0,),
        ((0.0,), (0.0,)),
        **same("power", "pow"),
        by_jax=((nan,), (0.0,)),
        note="x ** 0 is constant",
    ),
    Ambiguous("0 ** 2", ops.pow, ([0.0], [2.0]), (0.0,), ((0.0,), (0.0,)), **same("power", "pow"), note="the limit from above"),
    Ambiguous(
        "0 ** -1",
        ops.pow,
        ([0.0], [-1.0]),
        (inf,),
        ((-inf,), (-inf,)),
        **same("power", "pow"),
        by_jax=((-inf,), (nan,)),
        note="the limit from above",
    ),
    Ambiguous(
        "where, infinity in the branch not taken",
        lambda x, y: ops.where(np.array([True]), x, y),
        ([1.0], [inf]),
        (1.0,),
        ((1.0,), (0.0,)),
        lambda torch, x, y: torch.where(torch.tensor([True]), x, y),
        lambda jax, x, y: jax.numpy.where(np.array([True]), x, y),
        note="selected, not multiplied by 0",
    ),
    Ambiguous(
        "where, infinite slope in the branch not taken",
        lambda x: ops.where(x > 0, ops.sqrt(x), 0.0),
        ([0.0],),
        (0.0,),
        ((nan,),),
        lambda torch, x: torch.where(x > 0, torch.sqrt(x), 0.0),
        lambda jax, x: jax.numpy.where(x > 0, jax.numpy.sqrt(x), 0.0),
        forward=((0.0,),),
        note="reverse mode multiplies 0 by infinity; guard the operand: sqrt(where(x > 0, x, 1))",
    ),
    Ambiguous("logsumexp with one -inf", lambda x: ops.logsumexp(x, 0), ([-inf, 0.0],), (0.0,), ((0.0, 1.0),), **along("logsumexp")),
    Ambiguous(
        "logsumexp of -inf alone",
        lambda x: ops.logsumexp(x, 0),
        ([-inf, -inf],),
        (-inf,),
        ((nan, nan),),
        **along("logsumexp"),
        note="no element is largest",
    ),
    Ambiguous(
        "log_softmax with one -inf",
        last(lambda x: ops.log_softmax(x, 0)),
        ([-inf, 0.0],),
        (0.0,),
        ((0.0, 0.0),),
        lambda torch, x: torch.log_softmax(x, 0)[-1],
        lambda jax, x: jax.nn.log_softmax(x, 0)[-1],
    ),
]
"""Every point."""


def shown(answer: Answer) -> str:
    """An answer as people read it: `0.5 and 0.5`, `(0, 1, 0)`, `none`."""
    parts = [f"{g[0]:g}" if len(g) == 1 else f"({', '.join(f'{x:g}' for x in g)})" for g in answer]
    return " and ".join(parts) or "none"
