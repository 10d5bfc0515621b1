"""Forward hooks, and that a module without any is called as before."""

import copy
import dis
import pickle
from itertools import takewhile
from types import ModuleType
from typing import Any

import numpy as np

from diffcore.nn.module import Module


def test_a_call_without_hooks_is_one_call_of_forward() -> None:
    """Hooks must cost nothing where there are none: a call of a module looks whether anything is watched, and this is all else."""
    called = takewhile(lambda i: i.opname != "PUSH_EXC_INFO", dis.get_instructions(Module.__call__))  # then comes what errors run
    instructions = [i for i in called if i.opname not in ("CACHE", "RESUME", "PRECALL")]
    assert len(instructions) <= 28
    named = {i.argval for i in instructions if i.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL")}
    assert named == {"forward", "watch", "count", "noted"}


def test_hooks_see_and_replace_arguments_and_results(engine: ModuleType) -> None:
    layer = engine.nn.Linear(2, 2)
    x = engine.tensor([[1.0, 2.0]])
    plain = layer(x).detach().numpy()
    seen: list[Any] = []
    first = layer.register_forward_hook(lambda module, args, out: seen.append((module, args, out)))
    out = layer(x)
    assert (seen[0][0], seen[0][1][0], seen[0][2]) == (layer, x, out)
    second = layer.register_forward_hook(lambda module, args, out: out * 2)
    doubled = layer.register_forward_pre_hook(lambda module, args: args[0] * 0)
    np.testing.assert_allclose(layer(x).detach(), 2 * layer.bias.detach().numpy()[None])
    for handle in (first, second, doubled):
        handle.remove()
    np.testing.assert_array_equal(layer(x).detach(), plain)
    assert len(seen) == 2


def test_hooks_come_in_order_and_with_keywords(engine: ModuleType) -> None:
    class Scale(engine.nn.Module):
        def forward(self, x: Any, by: float = 1.0) -> Any:
            return x * by

    module, order = Scale(), []
    module.register_forward_pre_hook(lambda m, args: order.append("a"))
    module.register_forward_pre_hook(lambda m, args: order.append("b"), prepend=True)
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True)
    module.register_forward_hook(lambda m, args, kwargs, out: out + kwargs["by"], with_kwargs=True)
    assert float(module(engine.tensor(2.0), by=2.0)) == 9
    assert order == ["b", "a"]
    with module.register_forward_hook(lambda m, args, out: out * 0):
        assert float(module(engine.tensor(2.0), by=2.0)) == 0
    assert float(module(engine.tensor(2.0), by=2.0)) == 9


def halved(module: Any, args: Any, out: Any) -> Any:
    return out * 0.5


def test_hooks_work_in_networks_under_transforms_and_are_copied(engine: ModuleType) -> None:
    net = engine.nn.Sequential(engine.nn.Linear(2, 2, dtype=np.float64), engine.nn.Tanh())
    x = np.array([[0.3, -0.2]])
    plain = engine.grad(lambda net, x: net(x).sum())(net, x)
    net.register_forward_hook(halved)
    twin, thawed = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
    for each in (net, twin, thawed):
        found = engine.grad(lambda net, x: net(x).sum())(each, x)
        for name, gradient in plain.items():
            np.testing.assert_allclose(found[name], gradient / 2, rtol=1e-14)
    twin[0].weight.data = twin[0].weight.data * 0
    assert not np.allclose(net(engine.tensor(x)).detach(), twin(engine.tensor(x)).detach())
    assert "halved" not in repr(net)
