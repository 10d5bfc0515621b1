"""`Embedding`: a table of vectors, looked up by index."""

from __future__ import annotations

import operator
from typing import Any, Self

import numpy as np

from diffcore.nn import initial
from diffcore.nn.registry import ParameterMark
from diffcore.ops import lookup
from diffcore.seeds import array_under


class Embedding(initial.Initialised):
    """Rows of `weight` `[num_embeddings, embedding_dim]` by indices of any shape: `[*, embedding_dim]`; drawn from N(0, 1).

    The row `padding_idx` (negative: from the end) starts at zero and gets no derivative. Raises `ValueError` where there is no such
    row, and for `max_norm`, `scale_grad_by_freq` and `sparse`, which change rows or gradients behind the derivative's back; in a call
    `IndexError` for an index without a row.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name, value in (("max_norm", max_norm), ("scale_grad_by_freq", scale_grad_by_freq), ("sparse", sparse)):
            if value is not None and value is not False:
                instead = "; bound the rows with `nn.utils.max_norm_` after a step" if name == "max_norm" else ""
                raise ValueError(f"Embedding: `{name}` (={value!r}) is not supported{instead}")
        counts = initial.checked_counts("Embedding", 0, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = counts
        self.padding_idx = _row(padding_idx, self.num_embeddings)
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        shape = (self.num_embeddings, self.embedding_dim)
        weight = initial.normal(shape, device, dtype)
        if self.padding_idx is not None:
            weight = weight * (np.arange(self.num_embeddings) != self.padding_idx)[:, None].astype(weight.dtype)
        return {"weight": weight}

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> Self:
        """A layer with the rows of `embeddings`, a tensor or array `[rows, features]`, which are not trained if `freeze`."""
        if getattr(embeddings, "ndim", None) != 2:
            raise ValueError(f"Embedding: `embeddings` must be 2-dimensional, got shape {tuple(getattr(embeddings, 'shape', ()))}")
        rows, features = map(int, embeddings.shape)
        made = cls(rows, features, padding_idx, device="meta", dtype=embeddings.dtype)
        if isinstance(embeddings, ParameterMark):
            made.weight = embeddings
        else:
            made.weight = made._parameter(array_under(embeddings))
        made.weight.requires_grad = not freeze
        return made

    def forward(self, input: Any) -> Any:
        return lookup.embedding(input, self._parameters["weight"], self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def _row(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    row = operator.index(padding_idx)
    if not -rows <= row < rows:
        raise ValueError(f"Embedding: `padding_idx` (={row}) must be within `num_embeddings` (={rows})")
    return row % rows
