"""`Module`: registration, walks, state, modes, and the same words as PyTorch's."""

import copy
import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.errors import DiffError
from diffcore.nn import linear as neutral


def net_of(engine: ModuleType, dtype: Any = None) -> Any:
    engine.manual_seed(2)
    layers = engine.nn
    return layers.Sequential(layers.Linear(3, 4, dtype=dtype), layers.Tanh(), layers.Linear(4, 2, bias=False, dtype=dtype))


def block_of(engine: ModuleType) -> Any:
    class Block(engine.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = engine.nn.Parameter([1.0, 2.0])
            self.inner = net_of(engine)
            self.first = engine.nn.Linear(2, 2)
            self.note = "text"
            self.register_buffer("count", engine.tensor([3.0]))
            self.shift = engine.nn.Parameter([0.0])

        def forward(self, x: Any) -> Any:
            return self.inner(x) * self.scale + self.shift

    return Block()


def test_parameters_come_in_order_of_registration_own_ones_first(engine: ModuleType) -> None:
    names = ["scale", "shift", "inner.0.weight", "inner.0.bias", "inner.2.weight", "first.weight", "first.bias"]
    block = block_of(engine)
    assert [name for name, _ in block.named_parameters()] == names
    assert [p.shape for p in block.parameters()] == [(2,), (1,), (4, 3), (4,), (2, 4), (2, 2), (2,)]
    assert [name for name, _ in block.named_buffers()] == ["count"]
    assert list(block.state_dict()) == ["scale", "shift", "count", *names[2:]]
    assert [name for name, _ in block.named_modules()] == ["", "inner", "inner.0", "inner.1", "inner.2", "first"]
    assert [name for name, _ in block.named_children()] == ["inner", "first"]
    assert len(list(block.modules())) == 6
    assert list(block.children()) == [block.inner, block.first]


def test_the_order_is_torch_s(engine: ModuleType) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle here")

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
            self.inner = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2, bias=False))
            self.first = torch.nn.Linear(2, 2)
            self.register_buffer("count", torch.tensor([3.0]))
            self.shift = torch.nn.Parameter(torch.tensor([0.0]))

    ours, theirs = block_of(engine), Block()
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy())


def test_attributes_are_found_replaced_and_deleted(engine: ModuleType) -> None:
    block = block_of(engine)
    assert block.scale.requires_grad
    assert block.note == "text"
    replaced = engine.nn.Parameter([5.0])
    block.scale = replaced
    assert dict(block.named_parameters())["scale"] is replaced
    block.scale = None
    assert block.scale is None
    assert "scale" not in dict(block.named_parameters())
    block.scale = replaced
    del block.scale
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'scale'"):
        block.scale
    with pytest.raises(AttributeError):
        del block.scale
    block.note = engine.nn.Parameter([1.0])
    assert "note" in dict(block.named_parameters())
    block.first = engine.nn.Tanh()
    assert isinstance(block.first, engine.nn.Tanh)
    block.count = engine.tensor([4.0])
    assert float(dict(block.named_buffers())["count"]) == 4


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", np.ones(2), "cannot assign 'ndarray' as parameter 'scale'"),
        ("scale", 1.0, "cannot assign 'float' as parameter 'scale'"),
        ("inner", 3, "cannot assign 'int' as child module 'inner'"),
        ("count", [1.0], "cannot assign 'list' as buffer 'count'"),
    ],
)
def test_registered_names_keep_their_kind(engine: ModuleType, name: str, value: Any, message: str) -> None:
    block = block_of(engine)
    before = getattr(block, name)
    with pytest.raises(TypeError, match=message):
        setattr(block, name, value)
    assert getattr(block, name) is before


def test_registration_refuses_what_has_no_place(engine: ModuleType) -> None:
    block = block_of(engine)
    for name in ("", "a.b", 3):
        for register, value in ((block.register_parameter, None), (block.register_buffer, None), (block.add_module, engine.nn.Tanh())):
            with pytest.raises(KeyError, match=repr(name)):
                register(name, value)
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as parameter 'w'"):
        block.register_parameter("w", engine.tensor([1.0]))
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as child module 'w'"):
        block.add_module("w", engine.tensor([1.0]))
    assert not hasattr(block, "w")


