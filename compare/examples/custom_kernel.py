"""An operation of one's own: python -m compare.examples.custom_kernel

A kernel is one record: how its value is computed, what is declared of its derivative, and what follows from that. Both engines, all
nestings, numpy, jax and the planner run it from then on. `bump(x) = exp(-x^2 / 2 s^2)` is elementwise, so its partial derivative is all
there is to say; it reads the operand and the result, and that is what reverse mode keeps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import dualdiff
import revdiff
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels.families import elementwise
from diffcore.ledger import Ledger
from diffcore.testing import Scenario, calls_of, check_derivative, check_jacobian, check_rules

bump = elementwise("bump", lambda xp, x, *, s: xp.exp(x * x / (-2 * s * s)), x=lambda x, out, s: -(x / (s * s)) * out)


def wide(x: Any) -> Any:
    """The kernel as a program uses it, with its parameter given."""
    return bump(x, s=2.0)


ROW = Scenario("bump", "a row of numbers", wide, lambda rng: (rng.normal(size=5),))
"""What the checkers try it on; the tests of the package hold a table of such rows."""


def show_record() -> None:
    """What is known of the kernel."""
    print(bump)
    print(f"reverse mode keeps {', '.join(sorted(bump.keeps[0]))}; acts on examples apart: {bump.examples(0, ((8, 3),), (8, 3), {})}")


def show_cost() -> None:
    """What a gradient costs in each mode, read off a run without values."""
    for engine in (revdiff, dualdiff):
        with Ledger() as ledger:
            engine.grad(lambda x: wide(x).sum())(AbstractArray((1000,), np.dtype(np.float64)))
        operations = ", ".join(f"{phase} {count}" for phase, count in ledger.flops.items())
        print(f"{engine.__name__:8}  operations {operations}, transcendentals {ledger.transcendentals['primal']}, peak {ledger.peak} bytes")


def check() -> None:
    """Hold the rules against each other and against the value, and the engines against the derivative that a person finds."""
    call, rng = calls_of(ROW)[0], np.random.default_rng(0)
    check_rules(call, rng)
    print("pushforward and pullback are adjoint")
    print(f"the pushforward is the derivative of the value, estimated by {check_derivative(call, rng)}")
    (x,) = ROW.operands()
    by_hand = np.diag(-x / 4 * np.exp(-(x**2) / 8))
    for engine in (revdiff, dualdiff):
        check_jacobian(engine.__name__, engine.jacobian, ROW, (x,), (by_hand,))
        print(f"{engine.__name__} gives the Jacobian")


def main() -> None:
    """Show the record, a value with its derivatives, the cost; run the checkers."""
    show_record()
    x = np.array([0.0, 1.0, 2.0])
    print("value   ", *(f"{value:.6f}" for value in wide(x)))
    print("gradient", *(f"{value:.6f}" for value in dualdiff.grad(lambda x: wide(x).sum())(x)))
    print("Hessian's diagonal", *(f"{value:.6f}" for value in np.diag(revdiff.hessian(lambda x: wide(x).sum())(x))))
    show_cost()
    check()


if __name__ == "__main__":
    main()
