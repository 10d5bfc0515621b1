"""The tables: every registered kernel on many kinds of operands, and every kernel misused."""

from functools import cache

from diffcore.testing.scenario import Misuse, Scenario
from diffcore.testing.scenarios import (
    activation,
    attention,
    comparison,
    contraction,
    convolution,
    coverage_rows,
    cumulative,
    elementwise,
    gathering,
    indexing,
    joining,
    linalg,
    loss,
    matmul,
    misuse_given,
    normalisation,
    padding,
    pooling,
    recurrent,
    reduction,
    shape,
    softmax,
    sorting,
    strides,
    trigonometric,
)

_MODULES = (
    activation,
    attention,
    comparison,
    contraction,
    convolution,
    coverage_rows,
    cumulative,
    elementwise,
    gathering,
    indexing,
    joining,
    linalg,
    loss,
    matmul,
    normalisation,
    padding,
    pooling,
    recurrent,
    reduction,
    shape,
    softmax,
    sorting,
    strides,
    trigonometric,
)

SCENARIOS: list[Scenario] = [row for module in _MODULES for row in module.ROWS]
MISUSES: list[Misuse] = [row for module in (*_MODULES, misuse_given) for row in getattr(module, "MISUSES", ())]


@cache
def rows_of(kernel: str) -> tuple[Scenario, ...]:
    """The rows that are for `kernel`."""
    return tuple(row for row in SCENARIOS if row.kernel == kernel)


@cache
def misuses_of(kernel: str) -> tuple[Misuse, ...]:
    """The rows that misuse `kernel`."""
    return tuple(row for row in MISUSES if row.kernel == kernel)
