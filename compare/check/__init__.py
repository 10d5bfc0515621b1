"""Whether every kernel agrees with itself, with both engines, on every backend, to second order, and with the oracles outside.

`CHECKS` is the list of named checks; each says of one row of the scenario table whether it holds. The tests and `python -m compare
check` run the same ones. `trial(row)` holds what several checks need of a row, so that it is worked out once.
"""

from compare.check.check import Check, conditions, unavailable
from compare.check.misused import KINDS, check_misuse
from compare.check.table import CHECKS
from compare.check.trial import Trial, trial

__all__ = ["CHECKS", "KINDS", "Check", "Trial", "check_misuse", "conditions", "trial", "unavailable"]
