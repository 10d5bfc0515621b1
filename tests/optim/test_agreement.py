"""Every optimizer against PyTorch over a hundred steps, with parameter groups and a schedule, on every backend.

`torch.json` holds where PyTorch 2.13 arrives, in double precision, from the weights of `problem.py`.
"""

import functools
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import revdiff
from diffcore.optim.arithmetic import STRETCH

ROWS = json.loads(Path(__file__).with_name("torch.json").read_text(encoding="utf-8"))
IDS = [f"{row['optimizer']}({', '.join(f'{name}={value}' for name, value in row['options'].items())})" for row in ROWS]
LAST = {row["optimizer"]: row for row in ROWS if not row["options"].get("maximize")}


def check(found: dict[str, np.ndarray], row: dict[str, Any], rtol: float = 1e-12) -> None:
    assert found.keys() == row["parameters"].keys()
    for name, value in row["parameters"].items():
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=0, err_msg=name)


@pytest.mark.parametrize("name", LAST)
def test_the_stored_numbers_are_those_of_torch(torch: Any, problem: ModuleType, name: str) -> None:
    check(problem.Run(torch, name, LAST[name]["options"], torch.float64).steps(100), LAST[name])


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_hundred_steps_on_numpy(engine: ModuleType, problem: ModuleType, row: dict[str, Any]) -> None:
    run = problem.Run(engine, row["optimizer"], row["options"], np.float64)
    arrays = {name: value.array for name, value in run.net.named_parameters()}
    check(run.steps(100), row)
    for name, value in run.net.named_parameters():
        assert value.array is arrays[name], "numpy's arrays are changed in place"


def test_a_step_makes_no_new_state_on_numpy(engine: ModuleType, problem: ModuleType) -> None:
    for name, row in LAST.items():
        run = problem.Run(engine, name, row["options"], np.float64)
        run.steps(2)
        before = [array for entry in run.optimizer.held() for array in entry.values()]
        run.steps(2)
        after = [array for entry in run.optimizer.held() for array in entry.values()]
        assert all(one is other for one, other in zip(before, after, strict=True)), name


def test_no_optimizer_changes_a_gradient(engine: ModuleType, problem: ModuleType) -> None:
    for name, row in LAST.items():
        run = problem.Run(engine, name, {**row["options"], "maximize": False}, np.float64)
        run.loss().backward()
        before = [p.grad.numpy().copy() for p in run.net.parameters()]
        for _ in range(3):
            run.optimizer.step()
        for parameter, gradient in zip(run.net.parameters(), before, strict=True):
            np.testing.assert_array_equal(parameter.grad.numpy(), gradient, err_msg=name)


VALUES = [0.7, -0.4, 1.1]


