"""Boxes around objects: how much two overlap, and how a one-shot detector writes them on a grid.

A box is (x, y, width, height), its middle first, in parts of the image; x runs rightwards, y downwards. Labelled boxes have their class in
front, as `synthetic.detection` returns them. The grid is that of Redmon, Divvala, Girshick and Farhadi 2016, "You only look once: unified,
real-time object detection", with one box a cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffcore.data.checking import check_whole
from diffcore.errors import ArgumentError, ShapeError

Array = NDArray[Any]

GRID_CHANNELS = 5
"""Channels of a grid before those of the classes: confidence, x, y, width, height."""


def box_iou(a: ArrayLike, b: ArrayLike) -> Array:
    """Intersection over union of every box of `a` `[n, 4]` with every box of `b` `[m, 4]`: `[n, m]`, in [0, 1].

    Two boxes without area have 0.
    """
    first, second = _boxes("box_iou", "a", a), _boxes("box_iou", "b", b)
    low = np.maximum(_corner(first, -1)[:, None], _corner(second, -1)[None])
    high = np.minimum(_corner(first, 1)[:, None], _corner(second, 1)[None])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(first[:, 2:], axis=1)[:, None] + np.prod(second[:, 2:], axis=1)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _boxes(what: str, name: str, boxes: ArrayLike) -> Array:
    found = np.asarray(boxes)
    if found.ndim != 2 or found.shape[1] != 4:
        raise ShapeError(f"{what}: `{name}` {found.shape} must be [n, 4]: x, y, width, height")
    if found.dtype.kind != "f":
        found = found.astype(np.float64)
    if (found[:, 2:] < 0).any():
        raise ArgumentError(f"{what}: `{name}` has a negative width or height in row {int((found[:, 2:] < 0).any(axis=1).argmax())}")
    return found


def _corner(boxes: Array, side: int) -> Array:
    """The upper left (`side=-1`) or lower right (`side=1`) corners."""
    return boxes[:, :2] + side * boxes[:, 2:] / 2


def encode_boxes(boxes: ArrayLike, cells: int, classes: int) -> Array:
    """Labelled boxes `[n, k, 5]` (class, x, y, width, height; class -1 for no box) as what a detector should answer: a grid
    `[n, 5 + classes, cells, cells]`.

    The cell that the middle of a box falls in answers for it. Its channels are: 1 (confidence), x and y of the middle within the cell in
    [0, 1), width and height in parts of the image, and a 1 for the class. Cells without a box are 0. Where two middles fall in one cell
    the earlier box stands. Raises `ArgumentError` for a middle outside the image or a class that is not one.
    """
    rows = np.asarray(boxes)
    cells, classes = check_whole("encode_boxes", "cells", cells), check_whole("encode_boxes", "classes", classes)
    if rows.ndim != 3 or rows.shape[2] != 5:
        raise ShapeError(f"encode_boxes: `boxes` {rows.shape} must be [n, k, 5]: class, x, y, width, height")
    grid = np.zeros((len(rows), GRID_CHANNELS + classes, cells, cells), rows.dtype if rows.dtype.kind == "f" else np.float64)
    # Later rows first, so that earlier ones overwrite them.
    for image, box in reversed([(int(i), int(j)) for i, j in np.argwhere(rows[:, :, 0] != -1)]):
        label, x, y, width, height = (float(number) for number in rows[image, box])
        if not (0 <= x < 1 and 0 <= y < 1) or label not in range(classes):
            problem = f"class {label:g} is not in 0 to {classes - 1}" if label not in range(classes) else "its middle is not in the image"
            raise ArgumentError(f"encode_boxes: box {box} of image {image}: {problem} ({x:g}, {y:g})")
        column, row = int(x * cells), int(y * cells)
        cell = grid[image, :, row, column]
        cell[:] = 0
        cell[:GRID_CHANNELS] = 1, x * cells - column, y * cells - row, width, height
        cell[GRID_CHANNELS + int(label)] = 1
    return grid


def decode_boxes(grid: ArrayLike, threshold: float = 0.5, overlap: float = 0.5) -> list[Array]:
    """The boxes that a grid `[n, 5 + classes, cells, cells]` (see `encode_boxes`) stands for: for each image `[k, 6]`: class, x, y, width,
    height and score, the highest score first.

    The score is the confidence times the largest class value; boxes below `threshold` are left out, and so are those that overlap a
    better one of their class by an intersection over union above `overlap` (non-maximum suppression).
    """
    values = np.asarray(grid)
    if values.ndim != 4 or values.shape[1] <= GRID_CHANNELS or values.shape[2] != values.shape[3]:
        raise ShapeError(f"decode_boxes: `grid` {values.shape} must be [n, 5 + classes, cells, cells]")
    cells = values.shape[2]
    rows, columns = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    found = []
    for image in values:
        label = image[GRID_CHANNELS:].argmax(axis=0)
        score = image[0] * image[GRID_CHANNELS:].max(axis=0)
        sides = np.maximum(image[3:5], 0)
        parts = [label, (columns + image[1]) / cells, (rows + image[2]) / cells, *sides, score]
        boxes = np.stack([part.reshape(-1) for part in parts], axis=1).astype(values.dtype)
        boxes = boxes[boxes[:, 5] >= threshold]
        found.append(_best(boxes[np.argsort(-boxes[:, 5], kind="stable")], overlap))
    return found


def _best(boxes: Array, overlap: float) -> Array:
    """`boxes` `[k, 6]`, the best first, without those that overlap a better one of their class."""
    if not len(boxes):
        return boxes
    close = (box_iou(boxes[:, 1:5], boxes[:, 1:5]) > overlap) & (boxes[:, None, 0] == boxes[None, :, 0])
    kept: list[int] = []
    for i in range(len(boxes)):
        if not close[i, kept].any():
            kept.append(i)
    return boxes[kept]
