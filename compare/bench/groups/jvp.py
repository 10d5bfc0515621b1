"""One directional derivative: the operations that symbolic zeros leave, against those of the primal and of the gradient. By the ledger."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.bench import peers
from compare.bench.contest import Contest, Heard
from compare.bench.records import Entrant, Target
from compare.bench.subjects import FOUR_LAYERS, Subject
from compare.bench.wanted import Limits, Wanted
from diffcore import ops
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import Ledger
from diffcore.nn.functional import functional_call

JVP, PRIMAL, GRADIENT = "dualdiff.jvp", "primal", "revdiff.value_and_grad"
TORCH_JVP, TORCH_PRIMAL = "torch.func.jvp", "torch primal"
BATCH, WIDTH = 64, 256
ALIKE = Subject("mlp", (WIDTH,), WIDTH, 3, BATCH, WIDTH)
"""Four linear layers of one size, where the directions of weights are dearest beside the primal: 1 + 7/4 of its matrix products."""
COUNTER = "matrix products, by torch.utils.flop_counter"


def contests(wanted: Wanted) -> list[Contest]:
    """The weight of one layer, and all weights of four."""
    in_one = (Target(JVP, PRIMAL, 2.05), Target(TORCH_JVP, TORCH_PRIMAL))
    in_all = (Target(JVP, PRIMAL, 2.8), Target(JVP, GRADIENT, 1.0))
    title = f"weight of Linear({WIDTH}, {WIDTH}), batch {BATCH}"
    found = [Contest("jvp", title, "FLOPs", in_one, lambda limits, heard: _one_layer())]
    for subject in (FOUR_LAYERS, ALIKE):
        found.append(Contest("jvp", f"all weights of {subject.title}", "FLOPs", in_all, _measured(subject)))
    return found


def _one_layer() -> list[Entrant]:
    x, weight, bias = (_abstract(shape) for shape in ((BATCH, WIDTH), (WIDTH, WIDTH), (WIDTH,)))
    found = [
        _counted(JVP, lambda: dualdiff.jvp(lambda w: ops.linear(x, w, bias), (weight,), (weight,))),
        _counted(PRIMAL, lambda: ops.linear(x, weight, bias)),
    ]
    if not peers.installed("torch"):
        return [*found, *(Entrant(name, [], absent=peers.NOT_INSTALLED) for name in (TORCH_JVP, TORCH_PRIMAL))]
    torch, counter = peers.torch(), importlib.import_module("torch.utils.flop_counter")
    x, weight, bias = (torch.zeros(shape) for shape in ((BATCH, WIDTH), (WIDTH, WIDTH), (WIDTH,)))

    def layer(w: Any) -> Any:
        return torch.nn.functional.linear(x, w, bias)

    for name, program in ((TORCH_JVP, lambda: torch.func.jvp(layer, (weight,), (weight,))), (TORCH_PRIMAL, lambda: layer(weight))):
        with warnings.catch_warnings(), counter.FlopCounterMode(display=False) as counted:
            warnings.simplefilter("ignore")  # forward mode of torch uses what torch deprecates
            program()
        found.append(Entrant(name, [float(counted.get_total_flops())], note=COUNTER))
    return found


def _measured(subject: Subject) -> Callable[[Limits, Heard], list[Entrant]]:
    """The loss as a function of all weights; biases are constants."""

    def measure(limits: Limits, heard: Heard) -> list[Entrant]:
        images, labels = (AbstractArray(array.shape, array.dtype) for array in subject.batch_arrays)
        weights = {name: _abstract(array.shape) for name, array in subject.parameters.items() if name.endswith("weight")}

        def of_weights(engine: Any) -> Any:
            net, loss = subject.net(engine, device="meta"), subject.loss(engine)
            net.requires_grad_(False)
            return lambda given: loss(lambda x: functional_call(net, given, x), images, labels)

        forward, backward = of_weights(dualdiff), of_weights(revdiff)
        return [
            _counted(JVP, lambda: dualdiff.jvp(forward, (weights,), (weights,))),
            _counted(PRIMAL, lambda: forward(weights)),
            _counted(GRADIENT, lambda: revdiff.value_and_grad(backward)(weights)),
        ]

    return measure


def _abstract(shape: tuple[int, ...]) -> AbstractArray:
    return AbstractArray(shape, np.dtype(np.float32))


def _counted(name: str, program: Callable[[], Any]) -> Entrant:
    with Ledger() as ledger:
        program()
    return Entrant(name, [float(sum(ledger.flops.values()))])
