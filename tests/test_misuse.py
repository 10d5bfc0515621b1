"""Every row of misuse: the same error on arrays and on tensors of both engines, in one line, and nothing has changed."""

import pytest

from compare.check.misused import KINDS, check_misuse
from diffcore.testing.scenarios import MISUSES


def test_rows_have_names_of_their_own():
    assert len({row.id for row in MISUSES}) == len(MISUSES)


@pytest.mark.parametrize("row", MISUSES, ids=lambda row: row.id)
@pytest.mark.parametrize("kind", KINDS)
def test_misuse(row, kind):
    check_misuse(row, kind)
