"""A compiled step passes through everything that a step changes: parameters, statistics, the optimizer, random numbers."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from compare.backends import BACKENDS

X = np.cos(np.arange(40.0) * 1.3).reshape(10, 4)
LABELS = np.arange(10) % 3


class Task:
    """A small network with batch norm and dropout, and one training step of it."""

    def __init__(self, engine: ModuleType, *, device: str, p: float = 0.5, fails: bool = False) -> None:
        engine.manual_seed(5)
        nn, where = engine.nn, {"device": device, "dtype": np.float64}
        norm = nn.BatchNorm1d(6, momentum=None, **where)
        self.net = nn.Sequential(nn.Linear(4, 6, **where), norm, nn.ReLU(), nn.Dropout(p), nn.Linear(6, 3, **where))
        self.optimizer = engine.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        self.gradient = engine.value_and_grad(lambda net, x, y: nn.functional.cross_entropy(net(x), y))
        self.fails = fails

    def step(self, x: Any, y: Any) -> Any:
        loss, gradients = self.gradient(self.net, x, y)
        if self.fails:
            raise KeyError("on purpose")
        for name, p in self.net.named_parameters():
            p.grad = gradients[name]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def state(self) -> dict[str, np.ndarray]:
        return {name: np.array(t.array) for name, t in self.net.state_dict().items()}


def compiled(engine: ModuleType, **options: Any) -> tuple[Task, Any]:
    task = Task(engine, device="jax", **options)
    return task, BACKENDS["jax"].compiled(task.step, task.net, task.optimizer)


def test_a_compiled_step_repeats_exactly_and_both_engines_agree(x64: None) -> None:
    runs = []
    for engine in (revdiff, dualdiff, revdiff):
        task, step = compiled(engine)
        runs.append(([float(step(X, LABELS)) for _ in range(4)], task.state()))
        assert runs[-1][1]["1.num_batches_tracked"] == 4
    first, forward, again = runs
    assert first[0] == again[0]
    np.testing.assert_allclose(forward[0], first[0], rtol=1e-12)
    for name, value in first[1].items():
        np.testing.assert_array_equal(again[1][name], value, err_msg=name)
        np.testing.assert_allclose(forward[1][name], value, rtol=1e-10, atol=1e-14, err_msg=name)


def test_without_dropout_it_does_what_numpy_does(x64: None) -> None:
    task, step = compiled(revdiff, p=0.0)
    plain = Task(revdiff, device="cpu", p=0.0)
    for _ in range(3):
        assert float(step(X, LABELS)) == pytest.approx(float(plain.step(X, LABELS)), rel=1e-12)
    for name, value in plain.state().items():
        np.testing.assert_allclose(task.state()[name], value, rtol=1e-10, atol=1e-14, err_msg=name)


def test_every_step_draws_a_new_mask(x64: None) -> None:
    task, step = compiled(revdiff)
    task.optimizer.param_groups[0]["lr"] = 0.0
    losses = [float(step(X, LABELS)) for _ in range(6)]
    assert len(set(losses)) == 6


def test_no_tracer_is_left_behind(x64: None) -> None:
    import jax

    for fails in (False, True):
        task, step = compiled(revdiff, fails=fails)
        before = task.state()
        if fails:
            with pytest.raises(KeyError, match="on purpose"):
                step(X, LABELS)
            for name, value in task.state().items():
                np.testing.assert_array_equal(value, before[name], err_msg=name)
        else:
            step(X, LABELS)
            assert step.lowered(X, LABELS).compile().memory_analysis() is not None
        held = [t.array for t in [*task.net.parameters(), *task.net.buffers()]]
        assert not any(isinstance(array, jax.core.Tracer) for array in held)
        task.net.eval()(X if fails else revdiff.tensor(X, device="jax"))
