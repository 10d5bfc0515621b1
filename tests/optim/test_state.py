"""The state of optimizers: saved, loaded, exchanged with PyTorch, and refused where it does not fit."""

import copy
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore import serialize
from diffcore.errors import ArgumentError

ROWS = json.loads(Path(__file__).with_name("torch.json").read_text(encoding="utf-8"))
LAST = {row["optimizer"]: row for row in ROWS if not row["options"].get("maximize")}
every = pytest.mark.parametrize("name", LAST)


def plain(state_dict: dict[str, Any]) -> tuple[dict[Any, Any], list[Any]]:
    """State and groups with numpy arrays for tensors."""
    state = {number: {k: np.asarray(v) for k, v in entry.items()} for number, entry in state_dict["state"].items()}
    return state, state_dict["param_groups"]


@every
def test_resumed_midway_it_goes_on_as_if_it_had_not_stopped(engine: ModuleType, problem: ModuleType, name: str, tmp_path: Path) -> None:
    """Through a file of safetensors, which holds no code."""
    row = LAST[name]
    run = problem.Run(engine, name, row["options"], np.float64)
    run.steps(40)
    parts = {"net": run.net, "optimizer": run.optimizer, "scheduler": run.scheduler}
    engine.save({key: part.state_dict() for key, part in parts.items()}, tmp_path / "run.safetensors")
    again = problem.Run(engine, name, row["options"], np.float64)
    again.steps(3)  # into other values
    saved = engine.load(tmp_path / "run.safetensors")
    for key, part in (("net", again.net), ("optimizer", again.optimizer), ("scheduler", again.scheduler)):
        part.load_state_dict(saved[key])
    found, expected = again.steps(60), run.steps(60)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


@every
def test_the_layout_is_pytorchs_and_goes_both_ways(torch: Any, engine: ModuleType, problem: ModuleType, name: str) -> None:
    row = LAST[name]
    theirs, ours = problem.Run(torch, name, row["options"], torch.float64), problem.Run(engine, name, row["options"], np.float64)
    theirs.steps(20)
    ours.net.load_state_dict({key: value.numpy() for key, value in theirs.net.state_dict().items()})
    ours.optimizer.load_state_dict(theirs.optimizer.state_dict())
    state, groups = plain(ours.optimizer.state_dict())
    reference, reference_groups = plain(theirs.optimizer.state_dict())
    assert groups == reference_groups
    assert state.keys() == reference.keys()
    for number, entry in reference.items():
        assert state[number].keys() == entry.keys()
        for key, value in entry.items():
            np.testing.assert_array_equal(state[number][key], value)
            assert state[number][key].shape == value.shape
    assert repr(ours.optimizer) == repr(theirs.optimizer)
    ours.scheduler.load_state_dict(theirs.scheduler.state_dict())
    back = problem.Run(torch, name, row["options"], torch.float64)
    ours.steps(20)
    back.net.load_state_dict({key: torch.tensor(value.detach().numpy()) for key, value in ours.net.named_parameters()})
    saved = ours.optimizer.state_dict()
    saved["state"] = {n: {k: torch.tensor(v.numpy()) for k, v in entry.items()} for n, entry in saved["state"].items()}
    back.optimizer.load_state_dict(saved)
    back.scheduler.load_state_dict(ours.scheduler.state_dict())
    found, expected = ours.steps(20), back.steps(20)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-12)


@every
def test_defaults_and_signatures_are_pytorchs(torch: Any, engine: ModuleType, name: str) -> None:
    import inspect

    theirs, ours = getattr(torch.optim, name), getattr(engine.optim, name)
    reference, found = inspect.signature(theirs).parameters, inspect.signature(ours).parameters
    assert [(p.name, p.kind, p.default) for p in found.values()] == [(p.name, p.kind, p.default) for p in reference.values()]
    assert repr(ours([engine.nn.Parameter([1.0])])) == repr(theirs([torch.nn.Parameter(torch.ones(1))]))


def test_state_is_by_parameter_under_pytorchs_names(engine: ModuleType) -> None:
    used, idle = engine.nn.Parameter([1.0, 2.0]), engine.nn.Parameter([3.0])
    optimizer = engine.optim.Adam([idle, used], amsgrad=True)
    (used * used).sum().backward()
    optimizer.step()
    assert list(optimizer.state[used]) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    assert list(optimizer.state_dict()["state"]) == [1]
    entry = optimizer.state_dict()["state"][1]
    assert isinstance(entry["exp_avg"], engine.Tensor)
    assert entry["step"].shape == ()
    assert float(entry["step"]) == 1
    assert np.shares_memory(entry["exp_avg"].numpy(), optimizer.state[used]["exp_avg"])
    other = engine.optim.Adam([engine.nn.Parameter([0.0]), engine.nn.Parameter([0.0, 0.0])], amsgrad=True)
    other.load_state_dict(optimizer.state_dict())
    before = entry["exp_avg"].numpy().copy()
    other.state[other.param_groups[0]["params"][1]]["exp_avg"] += 1
    np.testing.assert_array_equal(entry["exp_avg"].numpy(), before)


