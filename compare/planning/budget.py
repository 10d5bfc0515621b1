"""The memory that a plan must keep to."""

from __future__ import annotations

from typing import NamedTuple

from compare.environment import SHARE, available_memory
from compare.errors import InputError
from compare.report.units import size
from diffcore.budget import parse_bytes


class Budget(NamedTuple):
    """Bytes that all arrays together may take, and where that number comes from."""

    nbytes: int
    told: str


def budget(memory: int | str | None) -> Budget:
    """The budget `memory` (bytes, or a text such as `"16GB"`), or `SHARE` of the memory there is. Raises `InputError`."""
    if memory is not None:
        try:
            found = parse_bytes(memory)
        except ValueError as error:
            raise InputError(str(error)) from None
        return Budget(found, "--memory")
    available = available_memory()
    if available is None:
        raise InputError("the memory of this machine cannot be told: give a budget with `memory`, for instance 16GB")
    return Budget(int(SHARE * available), f"{SHARE:.0%} of the {size(available)} available")
