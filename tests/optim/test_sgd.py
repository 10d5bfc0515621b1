"""`SGD` with groups of its own options, and what every optimizer refuses; its formula is tested in `test_agreement.py`."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(12)
X, Y = RNG.normal(size=(20, 4)), RNG.integers(3, size=20)

def nets(engine: ModuleType, torch: Any, dtype: type = np.float64) -> tuple[Any, Any]:
    engine.manual_seed(3)
    ours = engine.nn.Sequential(engine.nn.Linear(4, 5, dtype=dtype), engine.nn.Tanh(), engine.nn.Linear(5, 3, dtype=dtype))
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    theirs.to(torch.float64 if dtype == np.float64 else torch.float32)
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})
    return ours, theirs


def train(engine: ModuleType, torch: Any, ours: Any, theirs: Any, mine: Any, reference: Any, steps: int = 100) -> None:
    x, tx, ty = engine.tensor(X), torch.tensor(X), torch.tensor(Y)
    for _ in range(steps):
        mine.zero_grad()
        engine.nn.functional.cross_entropy(ours(x), Y).backward()
        mine.step()
        reference.zero_grad()
        torch.nn.functional.cross_entropy(theirs(tx), ty).backward()
        reference.step()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-13, err_msg=name)


def test_groups_have_their_own_options(engine: ModuleType, torch: Any) -> None:
    ours, theirs = nets(engine, torch)

    def groups(net: Any) -> list[dict[str, Any]]:
        return [
            {"params": net[0].parameters(), "lr": 0.05},
            {"params": [net[2].weight], "weight_decay": 0.1, "momentum": 0.5},
            {"params": net[2].bias, "momentum": 0.0},
        ]

    mine = engine.optim.SGD(groups(ours), lr=0.2, momentum=0.9)
    reference = torch.optim.SGD(groups(theirs), lr=0.2, momentum=0.9)
    assert [g["lr"] for g in mine.param_groups] == [0.05, 0.2, 0.2]
    train(engine, torch, ours, theirs, mine, reference, steps=50)
    for group in (*mine.param_groups, *reference.param_groups):
        group["lr"] *= 0.5  # as a schedule would
    train(engine, torch, ours, theirs, mine, reference, steps=50)


def test_parameters_without_a_gradient_stay(engine: ModuleType) -> None:
    layer, idle = engine.nn.Linear(2, 1), engine.nn.Linear(2, 1)
    before = idle.weight.detach().numpy().copy()
    layer(engine.tensor([[1.0, 2.0]])).sum().backward()
    optimizer = engine.optim.SGD([*layer.parameters(), *idle.parameters()], lr=0.1, weight_decay=1.0, momentum=0.9)
    optimizer.step()
    np.testing.assert_array_equal(idle.weight.detach(), before)
    optimizer.zero_grad()
    assert all(p.grad is None for p in layer.parameters())
    kept = layer.weight.detach().numpy().copy()
    optimizer.step()
    np.testing.assert_array_equal(layer.weight.detach(), kept)


def test_a_step_is_not_recorded_and_keeps_dtype_and_gradient(engine: ModuleType) -> None:
    p = engine.nn.Parameter([1.0, 2.0])
    (p * p).sum().backward()
    gradient = p.grad.numpy().copy()
    for options in ({"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.9, "nesterov": True}, {}):
        optimizer = engine.optim.SGD([p], lr=np.float64(0.1), **options)
        for _ in range(2):
            optimizer.step()
    assert p.is_leaf
    assert p.requires_grad
    assert p.dtype == np.float32
    np.testing.assert_array_equal(p.grad, gradient)


def test_parameters_on_jax(engine: ModuleType) -> None:
    import jax

    values, found = np.float32([1.0, -2.0]), []
    for device in ("cpu", "jax"):
        p = engine.nn.Parameter(engine.tensor(values, device=device))
        optimizer = engine.optim.SGD([p], lr=0.1, momentum=0.9, weight_decay=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            (p * p * p).sum().backward()
            optimizer.step()
        found.append(np.asarray(p.array))
    assert isinstance(p.array, jax.Array)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "Invalid learning rate: -0.1"),
        ({"lr": float("nan")}, "Invalid learning rate: nan"),
        ({"momentum": -0.9}, "Invalid momentum value: -0.9"),
        ({"weight_decay": -1}, "Invalid weight_decay value: -1"),
        ({"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires a momentum and zero dampening"),
    ],
)
def test_options_that_make_no_sense(engine: ModuleType, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine.optim.SGD([engine.nn.Parameter([1.0])], **options)


def test_parameters_that_make_no_sense(engine: ModuleType) -> None:
    SGD = engine.optim.SGD
    p = engine.nn.Parameter([1.0])
    with pytest.raises(TypeError, match="iterable of Tensors or dicts, but got a Tensor"):
        SGD(p)
    for nothing in ([], iter(())):
        with pytest.raises(ValueError, match="empty parameter list"):
            SGD(nothing)
    for wrong in ([np.ones(2)], [p, 3], [{"params": ["text"]}]):
        with pytest.raises(TypeError, match=r"optimizer can only optimize Tensors, but one of the params is (ndarray|int|str)"):
            SGD(wrong)
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        SGD([p * 2])
    with pytest.raises(ValueError, match="a parameter appears more than once in a parameter group"):
        SGD([p, p])
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        SGD([{"params": [p]}, {"params": p}])
    with pytest.raises(TypeError, match=r"unexpected.*'momentun'"):
        SGD([{"params": [p], "momentun": 0.9}])
