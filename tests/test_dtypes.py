"""Dtypes, sizes and devices under PyTorch's names."""

import operator
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore.errors import DeviceError


def test_dtype_names(engine: ModuleType) -> None:
    aliases = {"half": "float16", "float": "float32", "double": "float64", "short": "int16", "int": "int32", "long": "int64"}
    for name in (*aliases, "int8", "uint8", "bool", "float16", "float32", "float64", "int16", "int32", "int64"):
        assert getattr(engine, name) == np.dtype(aliases.get(name, name))
        assert isinstance(getattr(engine, name), engine.dtype)
        assert engine.zeros(1, dtype=getattr(engine, name)).dtype == getattr(engine, name)
    assert engine.finfo(engine.float32).eps == np.float32(2**-23)
    assert engine.iinfo(engine.int8).max == 127
    assert engine.result_type(engine.zeros(1), 2.0) == engine.float32
    assert engine.result_type(engine.zeros(1), engine.zeros(1, dtype=engine.float64)) == engine.float64
    assert (engine.zeros(1, dtype=engine.int32) + engine.zeros(1)).dtype == engine.result_type(
        engine.zeros(1, dtype=engine.int32), engine.zeros(1)
    )


def test_casts_that_are_allowed_are_those_of_torch(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    names = ["bool", "uint8", "int8", "int64", "float16", "float64"]
    for first in names:
        for second in names:
            expected = torch.can_cast(getattr(torch, first), getattr(torch, second))
            assert engine.can_cast(getattr(engine, first), getattr(engine, second)) == expected

SIZES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda s: s,
    "part": lambda s: s[1:],
    "none": lambda s: s[:0],
    "one": lambda s: s[-1],
    "behind": lambda s: operator.add(s, (4,)),
    "before": lambda s: operator.add((4, 5), s),
    "both": lambda s: s + s,
    "times": lambda s: s * 2,
    "times from the left": lambda s: 2 * s,
    "unpacked": lambda s: [*s],
    "length": len,
    "elements": lambda s: s.numel(),
    "text": str,
    "equal": lambda s: s == (2, 3),
    "hash": lambda s: hash(s) == hash((2, 3)),
    "pickled": lambda s: pickle.loads(pickle.dumps(s)),
    "product": lambda s: type(s)([]).numel(),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_do_what_those_of_torch_do(engine: ModuleType, name: str) -> None:
    torch = pytest.importorskip("torch")
    assert repr(SIZES[name](engine.Size([2, 3]))) == repr(SIZES[name](torch.Size([2, 3])))


def test_shapes_are_sizes(engine: ModuleType) -> None:
    x = engine.zeros(2, 3)
    assert repr(x.shape) == str(x.size()) == f"{x.shape}" == "torch.Size([2, 3])"
    assert repr(x.sum().shape) == "torch.Size([])"
    assert isinstance(x.shape, engine.Size)
    assert isinstance(x.shape, tuple)
    with pytest.raises(TypeError):
        operator.add(x.shape, [1])


def test_device_names(engine: ModuleType) -> None:
    for made, text, shown in (
        (engine.device("cpu"), "cpu", "device(type='cpu')"),
        (engine.device("cuda"), "cuda", "device(type='cuda')"),
        (engine.device("cuda:1"), "cuda:1", "device(type='cuda', index=1)"),
        (engine.device("cuda", 0), "cuda:0", "device(type='cuda', index=0)"),
        (engine.device(type="cuda", index=2), "cuda:2", "device(type='cuda', index=2)"),
        (engine.device(3), "cuda:3", "device(type='cuda', index=3)"),
        (engine.device(engine.device("meta")), "meta", "device(type='meta')"),
        (engine.device("jax:cpu"), "jax:cpu", "device(type='jax:cpu')"),
    ):
        assert made == text
        assert hash(made) == hash(text)
        assert str(made) == f"{made}" == text
        assert type(str(made)) is str
        assert repr(made) == repr(pickle.loads(pickle.dumps(made))) == shown
    assert (engine.device("cuda:1").type, engine.device("cuda:1").index, engine.device("cpu").index) == ("cuda", 1, None)
    assert engine.device("cuda") != engine.device("cuda:0")
    assert engine.zeros(1).device == engine.device("cpu")
    assert repr(engine.zeros(1).device) == "device(type='cpu')"
    assert engine.zeros(1, device=engine.device("cpu")).to(engine.device("cpu")).device.type == "cpu"
    with pytest.raises(DeviceError, match="device 'banana' is unknown"):
        engine.device("banana")
    with pytest.raises(DeviceError, match="must not include an index because index was passed explicitly: cuda:0"):
        engine.device("cuda:0", 1)
    with pytest.raises(DeviceError, match="device 'cuda:99' is not there"):
        engine.zeros(1, device=engine.device("cuda:99"))


def test_gpus_are_counted(engine: ModuleType) -> None:
    import jax

    there = [device for device in jax.devices() if device.platform == "gpu"]
    assert engine.cuda.device_count() == len(there)
    assert engine.cuda.is_available() == bool(there)