def simple(engine: ModuleType, name: str, dtype: Any, device: str) -> tuple[Any, Any, Any]:
    """A parameter, its optimizer, and what makes a step on the sum of `sqrt(1 + x^2)`."""
    parameter = engine.nn.Parameter(engine.tensor(VALUES, dtype=dtype, device=device))
    optimizer = getattr(engine.optim, name)([parameter], **LAST[name]["options"])

    def step() -> None:
        optimizer.zero_grad()
        (parameter * parameter + 1).sqrt().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return parameter, optimizer, step


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", LAST)
def test_steps_under_jit(engine: ModuleType, name: str) -> None:
    """Compiled twice, before there is a state and after, and never again, although counts and rates change."""
    import jax

    expected, plain, move = simple(engine, name, np.float64, "cpu")
    parameter, optimizer, compiled = simple(engine, name, np.float64, "jax")
    traces = []

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def step(array: Any, held: Any, rates: Any) -> Any:
        traces.append(1)
        parameter.data = array
        optimizer.hold(held)
        with optimizer.at(rates):
            compiled()
        return parameter.array, optimizer.held()

    array, held = parameter.array, optimizer.held()
    for _ in range(30):
        move()
        array, held = step(array, held, optimizer.rates)
        for group in (*plain.param_groups, *optimizer.param_groups):
            group["lr"] *= 0.97
    assert array.dtype == np.float64
    assert all(isinstance(rate, float) for rate in optimizer.rates)
    assert len(traces) <= 2
    np.testing.assert_allclose(array, expected.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", LAST)
def test_steps_on_jax_outside_jit(name: str) -> None:
    """In one engine: the class is the same in both, and every operation is compiled by itself."""
    found = []
    for device in ("cpu", "jax"):
        parameter, _, step = simple(revdiff, name, np.float32, device)
        for _ in range(7):
            step()
        assert parameter.dtype == np.float32
        found.append(parameter.detach().numpy())
    # In float32 the 2 / (1 - b2) of RAdam, about 2000, cancels down to about 6.
    np.testing.assert_allclose(found[1], found[0], rtol=2e-4 if name == "RAdam" else 5e-6)


@pytest.mark.parametrize("name", LAST)
def test_a_step_can_be_planned(engine: ModuleType, problem: ModuleType, name: str) -> None:
    from diffcore.ledger import Ledger

    with Ledger() as ledger:
        with ledger.role("parameter"):
            run = problem.Run(engine, name, LAST[name]["options"], np.float64, device="meta", decay=1.0)
        parameters = sum(p.numel() for p in run.net.parameters())
        for _ in range(7):  # RAdam waits for five
            run.optimizer.zero_grad()
            run.loss().backward()
            run.optimizer.step()
        kept = sum(array.nbytes for entry in run.optimizer.held() for key, array in entry.items() if key in run.optimizer.moments)
        assert ledger.live["optimizer state"] == kept
        assert kept >= 8 * parameters
        assert kept % (8 * parameters) == 0
        assert ledger.flops["update"] >= 7 * 2 * parameters
        if name not in ("SGD", "Adamax"):
            assert ledger.transcendentals["update"] >= parameters
        assert {key[1] for key in ledger.by_kernel if key[0] == "update"} == {""}
    assert {p.device for p in run.net.parameters()} == {"meta"}


def test_numbers_without_axes(engine: ModuleType, problem: ModuleType) -> None:
    """A parameter of no axes is for numpy now an array and now a number; it takes the same steps as an array of one element."""
    for name, row in LAST.items():
        found = []
        for value in (0.7, [0.7]):
            parameter = engine.nn.Parameter(engine.tensor(value, dtype=np.float64))
            optimizer = getattr(engine.optim, name)([parameter], **row["options"])
            for _ in range(8):
                optimizer.zero_grad()
                (parameter * parameter * parameter).sum().backward()
                optimizer.step()
            found.append(float(parameter))
        assert found[0] == pytest.approx(found[1], rel=1e-14), name
        assert found[0] != 0.7


NESTEROV = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}


@pytest.mark.parametrize(("name", "options"), [("SGD", NESTEROV), ("AdamW", {}), ("RMSprop", {})])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_parameter_is_updated_as_its_parts_are(name: str, options: dict[str, Any], order: Any) -> None:
    """Stretches that stay in the cache: a parameter of two and a half, contiguous and not, beside its rows."""
    rng, shape = np.random.default_rng(0), (5, STRETCH // 2)
    value, slopes = np.asarray(rng.normal(size=shape), order=order), rng.normal(size=(3, *shape))
    whole = revdiff.nn.Parameter(revdiff.tensor(value.copy(order=order)))
    rows = [revdiff.nn.Parameter(revdiff.tensor(row.copy())) for row in value]
    one, several = (getattr(revdiff.optim, name)(ps, lr=0.1, **options) for ps in ([whole], rows))
    for slope in slopes:
        whole.grad = revdiff.tensor(slope)
        for row, g in zip(rows, slope, strict=True):
            row.grad = revdiff.tensor(g.copy())
        one.step()
        several.step()
    np.testing.assert_array_equal(whole.detach().numpy(), np.stack([row.detach().numpy() for row in rows]))
