"""Variables, and what is expected of their gradients."""

from types import ModuleType
from typing import Any

import numpy as np

A = np.array([0.5, -1.0, 2.0])
M = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]])


def variable(engine: ModuleType, values: Any = A) -> Any:
    return engine.tensor(values, requires_grad=True)


def exact(found: Any, expected: Any) -> None:
    assert not found.requires_grad
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14, atol=1e-15)
