"""The tables: every registered kernel on many kinds of operands, and every kernel misused."""

from diffcore.testing.scenario import Misuse, Scenario
from diffcore.testing.scenarios import elementwise, gathering, indexing, joining, loss, matmul, padding, reduction, shape, strides

_MODULES = (elementwise, shape, indexing, gathering, reduction, matmul, loss, padding, strides, joining)

SCENARIOS: list[Scenario] = [row for module in _MODULES for row in module.ROWS]
MISUSES: list[Misuse] = [row for module in _MODULES for row in getattr(module, "MISUSES", ())]