def test_assignment_before_init_says_so(engine: ModuleType) -> None:
    class Hasty(engine.nn.Module):
        def __init__(self) -> None:
            self.layer = engine.nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"cannot assign to a module before Module.__init__\(\) call"):
        Hasty()


def test_a_module_without_forward_says_so(engine: ModuleType) -> None:
    with pytest.raises(NotImplementedError, match=r"Module \[Module\] is missing the required 'forward' function"):
        engine.nn.Module()(1)


def test_a_neutral_layer_says_which_to_use() -> None:
    with pytest.raises(DiffError, match=r"Linear belongs to no engine.*use the class of that name in revdiff\.nn or dualdiff\.nn"):
        neutral.Linear(2, 2)


# ------------------------------------------------------------------------------------------------ state


def test_state_goes_round(engine: ModuleType) -> None:
    source, target = block_of(engine), block_of(engine)
    for p in source.parameters():
        p.data = p.data + 1
    target.load_state_dict(source.state_dict())
    for (name, a), (_, b) in zip(source.named_parameters(), target.named_parameters(), strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach(), err_msg=name)
        assert b.requires_grad
        assert not np.shares_memory(a.detach().numpy(), b.detach().numpy())


def test_state_goes_from_one_engine_to_the_other() -> None:
    source, target = net_of(revdiff), net_of(dualdiff)
    for p in source.parameters():
        p.data = p.data * 3
    target.load_state_dict(source.state_dict())
    target.load_state_dict(dict(source.named_parameters()))
    np.testing.assert_array_equal(source[0].weight.detach(), target[0].weight.detach())


def test_state_shares_memory_and_has_no_history(engine: ModuleType) -> None:
    net = net_of(engine)
    state = net.state_dict()
    assert not any(value.requires_grad for value in state.values())
    state["0.bias"].numpy()[0] = 42
    assert float(net[0].bias[0].detach()) == 42


def test_loading_takes_arrays_lists_and_another_dtype(engine: ModuleType) -> None:
    net = net_of(engine)
    net.load_state_dict({"0.weight": np.ones((4, 3)), "0.bias": [1, 2, 3, 4], "2.weight": engine.tensor(np.zeros((2, 4)))})
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(net[0].bias.detach(), [1, 2, 3, 4])


def test_every_problem_is_in_one_error_and_nothing_changes(engine: ModuleType) -> None:
    net = net_of(engine)
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    state = {"0.weight": np.zeros((4, 3)), "2.weight": np.zeros((4, 2)), "gain": np.zeros(1), "3.bias": np.zeros(2)}
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert isinstance(caught.value, DiffError)
    text = str(caught.value)
    for part in (
        "loading state_dict for Sequential",
        "Missing key(s) in state_dict: '0.bias'",
        "Unexpected key(s) in state_dict: 'gain', '3.bias'",
        "size mismatch for 2.weight: (4, 2) given, (2, 4) expected",
    ):
        assert part in text
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(DiffError, match=r"size mismatch for 2\.weight"):
        net.load_state_dict(state, strict=False)
    np.testing.assert_array_equal(net[0].weight.detach(), before["0.weight"])
    net.load_state_dict({"0.bias": np.full(4, 7.0), "gain": np.zeros(1)}, strict=False)
    np.testing.assert_array_equal(net[0].bias.detach(), np.full(4, 7))
    np.testing.assert_array_equal(net[0].weight.detach(), before["0.weight"])


def test_a_shared_layer_is_under_each_of_its_names(engine: ModuleType) -> None:
    shared = engine.nn.Linear(2, 2)
    net = engine.nn.Sequential(shared, engine.nn.Tanh(), shared)
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    net.load_state_dict({name: np.ones(value.shape) for name, value in net.state_dict().items()})
    np.testing.assert_array_equal(shared.weight.detach(), np.ones((2, 2)))


