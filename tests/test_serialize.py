"""Parameters on disk: what is saved comes back to the bit, and a bad file changes nothing."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

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
