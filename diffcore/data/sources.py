"""Data sets that ship with the libraries we depend on."""

from __future__ import annotations

from typing import Any

import numpy as np


def load_digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The handwritten digits of scikit-learn: images `[1797, 64]` (8x8 pixels, float64 in [0, 1]) and labels `[1797]` (int64, 0 to 9).

    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
    """
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    return digits.data.astype(np.float64) / 16, digits.target.astype(np.int64)
