"""Kernels that move elements."""

import numpy as np

from diffcore import ops
from diffcore.testing import Scenario
from diffcore.testing.scenarios.samples import normal


def reshaped(case, shape, new, **options):
    return Scenario(
        "reshape",
        case,
        lambda x: ops.reshape(x, new),
        normal(shape),
        reference=lambda jax, x: x.reshape(new),
        torch=lambda torch, x: x.reshape(new),
        **options,
    )


def permuted(case, shape, dims, **options):
    return Scenario(
        "transpose",
        case,
        lambda x: ops.permute(x, dims),
        normal(shape),
        reference=lambda jax, x: jax.numpy.transpose(x, dims),
        torch=lambda torch, x: x.permute(dims),
        **options,
    )


def broadcast(case, shape, new, **options):
    return Scenario(
        "broadcast_to",
        case,
        lambda x: ops.broadcast_to(x, new),
        normal(shape),
        reference=lambda jax, x: jax.numpy.broadcast_to(x, new),
        torch=lambda torch, x: x.broadcast_to(new),
        **options,
    )


ROWS = [
    reshaped("merge", (2, 3, 2), (6, 2)),
    reshaped("split", (6,), (2, 3)),
    reshaped("rest", (2, 6), (-1, 4)),
    reshaped("first axis stays", (3, 4), (3, 2, 2)),
    reshaped("to 0-d", (1, 1), ()),
    reshaped("from 0-d", (), (1, 1)),
    reshaped("empty", (0, 3), (3, 0, 2)),
    reshaped("same", (2, 3), (2, 3)),
    reshaped("strided", (2, 3, 2), (3, 4), strided=True),
    Scenario(
        "reshape",
        "flatten",
        lambda x: ops.flatten(x, 1),
        normal((2, 3, 2)),
        reference=lambda jax, x: x.reshape(2, 6),
        torch=lambda torch, x: x.flatten(1),
    ),
    permuted("cycle", (2, 3, 4), (1, 2, 0)),
    permuted("other cycle", (2, 3, 4), (-1, -3, -2)),
    permuted("identity", (2, 3), (0, 1)),
    permuted("first axis stays", (2, 3, 4), (0, 2, 1)),
    permuted("0-d", (), ()),
    permuted("four axes", (2, 1, 3, 2), (3, 1, 0, 2)),
    permuted("empty", (0, 2), (1, 0)),
    permuted("strided", (2, 3, 2), (2, 0, 1), strided=True),
    Scenario(
        "transpose", "two axes", lambda x: ops.transpose(x, 0, -1), normal((2, 3, 4)), reference=lambda jax, x: jax.numpy.swapaxes(x, 0, -1)
    ),
    Scenario("transpose", "with itself", lambda x: ops.matmul(ops.transpose(x, 0, 1), x), normal((2, 3)), reference=lambda jax, x: x.T @ x),
    broadcast("new axes", (3,), (2, 4, 3)),
    broadcast("ones", (2, 1, 3), (2, 4, 3)),
    broadcast("0-d", (), (2, 3)),
    broadcast("nothing", (2, 3), (2, 3)),
    broadcast("to one more", (1,), (1, 1)),
    broadcast("to empty", (1, 3), (0, 3)),
    broadcast("strided", (3, 1), (2, 3, 2), strided=True),
    Scenario(
        "broadcast_to",
        "expand",
        lambda x: ops.expand(x, 4, -1, 3),
        normal((2, 1)),
        reference=lambda jax, x: jax.numpy.broadcast_to(x, (4, 2, 3)),
    ),
    *(
        Scenario(
            "astype",
            case,
            lambda x, t=to: ops.astype(ops.astype(x, t), np.float64),
            lambda rng, s=shape: (np.asarray(rng.integers(-8, 8, s) / 4),),
            smooth=False,
        )
        for case, to, shape in (
            ("narrower and back", np.float32, (2, 3)),
            ("0-d", np.float32, ()),
            ("empty", np.float32, (0, 2)),
            ("half", np.float16, (3,)),
        )
    ),
    Scenario(
        "astype", "to integers", lambda x: ops.astype(x, np.int64), normal((4,)), smooth=False, reference=lambda jax, x: x.astype("int64")
    ),
]
