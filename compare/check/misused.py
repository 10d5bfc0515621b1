"""Misuse: the same error on arrays and on tensors of both engines, in one line, and nothing has changed afterwards."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import dualdiff
import revdiff
from diffcore.arrays import is_array, is_float
from diffcore.testing import CheckFailed, Misuse, unchanged

MAKERS: dict[str, Any] = {"arrays": None, "revdiff": revdiff.tensor, "dualdiff": dualdiff.tensor}
KINDS = tuple(MAKERS)
"""What the operands are: arrays, or tensors of an engine."""


def check_misuse(row: Misuse, kind: str) -> None:
    """Raise `CheckFailed` unless `row` raises its error with its message on operands of `kind`, and changes nothing."""
    arrays, make = row.operands(), MAKERS[kind]
    operands = arrays if make is None else tuple(make(x, requires_grad=is_float(x.dtype)) if is_array(x) else x for x in arrays)
    text, where = "", f"{row.id} on {kind}"
    with unchanged(where, [x for x in arrays if isinstance(x, np.ndarray)]):
        try:
            row.function(*operands)
        except row.error as error:
            text = str(error)
        except Exception as error:  # whatever was raised instead is what there is to tell
            raise CheckFailed(f"{where}: {type(error).__name__} instead of {_named(row.error)}: {error}") from error
        else:
            raise CheckFailed(f"{where}: nothing was raised, expected {_named(row.error)}")
    if not re.search(row.match, text):
        raise CheckFailed(f"{where}: the message {text!r} does not match {row.match!r}")
    if "\n" in text or "0x" in text:
        raise CheckFailed(f"{where}: the message is not one line for people: {text!r}")
    if any(getattr(x, "grad", None) is not None for x in operands):
        raise CheckFailed(f"{where}: a gradient was left behind")


def _named(error: Any) -> str:
    return " or ".join(kind.__name__ for kind in (error if isinstance(error, tuple) else (error,)))
