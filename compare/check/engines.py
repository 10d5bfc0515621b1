"""The ways in which the two engines differentiate, by name, and the engines each of them tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dualdiff
import revdiff

Transform = Callable[..., Any]

ENGINES = ("revdiff", "dualdiff")
SEEDINGS = ("parameters", "activations", "auto")
"""Ways of seeding forward mode."""


def forward_jacobian(seeding: str) -> Transform:
    """`dualdiff.jacobian` under a seeding."""
    return lambda f, argnums: dualdiff.jacobian(f, argnums, seeding=seeding)


def forward_grad(seeding: str) -> Transform:
    """`dualdiff.grad` under a seeding."""
    return lambda f, argnums: dualdiff.grad(f, argnums, seeding=seeding)


JACOBIANS: dict[str, tuple[str, Transform]] = {
    "revdiff": ("revdiff", revdiff.jacobian),
    "revdiff in chunks": ("revdiff", lambda f, argnums: revdiff.jacobian(f, argnums, chunk_size=2)),
    **{f"dualdiff by {s}": ("dualdiff", forward_jacobian(s)) for s in SEEDINGS},
}
"""Name -> engine, and the transform called as `transform(function, argnums)`."""
GRADIENTS: dict[str, tuple[str, Transform]] = {
    "revdiff": ("revdiff", revdiff.grad),
    **{f"dualdiff by {s}": ("dualdiff", forward_grad(s)) for s in SEEDINGS},
}
NESTINGS: dict[str, tuple[tuple[str, ...], dict[str, Transform]]] = {
    "forward over reverse": (ENGINES, {"jacobian of grad": lambda f, argnums: dualdiff.jacobian(revdiff.grad(f, argnums), argnums)}),
    "reverse over forward": (
        ENGINES,
        {
            "jacobian of grad": lambda f, argnums: revdiff.jacobian(dualdiff.grad(f, argnums), argnums),
            "by activations": lambda f, argnums: revdiff.jacobian(dualdiff.grad(f, argnums, seeding="activations"), argnums),
        },
    ),
    "reverse over reverse": (("revdiff",), {"hessian": revdiff.hessian}),
    "forward over forward": (
        ("dualdiff",),
        {
            "hessian": dualdiff.hessian,
            "by activations over by parameters": lambda f, argnums: dualdiff.jacobian(
                dualdiff.grad(f, argnums, seeding="parameters"), argnums, seeding="activations"
            ),
        },
    ),
}
"""The four nestings of second order: the engines each tests, and its transforms to all second derivatives."""
