"""Arrays that the tests of tensors share."""

from typing import Any

import numpy as np

import dualdiff
import revdiff

A = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])
B = np.array([[2.0, 1.5, 0.5], [1.0, -2.0, 4.0]])


def plain(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, revdiff.Tensor | dualdiff.Tensor) else value
