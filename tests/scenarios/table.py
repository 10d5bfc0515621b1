"""The table: every registered kernel on many kinds of operands."""

from tests.scenarios import elementwise, indexing, loss, matmul, reduction, shape

SCENARIOS = [*elementwise.ROWS, *shape.ROWS, *indexing.ROWS, *reduction.ROWS, *matmul.ROWS, *loss.ROWS]
