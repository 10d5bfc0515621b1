"""Examples put together as PyTorch does."""

from collections import OrderedDict, namedtuple
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.data import DataLoader, default_collate
from diffcore.errors import DTypeError, ShapeError

Pair = namedtuple("Pair", "left right")

BATCHES: dict[str, list[Any]] = {
    "floats": [1.0, 2.5],
    "integers": [1, 2],
    "booleans": [True, False],
    "numpy numbers": [np.float32(1), np.float32(2)],
    "arrays": [np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)],
    "text": ["a", "bc"],
    "bytes": [b"a", b"b"],
    "tuples": [(np.ones(2), 1), (np.zeros(2), 2)],
    "lists": [[1, 2.0], [3, 4.0]],
    "named tuples": [Pair(np.ones(2), "a"), Pair(np.zeros(2), "b")],
    "dicts": [{"x": np.ones(2), "n": 1}, {"x": np.zeros(2), "n": 2}],
    "ordered dicts": [OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)],
    "nested": [{"x": (np.ones(2), {"t": [1, "a"]})}, {"x": (np.zeros(2), {"t": [2, "b"]})}],
    "empty dicts": [{}, {}],
    "empty tuples": [(), ()],
    "without elements": [np.zeros((0, 2)), np.zeros((0, 2))],
}


def described(batch: Any) -> Any:
    """Structure, classes, dtypes and values."""
    if isinstance(batch, dict):
        return type(batch), {key: described(value) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch), [described(part) for part in batch]
    if hasattr(batch, "dtype"):
        return str(batch.dtype).removeprefix("torch."), tuple(batch.shape), batch.tolist()
    return batch


@pytest.mark.parametrize("name", BATCHES)
def test_batches_are_those_of_pytorch(name: str) -> None:
    pytest.importorskip("torch")
    from torch.utils.data import default_collate as theirs

    assert described(default_collate(BATCHES[name])) == described(theirs(BATCHES[name]))


def test_dicts_and_tuples_without_torch() -> None:
    batch = default_collate(BATCHES["nested"])
    assert batch["x"][0].tolist() == [[1, 1], [0, 0]]
    assert batch["x"][1]["t"][0].tolist() == [1, 2]
    assert batch["x"][1]["t"][1] == ("a", "b")
    assert default_collate([MappingProxyType({"a": 1})])["a"].tolist() == [1]
    assert BATCHES["dicts"][0]["n"] == 1


def test_tensors_stay_tensors_and_make_tensors_of_what_is_beside_them(engine: ModuleType) -> None:
    examples = [{"x": engine.tensor([1.0 * i, 2.0]), "n": i, "name": "a", "more": [np.ones(2)]} for i in range(3)]
    batch = next(iter(DataLoader(examples, 3)))
    assert all(isinstance(part, engine.Tensor) for part in (batch["x"], batch["n"], batch["more"][0]))
    assert batch["x"].tolist() == [[0.0, 2.0], [1.0, 2.0], [2.0, 2.0]]
    assert batch["n"].tolist() == [0, 1, 2]
    assert batch["name"] == ["a"] * 3


def test_gradients_flow_through_a_batch(engine: ModuleType) -> None:
    w = engine.tensor([1.0, 2.0], requires_grad=True)
    (default_collate([w * 2, w * w]) * engine.tensor([[1.0, 1.0], [1.0, 10.0]])).sum().backward()
    assert w.grad.tolist() == [4.0, 42.0]


@pytest.mark.parametrize(
    ("batch", "kind", "message"),
    [
        ([np.ones(2), np.ones(3)], ShapeError, r"equal size, but got \(2,\) at entry 0 and \(3,\) at entry 1; a `collate_fn` may pad"),
        ([{"a": [1]}, {"a": [1, 2]}], ShapeError, r"sequences of equal length at \['a'\]"),
        ([{"a": 1}, {"b": 1}], ShapeError, "dicts with the same keys"),
        ([(1, 2), 3], ShapeError, "sequences of equal length"),
        ([{"a": None}], DTypeError, r"found NoneType at \['a'\]"),
        ([{1, 2}], DTypeError, "found set"),
        ([np.array(["a"])], DTypeError, "cannot stack elements of <U1"),
        ([(1, np.array([None]))], DTypeError, r"cannot stack elements of object at \[1\]"),
        ([], ShapeError, "the batch is empty"),
    ],
)
def test_what_cannot_be_put_together_is_named(batch: list[Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        default_collate(batch)
