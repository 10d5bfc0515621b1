"""The planner: what every way of differentiating a network costs, worked out from shapes before anything runs.

`wishes` (what is asked for) name a `recipe` (a network at any `sizes`, from shapes alone; `source` for files of users' own). `ways` are the
programs that differentiate it; `booking` runs one under a ledger, `fitting` brings it within a `budget`, `advising` says which is best,
`flips` where that changes, and `planner` makes `records` of it all, from which tables and pages are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compare.experiment import Progress
    from compare.planning.result import Plan
    from compare.planning.wishes import Wishes

__all__ = ["plan"]


def plan(network: Any = "mlp", batch: int | None = None, **wishes: Any) -> Plan:
    """What every way of differentiating a network costs: operations, bytes, seconds; which is the best, and where that would flip.

    Nothing is computed: the engines run on arrays that have a shape but no data.

    **Arguments:** `network`: a name, `"FILE.py:FUNCTION"`, a function `build(nn)` that makes it of an engine's layers, or a `Module` of
    either engine; `batch`: its examples; further `wishes` by keyword (see `Wishes`): `memory` (bytes or `"16GB"`; by default 80% of what
    there is), `outputs`, `directions`, `width`, `depth`, `data`, `optimizer`, `dtype`, `flips`, `thorough`; and for networks of one's own
    `inputs` (the shape of one example) and `loss` (`"cross_entropy"`, `"mse"`, `"l1"`, `"bce"`, or a function `(functional, outputs,
    targets)`).
    Raises `InputError` for wishes that cannot be, for a network that looks at values (naming the operation and the line), and for a
    `memory` below what any way to the gradient needs (naming the least).
    """
    from compare.planning.wishes import Wishes

    return planned(Wishes(network=network, batch=batch, **wishes))


def planned(wishes: Wishes, progress: Progress | None = None) -> Plan:
    """The plan of `wishes`; `progress` is told of its phases."""
    from compare.planning.budget import budget
    from compare.planning.planner import Planner
    from compare.planning.result import Plan

    planner = Planner(
        wishes.task,
        budget(wishes.memory),
        stated=wishes.memory is not None,
        command=wishes.command,
        flips=wishes.flips,
        thorough=wishes.thorough,
        progress=progress,
    )
    return Plan(planner.run())
