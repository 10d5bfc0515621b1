"""Planned products and convolutions of a reverse step are PyTorch's own count, to the unit, for every network there is."""

from typing import Any

import pytest

import revdiff
from compare.measure import counted, example
from compare.networks import NETWORKS
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import built
from compare.truth import SOURCES, Work
from compare.truth import torch_products as truth
from diffcore.ledger import Ledger

torch = pytest.importorskip("torch")

FULL_BATCH = 2


def products(settings: Settings) -> int:
    """Those of the loss and its gradient."""
    with Ledger() as ledger:
        net = built(settings, revdiff, device="meta", dtype=settings.dtype)
        batch = [revdiff.tensor(part, device="meta") for part in example(settings, settings.dtype)]
        loss = settings.model.loss
        revdiff.value_and_grad(lambda net, *data: loss(revdiff.nn.functional, net, *data))(net, *batch)
    assert {phase for phase, _ in ledger.products} <= {"primal", "adjoint"}
    return sum(ledger.products.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_products_of_a_reverse_step_are_torchs(name: str) -> None:
    settings = Settings(network=name, batch=FULL_BATCH) if NETWORKS[name].family else Settings(network=name)
    assert products(settings) == truth.counted(settings)


KNOBS = [("mlp", {"width": 5, "depth": 4}), ("lenet", {"width": 3, "batch": 7}), ("gru", {"depth": 2})]


@pytest.mark.parametrize(("network", "knobs"), KNOBS)
def test_so_they_are_for_other_widths_depths_and_batches(network: str, knobs: dict[str, int]) -> None:
    settings = Settings(network=network, **knobs)  # type: ignore[arg-type]
    assert products(settings) == truth.counted(settings)


def test_what_fused_attention_makes_again_is_counted() -> None:
    """PyTorch's own counter, which without data sees the other way, has less by one product of queries and keys per layer."""
    flop_counter = pytest.importorskip("torch.utils.flop_counter")
    query, key, value = (torch.ones(2, 3, n, 4, device="meta", requires_grad=True) for n in (5, 7, 7))
    with flop_counter.FlopCounterMode(display=False) as counter, truth.attention_again() as again:
        torch.nn.functional.scaled_dot_product_attention(query, key, value).sum().backward()
    product = 2 * 2 * 3 * 5 * 7 * 4
    assert counter.get_total_flops() == 6 * product
    assert again == [product]


def work(settings: Settings, strategy: str = "reverse") -> Work:
    """A step that is only planned."""
    chosen = STRATEGIES[strategy]
    nothing: Any = None
    return Work(settings, chosen, counted(settings, chosen, settings.dtype), nothing, nothing, *example(settings, settings.dtype))


def test_the_source_holds_the_whole_steps_plan_against_it() -> None:
    """The plan of a step has an update besides, in which there are no products."""
    planned = work(Settings(network="lenet"))
    source = SOURCES["torch FLOPs"]
    assert source.missing(planned) == ""
    assert source.measure(planned) == source.planned(planned) == 1571840
    assert "reverse" in source.missing(work(Settings(network="mlp"), "forward-activations"))
    assert "jax" in source.missing(work(Settings(network="mlp", backend="jax")))
