"""What every seeding is held against: reverse mode, and differences."""

from collections.abc import Callable
from typing import Any

import numpy as np

import dualdiff
import revdiff
from dualdiff.seeding import Seeding

MODES = Seeding.MODES


def agree(loss: Callable[..., Any], *args: Any, rtol: float = 1e-12) -> Any:
    """The gradient by every argument, checked to be the same in reverse and by every seeding."""
    numbers = tuple(range(len(args)))
    value, expected = revdiff.value_and_grad(loss, numbers)(*args)
    flat = leaves(expected)
    scale = size_of(flat)
    for mode in MODES:
        found_value, found = dualdiff.value_and_grad(loss, numbers, seeding=mode)(*args)
        np.testing.assert_array_equal(found_value, value)
        for a, b in zip(leaves(found), flat, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=0, atol=rtol * scale, err_msg=mode)
    return expected


def leaves(tree: Any) -> list[np.ndarray]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, tuple | list):
        return [leaf for value in tree for leaf in leaves(value)]
    return [np.asarray(tree)]


def size_of(arrays: list[np.ndarray]) -> float:
    """What rounding errors are measured against: the largest entry of a gradient."""
    return float(max([1e-3, *(np.abs(a).max(initial=0) for a in arrays)]))
