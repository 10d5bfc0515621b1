"""Parameters on disk: what is saved comes back to the bit, and a bad file changes nothing."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import DiffError
from diffcore.serialize import load, save


def _net(engine: ModuleType, seed: int):
    engine.manual_seed(seed)
    return engine.nn.Sequential(engine.nn.Linear(4, 3), engine.nn.Tanh(), engine.nn.Linear(3, 2))


def test_a_network_comes_back_to_the_bit(engine: ModuleType, tmp_path: Path) -> None:
    one, other = _net(engine, 1), _net(engine, 2)
    save(one.state_dict(), tmp_path / "net.safetensors")
    other.load_state_dict(load(tmp_path / "net.safetensors"))
    for (name, a), (_, b) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        assert a.detach().numpy().tobytes() == b.detach().numpy().tobytes(), name
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_dtypes_shapes_and_strides(tmp_path: Path) -> None:
    arrays = {"t": np.arange(6.0).reshape(2, 3).T, "i": np.array([1, 2]), "h": np.ones((), np.float16), "e": np.zeros((0, 3), np.float32)}
    save(arrays, tmp_path / "a")
    for name, array in load(tmp_path / "a").items():
        assert array.dtype == arrays[name].dtype
        assert array.shape == arrays[name].shape
        assert np.array_equal(array, arrays[name])


@pytest.mark.parametrize("content", [b"", b"not a safetensors file at all", None])
def test_a_torn_file_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "net"
    save({"w": np.ones(5)}, path)
    path.write_bytes(path.read_bytes()[:-3] if content is None else content)
    with pytest.raises(DiffError, match="is not a whole safetensors file") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net"
    save({"w": np.ones(5)}, path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        save({"w": np.zeros(5)}, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def same(ours: Any, theirs: Any) -> bool:
    """Equal values in equal structures, to the class and the bit."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if hasattr(ours, "dtype"):
        arrays = [x.detach().numpy() if hasattr(x, "detach") else x for x in (ours, theirs)]
        flags = [getattr(x, "requires_grad", None) for x in (ours, theirs)]
        return arrays[0].dtype == arrays[1].dtype and arrays[0].tobytes() == arrays[1].tobytes() and flags[0] == flags[1]
    return ours == theirs


STRUCTURES: dict[str, Any] = {
    "a tensor": lambda t: t.arange(4),
    "a tensor without axes": lambda t: t.tensor(2.5),
    "an empty tensor": lambda t: t.zeros(0, 3),
    "a variable": lambda t: t.ones(2, requires_grad=True),
    "a list": lambda t: [t.arange(3), t.zeros(2, 2)],
    "a dict": lambda t: {"x": t.arange(3.0), "y": t.zeros(2)},
    "an ordered dict": lambda t: OrderedDict([("b", t.ones(1)), ("a", t.zeros(1))]),
    "a dict of numbers": lambda t: {0: {"step": 3, "avg": t.ones(2)}, 1: {"step": 4, "avg": t.zeros(2)}},
    "a checkpoint": lambda t: {
        "epoch": 3,
        "loss": 0.25,
        "name": "net",
        "done": False,
        "best": None,
        "size": t.Size([2, 3]),
        "layers": [("w", t.ones(2)), ("b", t.zeros(1))],
        "state": t.nn.Linear(2, 1).state_dict(),
        "indices": np.arange(3),
    },
    "names that meet": lambda t: {
        "a.b": t.ones(1),
        "a": {"b": t.zeros(1)},
        "tensor": t.ones(2),
        "": t.zeros(2),
        1: t.ones(3),
        "1": t.ones(4),
    },
    "nothing": lambda t: {},
    "numbers that are not finite": lambda t: [float("inf"), -0.0, 10**30],
    "every dtype": lambda t: [t.ones(2, dtype=getattr(t, d)) for d in "float16 float32 float64 int8 int16 int32 int64 uint8 bool".split()],
    "a view": lambda t: t.arange(6.0).reshape(2, 3).T,
    "a float16 number": lambda t: np.float16(1.5) + np.zeros(1, np.float16),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_come_back_as_they_were(engine: ModuleType, tmp_path: Path, name: str) -> None:
    made = STRUCTURES[name](engine)
    engine.save(made, tmp_path / "file")
    back = engine.load(tmp_path / "file")
    assert same(back, made)
    engine.save(back, str(tmp_path / "again"))
    assert same(engine.load(str(tmp_path / "again"), weights_only=False), made)


def test_a_module_is_loaded_from_what_was_saved(engine: ModuleType, tmp_path: Path) -> None:
    one, other = _net(engine, 1), _net(engine, 2)
    engine.save(one.state_dict(), tmp_path / "net")
    assert other.load_state_dict(engine.load(tmp_path / "net")) is not one
    x = engine.ones(1, 4)
    assert one(x).tolist() == other(x).tolist()


def test_files_of_other_programs_are_dicts_of_tensors(engine: ModuleType, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2)}, tmp_path / "plain")
    (found,) = engine.load(tmp_path / "plain").items()
    assert found[0] == "w"
    assert isinstance(found[1], engine.Tensor)
    save_file({"w": np.ones(2)}, tmp_path / "noted", metadata={"format": "np"})
    assert engine.load(tmp_path / "noted")["w"].tolist() == [1.0, 1.0]
    for structure in ("no json", '["list", 3]', '["banana", []]', '["tensor", "absent"]', "[]", '["tensor"]'):
        save_file({"w": np.ones(2)}, tmp_path / "odd", metadata={"structure": structure})
        with pytest.raises(DiffError, match="has a structure that this version cannot read"):
            engine.load(tmp_path / "odd")


def test_tensors_are_loaded_where_they_are_wanted(engine: ModuleType, tmp_path: Path) -> None:
    engine.save({"w": engine.ones(2, device="jax")}, tmp_path / "net")
    assert engine.load(tmp_path / "net")["w"].device == "cpu"
    assert engine.load(tmp_path / "net", map_location="meta")["w"].device == "meta"
    assert engine.load(tmp_path / "net", map_location=engine.device("cpu"))["w"].tolist() == [1.0, 1.0]
    with pytest.raises(DiffError, match="device 'cuda:99' is not there"):
        engine.load(tmp_path / "net", map_location="cuda:99")


def test_what_is_loaded_can_be_changed(engine: ModuleType, tmp_path: Path) -> None:
    engine.save([engine.ones(2)], tmp_path / "list")
    (x,) = engine.load(tmp_path / "list")
    x.numpy()[0] = 5
    assert x.tolist() == [5.0, 1.0]


def test_what_cannot_be_stored_is_named(engine: ModuleType, tmp_path: Path) -> None:
    net = engine.nn.Linear(1, 1)
    for value, message in (
        (net, r"save: cannot store Linear; expected .*Did you mean its `state_dict\(\)`\?"),
        ({"a": [engine.ones(1), {"b": net}]}, "cannot store Linear at 'a.1.b'"),
        ([lambda: 0], "cannot store function at '0'"),
        ({1, 2}, "cannot store set;"),
        (1j, "cannot store complex"),
    ):
        with pytest.raises(TypeError, match=message):
            engine.save(value, tmp_path / "file")
    with pytest.raises(DiffError, match="no values"):
        engine.save(engine.zeros(2, device="meta"), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
