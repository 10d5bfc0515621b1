"""Every kernel on every row of the scenario table: its rules, both engines, both backends, first and second order, outside oracles.

The checks are those of `compare.check`, which `python -m compare check` runs too. Checks whose rows share a compilation run by kernel.
"""

import pytest

from compare.check.check import Check, conditions, unavailable
from compare.check.table import CHECKS
from compare.check.trial import trial
from diffcore.kernels import registered
from diffcore.testing import CheckFailed, Scenario
from diffcore.testing.scenarios import SCENARIOS, rows_of


def said(check: Check, row: Scenario) -> bool:
    """Whether the check has something to say of the row; a row that does not even run is left for its tests to fail on."""
    with conditions(check):
        try:
            return not check.excuse(trial(row))
        except Exception:
            return True


ONE_BY_ONE = [(check, row) for row in SCENARIOS for check in CHECKS if not check.shared and said(check, row)]
TOGETHER = [
    (check, kernel, rows)
    for kernel in registered()
    for check in CHECKS
    if check.shared and (rows := [row for row in rows_of(kernel) if said(check, row)])
]


def run(check: Check, row: Scenario) -> None:
    with conditions(check):
        check.run(trial(row))


def test_every_kernel_has_rows():
    assert set(registered()) == {row.kernel for row in SCENARIOS}


def test_rows_have_names_of_their_own():
    assert len({row.id for row in SCENARIOS}) == len(SCENARIOS)


def test_checks_have_names_of_their_own():
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(("check", "row"), ONE_BY_ONE, ids=[f"{row.id}-{check.name}" for check, row in ONE_BY_ONE])
def test_a_row(check, row):
    if missing := unavailable(check):
        pytest.skip(missing)
    run(check, row)


@pytest.mark.parametrize(("check", "kernel", "rows"), TOGETHER, ids=[f"{kernel}-{check.name}" for check, kernel, _ in TOGETHER])
def test_the_rows_of_a_kernel_together(check, kernel, rows):
    if missing := unavailable(check):
        pytest.skip(missing)
    failures = []
    for row in rows:
        try:
            run(check, row)
        except CheckFailed as failure:
            failures.append(str(failure))
    assert not failures, "\n\n".join(failures)
