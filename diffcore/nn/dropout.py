"""Dropout in training; in evaluation the identity. Masks come from the shared seeded generator, or a key (see `arrays.random.keyed`)."""

from __future__ import annotations

from typing import Any

from diffcore.nn.module import Module
from diffcore.ops import dropouts


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: `p` (={p!r}) must be a probability between 0 and 1")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element 0 with probability `p`, the others divided by `1 - p`, so that the expectation stays (Srivastava et al., 2014)."""

    def forward(self, x: Any) -> Any:
        return dropouts.dropout(x, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Whole channels of `[n, c, l]` or `[c, l]` 0 with probability `p`, the others divided by `1 - p`."""

    def forward(self, x: Any) -> Any:
        return dropouts.dropout1d(x, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Whole channels of `[n, c, h, w]` 0 with probability `p`, the others divided by `1 - p` (Tompson et al., 2015)."""

    def forward(self, x: Any) -> Any:
        return dropouts.dropout2d(x, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Whole channels of `[n, c, d, h, w]` or `[c, d, h, w]` 0 with probability `p`, the others divided by `1 - p`."""

    def forward(self, x: Any) -> Any:
        return dropouts.dropout3d(x, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1 of activations by `SELU` (Klambauer et al., 2017)."""

    def forward(self, x: Any) -> Any:
        return dropouts.alpha_dropout(x, self.p, self.training, self.inplace)
