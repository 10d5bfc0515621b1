"""Reductions."""

import numpy as np

from diffcore import ops
from diffcore.testing import Scenario
from diffcore.testing.scenarios.samples import distinct, exactly, normal

AXES = {
    "all": ((2, 3), None),
    "all of three": ((2, 3, 2), None),
    "first": ((3, 2), 0),
    "last": ((2, 3), -1),
    "two": ((2, 3, 4), (0, -1)),
    "middle": ((2, 3, 2), 1),
    "0-d": ((), None),
    "size one": ((1, 1), 1),
    "strided": ((3, 2), 0),
}


def over(kernel, function, draw, name, torch, *, empty=True, **options):
    cases = dict(AXES)
    if empty:
        cases |= {"empty result": ((0, 3), 1), "no element": ((0, 3), 0)}
    for case, (shape, axis) in cases.items():
        for keepdims in (False, True):
            yield Scenario(
                kernel,
                case + (" kept" if keepdims else ""),
                lambda x, axis=axis, keepdims=keepdims: function(x, axis, keepdims),
                draw(shape),
                strided=case == "strided",
                reference=lambda jax, x, axis=axis, keepdims=keepdims: name(jax)(x, axis=axis, keepdims=keepdims),
                torch=None if axis is None else lambda t, x, axis=axis, keepdims=keepdims: getattr(t, torch)(x, axis, keepdims),
                **options,
            )


TIED = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, 1.0, -1.0]]

ROWS = [
    *over("sum", ops.sum, normal, lambda jax: jax.numpy.sum, "sum"),
    *(row for row in over("mean", ops.mean, normal, lambda jax: jax.numpy.mean, "mean") if "no element" not in row.case),
    *over("max", ops.amax, distinct, lambda jax: jax.numpy.max, "amax", empty=False),
    *(row for row in over("logsumexp", ops.logsumexp, normal, lambda jax: jax.nn.logsumexp, "logsumexp") if "no element" not in row.case),
    Scenario("max", "ties", lambda x: ops.amax(x, -1), exactly(TIED), smooth=False, torch=lambda torch, x: torch.amax(x, -1)),
    Scenario("max", "ties in all", ops.amax, exactly(TIED), smooth=False, torch=lambda torch, x: torch.amax(x)),
    Scenario(
        "max",
        "ties in two axes kept",
        lambda x: ops.amax(x, (0, 1), True),
        exactly(TIED),
        smooth=False,
        torch=lambda torch, x: torch.amax(x, (0, 1), True),
    ),
    Scenario(
        "gather",
        "max along an axis",
        lambda x: ops.max(x, 1).values,
        distinct((3, 4)),
        reference=lambda jax, x: x.max(1),
        torch=lambda torch, x: torch.max(x, 1).values,
    ),
    Scenario(
        "gather",
        "max along an axis, ties",
        lambda x: ops.max(x, -1, True).values,
        exactly(TIED),
        smooth=False,
        torch=lambda torch, x: torch.max(x, -1, True).values,
    ),
    Scenario("sum", "repeated operand", lambda x: ops.mul(ops.sum(x), x), normal((2, 3)), reference=lambda jax, x: x.sum() * x),
    *(
        Scenario(
            "argmax",
            case,
            lambda x, axis=axis: ops.argmax(x, axis),
            draw,
            smooth=False,
            reference=lambda jax, x, axis=axis: jax.numpy.argmax(x, axis),
            torch=lambda torch, x, axis=axis: torch.argmax(x, axis),
        )
        for case, draw, axis in (
            ("all", distinct((2, 3)), None),
            ("last", distinct((2, 3)), -1),
            ("first of ties", exactly(TIED), 1),
            ("0-d", normal(()), None),
        )
    ),
    Scenario(
        "logsumexp",
        "far out",
        lambda x: ops.logsumexp(x, -1),
        exactly([[900.0, 899.0], [-900.0, -901.0]]),
        reference=lambda jax, x: jax.nn.logsumexp(x, -1),
    ),
    Scenario(
        "logsumexp",
        "one infinite",
        lambda x: ops.logsumexp(x, -1),
        exactly([[-np.inf, 1.0, 2.0]]),
        smooth=False,
        torch=lambda torch, x: torch.logsumexp(x, -1),
    ),
]
