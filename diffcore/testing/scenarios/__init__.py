"""The tables: every registered kernel on many kinds of operands, and every kernel misused."""

from diffcore.testing.scenario import Misuse, Scenario
from diffcore.testing.scenarios import (
    activation,
    comparison,
    elementwise,
    indexing,
    loss,
    matmul,
    reduction,
    shape,
    softmax,
    trigonometric,
)

_MODULES = (elementwise, trigonometric, comparison, activation, shape, indexing, reduction, softmax, matmul, loss)

SCENARIOS: list[Scenario] = [row for module in _MODULES for row in module.ROWS]
MISUSES: list[Misuse] = [row for module in _MODULES for row in getattr(module, "MISUSES", ())]
