"""`default_collate`: a list of examples as one batch, put together as PyTorch does."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from diffcore.arrays import is_array, namespace
from diffcore.dispatch import Boxed
from diffcore.errors import DTypeError, ShapeError
from diffcore.ops.joining import stack


def default_collate(batch: Sequence[Any]) -> Any:
    """The examples of `batch` as one, with an axis of examples in front of every array in them.

    Arrays are stacked; numbers become an array (float64, int64 or bool); text stays in a list, or in a tuple where it was in one; tuples
    and lists become a list, named tuples and dicts keep their kind, of what their parts become. If an example holds tensors, all arrays
    become tensors. Raises `ShapeError` for examples that do not fit one another, `DTypeError` for anything else.
    """
    return _collated(batch, _tensor_class(batch[0]) if len(batch) else None, "")


def _tensor_class(example: Any) -> type[Boxed] | None:
    """The class of the first tensor in an example."""
    if isinstance(example, Boxed):
        return example.box
    parts = example.values() if isinstance(example, Mapping) else example if isinstance(example, list | tuple) else ()
    return next((found for part in parts if (found := _tensor_class(part)) is not None), None)


def _collated(batch: Sequence[Any], box: type[Boxed] | None, path: str) -> Any:
    if not batch:
        raise ShapeError("default_collate: the batch is empty")
    first = batch[0]
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Boxed) or is_array(first) or isinstance(first, bool | int | float):
        return _stacked(batch, box, path)
    if isinstance(first, Mapping):
        _check(all(isinstance(e, Mapping) and e.keys() == first.keys() for e in batch), "dicts with the same keys", path)
        parts = {key: _collated([e[key] for e in batch], box, f"{path}[{key!r}]") for key in first}
        if not isinstance(first, MutableMapping):
            return parts
        clone = copy(first)
        clone.update(parts)
        return clone
    if isinstance(first, Sequence):
        _check(all(isinstance(e, Sequence) and len(e) == len(first) for e in batch), "sequences of equal length", path)
        columns = [_collated(column, box, f"{path}[{i}]") for i, column in enumerate(zip(*batch, strict=True))]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise DTypeError(
        f"default_collate: examples must hold tensors, arrays, numbers, text, dicts or lists; found {type(first).__name__}{_at(path)}"
    )


def _stacked(batch: Sequence[Any], box: type[Boxed] | None, path: str) -> Any:
    """The arrays, tensors or numbers of all examples, stacked: a tensor of class `box`, else an array."""
    arrays = [e if isinstance(e, Boxed) or is_array(e) else np.asarray(e) for e in batch]
    shapes = [tuple(a.shape) for a in arrays]
    wrong = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if wrong is not None:
        raise ShapeError(
            f"default_collate: stack expects each example to be of equal size{_at(path)}, but got {shapes[0]} at entry 0 and "
            f"{shapes[wrong]} at entry {wrong}; a `collate_fn` may pad them"
        )
    kind = next((a.dtype for a in arrays if a.dtype.kind not in "biuf"), None)
    if kind is not None:
        raise DTypeError(f"default_collate: cannot stack elements of {kind}{_at(path)}")
    if any(isinstance(a, Boxed) for a in arrays):
        return stack([a if isinstance(a, Boxed) or box is None else box(a) for a in arrays])
    made = namespace(arrays).stack(arrays)
    return made if box is None else box(made)


def _check(fits: bool, what: str, path: str) -> None:
    if not fits:
        raise ShapeError(f"default_collate: the examples of a batch must be {what}{_at(path)}")


def _at(path: str) -> str:
    return f" at {path}" if path else ""
