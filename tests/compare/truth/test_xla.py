"""Planned operations of a step are within 3% of XLA's own count of the step that it is handed, and transcendentals are those exactly.

Of the optimised program XLA counts more the smaller the arrays are, because it computes anew what several loops read.
"""

import math
from typing import Any

import pytest

from compare.backends import BACKENDS
from compare.measure import counted, example
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer
from compare.truth import SOURCES, Unavailable, Work

jax = pytest.importorskip("jax")

CLOSE = 0.03
CASES = [
    ("mlp", "reverse", {"width": 8, "depth": 4, "batch": 16}),
    ("mlp", "reverse", {"width": 256, "depth": 3}),
    ("mlp", "forward-activations", {"width": 16, "depth": 2, "batch": 8}),
    ("lenet", "reverse", {"batch": 8}),
    ("lenet", "reverse", {"width": 6, "batch": 4}),
    ("lenet", "forward-activations", {}),
]


def work(network: str, strategy: str, knobs: dict[str, Any], *, backend: str = "jax") -> Work:
    """A step of zeros. Without momentum the optimizer has no state, so that the first step is like all others and need not be made."""
    settings, chosen = Settings(network=network, backend=backend, momentum=0.0, **knobs), STRATEGIES[strategy]
    prepared = counted(settings, chosen, settings.dtype)
    place = BACKENDS[backend]
    trainer = Trainer(settings, chosen, device=place.device, dtype=settings.dtype, compiled=True, memory=prepared.memory)
    return Work(settings, chosen, prepared, trainer.step, lambda: place.wait(trainer.net), *example(settings, settings.dtype), steps=1)


@pytest.mark.parametrize(("network", "strategy", "knobs"), CASES)
def test_operations_are_within_3_percent_of_xlas(network: str, strategy: str, knobs: dict[str, Any]) -> None:
    step = work(network, strategy, knobs)
    for name in ("XLA FLOPs", "XLA transcendentals"):
        source = SOURCES[name]
        assert source.missing(step) == ""
        assert source.planned(step) == pytest.approx(source.measure(step), rel=CLOSE if name == "XLA FLOPs" else 0)


def test_so_they_are_of_the_optimised_program_at_usual_sizes() -> None:
    step = work("lenet", "reverse", {})
    operations = SOURCES["XLA FLOPs"]
    assert operations.planned(step) == pytest.approx(operations.measure(step), rel=CLOSE)
    optimised, memory = SOURCES["XLA FLOPs, optimised"], SOURCES["XLA memory"]
    assert optimised.planned(step) == pytest.approx(optimised.measure(step), rel=CLOSE)
    results = sum(math.prod(result.shape) * result.dtype.itemsize for result in jax.tree.leaves(step.lowered.out_info))
    assert results <= memory.measure(step) <= 2 * memory.planned(step) + results


def test_without_a_compiler_there_is_nothing_to_ask() -> None:
    step = work("mlp", "reverse", {}, backend="numpy")
    for name in ("XLA FLOPs", "XLA FLOPs, optimised", "XLA transcendentals", "XLA memory"):
        assert SOURCES[name].missing(step) == "the numpy backend compiles nothing"
    with pytest.raises(Unavailable, match="compiles nothing"):
        SOURCES["XLA FLOPs"].measure(step)
