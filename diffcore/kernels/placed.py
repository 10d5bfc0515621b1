"""Tangents of which nearly all elements are 0, by those that are not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from diffcore.kernels.record import Shape
from diffcore.seeds import range_of


class Placed(NamedTuple):
    """Tangents that are `values[j, b]` at column `columns[j]` of example `b` in direction `j`, and 0 elsewhere: `[k, batch, width]`.

    They are kept as what is not 0 until it is known where they go, on arrays that can be changed.
    """

    values: Any
    columns: Any
    width: int

    @property
    def shape(self) -> Shape:
        """That of the tangents."""
        return (*self.values.shape, self.width)

    def part(self, start: int, stop: int) -> Placed:
        """Directions `start` to `stop`."""
        return Placed(self.values[start:stop], self.columns[start:stop], self.width)

    def into(self, out: Any) -> None:
        """Fill `out` `[k, batch, width]` with them."""
        out[...] = 0
        out[range_of(self.values, 0, len(self.columns)), :, self.columns] = self.values

    def array(self) -> Any:
        """The tangents as one array."""
        out = np.empty_like(self.values, shape=self.shape, order="C")
        self.into(out)
        return out
