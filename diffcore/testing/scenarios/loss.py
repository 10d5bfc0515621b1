"""Fused losses."""

import numpy as np

from diffcore import ops
from diffcore.testing import Scenario
from diffcore.testing.scenarios.samples import classes, exactly, joined, normal


def reference(jax, logits, target, reduction):
    axis = 0 if logits.ndim == 1 else 1
    picked = jax.nn.one_hot(target, logits.shape[axis], axis=axis, dtype=logits.dtype)
    losses = -(picked * jax.nn.log_softmax(logits, axis)).sum(axis)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def row(case, draw, reduction, **options):
    return Scenario(
        "cross_entropy",
        f"{case} {reduction}",
        lambda logits, target: ops.cross_entropy(logits, target, reduction=reduction),
        draw,
        reference=lambda jax, logits, target: reference(jax, logits, target, reduction),
        torch=lambda torch, logits, target: torch.nn.functional.cross_entropy(logits, target, reduction=reduction),
        **options,
    )


CASES = {
    "batch": joined(normal((3, 4)), classes((3,), 4)),
    "batch of one": joined(normal((1, 3)), classes((1,), 3)),
    "one example": joined(normal((4,)), classes((), 4)),
    "one class": joined(normal((3, 1)), classes((3,), 1)),
    "pixels": joined(normal((2, 3, 2, 1)), classes((2, 2, 1), 3)),
}

ROWS = [
    *(row(case, draw, reduction) for case, draw in CASES.items() for reduction in ("none", "mean", "sum")),
    *(row("strided", CASES["batch"], reduction, strided=True) for reduction in ("none", "mean")),
    *(row("no examples", joined(normal((0, 3)), classes((0,), 3)), reduction) for reduction in ("none", "sum")),
    row("far out", joined(exactly([[900.0, 0.0], [-900.0, 0.0]]), lambda rng: (np.array([1, 1]),)), "mean"),
    Scenario("cross_entropy", "equal targets", lambda x: ops.cross_entropy(x, np.array([1, 1, 1])), normal((3, 2))),
]
