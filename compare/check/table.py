"""The list of checks."""

from __future__ import annotations

from compare.check import by_torch, first_order, on_abstract, on_jax, rules, second_order
from compare.check.check import Check
from compare.check.engines import ENGINES, NESTINGS
from compare.check.excuses import a_cast, never, not_smooth, without_derivative, without_torch
from compare.check.trial import Trial
from diffcore.testing.scenarios import rows_of

SIDE = {"revdiff": "reverse", "dualdiff": "forward"}
"""Engine -> the column it is seen in."""


def _every_fifth(t: Trial) -> str:
    excuse = not_smooth(t)
    return excuse or ("" if rows_of(t.row.kernel).index(t.row) % 5 == 0 else "every fifth row")


CHECKS: tuple[Check, ...] = (
    Check("runs its kernel", "rules", rules.runs_its_kernel, never),
    Check("adjoint", "rules", rules.adjoint, without_derivative),
    Check("derivative", "rules", rules.derivative, not_smooth),
    *(Check(f"Jacobian by {engine}", SIDE[engine], first_order.jacobians_by(engine), not_smooth, (engine,)) for engine in ENGINES),
    *(Check(f"gradient by {engine}", SIDE[engine], first_order.gradients_by(engine), without_derivative, (engine,)) for engine in ENGINES),
    *(
        Check(f"layout by {engine}", SIDE[engine], first_order.laid_out(name), first_order.already_laid_out, (engine,))
        for engine, name in (("revdiff", "revdiff"), ("dualdiff", "dualdiff by auto"))
    ),
    Check("behind a layer", "forward", first_order.behind_a_layer, first_order.without_examples, ("dualdiff",)),
    *(Check(f"float32 by {engine}", "float32", first_order.float32_by(engine), a_cast, (engine,)) for engine in ENGINES),
    *(Check(name, name, second_order.nesting(name), not_smooth, engines) for name, (engines, _) in NESTINGS.items()),
    *(
        Check(f"jit by {engine}", "jax", on_jax.under_jit(engine), on_jax.already_strided, (engine,), "jax", shared=True)
        for engine in ENGINES
    ),
    *(Check(f"eager jax by {engine}", "jax", on_jax.eager(engine), on_jax.not_eager, (engine,), "jax") for engine in ENGINES),
    Check("shapes on jax", "jax", on_jax.shapes_by_jax, never, (), "jax"),
    Check("abstract values", "abstract", on_abstract.values, never, (), "abstract"),
    *(
        Check(f"abstract derivatives by {engine}", "abstract", on_abstract.derivatives(engine), without_derivative, (engine,), "abstract")
        for engine in ENGINES
    ),
    Check("abstract second derivatives", "abstract", on_abstract.second_derivatives, _every_fifth, ENGINES, "abstract"),
    Check("jax as an oracle", "jax oracle", on_jax.by_jax, on_jax.beyond_jax, oracle="jax", shared=True),
    Check("torch as an oracle", "torch oracle", by_torch.by_torch, without_torch, oracle="torch"),
)
"""Every check of a row; misuse has rows of its own."""