def test_nets_are_copied_and_pickled(engine: ModuleType) -> None:
    net = net_of(engine, np.float64)
    x = engine.tensor(np.ones((2, 3)))
    net(x).sum().backward()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(twin) == repr(net)
        np.testing.assert_array_equal(twin(x).detach(), net(x).detach())
        np.testing.assert_array_equal(twin[0].weight.grad, net[0].weight.grad)
        twin.zero_grad()
        twin(x).sum().backward()
        np.testing.assert_array_equal(twin[0].weight.grad, net[0].weight.grad)
        twin[0].weight.data = twin[0].weight.data * 0
        assert abs(net[0].weight.detach().numpy()).min() > 0
        assert list(engine.grad(lambda net, x: net(x).sum())(twin, x)) == ["0.weight", "0.bias", "2.weight"]


def test_a_deep_copy_keeps_sharing(engine: ModuleType) -> None:
    shared = engine.nn.Linear(2, 2)
    twin = copy.deepcopy(engine.nn.Sequential(shared, shared))
    assert twin[0] is twin[1]
    assert twin[0] is not shared
    assert len(list(twin.parameters())) == 2


def test_copies_and_originals_train_together(engine: ModuleType) -> None:
    net = net_of(engine, np.float64)
    twin = copy.deepcopy(net)
    x = engine.tensor(np.ones((2, 3)))
    (net(x) * twin(x)).sum().backward()
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-13)


# ------------------------------------------------------------------------------------------------ modes, casts, walks


def test_modes_reach_every_module(engine: ModuleType) -> None:
    block = block_of(engine)
    assert all(m.training for m in block.modules())
    assert block.eval() is block
    assert not any(m.training for m in block.modules())
    block.inner.train()
    assert not block.training
    assert all(m.training for m in block.inner.modules())
    assert block.train() is block
    assert all(m.training for m in block.modules())


def test_apply_goes_from_the_leaves_up(engine: ModuleType) -> None:
    seen: list[str] = []
    net = engine.nn.Sequential(net_of(engine), engine.nn.ReLU())
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Tanh", "Linear", "Sequential", "ReLU", "Sequential"]


def test_casts_change_parameters_and_gradients_in_place(engine: ModuleType) -> None:
    block = block_of(engine)
    x = engine.tensor(np.ones((2, 3), np.float32))
    block(x).sum().backward()
    parameters = list(block.parameters())
    gradient = parameters[0].grad.numpy().copy()
    assert block.double() is block
    assert all(a is b for a, b in zip(parameters, block.parameters(), strict=True))
    assert {t.dtype for t in block.state_dict().values()} == {np.dtype(np.float64)}
    assert parameters[0].grad.dtype == np.float64
    np.testing.assert_array_equal(parameters[0].grad, gradient)
    block.zero_grad()
    assert all(p.grad is None for p in parameters)
    block(engine.tensor(np.ones((2, 3)))).sum().backward()
    assert {p.grad.dtype for p in parameters if p.grad is not None} == {np.dtype(np.float64)}
    for dtype in (np.float16, "float64", np.float32):
        assert {p.dtype for p in block.to(dtype).parameters()} == {np.dtype(dtype)}
    assert all(p.requires_grad for p in block.parameters())


@pytest.mark.parametrize("target", [np.int64, "banana", "cuda:x", None, bool])
def test_casts_that_make_no_sense_change_nothing(engine: ModuleType, target: Any) -> None:
    net = net_of(engine)
    with pytest.raises(DiffError):
        net.to(target)
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float32)}


def test_nets_move_between_devices(engine: ModuleType) -> None:
    import jax

    net = net_of(engine)
    before = net[0].weight.detach().numpy().copy()
    net(engine.tensor(np.ones((1, 3), np.float32))).sum().backward()
    net.to("jax:cpu")
    assert all(isinstance(p.array, jax.Array) and isinstance(p.grad.array, jax.Array) for p in net.parameters())
    net.to("cpu")
    np.testing.assert_array_equal(net[0].weight.detach(), before)
    engine.optim.SGD(net.parameters(), lr=0.1).step()  # the arrays are writable again
    assert not np.allclose(net[0].weight.detach(), before)
    net.to("meta")
    assert net(engine.tensor(np.ones((1, 3)), device="meta")).shape == (1, 2)


def test_freezing(engine: ModuleType) -> None:
    net = net_of(engine)
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(engine.tensor([[1.0, 2.0, 3.0]])).requires_grad
    net.requires_grad_()
    assert all(p.requires_grad for p in net.parameters())


