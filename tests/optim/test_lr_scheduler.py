"""Schedules against PyTorch's, epoch by epoch, and resumed midway."""

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from diffcore import serialize
from diffcore.errors import ArgumentError

CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "StepLR": ("StepLR", [3], {"gamma": 0.5}),
    "MultiStepLR": ("MultiStepLR", [[2, 5, 5, 9]], {"gamma": 0.3}),
    "ExponentialLR": ("ExponentialLR", [0.9], {}),
    "ConstantLR": ("ConstantLR", [], {"factor": 0.25, "total_iters": 4}),
    "LinearLR": ("LinearLR", [], {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 6}),
    "PolynomialLR": ("PolynomialLR", [], {"total_iters": 8, "power": 1.7}),
    "CosineAnnealingLR": ("CosineAnnealingLR", [5], {"eta_min": 0.01}),
    "CosineAnnealingWarmRestarts": ("CosineAnnealingWarmRestarts", [3], {"T_mult": 2, "eta_min": 0.01}),
    "CosineAnnealingWarmRestarts, even": ("CosineAnnealingWarmRestarts", [4], {}),
    "OneCycleLR": ("OneCycleLR", [[0.5, 1.0]], {"total_steps": 20}),
    "OneCycleLR, linear": ("OneCycleLR", [0.5], {"epochs": 5, "steps_per_epoch": 4, "three_phase": True, "anneal_strategy": "linear"}),
}
EPOCHS = 14
STORED = json.loads(Path(__file__).with_name("torch_schedules.json").read_text(encoding="utf-8"))
"""The rates and momenta of every epoch by PyTorch 2.13."""


def optimizer_of(library: Any) -> Any:
    """Two groups of one parameter each, whose gradient is one."""
    if hasattr(library, "float64") and library.__name__ == "torch":
        parameters = [library.nn.Parameter(library.ones(1, dtype=library.float64)) for _ in range(2)]
    else:
        parameters = [library.nn.Parameter(library.ones(1, dtype=np.float64)) for _ in range(2)]
    optimizer = library.optim.SGD([{"params": parameters[:1], "lr": 0.3}, {"params": parameters[1:]}], lr=0.8, momentum=0.9)
    for parameter in parameters:
        parameter.sum().backward()
    return optimizer


def made(library: Any, case: str, optimizer: Any) -> Any:
    """The schedule of a case; those that are made of others or of functions are here."""
    of = library.optim.lr_scheduler
    if case == "LambdaLR":
        return of.LambdaLR(optimizer, [lambda epoch: 0.9**epoch, lambda epoch: 1 / (1 + epoch)])
    if case == "MultiplicativeLR":
        return of.MultiplicativeLR(optimizer, lambda epoch: 0.8 + 0.01 * epoch)
    if case == "SequentialLR":
        parts = [of.LinearLR(optimizer, total_iters=3), of.CosineAnnealingLR(optimizer, 5), of.ExponentialLR(optimizer, 0.7)]
        return of.SequentialLR(optimizer, parts, milestones=[3, 8])
    if case == "ChainedScheduler":
        return of.ChainedScheduler([of.ConstantLR(optimizer, 0.1, 4), of.ExponentialLR(optimizer, 0.9)], optimizer)
    name, args, options = CASES[case]
    return getattr(of, name)(optimizer, *args, **options)


ALL = [*CASES, "LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"]


def course(library: Any, case: str) -> list[list[float]]:
    """Rates and momenta of the groups in every epoch."""
    optimizer = optimizer_of(library)
    scheduler = made(library, case, optimizer)
    rows = []
    for _ in range(EPOCHS):
        assert scheduler.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        rows.append([group[name] for group in optimizer.param_groups for name in ("lr", "momentum")])
        optimizer.step()
        scheduler.step()
    return rows


@pytest.mark.parametrize("case", ALL)
def test_the_stored_rates_are_those_of_torch(torch: Any, case: str) -> None:
    np.testing.assert_allclose(course(torch, case), STORED[case], rtol=1e-13)


