"""Order. Sorted values are gathered by a constant permutation, so that they are linear and keep positions only.

Ties keep their order (the sort is stable), and NaN counts as larger than all numbers, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

from diffcore.kernels.families import irregular


def _argsort(xp: Any, x: Any, *, axis: int, descending: bool = False) -> Any:
    if not descending:
        return xp.argsort(x, axis=axis, stable=True)
    return x.shape[axis] - 1 - xp.flip(_argsort(xp, xp.flip(x, axis), axis=axis), axis)  # from behind, so that ties keep their order


argsort = irregular("argsort", _argsort)
