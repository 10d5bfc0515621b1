"""Classes and tables: `one_hot` and `embedding`, which PyTorch has in `nn.functional`."""

from __future__ import annotations

import operator

import numpy as np

from diffcore.arrays import namespace, values_of
from diffcore.dispatch import Boxed
from diffcore.errors import ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.kernels import indexing as _i
from diffcore.kernels import shape as _s
from diffcore.ops.axes import Tensor
from diffcore.ops.gathering import integers
from diffcore.whole import integer

__all__ = ["embedding", "one_hot"]


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` `[rows, features]` by the indices `input` of any shape: `[*input.shape, features]`.

    The row `padding_idx` (negative: from the end) is read like any other but gets no derivative. Raises `IndexError` for an index that is
    negative or too large (unless it is on jax, where values are not looked at), `ShapeError` for a `weight` that is no matrix.
    """
    index = integers("embedding", input, "input")
    if weight.ndim != 2:
        raise ShapeError(f"embedding: `weight` must be 2-D, got shape {tuple(weight.shape)}")
    rows = weight.shape[0]
    known = values_of(index)
    if known is not None and known.size and not 0 <= known.min() <= known.max() < rows:
        raise IndexError(f"embedding: index {known[(known < 0) | (known >= rows)][0]} is out of range: `weight` has {rows} rows")
    if padding_idx is not None:
        padding = operator.index(padding_idx)
        if not -rows <= padding < rows:
            raise IndexError(f"embedding: `padding_idx` (={padding}) must be within the {rows} rows of `weight`")
        return _i.embedding(index, weight, padding=padding % rows)
    return _i.embedding(index, weight)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """`[*input.shape, num_classes]` integers: 1 at each class index, else 0. Without `num_classes`, one more than the largest index.

    Raises `IndexError` for a class index that is negative or not smaller than `num_classes`.
    """
    index, num_classes = integers("one_hot", input), integer("one_hot", "num_classes", num_classes)
    if num_classes == -1:
        if not index.size:
            raise ShapeError("one_hot: can not infer total number of classes from empty tensor: pass `num_classes`")
        num_classes = int(index.max()) + 1
    if num_classes < 1:
        raise ShapeError(f"one_hot: `num_classes` (={num_classes}) must be positive")
    known = values_of(index)
    if known is not None and known.size:
        if known.min() < 0:
            raise IndexError(f"one_hot: class values must be non-negative, got {known.min()}")
        if known.max() >= num_classes:
            raise IndexError(f"one_hot: class values must be smaller than num_classes, got {known.max()} of {num_classes}")
    column = _s.reshape(input if isinstance(input, Boxed) else index, shape=(*index.shape, 1))
    return _s.astype(_e.equal(column, np.arange(num_classes)), dtype=np.dtype(namespace((index,)).result_type(int)))