@pytest.mark.parametrize("case", ALL)
def test_every_epoch_equals_torch(engine: ModuleType, case: str) -> None:
    np.testing.assert_allclose(course(engine, case), STORED[case], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", ALL)
def test_resumed_midway_it_goes_on_as_if_it_had_not_stopped(engine: ModuleType, case: str, tmp_path: Path) -> None:
    optimizer = optimizer_of(engine)
    scheduler = made(engine, case, optimizer)
    for _ in range(6):
        optimizer.step()
        scheduler.step()
    engine.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, tmp_path / "run.safetensors")
    saved = serialize.load(tmp_path / "run.safetensors")
    other = optimizer_of(engine)
    again = made(engine, case, other)
    again.load_state_dict(saved["scheduler"])
    other.load_state_dict(saved["optimizer"])
    assert again.last_epoch == 6 if case != "ChainedScheduler" else True
    assert again.get_last_lr() == scheduler.get_last_lr()
    for _ in range(6):
        for one, two in ((optimizer, scheduler), (other, again)):
            one.step()
            two.step()
        assert [group["lr"] for group in other.param_groups] == [group["lr"] for group in optimizer.param_groups]
        assert [group["momentum"] for group in other.param_groups] == [group["momentum"] for group in optimizer.param_groups]


@pytest.mark.parametrize("case", ALL)
def test_a_schedule_of_torch_goes_on_here(torch: Any, engine: ModuleType, case: str) -> None:
    optimizer = optimizer_of(torch)
    scheduler = made(torch, case, optimizer)
    for _ in range(6):
        optimizer.step()
        scheduler.step()
    other = optimizer_of(engine)
    again = made(engine, case, other)
    again.load_state_dict(scheduler.state_dict())
    other.load_state_dict(optimizer.state_dict())
    for row in STORED[case][6:]:
        found = [group[name] for group in other.param_groups for name in ("lr", "momentum")]
        np.testing.assert_allclose(found, row, rtol=1e-12, atol=1e-15)
        other.step()
        again.step()


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("OneCycle")])
def test_an_epoch_can_be_jumped_to(engine: ModuleType, case: str) -> None:
    optimizer = optimizer_of(engine)
    scheduler = made(engine, case, optimizer)
    optimizer.step()
    for epoch in (7, 2, 11):
        scheduler.step(epoch)
        assert scheduler.last_epoch == epoch
        np.testing.assert_allclose(optimizer.rates, STORED[case][epoch][::2], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", ["StepLR", "LinearLR", "CosineAnnealingLR", "ExponentialLR"])
def test_resumed_by_last_epoch(engine: ModuleType, case: str) -> None:
    """As PyTorch's users resume without a state of the schedule: groups with `initial_lr` and the rate of the epoch that begins."""
    optimizer = optimizer_of(engine)
    for group, base, rate in zip(optimizer.param_groups, (0.3, 0.8), STORED[case][4][::2], strict=True):
        group["initial_lr"], group["lr"] = base, rate
    name, args, options = CASES[case]
    scheduler = getattr(engine.optim.lr_scheduler, name)(optimizer, *args, **options, last_epoch=3)
    assert scheduler.last_epoch == 4
    np.testing.assert_allclose(optimizer.rates, STORED[case][4][::2], rtol=1e-12)
    optimizer.step()
    scheduler.step()
    np.testing.assert_allclose(optimizer.rates, STORED[case][5][::2], rtol=1e-12)


METRICS = [1.0, 0.9, 0.91, 0.9, 0.89, 0.95, 0.96, 0.97, 0.97, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5, "cooldown": 2},
        {"mode": "max", "patience": 1, "min_lr": [0.01, 0.2]},
        {"patience": 0, "threshold": 0.05, "threshold_mode": "abs"},
        {"patience": 1, "eps": 0.2, "mode": "max", "threshold_mode": "abs"},
    ],
    ids=str,
)
def test_a_plateau(torch: Any, engine: ModuleType, options: dict[str, Any], tmp_path: Path) -> None:
    theirs, ours = optimizer_of(torch), optimizer_of(engine)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    scheduler = engine.optim.lr_scheduler.ReduceLROnPlateau(ours, **options)
    for epoch, metric in enumerate(METRICS):
        reference.step(metric)
        scheduler.step(engine.tensor(metric, dtype=np.float64))
        np.testing.assert_allclose(ours.rates, [group["lr"] for group in theirs.param_groups], rtol=1e-14)
        assert scheduler.get_last_lr() == ours.rates
        assert scheduler.num_bad_epochs == reference.num_bad_epochs
        if epoch == 5:
            engine.save(scheduler.state_dict(), tmp_path / "plateau")
            rates, ours = ours.rates, optimizer_of(engine)
            for group, rate in zip(ours.param_groups, rates, strict=True):
                group["lr"] = rate
            scheduler = engine.optim.lr_scheduler.ReduceLROnPlateau(ours, patience=99)
            scheduler.load_state_dict(serialize.load(tmp_path / "plateau") if epoch % 2 else reference.state_dict())


