"""The engines as contestants, and what they are named in the table."""

from __future__ import annotations

from typing import Any

import dualdiff
import revdiff
from compare.bench import handwritten
from compare.bench.contest import Contestant
from compare.bench.subjects import Subject
from diffcore.nn.functional import functional_call

HAND = "hand-written numpy"
REVERSE, REVERSE_JAX = "revdiff", "revdiff under jit"
FORWARD = "dualdiff, activations"


def hand(subject: Subject) -> Contestant:
    """The pass written by hand for a multilayer perceptron."""
    differentiated, batch = handwritten.value_and_grad(subject.parameters), subject.batch_arrays
    return Contestant(HAND, lambda: differentiated(*batch))


def reverse(subject: Subject) -> Contestant:
    """`revdiff.value_and_grad` of the network, on numpy."""
    return Contestant(REVERSE, _evaluated(subject, revdiff, revdiff.value_and_grad(subject.loss(revdiff))))


def forward(subject: Subject) -> Contestant:
    """`dualdiff.value_and_grad` with directions on activations, on numpy, without a budget."""
    return Contestant(FORWARD, _evaluated(subject, dualdiff, dualdiff.value_and_grad(subject.loss(dualdiff), seeding="activations")))


def _evaluated(subject: Subject, engine: Any, differentiated: Any) -> Any:
    net, batch = subject.net(engine), subject.batch_arrays
    return lambda: differentiated(net, *batch)


def reverse_under_jit(subject: Subject) -> Contestant:
    """`revdiff.value_and_grad` of the network as a function of its parameters, jax arrays, under `jax.jit`."""
    from compare.bench.plain_jax import compiled

    net, loss = subject.net(revdiff), subject.loss(revdiff)

    def of_parameters(parameters: dict[str, Any], images: Any, labels: Any) -> Any:
        return loss(lambda x: functional_call(net, parameters, x), images, labels)

    return Contestant(REVERSE_JAX, compiled(revdiff.value_and_grad(of_parameters), subject), "jax")
