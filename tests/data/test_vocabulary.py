"""Tokens and their numbers."""

import numpy as np
import pytest

from diffcore.data import Vocabulary
from diffcore.errors import ArgumentError


def test_characters_by_frequency_then_alphabet() -> None:
    vocabulary = Vocabulary("the cat, the hat")
    assert vocabulary.tokens == ["t", " ", "h", "a", "e", ",", "c"]
    numbers = vocabulary.encode("that")
    assert (numbers.tolist(), numbers.dtype) == ([0, 2, 3, 0], np.int64)
    assert vocabulary.decode(numbers) == "that"
    assert (len(vocabulary), "c" in vocabulary, "x" in vocabulary) == (7, True, False)
    assert vocabulary.encode("").tolist() == []
    assert vocabulary.decode([]) == ""


def test_words_and_an_unknown_one() -> None:
    vocabulary = Vocabulary(["a", "b", "a", "c", "c"], least=2, unknown="<unk>")
    assert vocabulary.tokens == ["<unk>", "a", "c"]
    assert vocabulary.decode(vocabulary.encode(["c", "b", "a"])) == "c <unk> a"


def test_what_has_no_number_or_no_token() -> None:
    vocabulary = Vocabulary("abc")
    with pytest.raises(ArgumentError, match="token 'd' at position 1 is not one of the 3 in the vocabulary"):
        vocabulary.encode("adb")
    with pytest.raises(ArgumentError, match="number 3 at position 1 is not in 0 to 2"):
        vocabulary.decode([0, 3])
    with pytest.raises(ArgumentError, match=r"`numbers` \(1, 1\) of int64 must be integers"):
        vocabulary.decode([[1]])
    with pytest.raises(ArgumentError, match="no token occurs 1 times or more among 0"):
        Vocabulary("")
    with pytest.raises(ArgumentError, match=r"`least` \(=0\)"):
        Vocabulary("a", least=0)