def test_parameters_print_as_such(engine: ModuleType) -> None:
    assert repr(engine.nn.Parameter([1.0])) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    assert repr(engine.nn.Parameter([1.0], requires_grad=False)) == "Parameter containing:\ntensor([1.])"


# ------------------------------------------------------------------------------------------------ names and places


def test_everything_is_found_by_its_dotted_name(engine: ModuleType) -> None:
    block = block_of(engine)
    assert block.get_submodule("") is block
    assert block.get_submodule("inner.0") is block.inner[0]
    assert block.get_parameter("inner.0.weight") is block.inner[0].weight
    assert block.get_parameter("scale") is block.scale
    assert block.get_buffer("count") is block.count
    for find, target, message in (
        (block.get_submodule, "inner.7", "Sequential has no attribute `7`"),
        (block.get_submodule, "note", "`note` is not an nn.Module"),
        (block.get_parameter, "inner.0.gain", "Linear has no attribute `gain`"),
        (block.get_parameter, "count", "`count` is not nn.Parameter"),
        (block.get_buffer, "scale", "`scale` is not a buffer"),
    ):
        with pytest.raises(AttributeError, match=message):
            find(target)


def test_walks_take_prefixes_and_stay_at_home(engine: ModuleType) -> None:
    block = block_of(engine)
    assert [n for n, _ in block.named_parameters("net", recurse=False)] == ["net.scale", "net.shift"]
    assert next(iter(block.inner.named_parameters("net")))[0] == "net.0.weight"
    assert list(block.parameters(recurse=False)) == [block.scale, block.shift]
    assert list(block.buffers()) == [block.count]
    assert [n for n, _ in block.named_modules(prefix="net")][:2] == ["net", "net.inner"]
    shared = engine.nn.Linear(2, 2)
    net = engine.nn.Sequential(shared, engine.nn.Tanh(), shared)
    assert [n for n, _ in net.named_modules()] == ["", "0", "1"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "0", "1", "2"]
    assert list(net.children()) == [shared, net[1]]
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_registered_names_are_listed_by_dir(engine: ModuleType) -> None:
    block = block_of(engine)
    assert {"scale", "inner", "count", "note", "forward"} <= set(dir(block))
    assert "0" not in dir(block.inner)
    block.register_module("late", engine.nn.Tanh())
    assert isinstance(block.late, engine.nn.Tanh)


def test_gradients_are_forgotten_or_zeroed(engine: ModuleType) -> None:
    net = net_of(engine)
    net(engine.tensor([[1.0, 2.0, 3.0]])).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all((p.grad.numpy() == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_casts_reach_what_they_name(engine: ModuleType) -> None:
    net = engine.nn.BatchNorm1d(2)
    dtypes = [t.dtype for t in net.half().state_dict().values()]
    assert dtypes == [np.float16] * 4 + [np.int64]
    assert [t.dtype for t in net.type(np.float64).state_dict().values()] == [np.float64] * 5
    net.to("jax:cpu", np.float32)
    assert (net.weight.device, net.weight.dtype) == ("jax:cpu", np.float32)
    net.cpu()
    assert net.to(device=None, dtype=None) is net
    assert net.to(engine.tensor(np.ones(1))).weight.dtype == np.float64
    with pytest.raises(DiffError, match="only floating point dtypes can require gradients, got int64"):
        net.type(np.int64)
    with pytest.raises(DiffError):
        net.to("cuda:7")
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train("yes")
    assert net.training
    assert net.weight.dtype == np.float64


def test_layers_without_parameters_are_modules_of_both_engines(engine: ModuleType) -> None:
    other = {"revdiff": dualdiff, "dualdiff": revdiff}[engine.__name__]
    for layer in (engine.nn.ReLU(), engine.nn.Flatten(), engine.nn.Linear(1, 1), engine.nn.Sequential()):
        assert isinstance(layer, engine.nn.Module)
    assert isinstance(engine.nn.ReLU(), other.nn.Module)
    assert not isinstance(engine.nn.Linear(1, 1), other.nn.Module)
    assert not isinstance(engine.nn.ReLU(), engine.nn.Sequential)
    assert not isinstance(engine.tensor(1.0), engine.nn.Module)
    assert issubclass(engine.nn.ReLU, engine.nn.Module)
    assert not issubclass(int, engine.nn.Module)
