"""The Jacobian of few inputs and many outputs, where forward mode needs few directions and reverse mode a pass for every output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.bench.contest import Contest, Contestant, Heard, Outcome
from compare.bench.records import AT_LEAST, Entrant, Target
from compare.bench.timing import race
from compare.bench.wanted import Limits, Wanted
from diffcore import ops

FORWARD, JACFWD, ROWS = "dualdiff.jacobian", "jax.jit(jax.jacfwd)", "revdiff, row by row"
INPUTS, HIDDEN = 10, 32
SAMPLED = 20
"""Rows that reverse mode computes; each is a pass of its own, and all are the same work."""


@dataclass(frozen=True)
class Function:
    """A function of one vector and constants: written once over a namespace `xp` that has `tanh`; `shapes` are those of the constants."""

    formula: str
    evaluate: Callable[..., Any]
    shapes: Callable[[int], tuple[tuple[int, ...], ...]]


FUNCTIONS = (
    Function("tanh(A x + b)", lambda xp, x, a, b: xp.tanh(a @ x + b), lambda m: ((m, INPUTS), (m,))),
    Function("A tanh(B x)", lambda xp, x, a, b: a @ xp.tanh(b @ x), lambda m: ((m, HIDDEN), (HIDDEN, INPUTS))),
)
"""An elementwise function of linear ones (a model at many points), and a network with one hidden layer of 32 units."""


def contests(wanted: Wanted, outputs: int = 100_000) -> list[Contest]:
    """One for each function."""
    targets = (Target(FORWARD, JACFWD, 1.0), Target(ROWS, FORWARD, 1000.0, AT_LEAST))
    title = f"{{}}, R^{INPUTS} to R^{outputs:,}"
    return [Contest("jacobian", title.format(each.formula), "seconds", targets, _measured(each, outputs)) for each in FUNCTIONS]


def _measured(function: Function, outputs: int) -> Callable[[Limits, Heard], list[Entrant]]:
    def measure(limits: Limits, heard: Heard) -> list[Entrant]:
        return race(contestants(function, outputs), limits, heard)

    return measure


def contestants(function: Function, outputs: int) -> list[Contestant]:
    """Forward mode, jax's, and some rows by reverse mode."""
    import jax

    rng = np.random.default_rng(0)
    constants = [rng.normal(size=shape).astype(np.float32) / 3 for shape in function.shapes(outputs)]
    x = rng.normal(size=INPUTS).astype(np.float32)
    forward = dualdiff.jacobian(lambda x, *given: function.evaluate(ops, x, *given))
    jitted = jax.jit(jax.jacfwd(lambda x, *given: function.evaluate(jax.numpy, x, *given)))
    given = jax.device_put((x, *constants))
    rows = min(SAMPLED, outputs)
    return [
        Contestant(FORWARD, lambda: _named(forward(x, *constants))),
        Contestant(JACFWD, lambda: _named(jax.block_until_ready(jitted(*given))), "jax"),
        Contestant(
            ROWS,
            _by_rows(function, x, constants, outputs, rows),
            share=rows / outputs,
            covers=rows * INPUTS,
            note=f"{rows} of {outputs:,} rows, scaled; the forward pass is not counted",
        ),
    ]


def _by_rows(function: Function, x: Any, constants: list[Any], outputs: int, rows: int) -> Callable[[], Outcome]:
    _, pullback = revdiff.vjp(lambda x: function.evaluate(ops, x, *constants), x)
    cotangents = np.zeros((rows, outputs), np.float32)
    cotangents[np.arange(rows), np.arange(rows)] = 1
    return lambda: _named(np.stack([pullback(cotangent)[0] for cotangent in cotangents]))


def _named(jacobian: Any) -> Outcome:
    return None, {"": jacobian}
