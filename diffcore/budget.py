"""Memory budgets, as users write them."""

from __future__ import annotations

import re

from diffcore.whole import whole

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(memory: int | str) -> int:
    """Bytes from an integer or a text such as `"64MB"` or `"1.5 GiB"`. Raises `ValueError` naming the text and the units."""
    nbytes = whole(memory, least=1)
    if nbytes is not None:
        return nbytes
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?i?B?)\s*", str(memory), re.IGNORECASE)
    unit = None if not isinstance(memory, str) or match is None else _UNITS.get(match[2].upper())
    if match is None or unit is None or float(match[1]) * unit < 1:
        raise ValueError(f"memory (={memory!r}) must be a positive number of bytes, or a text like '64MB', '512KiB' or '2GB'")
    return int(float(match[1]) * unit)
