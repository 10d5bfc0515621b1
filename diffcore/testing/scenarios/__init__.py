"""The tables: every registered kernel on many kinds of operands, and every kernel misused."""

from diffcore.testing.scenario import Misuse, Scenario
from diffcore.testing.scenarios import contraction, cumulative, elementwise, indexing, linalg, loss, matmul, reduction, shape, sorting

_MODULES = (elementwise, shape, indexing, reduction, cumulative, sorting, matmul, contraction, linalg, loss)

SCENARIOS: list[Scenario] = [row for module in _MODULES for row in module.ROWS]
MISUSES: list[Misuse] = [row for module in _MODULES for row in getattr(module, "MISUSES", ())]
