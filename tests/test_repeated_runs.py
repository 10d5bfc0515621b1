"""On abstract arrays, passes of a loop and runs of chunks that are alike are done once: what is booked is what doing all of them books."""

import gc
from typing import Any

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import MemoryBudgetError
from diffcore.ledger import Ledger
from dualdiff import blocks, plans
from revdiff import jacobians

nn = dualdiff.nn


class Shared(nn.Module):
    """One weight at two places, and a parameter that no site takes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.scale = nn.Linear(3, 4), nn.Linear(4, 4), nn.Parameter(dualdiff.ones(4))

    def forward(self, x: Any) -> Any:
        return self.twice(self.twice(self.first(x).tanh()) * self.scale.exp()).tanh()


NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)), (5, 3)),
    "dropout": (lambda: nn.Sequential(nn.Linear(3, 5), nn.GELU(), nn.Dropout(0.3), nn.Linear(5, 2)), (5, 3)),
    "batch norm": (lambda: nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)), (5, 3)),
    "convolutions": (
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(2, 3, 2, stride=2), nn.Sigmoid(), nn.Flatten(), nn.Linear(3, 2)),
        ),
        (2, 1, 5, 5),
    ),
    "groups": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 2, groups=2), nn.BatchNorm2d(4), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 2)),
        (2, 2, 4, 4),
    ),
    "shared": (Shared, (5, 3)),
}


def loss(net: Any, x: Any, y: Any) -> Any:
    return ops.cross_entropy(net(x), y)


def booked(name: str, transform: Any, **options: Any) -> tuple[Any, ...]:
    """Everything that a ledger tells of two steps of a net, but its timeline."""
    build, shape = NETS[name]

    def prepared() -> tuple[Any, tuple[Any, ...]]:
        given = dualdiff.Tensor(AbstractArray(shape, np.float32)), dualdiff.Tensor(AbstractArray(shape[:1], np.int64))
        return transform(loss, **options), (build().to("meta"), *given)

    return told(prepared)


def told(prepare: Any) -> tuple[Any, ...]:
    with Ledger(works=True) as ledger:
        step, given = prepare()
        for _ in range(2):
            result = step(*given)
            left = +ledger.live
            del result
        gc.collect()
    return (
        ledger.flops,
        ledger.transcendentals,
        ledger.by_kernel,
        ledger.products,
        ledger.surplus,
        left,
        ledger.peak,
        ledger.peak_roles,
        ledger.work,
        len(ledger.timeline),
    )


@pytest.fixture
def run_all(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has every pass of every loop done, and every run of every plan."""

    def patch() -> None:
        monkeypatch.setattr(blocks, "spans", lambda count, step, like: ((i, min(i + step, count)) for i in range(0, count, step)))
        runs = plans._Plan.runs
        monkeypatch.setattr(plans._Plan, "runs", lambda self, start, abstract: runs(self, start, False))
        passes = lambda size, step, blocks: ((i, min(i + step, size)) for i in range(0, size, step))
        monkeypatch.setattr(jacobians, "_passes", passes)

    return patch


CASES = [("parameters", None), ("parameters", 1.0), ("parameters", 3.0), ("activations", None), ("activations", 1.0), ("auto", 2.0)]


@pytest.mark.parametrize(("seeding", "share"), CASES)
@pytest.mark.parametrize("name", NETS)
def test_what_is_booked_is_what_all_runs_book(name: str, seeding: str, share: float | None, run_all: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(blocks, "TILE", 1 << 10)  # so that there are many
    monkeypatch.setattr(blocks, "LEAST", 2)
    memory = None
    if share is not None:
        with pytest.raises(MemoryBudgetError) as caught:
            booked(name, dualdiff.value_and_grad, seeding=seeding, memory=1)
        memory = int(caught.value.least * share)
    once = booked(name, dualdiff.value_and_grad, seeding=seeding, memory=memory)
    run_all()
    every = booked(name, dualdiff.value_and_grad, seeding=seeding, memory=memory)
    assert once[:-1] == every[:-1]
    if share == 1.0:
        assert once[-1] < every[-1]


def features(w: Any, x: Any, b: Any) -> Any:
    return ops.linear(x, w, b).tanh() ** 2, (w * 2).sum(0)


@pytest.mark.parametrize(
    ("transform", "options"),
    [
        *((dualdiff.jacobian, {"memory": memory}) for memory in ("1KB", "2KB", "100KB")),
        *((revdiff.jacobian, {"chunk_size": size}) for size in (1, 2, 4, 7, 20, None)),
    ],
)
def test_jacobians_book_what_all_their_passes_book(transform: Any, options: dict[str, Any], run_all: Any) -> None:
    def prepared() -> tuple[Any, tuple[Any, ...]]:
        given = [AbstractArray(shape, np.float64) for shape in ((9, 3), (2, 3), (9,))]
        return transform(features, (0, 2), **options), tuple(given)

    once = told(prepared)
    run_all()
    every = told(prepared)
    assert once[:-1] == every[:-1]
    assert once[-1] < every[-1] or options.get("chunk_size", 0) in (7, 20, None) or options == {"memory": "100KB"}


def test_rows_per_example_book_what_all_their_passes_book(run_all: Any) -> None:
    def prepared() -> tuple[Any, tuple[Any, ...]]:
        function = lambda x, w: ops.linear(x, w).tanh()
        given = AbstractArray((4, 3), np.float64), AbstractArray((9, 3), np.float64)
        return revdiff.jacobian(function, 0, per_example=True, chunk_size=2), given

    once = told(prepared)
    run_all()
    assert once[:-1] == told(prepared)[:-1]