def test_loading_casts_to_the_parameter_and_moves_to_its_device(engine: ModuleType) -> None:
    source = engine.nn.Parameter(engine.tensor([1.0, 2.0], dtype=np.float64))
    optimizer = engine.optim.NAdam([source])
    source.sum().backward()
    optimizer.step()
    for device in ("cpu", "jax", "meta"):
        target = engine.nn.Parameter(engine.tensor([0.0, 0.0], device=device))
        other = engine.optim.NAdam([target])
        other.load_state_dict(optimizer.state_dict())
        entry = other.state_dict()["state"][0]
        assert entry["exp_avg"].dtype == np.float32
        assert entry["exp_avg"].device.split(":")[0] == device
        assert entry["step"].device.split(":")[0] == ("cpu" if device == "meta" else device)


def test_a_copy_is_apart(engine: ModuleType) -> None:
    net = engine.nn.Linear(2, 1)
    optimizer = engine.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(engine.tensor([[1.0, 2.0]])).sum().backward()
    optimizer.step()
    net_copy, copied = copy.deepcopy((net, optimizer))
    assert copied.param_groups[0]["params"][0] is net_copy.weight
    np.testing.assert_array_equal(copied.state[net_copy.weight]["momentum_buffer"], optimizer.state[net.weight]["momentum_buffer"])
    before = net.weight.detach().numpy().copy()
    copied.step()
    np.testing.assert_array_equal(net.weight.detach(), before)
    assert not np.array_equal(net_copy.weight.detach(), before)


def test_named_parameters(torch: Any, engine: ModuleType) -> None:
    ours, theirs = engine.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    optimizer, reference = (lib.optim.SGD(net.named_parameters()) for lib, net in ((engine, ours), (torch, theirs)))
    assert optimizer.state_dict()["param_groups"] == reference.state_dict()["param_groups"]
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match=r"cannot add param group without names to the optimizer"):
        optimizer.add_param_group({"params": engine.nn.Parameter([1.0])})
    optimizer.add_param_group({"params": [("extra", engine.nn.Parameter([1.0]))], "lr": 0.5})
    assert optimizer.param_groups[1]["param_names"] == ["extra"]
    with pytest.raises(ValueError, match="Some param names are missing"):
        engine.optim.SGD([("weight", ours.weight), ours.bias])


def test_closures_and_zeros(engine: ModuleType) -> None:
    p = engine.nn.Parameter([1.0, 2.0])
    optimizer = engine.optim.SGD([p], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure)) == 5
    np.testing.assert_allclose(p.detach(), [0.8, 1.6])
    memory = p.grad.array
    optimizer.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(p.grad, [0, 0])
    assert p.grad.array is memory
    assert optimizer.step() is None
    optimizer.zero_grad()
    assert p.grad is None
    p.requires_grad = False
    optimizer.zero_grad()  # frozen since: nothing to forget, and no error
    optimizer.step()
    on_jax = engine.nn.Parameter(engine.tensor([1.0], device="jax"))
    on_jax.sum().backward()
    engine.optim.SGD([on_jax]).zero_grad(set_to_none=False)
    np.testing.assert_array_equal(on_jax.grad, [0])


def adam(engine: ModuleType) -> tuple[Any, dict[str, Any]]:
    parameters = [engine.nn.Parameter([1.0, 2.0]), engine.nn.Parameter([3.0])]
    optimizer = engine.optim.Adam([{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.5}])
    for parameter in parameters:
        parameter.sum().backward()
    optimizer.step()
    return optimizer, copy.deepcopy(optimizer.state_dict())