def test_warm_restarts_at_fractions_of_an_epoch(torch: Any, engine: ModuleType) -> None:
    theirs, ours = optimizer_of(torch), optimizer_of(engine)
    reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, 2, 3)
    scheduler = engine.optim.lr_scheduler.CosineAnnealingWarmRestarts(ours, 2, 3)
    ours.step()
    for batch in range(60):
        reference.step(batch / 4)
        scheduler.step(batch / 4)
        np.testing.assert_allclose(ours.rates, [group["lr"] for group in theirs.param_groups], rtol=1e-12)
        assert scheduler.last_epoch == reference.last_epoch


class Growing:
    """A callable object, whose state is saved with a schedule."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, epoch: int) -> float:
        self.calls += 1
        return self.calls / (1 + epoch)


def test_functions_with_a_state_are_saved(engine: ModuleType) -> None:
    optimizer = optimizer_of(engine)
    scheduler = engine.optim.lr_scheduler.LambdaLR(optimizer, [Growing(), math.exp])
    optimizer.step()
    scheduler.step()
    saved = scheduler.state_dict()
    assert saved["lr_lambdas"] == [{"calls": 2}, None]
    function = Growing()
    again = engine.optim.lr_scheduler.LambdaLR(optimizer_of(engine), [function, math.exp])
    again.load_state_dict(saved)
    assert function.calls == 2


def test_the_order_of_steps_is_minded(engine: ModuleType) -> None:
    scheduler = engine.optim.lr_scheduler.ExponentialLR(optimizer_of(engine), 0.9)
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()


def test_schedules_that_make_no_sense(engine: ModuleType) -> None:
    of, optimizer = engine.optim.lr_scheduler, optimizer_of(engine)
    for call, kind, message in (
        (lambda: of.StepLR(optimizer, 0), ValueError, r"StepLR: `step_size` \(=0\) must be a positive integer"),
        (lambda: of.StepLR(None, 1), TypeError, "NoneType is not an Optimizer"),
        (lambda: of.StepLR(optimizer, 1, last_epoch=3), KeyError, "'initial_lr' is not specified in param_groups"),
        (lambda: of.ConstantLR(optimizer, 1.5), ValueError, "expected to be between 0 and 1"),
        (lambda: of.LinearLR(optimizer, 0.0), ValueError, "greater than 0 and less or equal to 1"),
        (lambda: of.LinearLR(optimizer, end_factor=2.0), ValueError, "Ending multiplicative factor"),
        (lambda: of.LinearLR(optimizer, total_iters=0), ValueError, r"`total_iters` \(=0\)"),
        (lambda: of.PolynomialLR(optimizer, total_iters=1.5), ValueError, r"`total_iters` \(=1.5\)"),
        (lambda: of.CosineAnnealingLR(optimizer, 0), ValueError, r"`T_max` \(=0\)"),
        (lambda: of.CosineAnnealingWarmRestarts(optimizer, 0), ValueError, "Expected positive integer T_0, but got 0"),
        (lambda: of.CosineAnnealingWarmRestarts(optimizer, 1, 0), ValueError, "Expected integer T_mult >= 1, but got 0"),
        (lambda: of.LambdaLR(optimizer, [math.exp]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda: of.MultiplicativeLR(optimizer, 3), TypeError, "lr_lambda should be a function, but got int"),
        (lambda: of.OneCycleLR(optimizer, 0.1), ValueError, "total_steps OR"),
        (lambda: of.OneCycleLR(optimizer, 0.1, 0), ValueError, "Expected positive integer total_steps, but got 0"),
        (lambda: of.OneCycleLR(optimizer, [0.1], 5), ValueError, "max_lr must have the same length"),
        (lambda: of.OneCycleLR(optimizer, 0.1, 5, pct_start=2.0), ValueError, "pct_start, but got 2.0"),
        (lambda: of.OneCycleLR(optimizer, 0.1, 5, anneal_strategy="up"), ValueError, "instead got up"),
        (lambda: of.ReduceLROnPlateau(optimizer, factor=1.0), ValueError, "Factor should be < 1.0."),
        (lambda: of.ReduceLROnPlateau(optimizer, "best"), ValueError, "mode best is unknown!"),
        (lambda: of.ReduceLROnPlateau(optimizer, threshold_mode="x"), ValueError, "threshold mode x is unknown!"),
        (lambda: of.ReduceLROnPlateau(optimizer, min_lr=[0.1]), ValueError, "expected 2 min_lrs, got 1"),
        (lambda: of.SequentialLR(optimizer, [], []), ValueError, "expects at least one scheduler"),
        (lambda: of.SequentialLR(optimizer, [3], []), TypeError, "at index 0 should be a scheduler, got int"),
        (lambda: of.SequentialLR(optimizer, [of.StepLR(optimizer, 1)], [2]), ValueError, "one more than the number of milestone points"),
        (lambda: of.SequentialLR(optimizer, [of.ReduceLROnPlateau(optimizer)], []), ValueError, "does not support `ReduceLROnPlateau`"),
        (lambda: of.ChainedScheduler([of.StepLR(optimizer_of(engine), 1)], optimizer), ValueError, "belong to the same optimizer"),
    ):
        for group in optimizer.param_groups:
            group.pop("initial_lr", None)
        with pytest.raises(kind, match=message):
            call()
    scheduler = of.OneCycleLR(optimizer, 0.1, 2)
    optimizer.step()
    scheduler.step()
    scheduler.step()
    with pytest.raises(ValueError, match=r"Tried to step 3 times\. The specified number of total steps is 2"):
        scheduler.step()


def test_a_state_that_does_not_fit_changes_nothing(engine: ModuleType) -> None:
    of, optimizer = engine.optim.lr_scheduler, optimizer_of(engine)
    scheduler = of.StepLR(optimizer, 3)
    before = scheduler.state_dict()
    wrong = {**before, "last_epoch": 5, "T_max": 3}
    del wrong["gamma"]
    with pytest.raises(ArgumentError, match=r"state_dict for StepLR: Missing key\(s\): 'gamma'\. Unexpected key\(s\): 'T_max'\."):
        scheduler.load_state_dict(wrong)
    assert scheduler.state_dict() == before
    chain = of.ChainedScheduler([of.StepLR(optimizer, 3), of.ExponentialLR(optimizer, 0.5)])
    state = chain.state_dict()
    state["_schedulers"] = state["_schedulers"][::-1]
    with pytest.raises(ArgumentError, match="state_dict for StepLR"):
        chain.load_state_dict(state)
    optimizer.step()
    optimizer.add_param_group({"params": engine.nn.Parameter([1.0])})
    with pytest.raises(ValueError, match="the optimizer has 3 parameter groups, and had 2 when the schedule was made"):
        of.ChainedScheduler([scheduler]).step(4)
