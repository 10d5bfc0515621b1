"""Containers: lists and dicts of modules and parameters, as in PyTorch."""

import copy
from collections import OrderedDict
from types import ModuleType
from typing import Any

import numpy as np
import pytest


def names(net: Any) -> list[str]:
    return [name for name, _ in net.named_children()]


def test_sequential_is_changed_like_a_list(engine: ModuleType) -> None:
    nn = engine.nn
    a, b, c, d = nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1), nn.ReLU()
    net = nn.Sequential(a, b)
    assert net.extend([c]) is net
    assert net.insert(1, d) is net
    assert list(net) == [a, d, b, c]
    assert names(net) == ["0", "1", "2", "3"]
    assert net.pop(-3) is d
    net[-1] = d
    assert list(net) == [a, b, d]
    del net[0]
    assert list(net) == [b, d]
    assert names(net) == ["0", "1"]
    net += nn.Sequential(a)
    del net[:2]
    assert list(net) == [a]
    assert list(net + nn.Sequential(b)) == [a, b]
    nested = nn.Sequential(OrderedDict(first=nn.Sequential(a, b), last=c))
    assert [name for name, _ in nested.named_parameters()] == ["first.0.weight", "first.0.bias", "last.weight", "last.bias"]
    assert names(nested[1:]) == ["last"]


@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
def test_lists_of_modules_refuse_what_does_not_fit(engine: ModuleType, kind: str) -> None:
    nn = engine.nn
    net = getattr(nn, kind)()
    net.extend([nn.Tanh(), nn.ReLU()])
    for change in (
        lambda: net.insert(3, nn.Tanh()),
        lambda: net.pop(2),
        lambda: net.__setitem__(-3, nn.Tanh()),
        lambda: net.__delitem__(2),
    ):
        with pytest.raises(IndexError, match=r"index -?\d is out of range for a \w+ of 2 modules"):
            change()
    with pytest.raises(TypeError, match=f"{kind}.extend should be called with an iterable, but got int"):
        net.extend(3)
    for change in (lambda: net.append(3), lambda: net.insert(0, 3), lambda: net.extend([nn.Tanh(), 3]), lambda: net.__setitem__(0, 3)):
        with pytest.raises(TypeError, match="cannot assign 'int' as child module"):
            change()
    assert [type(m) for m in net] == [nn.Tanh, nn.ReLU]


def test_module_lists(engine: ModuleType) -> None:
    nn = engine.nn
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(layers) == 3
    assert layers[1] in layers
    assert nn.Tanh() not in layers
    assert type(layers[1:]) is nn.ModuleList
    assert names(layers[1:]) == ["0", "1"]
    layers += [nn.Tanh()]
    layers.insert(0, nn.ReLU())
    assert [type(m).__name__ for m in layers] == ["ReLU", "Linear", "Linear", "Linear", "Tanh"]
    more = [nn.ReLU()]
    assert names(layers + more) == ["0", "1", "2", "3", "4", "5"]
    assert isinstance(layers, nn.Module)
    with pytest.raises(NotImplementedError, match=r"ModuleList.*forward"):
        layers(1)
    assert [n for n, _ in copy.deepcopy(layers).named_parameters()] == [n for n, _ in layers.named_parameters()]


def test_module_dicts(engine: ModuleType) -> None:
    nn = engine.nn
    table = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Tanh()})
    table["c"] = nn.ReLU()
    table.update([("b", nn.Sigmoid())])
    assert list(table) == list(table.keys()) == ["a", "b", "c"]
    assert isinstance(table["b"], nn.Sigmoid)
    assert "a" in table
    assert len(table) == 3
    assert isinstance(table.pop("c"), nn.ReLU)
    del table["b"]
    assert [(k, type(v)) for k, v in table.items()] == [("a", nn.Linear)]
    assert list(table.state_dict()) == ["a.weight", "a.bias"]
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'y'"):
        table.update({"x": nn.Tanh(), "y": 3})
    with pytest.raises(TypeError, match=r"ModuleDict.update should be called with a mapping or pairs"):
        table.update(3)
    assert list(table) == ["a"]
    with pytest.raises(KeyError):
        table["nope"]
    table.clear()
    assert list(table.values()) == []


def test_parameter_lists_and_dicts(engine: ModuleType) -> None:
    nn = engine.nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.list = nn.ParameterList([nn.Parameter([1.0]), engine.tensor([[2.0, 3.0]])])
            self.dict = nn.ParameterDict({"b": engine.tensor([4.0]), "a": nn.Parameter([5.0])})

        def forward(self, x: Any) -> Any:
            for p in self.list:
                x = x * p
            return (x + self.dict["a"]).sum()

    net = Net()
    assert list(net.state_dict()) == ["list.0", "list.1", "dict.b", "dict.a"]
    net.list.append(engine.tensor([6.0])).extend([engine.tensor([7.0])])
    net.list[0] = engine.tensor([8.0])
    net.dict["c"] = engine.tensor([9.0])
    assert all(type(p) is nn.Parameter and p.requires_grad for p in net.parameters())
    assert len(net.list) == 4
    assert type(net.list[1:3]) is nn.ParameterList
    assert float(net.list[-1].detach()) == 7
    gradients = engine.grad(lambda net, x: net(x))(net, np.ones(2, np.float32))
    np.testing.assert_allclose(gradients["list.0"], [(2 + 3) * 6 * 7])
    assert sorted(net.dict.keys()) == ["a", "b", "c"]
    assert net.dict.pop("c") is not None
    del net.dict["b"]
    assert list(net.dict) == ["a"]
    assert net.dict.get("zz", 3) == 3
    for change in (lambda: net.list.append(3.0), lambda: net.list.extend([engine.tensor([1.0]), 3]), lambda: net.dict.update({"q": "no"})):
        with pytest.raises(TypeError, match=r"Parameter(List|Dict) holds tensors and parameters, not"):
            change()
    for change in (lambda: net.list.extend(3), lambda: net.dict.update(3), lambda: net.list.extend(engine.tensor([1.0]))):
        with pytest.raises(TypeError, match="should be called with"):
            change()
    assert (len(net.list), list(net.dict)) == (4, ["a"])
    with pytest.raises(IndexError, match="index 4 is out of range for a ParameterList of 4 parameters"):
        net.list[4]
    assert repr(nn.ParameterList([engine.tensor([[1.0, 2.0]])])) == (
        "ParameterList(\n    (0): Parameter containing: [float32 of size 1x2]\n)"
    )


def test_containers_print_as_torch_s(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")

    def made(nn: Any) -> Any:
        block = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True))
        layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), block, nn.Linear(2, 3), nn.Linear(2, 3)])
        return nn.ModuleDict({"a": layers, "b": nn.ModuleList(), "c": nn.Sequential(nn.Tanh(), nn.Tanh())})

    assert repr(made(engine.nn)) == repr(made(torch.nn))
