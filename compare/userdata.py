"""Data of the user's own: a table in a CSV file, or images and labels in IDX files (the format of MNIST)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compare.datasets import Description
from compare.errors import InputError, one_line
from diffcore import data
from diffcore.errors import DiffError

MOST_CLASSES = 20
"""A target column of whole numbers holds classes when they are at most so many different ones; else it holds numbers to be predicted."""
FEWEST = 10
"""Examples below which training and testing make no sense."""


class Own(NamedTuple):
    """A user's data in memory; nobody may change the arrays."""

    description: Description
    inputs: Any
    targets: Any


@cache
def read(kind: str, place: str) -> Own:
    """The data `csv:PLACE` or `idx:PLACE`, read once. Raises `InputError` in one line, with the place in the file."""
    name = f"{kind}:{place}"
    try:
        inputs, targets, described = _table(place) if kind == "csv" else _images(place)
        data.check_finite(inputs, "inputs")
        data.check_finite(targets, "targets")
    except OSError as error:
        raise InputError(f"data set {name!r} cannot be read: {one_line(error.strerror or error)}") from None
    except (DiffError, ValueError) as error:
        # What a caller of the library could do about it is not among the options here.
        raise InputError(f"data set {name!r}: {one_line(error).partition('; `missing')[0]}") from None
    if len(inputs) < FEWEST:
        raise InputError(f"data set {name!r} has {len(inputs)} examples, and at least {FEWEST} are needed to train and to test")
    if described["task"] == "classification":
        classes = int(targets.max()) + 1
        if targets.min() < 0:
            raise InputError(f"data set {name!r}: class numbers must begin with 0, found {int(targets.min())}")
        described["outputs"] = classes
    account = f"{len(inputs):,} examples of the user's own, {place}"
    return Own(Description(name=name, examples=len(inputs), account=account, **described), inputs, targets)


def _table(place: str) -> tuple[Any, Any, dict[str, Any]]:
    """`FILE` or `FILE:TARGET`, where the target is the name or the position of a column, the last one by default."""
    path, target = place, -1
    if not Path(place).exists() and ":" in place:
        path, _, column = place.rpartition(":")
        target = int(column) if column.lstrip("-").isdecimal() else column  # type: ignore[assignment]
    try:
        inputs, targets = data.load_csv(path, target)
    except DiffError:  # perhaps the classes are named; where that is not it, the message is about what is wrong
        inputs, targets = data.load_csv(path, target, classes=True)
    described: dict[str, Any] = {"form": "vector", "shape": inputs.shape[1:], "standardised": True}
    if targets.dtype.kind == "i" or (np.mod(targets, 1) == 0).all() and len(np.unique(targets)) <= MOST_CLASSES:
        numbers = np.unique(targets, return_inverse=True)[1].astype(np.int64)
        return inputs, numbers, {**described, "task": "classification"}
    return inputs, targets, {**described, "task": "regression", "outputs": 1}


def _images(folder: str) -> tuple[Any, Any, dict[str, Any]]:
    """The training part of a set laid out like MNIST; a part of it is kept for testing, as of every data set."""
    images, labels = data.load_idx(folder, train=True, dtype=np.float32)
    return images, labels, {"form": "image", "shape": images.shape[1:], "task": "classification"}
