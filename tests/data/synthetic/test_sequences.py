"""Text and the long-memory tasks: what may stand where."""

import re

import numpy as np

from diffcore.data import Vocabulary, synthetic

SENTENCE = r"(the|a) (\w+ )?\w+ (sees|hears|follows|likes|runs|sleeps|sings|waits)( .*)?\."


def test_text_is_sentences_of_the_grammar() -> None:
    text = synthetic.character_text(5000, seed=0)
    assert len(text) == 5000
    sentences = [sentence + "." for sentence in text.split(". ")[:-1]]
    assert [sentence for sentence in sentences if not re.fullmatch(SENTENCE, sentence.strip())] == []
    assert len(set(sentences)) > 50
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz .")
    assert text.split(" ")[0] in ("the", "a")
    assert synthetic.character_text(100, seed=0) == text[:100]
    assert len(synthetic.character_text(1, seed=0)) == 1


def test_tokens_and_the_ones_after_them() -> None:
    inputs, targets = synthetic.next_tokens(np.arange(10), 4)
    assert (inputs.tolist(), targets.tolist()) == ([[0, 1, 2, 3], [4, 5, 6, 7]], [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert synthetic.next_tokens(np.arange(9), 4)[0].shape == (2, 4)
    assert synthetic.next_tokens(np.arange(8), 4)[0].shape == (1, 4)
    text = synthetic.character_text(200, seed=0)
    vocabulary = Vocabulary(text)
    inputs, targets = synthetic.next_tokens(vocabulary.encode(text), 20)
    assert vocabulary.decode(inputs[1]) == text[20:40]
    assert vocabulary.decode(targets[1]) == text[21:41]


def test_what_was_said_is_asked_for_after_the_pause() -> None:
    inputs, targets = synthetic.copy_problem(50, length=4, delay=6, symbols=3, seed=0)
    assert set(inputs[:, :4].ravel()) == {0, 1, 2}
    assert (inputs[:, 4:9] == 3).all()
    assert (inputs[:, 9] == 4).all()
    assert (inputs[:, 10:] == 3).all()
    assert (targets[:, :10] == 3).all()
    np.testing.assert_array_equal(targets[:, 10:], inputs[:, :4])


def test_marked_numbers_are_added() -> None:
    inputs, targets = synthetic.adding_problem(4000, length=9, dtype=np.float64, seed=0)
    values, marks = inputs[:, :, 0], inputs[:, :, 1]
    np.testing.assert_allclose(targets[:, 0], (values * marks).sum(1), rtol=1e-12)
    assert (marks[:, :4].sum(1) == 1).all()
    assert (marks[:, 4:].sum(1) == 1).all()
    assert (marks.sum(0) > 500).all()
    assert abs(((targets - 1) ** 2).mean() - 1 / 6) < 0.02
