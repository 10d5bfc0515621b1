"""Planning a network of full size takes few calls and little memory, however many directions, runs and elements there are."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from compare.settings import Settings
from compare.training import built
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import Ledger
from dualdiff import chunks

BATCH = 128


class Counting(Ledger):
    """A ledger that counts how often it is told of operations and of buffers, and the largest count of passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.most = 0

    def book(self, flops: int, transcendentals: int) -> None:
        self.calls += 1
        self.most = max(self.most, self.repeats)
        super().book(flops, transcendentals)

    def _observe(self, role: str) -> None:
        self.calls += 1
        super()._observe(role)


def planned(name: str, engine: Any, transform: Any) -> tuple[Counting, int]:
    """The ledger of one step at a batch of 128, and the most memory that Python and numpy took for it."""
    settings = Settings(network=name)
    with Counting() as ledger:
        net = built(settings, engine, device="meta", dtype="float32")
        x = engine.Tensor(AbstractArray((BATCH, *settings.inputs), "float32"))
        y = engine.Tensor(AbstractArray((BATCH, *settings.dataset.targets), "int64"))
        step = transform(lambda net, x, y: settings.model.loss(engine.nn.functional, net, x, y))
        tracemalloc.start()
        try:
            step(net, x, y)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    return ledger, peak


def products(transform: Any) -> Any:
    """The Hessian of a loss times a vector: `transform(gradient, net, vector)`."""

    def product(loss: Any) -> Any:
        def step(net: Any, x: Any, y: Any) -> Any:
            vector = {name: AbstractArray(tuple(p.shape), np.float32) for name, p in net.named_parameters()}
            return transform(lambda net: loss(net, x, y), net, vector)

        return step

    return product


STEPS = {
    "reverse": (revdiff, revdiff.value_and_grad),
    "activations": (dualdiff, lambda loss: dualdiff.value_and_grad(loss, seeding="activations")),
    "parameters": (dualdiff, lambda loss: dualdiff.value_and_grad(loss, seeding="parameters")),
    "forward gradient": (dualdiff, lambda loss: dualdiff.forward_gradient(loss, directions=8)),
    "forward over reverse": (revdiff, products(lambda f, net, v: dualdiff.jvp(revdiff.grad(f), (net,), (v,)))),
    "forward over forward": (revdiff, products(lambda f, net, v: dualdiff.jvp(dualdiff.grad(f), (net,), (v,)))),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_vgg16_is_planned_in_few_calls_and_little_memory(name: str) -> None:
    """Its weights have 138 million elements, and so do the directions of forward mode; its first layer has 3 million features."""
    ledger, peak = planned("vgg16", *STEPS[name])
    assert ledger.peak > 5e9
    assert ledger.calls < 3000
    assert peak < 6e6


@pytest.mark.parametrize(("seeding", "memory", "least"), [("activations", "160MB", 10), ("parameters", "80MB", 10**5)])
def test_many_runs_of_chunks_are_planned_by_a_few(seeding: str, memory: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    plan = chunks.plan

    def kept(*args: Any) -> Any:
        made.append(plan(*args))
        return made[-1]

    monkeypatch.setattr("dualdiff.plans.plan", kept)
    layers = dualdiff.nn.Conv2d(3, 16, 3, padding=1), dualdiff.nn.ReLU(), dualdiff.nn.AvgPool2d(4), dualdiff.nn.Flatten()
    net = dualdiff.nn.Sequential(*layers, dualdiff.nn.Linear(1024, 3000), dualdiff.nn.Tanh(), dualdiff.nn.Linear(3000, 4096)).to("meta")
    given = AbstractArray((64, 3, 32, 32), np.float32), AbstractArray((64,), np.int64)
    function = lambda net, x, y: ops.cross_entropy(net(x), y)
    with Counting() as ledger:
        tracemalloc.start()
        try:
            dualdiff.value_and_grad(function, seeding=seeding, memory=memory)(net, *given)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    with Ledger() as once:
        dualdiff.value_and_grad(function, seeding=seeding)(net, *given)
    assert made[0].runs > least
    added = ledger.flops["primal"] - made[0].runs * once.flops["primal"]  # what each run finds of the gradient, to that of those before
    assert 0 <= added <= sum(p.numel() for p in net.parameters())
    assert ledger.most > least / 2
    assert ledger.calls < 6000
    assert peak < 8e6
