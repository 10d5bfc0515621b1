"""Scores are what they say, from outputs made by hand."""

import numpy as np
import pytest

import revdiff
from compare.tasks import TASKS


def test_classification_counts_the_largest_outputs():
    outputs = np.array([[0.1, 0.9], [3.0, -1.0], [0.2, 0.3]])
    assert TASKS["classification"].measure(outputs, np.array([1, 0, 0])) == pytest.approx(2 / 3)
    assert TASKS["classification"].measure(outputs[:0], np.array([], np.int64)) is None


def test_language_counts_tokens():
    outputs = np.eye(3)[[[0, 1, 2, 2], [1, 1, 0, 2]]]
    assert TASKS["language"].measure(outputs, np.array([[0, 1, 2, 0], [1, 1, 1, 2]])) == pytest.approx(6 / 8)
    logits, targets = revdiff.tensor(outputs * 4), revdiff.tensor(np.array([[0, 1, 2, 2], [1, 1, 0, 2]]))
    expected = -np.log(np.exp(4) / (np.exp(4) + 2))
    assert float(TASKS["language"].loss(revdiff.nn.functional, logits, targets)) == pytest.approx(expected, rel=1e-12)


def test_regression_is_the_share_of_variance_explained():
    targets = np.array([[1.0, 10.0], [2.0, 30.0], [3.0, 20.0]])
    score = TASKS["regression"].measure
    assert score(targets, targets) == 1
    assert score(np.broadcast_to(targets.mean(0), targets.shape), targets) == pytest.approx(0)
    assert score(targets + 1, targets) == pytest.approx(1 - 6 / 202)
    assert score(targets[:1], targets[:1]) is None
    assert score(np.zeros((0, 2)), np.zeros((0, 2))) is None


OBJECTS = np.array([[[0, 0.25, 0.5, 0.5, 1.0], [1, 0.75, 0.5, 0.5, 1.0]]])
"""The left and the right half of an image."""


@pytest.mark.parametrize(
    ("boxes", "score"),
    [
        ([[0, 0.25, 0.5, 0.5, 1, 0.9], [1, 0.75, 0.5, 0.5, 1, 0.8]], 1.0),
        ([[0, 0.25, 0.5, 0.5, 1, 0.9]], 0.5),  # one object is not found
        ([[1, 0.25, 0.5, 0.5, 1, 0.9], [0, 0.75, 0.5, 0.5, 1, 0.8]], 0.0),  # the classes are swapped: two misses and two boxes too many
        ([[0, 0.25, 0.25, 0.5, 0.5, 0.9], [1, 0.75, 0.5, 0.5, 1, 0.8]], 0.75),  # half of the first
        ([[0, 0.25, 0.5, 0.5, 1, 0.9], [0, 0.25, 0.5, 0.5, 1, 0.5], [1, 0.75, 0.5, 0.5, 1, 0.8]], 2 / 3),  # found twice
        ([[-1, 0, 0, 0, 0, 0]], 0.0),
        (np.zeros((0, 6)), 0.0),
    ],
)
def test_detection_is_the_mean_overlap_of_objects_and_boxes(boxes, score):
    assert TASKS["detection"].measure([np.array(boxes, float)], OBJECTS) == pytest.approx(score)


def test_nothing_to_detect_has_no_score():
    assert TASKS["detection"].measure([np.zeros((0, 6))], np.array([[[-1, 0, 0, 0, 0]]])) is None
    with pytest.raises(NotImplementedError, match="a detector brings its own loss"):
        TASKS["detection"].loss(revdiff.nn.functional, None, None)
