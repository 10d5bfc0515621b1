"""Every kernel on every row of the scenario table: its rules, both engines, both backends, first and second order, outside oracles.

The checks are those of `compare.check`, which `python -m compare check` runs too. One test is one check of all rows of a kernel, which
share what is worked out once (see `compare.check.trial`) and compilations; it names each row that fails.
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


PAIRS = [(kernel, check) for kernel in registered() for check in CHECKS if any(said(check, row) for row in rows_of(kernel))]


def test_every_kernel_has_rows():
    assert set(registered()) == {row.kernel for row in SCENARIOS}


def test_rows_have_names_of_their_own():
    assert len({row.id for row in SCENARIOS}) == len(SCENARIOS)


def test_checks_have_names_of_their_own():
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(("kernel", "check"), PAIRS, ids=[f"{kernel}-{check.name}" for kernel, check in PAIRS])
def test_the_rows_of_a_kernel(kernel, check):
    if missing := unavailable(check):
        pytest.skip(missing)
    failures, errors = list[str](), list[Exception]()
    for row in rows_of(kernel):
        if not said(check, row):
            continue
        try:
            with conditions(check):
                check.run(trial(row))
        except CheckFailed as failure:
            failures.append(str(failure))
        except Exception as error:  # whatever it is, the other rows are told of too
            failures.append(f"{row.id}: {type(error).__name__}: {error}")
            errors.append(error)
    if failures:
        raise CheckFailed("\n\n".join(failures)) from (errors[0] if errors else None)
