"""Text that a model can learn: sentences of a small grammar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_whole, generator_of
from diffcore.errors import ArgumentError

_GRAMMAR: dict[str, tuple[str, ...]] = {
    "SENTENCE": ("THING DOES THING .", "THING MOVES .", "THING DOES THING and MOVES .", "THING MOVES PLACE ."),
    "THING": ("the NOUN", "a NOUN", "the KIND NOUN", "a KIND NOUN"),
    "PLACE": ("near THING", "behind THING", "with THING"),
    "NOUN": ("cat", "dog", "bird", "mouse", "horse", "fish"),
    "KIND": ("small", "quick", "tall", "quiet", "brown"),
    "DOES": ("sees", "hears", "follows", "likes"),
    "MOVES": ("runs", "sleeps", "sings", "waits"),
}
"""What each name in capitals may be replaced by, all equally likely."""


def character_text(length: int = 10_000, *, seed: int | np.random.Generator | None = None) -> str:
    """`length` characters of sentences from a small grammar: words in small letters, spaces and full stops.

    A sentence is a thing (an article, perhaps an adjective, a noun) that does something, perhaps to another thing; every choice is uniform.
    The text begins with a sentence and is cut after `length` characters.
    """
    length, generator = check_whole("character_text", "length", length), generator_of(seed)
    sentences, written = [], 0
    while written < length:
        sentences.append(_expanded("SENTENCE", generator).replace(" .", ". "))
        written += len(sentences[-1])
    return "".join(sentences)[:length]


def _expanded(word: str, generator: np.random.Generator) -> str:
    choices = _GRAMMAR.get(word)
    if choices is None:
        return word
    chosen = choices[int(generator.integers(len(choices)))]
    return " ".join(_expanded(part, generator) for part in chosen.split(" "))


def next_tokens(tokens: ArrayLike, steps: int = 32) -> tuple[NDArray[Any], NDArray[Any]]:
    """Stretches of `steps` tokens that do not overlap, and the same one token later: what a language model learns from.

    **Arguments:** `tokens`: `[n]` integers (see `Vocabulary`). Returns inputs and targets, both `[(n - 1) // steps, steps]`, with
    `targets[i, j]` the token after `inputs[i, j]`. Raises `ArgumentError` for fewer than `steps + 1` tokens.
    """
    values, steps = np.asarray(tokens), check_whole("next_tokens", "steps", steps)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ArgumentError(f"next_tokens: `tokens` {values.shape} of {values.dtype} must be integers [n]")
    count = (len(values) - 1) // steps
    if count < 1:
        raise ArgumentError(f"next_tokens: {len(values)} `tokens` are too few for `steps` (={steps}): at least {steps + 1} are needed")
    stop = count * steps
    return values[:stop].reshape(count, steps).copy(), values[1 : stop + 1].reshape(count, steps).copy()
