"""The tables: every registered kernel on many kinds of operands, and every kernel misused."""

from diffcore.testing.scenario import Misuse, Scenario
from diffcore.testing.scenarios import attention, convolution, elementwise, indexing, loss, matmul, normalisation, pooling, reduction, shape

_MODULES = (elementwise, shape, indexing, reduction, matmul, loss, convolution, pooling, normalisation, attention)

SCENARIOS: list[Scenario] = [row for module in _MODULES for row in module.ROWS]
MISUSES: list[Misuse] = [row for module in _MODULES for row in getattr(module, "MISUSES", ())]
