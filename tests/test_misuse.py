"""Every row of misuse: the same error on arrays and on tensors of both engines, in one line, and nothing has changed."""

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.arrays import is_array, is_float
from diffcore.testing import unchanged
from diffcore.testing.scenarios import MISUSES


def as_tensors(kind, operands):
    return tuple(kind(x, requires_grad=is_float(x.dtype)) if is_array(x) else x for x in operands)


MAKERS = {
    "arrays": lambda operands: operands,
    "revdiff": lambda operands: as_tensors(revdiff.tensor, operands),
    "dualdiff": lambda operands: as_tensors(dualdiff.tensor, operands),
}


def test_rows_have_names_of_their_own():
    assert len({row.id for row in MISUSES}) == len(MISUSES)


@pytest.mark.parametrize("row", MISUSES, ids=lambda row: row.id)
@pytest.mark.parametrize("maker", MAKERS)
def test_misuse(row, maker):
    arrays = row.operands()
    operands = MAKERS[maker](arrays)
    with unchanged(row.id, [x for x in arrays if isinstance(x, np.ndarray)]), pytest.raises(row.error, match=row.match) as caught:
        row.function(*operands)
    text = str(caught.value)
    assert "\n" not in text
    assert "0x" not in text
    assert not any(getattr(x, "grad", None) is not None for x in operands)