def test_everything_that_does_not_fit_is_listed_and_nothing_changes(engine: ModuleType) -> None:
    optimizer, state = adam(engine)
    before = copy.deepcopy(plain(optimizer.state_dict()))
    state["state"][0]["exp_avg"] = np.ones(3)
    del state["state"][1]["exp_avg_sq"]
    state["state"][1]["square_avg"] = np.ones(1)
    state["state"][7] = {"step": 1.0}
    state["param_groups"][0]["rho"] = 0.9
    del state["param_groups"][0]["eps"]
    state["param_groups"][1]["lr"] = -1.0
    with pytest.raises(ArgumentError) as caught:
        optimizer.load_state_dict(state)
    for part in (
        "Error(s) in loading state_dict for Adam",
        "Unexpected option(s) in group 0: 'rho'.",
        "Missing option(s) in group 0: 'eps'.",
        "group 1: Invalid learning rate: -1.0.",
        "size mismatch for exp_avg of parameter 0: (3,) given, (2,) expected.",
        "Missing state of parameter 1: 'exp_avg_sq'.",
        "Unexpected state of parameter 1: 'square_avg'.",
        "state of parameter 7, which is in no group.",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    after = plain(optimizer.state_dict())
    assert after[1] == before[1]
    for number, entry in before[0].items():
        for key, value in entry.items():
            np.testing.assert_array_equal(after[0][number][key], value)


def test_groups_that_do_not_fit(engine: ModuleType) -> None:
    optimizer, state = adam(engine)
    with pytest.raises(ValueError, match=r"different number of parameter groups: 1 given, 2 expected"):
        optimizer.load_state_dict({**state, "param_groups": state["param_groups"][:1]})
    state["param_groups"][1]["params"] = [1, 2]
    with pytest.raises(ValueError, match=r"doesn't match the size of optimizer's group: group 1 has 2 parameters, 1 expected"):
        optimizer.load_state_dict(state)
    with pytest.raises(ValueError, match=r"expected a dict with 'state' and 'param_groups', got a dict of 'weight'"):
        optimizer.load_state_dict({"weight": 1})
    with pytest.raises(ValueError, match=r"'param_groups' must be a list of dicts with 'params', got list"):
        optimizer.load_state_dict({"state": {}, "param_groups": [{"lr": 0.1}]})
    with pytest.raises(ValueError, match=r"expected a dict with 'state' and 'param_groups', got list"):
        optimizer.load_state_dict([])


def test_a_torn_file(engine: ModuleType, tmp_path: Path) -> None:
    optimizer, state = adam(engine)
    engine.save(state, tmp_path / "whole")
    whole = serialize.load(tmp_path / "whole")
    assert whole["param_groups"][0]["betas"] == (0.9, 0.999)
    optimizer.load_state_dict(whole)
    (tmp_path / "torn").write_bytes((tmp_path / "whole").read_bytes()[:-9])
    with pytest.raises(ArgumentError.__bases__[0], match="not a whole safetensors file"):
        engine.load(tmp_path / "torn")


def test_groups_that_make_no_sense(engine: ModuleType) -> None:
    p, q = engine.nn.Parameter([1.0]), engine.nn.Parameter([1.0])
    optimizer = engine.optim.Adam([p])
    for group, kind, message in (
        ([q], TypeError, "param_group must be a dict, but got <class 'list'>"),
        ({"lr": 0.1}, ValueError, "needs its tensors under 'params'; it has 'lr'"),
        ({"params": {q}}, TypeError, "organized in ordered collections"),
        ({"params": q, "rho": 0.1}, TypeError, "unexpected options 'rho'"),
        ({"params": q, "lr": -0.1}, ValueError, "Invalid learning rate: -0.1"),
        ({"params": p}, ValueError, "some parameters appear in more than one parameter group"),
        ({"params": q * 2}, ValueError, "can't optimize a non-leaf Tensor"),
    ):
        with pytest.raises(kind, match=message):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": q, "lr": engine.tensor(0.5)})
    assert optimizer.rates == [1e-3, 0.5]


@pytest.mark.parametrize(
    ("name", "options", "kind", "message"),
    [
        ("Adam", {"lr": -1.0}, ValueError, "Invalid learning rate: -1.0"),
        ("Adam", {"betas": (1.0, 0.9)}, ValueError, "Invalid beta parameter at index 0: 1.0"),
        ("AdamW", {"betas": (0.9, -0.1)}, ValueError, "Invalid beta parameter at index 1: -0.1"),
        ("RAdam", {"betas": (0.9, float("nan"))}, ValueError, "Invalid beta parameter at index 1: nan"),
        ("NAdam", {"betas": 0.9}, ValueError, r"NAdam: `betas` \(=0.9\) must be a pair of numbers"),
        ("NAdam", {"momentum_decay": -1.0}, ValueError, "Invalid momentum_decay value: -1.0"),
        ("Adamax", {"eps": -1e-8}, ValueError, "Invalid epsilon value: -1e-08"),
        ("Adadelta", {"rho": 1.5}, ValueError, "Invalid rho value: 1.5"),
        ("Adagrad", {"lr_decay": -0.1}, ValueError, "Invalid lr_decay value: -0.1"),
        ("Adagrad", {"initial_accumulator_value": -0.1}, ValueError, "Invalid initial_accumulator_value value: -0.1"),
        ("RMSprop", {"alpha": -0.1}, ValueError, "Invalid alpha value: -0.1"),
        ("RMSprop", {"momentum": -0.1}, ValueError, "Invalid momentum value: -0.1"),
        ("RMSprop", {"weight_decay": float("nan")}, ValueError, "Invalid weight_decay value: nan"),
        ("ProximalSGD", {"l1": -0.1}, ValueError, "Invalid l1 value: -0.1"),
        ("Adam", {"lr": "fast"}, TypeError, "Adam: options must be numbers"),
        ("Adam", {"differentiable": True}, ValueError, r"Adam: `differentiable` \(=True\): steps are not recorded"),
        ("Adam", {"fused": True, "foreach": True}, RuntimeError, "`fused` and `foreach` cannot be `True` together"),
    ],
)
def test_options_that_make_no_sense(engine: ModuleType, name: str, options: dict[str, Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        getattr(engine.optim, name)([engine.nn.Parameter([1.0])], **options)


def test_a_net_in_the_place_of_its_parameters(engine: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"but got Linear\. Did you mean its `parameters\(\)`\?"):
        engine.optim.Adam(engine.nn.Linear(2, 1))
