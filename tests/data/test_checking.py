"""Values that are not finite are found, and where."""

from types import ModuleType

import numpy as np
import pytest

from diffcore.data import check_finite
from diffcore.errors import ArgumentError, DTypeError


def test_finite_values_pass(engine: ModuleType) -> None:
    for data in (np.ones((2, 3)), np.arange(3), np.array([True]), np.zeros((0, 2)), 1.5, engine.ones(2, requires_grad=True)):
        check_finite(data)


def test_the_first_bad_value_is_named(engine: ModuleType) -> None:
    X = np.zeros((4, 5), np.float32)
    X[3, 1], X[2, 4] = np.inf, np.nan
    for data in (X, engine.tensor(X)):
        with pytest.raises(ArgumentError) as caught:
            check_finite(data, "X")
        assert str(caught.value) == (
            "`X` (4, 5) holds nan at row 2, column 4, the first of 2 values that are not finite: remove or replace such rows first"
        )
    with pytest.raises(ArgumentError, match=r"holds -inf at row 1, column 0, axis 2 2, axis 3 0:"):
        check_finite(np.where(np.arange(12).reshape(2, 1, 3, 2) == 10, -np.inf, 0))
    with pytest.raises(ArgumentError, match=r"`y` \(2,\) holds inf at row 1:"):
        check_finite(np.array([0, np.inf]), "y")
    with pytest.raises(ArgumentError, match=r"`loss` \(\) holds nan:"):
        check_finite(float("nan"), "loss")
    with pytest.raises(DTypeError, match="must be numbers, got elements of <U1"):
        check_finite(np.array(["a"]))
