"""Parameters on disk: what is saved comes back to the bit, and a bad file changes nothing."""

from __future__ import annotations

import json
import os
import pickle
import stat
import struct
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import ArgumentError, DiffError, DTypeError, FormatError
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


def file_of(header: Any, data: bytes = b"") -> bytes:
    """A safetensors file, made by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, shape: list[int], stop: int, start: int = 0) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def structured(text: str) -> bytes:
    return file_of({"__metadata__": {"structure": text}, "w": entry("U8", [1], 1)}, b"\0")


TWICE = b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'

FOREIGN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "header too small"),
    "a pickle": (pickle.dumps({"w": [1.0] * 100}), "it may be a pickle, as `torch.save` writes it, which is never read"),
    "an archive": (b"PK\x03\x04" + bytes(100), "it may be a pickle"),
    "a header without end": (struct.pack("<Q", 2**63) + b"{}", "header too large"),
    "a header beyond the file": (struct.pack("<Q", 99_000_000) + b"{}", "invalid header length"),
    "no JSON": (file_of(b"{]"), "invalid JSON in header"),
    "a list": (file_of(b"[]"), "invalid JSON in header"),
    "no text": (file_of(b'{"\xff":1}'), "invalid UTF-8 in header"),
    "brackets": (file_of(b'{"a":' * 50_000), "recursion limit exceeded"),
    "a name twice": (file_of(TWICE, b"\0"), "is damaged: its header has 'w' twice"),
    "a note twice": (file_of(b'{"__metadata__":{"a":"1","a":"2"}}'), "is damaged: its header has 'a' twice"),
    "bfloat16": (file_of({"w": entry("BF16", [2], 4)}, bytes(4)), "holds elements of BF16, for which numpy has no type"),
    "float8": (file_of({"w": entry("F8_E4M3", [4], 4)}, bytes(4)), "holds elements of F8_E4M3, for which"),
    "an unknown dtype": (file_of({"w": entry("Q9", [1], 8)}, bytes(8)), "unknown variant `Q9`"),
    "data too short": (file_of({"w": entry("F32", [2], 8)}, bytes(7)), "incomplete metadata"),
    "data too long": (file_of({"w": entry("F32", [2], 8)}, bytes(9)), "incomplete metadata"),
    "a size that does not fit": (file_of({"w": entry("F32", [3], 8)}, bytes(8)), "invalid shape, data type, or offset"),
    "a negative extent": (file_of({"w": entry("F32", [-1], 4)}, bytes(4)), "integer `-1`"),
    "absurd extents": (file_of({"w": entry("F32", [2**62, 2**62], 8)}, bytes(8)), "overflow"),
    "absurd extents of nothing": (file_of({"w": entry("F32", [0, 2**62, 2**62], 0)}), "holds what cannot be an array: .* too big"),
    "too many axes": (file_of({"w": entry("F32", [1] * 65, 4)}, bytes(4)), "holds what cannot be an array: .* found 65"),
    "overlapping arrays": (file_of({"a": entry("U8", [2], 2), "b": entry("U8", [2], 3, 1)}, bytes(3)), "invalid offset"),
    "a hole": (file_of({"a": entry("U8", [2], 2), "b": entry("U8", [2], 5, 3)}, bytes(5)), "invalid offset"),
    **{
        f"the structure {text[:30]}": (structured(text), "has a structure that this version cannot read")
        for text in (
            '["value",{"a":1}]',
            '["dict",[[["list",[]],["value",1]]]]',
            '["dict",[[["value",1],["value",1]],[["value",1],["value",2]]]]',
            '["Size",[["value","a"]]]',
            '["list","ab"]',
            '["dict","ab"]',
            '["array",["w"]]',
            '[["w"],1]',
            '["value",' + "9" * 5000 + "]",
            "[" * 50_000,
            '["list",[' * 3000 + '["value",1]' + "]]" * 3000,
        )
    },
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_was_not_saved_here_is_refused_in_one_line(tmp_path: Path, engine: ModuleType, name: str) -> None:
    content, message = FOREIGN[name]
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    for read in (load, engine.load):
        with pytest.raises(FormatError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert "net.safetensors" in str(caught.value)


def test_files_without_arrays_and_notes_of_nothing(tmp_path: Path) -> None:
    for header in (b"{}", b'{"__metadata__":{}}', b'{"__metadata__":null}'):
        (tmp_path / "file").write_bytes(file_of(header))
        assert load(tmp_path / "file") == {}
    for call in (lambda: load(tmp_path), lambda: save([1], tmp_path)):
        with pytest.raises(IsADirectoryError):
            call()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"the folder .*absent' is not there"):
        save([1], tmp_path / "absent" / "file")


def test_every_truncation_is_refused_and_every_flipped_byte_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "file"
    state = {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3), "steps": [1, 2.5, "text", None, (np.ones(2, np.int64),)]}
    save(state, path)
    whole = path.read_bytes()
    for stop in range(len(whole)):
        path.write_bytes(whole[:stop])
        with pytest.raises(FormatError):
            load(path)
    rng = np.random.default_rng(0)
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= int(rng.integers(1, 256))
        path.write_bytes(flipped)
        with suppress(FormatError):  # nothing else may come of it
            load(path)
    for _ in range(300):
        path.write_bytes(rng.bytes(int(rng.integers(0, 200))))
        with pytest.raises(FormatError):
            load(path)


def test_names_of_every_kind_are_kept(tmp_path: Path) -> None:
    names = ["__metadata__", "__metadata__'", "\ud800", "\udfff", "?", "a\0b", "\n", '"', "n" * 100_000, "ä", "\U0001f600", " "]
    save({name: np.array([i]) for i, name in enumerate(names)}, tmp_path / "file")
    assert {name: int(array[0]) for name, array in load(tmp_path / "file").items()} == {name: i for i, name in enumerate(names)}


def test_what_the_format_cannot_hold_is_said_before_anything_is_written(tmp_path: Path, x64: None) -> None:
    import jax.numpy as jnp

    path = tmp_path / "file"
    save([1], path)
    before = path.read_bytes()
    circle: list[Any] = []
    circle.append({"again": circle})
    deep: Any = 1
    for _ in range(201):
        deep = [deep]
    for value, kind, message in (
        ({"a": np.ones(2, np.complex128)}, DTypeError, "save: cannot store elements of complex128 at 'a'; expected bool, complex64"),
        ([np.array([None])], DTypeError, "elements of object at '0'"),
        (np.array(["x"]), DTypeError, "elements of <U1; expected"),
        (np.array(["2020"], "M8[D]"), DTypeError, "elements of datetime64"),
        ({"a": {"b": jnp.ones(2, jnp.bfloat16)}}, DTypeError, "elements of bfloat16 at 'a.b'"),
        (circle, ArgumentError, "more than 200 lists and dicts in one another at '0.again.0.*; does one contain itself"),
        (deep, ArgumentError, "more than 200 lists and dicts"),
        ([10**5000], ArgumentError, "cannot be written as safetensors: Exceeds the limit"),
    ):
        with pytest.raises(kind, match=message) as caught:
            save(value, path)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_is_nested_as_deeply_as_can_be_saved_is_loaded(tmp_path: Path) -> None:
    deep: Any = np.ones(1)
    for _ in range(100):
        deep = {"a": [deep]}
    save(deep, tmp_path / "file")
    assert json.dumps(load(tmp_path / "file"), default=np.ndarray.tolist) == json.dumps(deep, default=np.ndarray.tolist)


def test_files_have_the_rights_and_may_have_the_names_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    name = "x" * 255
    save([1], tmp_path / name)
    assert stat.S_IMODE(os.stat(tmp_path / name).st_mode) == stat.S_IMODE(os.stat(tmp_path / "other").st_mode)
    save([2], str(tmp_path / name))
    assert load(tmp_path / name) == [2]
    with pytest.raises(OSError, match="too long"):
        save([1], tmp_path / ("x" * 256))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="is not a plain file"):
            save([1], tmp_path / "pipe")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "pipe") == ["other", name]
