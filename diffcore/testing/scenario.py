"""Rows of the tables that drive the tests and `compare check`: what kernels are tried on, and how they are misused."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffcore.arrays import is_array, is_float

Program = Callable[..., Any]
Sample = Callable[[np.random.Generator], tuple[Any, ...]]


@dataclass(frozen=True)
class Scenario:
    """One row of the table: `function(*operands)` exercises `kernel`.

    **Arguments:** `sample`: draws the operands, floating ones in float64, from a generator seeded by the row's own name;
    `smooth`: false at a kink, where finite differences say nothing and other systems may have other conventions;
    `strided`: floating operands are laid out with gaps; `contiguous`: they must not be, because a `view` of them is asked for;
    `reference`, `torch`: the same function written independently, called as `reference(jax, *operands)` and `torch(torch, *operands)`.
    """

    kernel: str
    case: str
    function: Program
    sample: Sample
    smooth: bool = True
    strided: bool = False
    contiguous: bool = False
    reference: Program | None = None
    torch: Program | None = None

    @property
    def id(self) -> str:
        return f"{self.kernel}-{self.case}"

    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator with the row's own seed."""
        return np.random.default_rng(zlib.crc32(self.id.encode()))

    def operands(self, dtype: Any = np.float64) -> tuple[Any, ...]:
        """The operands, drawn anew, the floating ones in `dtype`."""
        return tuple(self._laid_out(x, dtype) for x in self.sample(self.rng))

    def _laid_out(self, x: Any, dtype: Any) -> Any:
        if not is_array(x) or not is_float(x.dtype):
            return x
        return strided(x.astype(dtype)) if self.strided else x.astype(dtype)

    @property
    def variables(self) -> tuple[int, ...]:
        """The positions of the floating operands."""
        return tuple(i for i, x in enumerate(self.operands()) if is_array(x) and is_float(x.dtype))


def strided(x: Any) -> Any:
    """The values of `x` in every second element of a buffer in column-major order: neither contiguous nor aligned with its neighbours."""
    buffer = np.full(tuple(2 * n for n in reversed(x.shape)), np.nan, x.dtype).T
    every_second: tuple[Any, ...] = (*(slice(None, None, 2) for _ in x.shape), ...)  # `...` makes a view even of one element
    view = buffer[every_second]
    view[...] = x
    return view


@dataclass(frozen=True)
class Misuse:
    """Bad input to a kernel: `function(*operands)` must raise `error` with a message that `match` (a regular expression) finds.

    `sample` draws the operands as in `Scenario`. The message names the op, what was given and what was required, and nothing has changed
    afterwards.
    """

    kernel: str
    case: str
    function: Program
    sample: Sample
    error: type[Exception] | tuple[type[Exception], ...]
    match: str

    @property
    def id(self) -> str:
        return f"{self.kernel}-{self.case}"

    def operands(self) -> tuple[Any, ...]:
        """The operands, drawn anew."""
        return self.sample(np.random.default_rng(zlib.crc32(self.id.encode())))
