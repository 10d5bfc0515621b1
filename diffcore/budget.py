"""Memory budgets, as users write them."""

from __future__ import annotations

import re
from fractions import Fraction

from diffcore.whole import whole

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_DIGITS = r"[0-9]{1,30}"
"""More are a typing error, and beyond a point Python reads none."""


def parse_bytes(memory: int | str) -> int:
    """Bytes from an integer or a text such as `"64MB"` or `"1.5 GiB"`. Raises `ValueError` naming the text and the units."""
    nbytes = whole(memory, least=1)
    if nbytes is not None:
        return nbytes
    match = re.fullmatch(rf"\s*({_DIGITS}(?:\.{_DIGITS})?)\s*([a-z]*)\s*", memory, re.IGNORECASE) if isinstance(memory, str) else None
    nbytes = 0 if match is None else int(Fraction(match[1]) * _UNITS.get(match[2].upper(), 0))
    if not nbytes:
        raise ValueError(f"`memory` (={memory!r}) must be a positive whole number of bytes, or a text like '64MB', '512KiB' or '2GB'")
    return nbytes
