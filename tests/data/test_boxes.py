"""Boxes: overlap counted cell by cell, and a grid that gives back what was written on it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diffcore.data import box_iou, decode_boxes, encode_boxes, synthetic
from diffcore.errors import ArgumentError, ShapeError


def test_overlap_is_that_of_cells_counted() -> None:
    """Boxes with corners on a grid of 32 x 32, and the cells of it that are in one, in both."""
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 33, (12, 2, 2)), axis=1)  # low and high, x and y
    boxes = np.concatenate([corners.mean(axis=1), corners[:, 1] - corners[:, 0]], axis=1) / 32
    masks = np.zeros((12, 32, 32), bool)
    for mask, ((left, top), (right, bottom)) in zip(masks, corners, strict=True):
        mask[top:bottom, left:right] = True
    both = np.array([[(a & b).sum() for b in masks] for a in masks])
    either = np.array([[(a | b).sum() for b in masks] for a in masks])
    np.testing.assert_allclose(box_iou(boxes, boxes), both / np.maximum(either, 1), rtol=1e-12, atol=1e-15)


def test_known_overlaps() -> None:
    unit = [[0.5, 0.5, 1, 1]]
    others = [[0.5, 0.5, 1, 1], [1.0, 0.5, 1, 1], [0.5, 0.5, 0.5, 0.5], [5, 5, 1, 1], [0.5, 0.5, 0, 0]]
    np.testing.assert_allclose(box_iou(unit, others), [[1, 1 / 3, 1 / 4, 0, 0]], rtol=1e-15)
    assert box_iou(np.zeros((0, 4)), unit).shape == (0, 1)
    assert box_iou([[1, 1, 0, 0]], [[1, 1, 0, 0]]).tolist() == [[0.0]]
    assert box_iou(np.array(unit, np.float32), np.array(others, np.float32)).dtype == np.float32


def test_a_grid_written_by_hand() -> None:
    boxes = [[[1, 0.3, 0.8, 0.2, 0.4], [-1, 0, 0, 0, 0]]]
    grid = encode_boxes(boxes, cells=2, classes=3)
    expected = np.zeros((1, 8, 2, 2))
    expected[0, :, 1, 0] = [1, 0.6, 0.6, 0.2, 0.4, 0, 1, 0]
    np.testing.assert_allclose(grid, expected, rtol=1e-12, atol=1e-15)
    (found,) = decode_boxes(grid)
    np.testing.assert_allclose(found, [[1, 0.3, 0.8, 0.2, 0.4, 1]], rtol=1e-12)


def test_boxes_come_back_from_the_grid() -> None:
    _, boxes = synthetic.detection(40, 32, 1, classes=4, objects=3, dtype=np.float64, seed=0)
    grid = encode_boxes(boxes, cells=16, classes=4)
    assert grid.shape == (40, 9, 16, 16)
    for rows, found in zip(boxes, decode_boxes(grid), strict=True):
        real = rows[rows[:, 0] >= 0]
        np.testing.assert_allclose(found[np.lexsort(found.T)][:, :5], real[np.lexsort(real.T)], rtol=1e-12, atol=1e-12)
        assert (found[:, 5] == 1).all()


def test_of_two_middles_in_a_cell_the_first_stands() -> None:
    grid = encode_boxes([[[0, 0.1, 0.1, 0.2, 0.2], [1, 0.2, 0.2, 0.3, 0.3]]], cells=2, classes=2)
    assert grid[0, :, 0, 0].tolist() == [1, 0.2, 0.2, 0.2, 0.2, 1, 0]
    assert grid[0, 0].sum() == 1


def test_worse_boxes_of_a_class_are_suppressed() -> None:
    grid = np.zeros((2, 7, 2, 2))
    grid[0, :, 0, 0] = [0.9, 0.95, 0.95, 0.5, 0.5, 1, 0]
    grid[0, :, 1, 1] = [0.8, 0.05, 0.05, 0.5, 0.5, 1, 0]  # nearly the same box
    grid[0, :, 0, 1] = [0.7, 0.0, 0.9, 0.5, 0.5, 0, 1]  # another class
    grid[0, :, 1, 0] = [0.4, 0.1, 0.1, 0.5, 0.5, 0, 1]  # not sure enough
    first, second = decode_boxes(grid)
    assert first[:, [0, 5]].tolist() == [[0, 0.9], [1, 0.7]]
    assert second.shape == (0, 6)
    assert len(decode_boxes(grid, overlap=1.0)[0]) == 3
    assert len(decode_boxes(grid, threshold=0.3)[0]) == 3


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no boxes": (lambda: box_iou(np.zeros((2, 3)), np.zeros((2, 4))), ShapeError, r"`a` \(2, 3\) must be \[n, 4\]"),
    "a negative width": (lambda: box_iou(np.zeros((2, 4)), [[0, 0, -1, 1]]), ArgumentError, "`b` has a negative width or height in row 0"),
    "boxes without classes": (lambda: encode_boxes(np.zeros((1, 2, 4)), 2, 2), ShapeError, r"`boxes` \(1, 2, 4\) must be \[n, k, 5\]"),
    "a middle outside": (
        lambda: encode_boxes([[[0, 1.0, 0.5, 1, 1]]], 2, 2),
        ArgumentError,
        "box 0 of image 0: its middle is not in the im",
    ),
    "NaN": (lambda: encode_boxes([[[0, np.nan, 0.5, 1, 1]]], 2, 2), ArgumentError, "its middle is not in the image"),
    "an unknown class": (lambda: encode_boxes([[[2, 0.5, 0.5, 1, 1]]], 2, 2), ArgumentError, "box 0 of image 0: class 2 is not in 0 to 1"),
    "half a class": (lambda: encode_boxes([[[0.5, 0.5, 0.5, 1, 1]]], 2, 2), ArgumentError, "class 0.5 is not in 0 to 1"),
    "no cells": (lambda: encode_boxes(np.zeros((1, 1, 5)), 0, 2), ArgumentError, r"`cells` \(=0\) must be"),
    "no grid": (lambda: decode_boxes(np.zeros((1, 5, 2, 2))), ShapeError, r"`grid` \(1, 5, 2, 2\) must be"),
}


@pytest.mark.parametrize("name", BAD)
def test_boxes_that_make_no_sense(name: str) -> None:
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        call()
