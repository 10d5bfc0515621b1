"""One ambiguous point, and how the same program is said in PyTorch's and jax's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Program = Callable[..., Any]
Answer = tuple[tuple[float, ...], ...]
"""A gradient for each operand."""

inf, nan = float("inf"), float("nan")


@dataclass(frozen=True)
class Ambiguous:
    """One point: `program(*at)` has `value`, and the sum of it the gradient `answer` (none for an integer).

    **Arguments:** `torch`, `jax`: the same program in theirs, called as `torch(torch, *at)`; `None` where there is none; `by_torch`,
    `by_jax`: the gradient they give where it is another one; `forward`: what forward mode gives where it cannot be the same; `refused`: the
    name of the error that both engines raise in place of an answer; `note`: why ours is what it is, in a few words.
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
    refused: str = ""
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


def functional(name: str, *more: Any, **options: Any) -> dict[str, Any]:
    """The oracle of an op of `torch.nn.functional`, with constants `more` behind its operands."""
    return {"torch": lambda torch, *xs: getattr(torch.nn.functional, name)(*xs, *more, **options)}


def shown(answer: Answer) -> str:
    """An answer as people read it: `0.5 and 0.5`, `(0, 1, 0)`, `none`."""
    parts = [f"{g[0]:g}" if len(g) == 1 else f"({', '.join(f'{x:g}' for x in g)})" for g in answer]
    return " and ".join(parts) or "none"
