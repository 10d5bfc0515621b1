"""`torch.utils.flop_counter`: products and convolutions of the same reverse step in PyTorch.

It is held against the networks of this package, where it counts the same to the operation. Of other networks it does not: it takes the
gradient of filters in groups for one over all channels, and does not see adaptive pools over sizes that do not divide, which are products
here.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from compare import twins
from compare.measure import example
from compare.settings import Settings
from compare.truth.source import OPERATIONS, Source, Work

PHASES = ("primal", "adjoint")
"""Of a reverse step: PyTorch's counter runs the loss and its gradient, and no update."""


class TorchProducts(Source):
    """`FlopCounterMode` around the loss of PyTorch's network of the same settings and its `backward()`, from shapes alone (device meta)."""

    name = "torch FLOPs"
    measures = "products and convolutions of PyTorch's loss and gradient (FlopCounterMode)"
    unit = OPERATIONS
    dear = True

    def missing(self, work: Work) -> str:
        if work.strategy.name != "reverse":
            return "PyTorch's step is a reverse one, without checkpoints"
        if work.settings.backend != "numpy":
            return "convolutions on jax are not done by the definition, which PyTorch counts"
        return "" if importlib.util.find_spec("torch") else "torch is not installed"

    def measure(self, work: Work) -> int:
        return counted(work.settings)

    def planned(self, work: Work) -> int:
        return sum(work.prepared.products.get(phase, 0) for phase in PHASES)


def counted(settings: Settings) -> int:
    """Operations of products and convolutions in PyTorch's loss and gradient.

    Attention counts as in PyTorch's fused kernels, and ours, which make the weights again in the backward pass: without data PyTorch
    goes the other way, so the difference of its two formulas is added.
    """
    flop_counter = importlib.import_module("torch.utils.flop_counter")
    net, batch = twins.torch_twin(settings, *example(settings, settings.dtype), device="meta")
    with flop_counter.FlopCounterMode(display=False) as counter, attention_again() as again:
        twins.torch_loss(settings, net, *batch).backward()
    return int(counter.get_total_flops()) + sum(again)


@contextmanager
def attention_again() -> Iterator[list[int]]:
    """The operations that only fused kernels do, of each time that attention is called inside."""
    functional: Any = importlib.import_module("torch.nn.functional")
    flop_counter = importlib.import_module("torch.utils.flop_counter")
    attention = functional.scaled_dot_product_attention
    found: list[int] = []

    def noted(*operands: Any, **options: Any) -> Any:
        query, key, value = ((math.prod(x.shape[:-3]), *x.shape[-3:]) for x in operands[:3])
        fused = flop_counter.sdpa_backward_flop_count((*query[:-1], value[-1]), query, key, value)
        found.append(fused - 2 * flop_counter.sdpa_flop_count(query, key, value))
        return attention(*operands, **options)

    functional.scaled_dot_product_attention = noted
    try:
        yield found
    finally:
        functional.scaled_dot_product_attention = attention
