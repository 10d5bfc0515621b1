"""Classes told apart by units: one for two classes, whose sign is the answer, else one for each class, the largest of which is."""

from __future__ import annotations

from typing import Any


def count(classes: int) -> int:
    """Units for so many classes."""
    return 1 if classes == 2 else classes


def signs(functional: Any, outputs: Any, targets: Any) -> Any:
    """What the units' signs should be, 1 or -1, in the shape and dtype of `outputs` `[n, units]`; `targets` are class numbers `[n]`."""
    units = outputs.shape[1]
    wanted = targets.reshape(-1, 1) if units == 1 else functional.one_hot(targets, units)
    return 2 * wanted.to(outputs.dtype) - 1


def by_class(outputs: Any) -> Any:
    """A number for each class, the largest at the answer: `[n, classes]` (a numpy array) of `[n, units]`."""
    import numpy as np

    return np.concatenate([-outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs
