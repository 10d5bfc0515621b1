"""Whether two strategies trained the same network: their parameters and losses held against each other in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compare import records
from compare.errors import TrainingError, WorkerError
from compare.messages import Array, Trained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DTYPE = "float64"
"""The comparison is made in this dtype, whatever the run trains in."""
DIVERGED = 1e5
"""Parameters beyond this are the work of a learning rate that is too large; float64 cannot hold them to `TOLERANCE`."""
TOLERANCE = 1e-10
"""Largest absolute difference of two parameters at which strategies are said to agree."""


def agreement(strategy: str, trained: Trained, reference: str, expected: Trained) -> records.Agreement:
    """The record that holds `trained` by `strategy` against `expected` by `reference`, for the same number of steps.

    Raises `WorkerError` when the two do not have the same parameters in the same shapes.
    """
    ours, theirs = trained.parameters, expected.parameters
    if {name: array.shape for name, array in ours.items()} != {name: array.shape for name, array in theirs.items()}:
        raise WorkerError(f"the networks of {strategy} and {reference} differ: parameters {sorted(ours)} and {sorted(theirs)}")
    largest = max(float(abs(_array(array)).max()) for array in theirs.values())
    if not largest <= DIVERGED:
        raise TrainingError(
            f"training diverged: parameters reached {largest:.3g} by {reference} in {len(expected.losses)} steps, so strategies cannot be"
            f" compared; a smaller `lr` or `momentum` may help"
        )
    return records.Agreement(
        strategy=strategy,
        reference=reference,
        dtype=DTYPE,
        steps=len(trained.losses),
        tolerance=TOLERANCE,
        differences={name: float(abs(_array(ours[name]) - _array(theirs[name])).max()) for name in ours},
        losses=trained.losses,
        loss_differences=[abs(mine - other) for mine, other in zip(trained.losses, expected.losses, strict=True)],
    )


def disagreement(lines: list[records.Line]) -> str | None:
    """One sentence on the worst disagreement beyond tolerance in the records of a run, or None when there is none."""
    for line in lines:
        if isinstance(line, records.Agreement):
            name, worst = max(line.differences.items(), key=lambda item: item[1])
            if worst > line.tolerance:
                return (
                    f"{line.strategy} and {line.reference} disagree: parameter {name} differs by {worst:.3g} after {line.steps} steps in"
                    f" {line.dtype}; at most {line.tolerance:g} is allowed"
                )
    return None


def _array(array: Array) -> NDArray[np.floating[Any]]:
    import numpy as np

    return np.frombuffer(array.data, array.dtype).reshape(array.shape)
