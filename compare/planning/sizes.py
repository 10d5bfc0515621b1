"""The knobs of a plan: what of a network and its batch may be turned to see where a recommendation flips."""

from __future__ import annotations

import re
from typing import NamedTuple

from compare.errors import InputError
from compare.settings import require_count


class Sizes(NamedTuple):
    """`batch` examples, numbers put out per example, and the network's own knobs; `None` is what the network has by itself."""

    batch: int
    outputs: int | None = None
    width: int | None = None
    depth: int | None = None

    def checked(self) -> Sizes:
        """Itself. Raises `InputError` for what is no count."""
        for name, value in self._asdict().items():
            if value is not None or name == "batch":
                require_count(name, value, least=1)
        return self


class Example(NamedTuple):
    """The shape of one example, and whether it is whole numbers (tokens), which nothing can be differentiated by."""

    shape: tuple[int, ...]
    tokens: bool = False

    @classmethod
    def parsed(cls, text: str) -> Example:
        """`3x32x32`, `784`, or `tokens:16`. Raises `InputError`."""
        tokens = text.startswith("tokens:")
        digits = text.removeprefix("tokens:")
        if not re.fullmatch(r"[1-9]\d*([x,][1-9]\d*)*", digits):
            raise InputError(f"`inputs` (={text!r}) must be the shape of one example, as in 784, 3x32x32 or tokens:16")
        return cls(tuple(require(int(part)) for part in re.split("[x,]", digits)), tokens)

    def __str__(self) -> str:
        return ("tokens:" if self.tokens else "") + "x".join(map(str, self.shape))


def require(size: int) -> int:
    """`size` if it is one that an axis may have."""
    require_count("inputs", size, least=1)
    return size
