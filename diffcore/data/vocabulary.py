"""`Vocabulary`: tokens and their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_whole
from diffcore.errors import ArgumentError


class Vocabulary:
    """Numbers for the tokens of a text, its characters (`Vocabulary(text)`) or any list of words (`Vocabulary(text.split())`).

    Token 0 is `unknown`, what stands for every token that is not in the vocabulary; without one (`unknown=None`) such a token is an error.
    The others follow by frequency, the most frequent first, equally frequent ones in alphabetical order.

    **Arguments:** `tokens`: text, or its words; `least`: how often a token must occur to be in the vocabulary; `unknown`: the text that
    unknown tokens are decoded to, or `None`. Raises `ArgumentError` for no tokens at all.
    """

    def __init__(self, tokens: Iterable[str], least: int = 1, unknown: str | None = None) -> None:
        least = check_whole("Vocabulary", "least", least)
        self._joint = "" if isinstance(tokens, str) else " "
        counts = Counter(tokens)
        kept = [t for t, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count >= least and t != unknown]
        self.unknown = unknown
        self.tokens: list[str] = ([] if unknown is None else [unknown]) + kept
        if not self.tokens:
            raise ArgumentError(f"Vocabulary: no token occurs {least} times or more among {sum(counts.values())}")
        self._numbers = {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: Any) -> bool:
        return token in self._numbers

    def encode(self, tokens: str | Sequence[str]) -> NDArray[np.int64]:
        """The numbers of `tokens`: `[n]`, int64. Raises `ArgumentError` for an unknown one where the vocabulary has none for it."""
        numbers = [self._numbers.get(token, -1 if self.unknown is None else 0) for token in tokens]
        if -1 in numbers:
            at = numbers.index(-1)
            raise ArgumentError(f"Vocabulary: token {tokens[at]!r} at position {at} is not one of the {len(self)} in the vocabulary")
        return np.array(numbers, np.int64)

    def decode(self, numbers: ArrayLike) -> str:
        """The text of `numbers` `[n]`; words are joined by spaces. Raises `ArgumentError` for a number that has no token."""
        found = np.asarray(numbers)
        if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
            raise ArgumentError(f"Vocabulary: `numbers` {found.shape} of {found.dtype} must be integers [n]")
        bad = np.flatnonzero((found < 0) | (found >= len(self)))
        if len(bad):
            raise ArgumentError(f"Vocabulary: number {found[bad[0]]} at position {bad[0]} is not in 0 to {len(self) - 1}")
        return self._joint.join(self.tokens[i] for i in found)
