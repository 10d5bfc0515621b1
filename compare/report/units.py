"""Numbers as people read them: three significant digits with a unit, ratios, bounds that are never rounded down."""

from __future__ import annotations

import math

MISSING = "\N{EM DASH}"
"""Shown where a run has no such number."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def duration(seconds: float) -> str:
    """`seconds` in the unit that leaves one to three digits before the point: `91.2 µs`, `1.5 ms`, `3.02 s`."""
    if seconds == 0 or not math.isfinite(seconds):
        return f"{seconds:g} s"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= scale * 0.9995:
            return f"{_three(seconds / scale)} {unit}"
    return f"{_three(seconds * 1e9)} ns"


def size(amount: float) -> str:
    """`amount` bytes in binary units: `512 B`, `205 KiB`, `1.5 MiB`."""
    value, units = float(amount), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if abs(value) < 1023.5 or unit == units[-1]:
            return f"{amount:.0f} B" if unit == "B" else f"{_three(value)} {unit}"
        value /= 1024
    raise AssertionError


def operations(amount: float, name: str = "FLOP") -> str:
    """`amount` operations with a decimal prefix: `948 kFLOP`, `1.28 MFLOP`."""
    value, prefixes = float(amount), ("", "k", "M", "G", "T", "P", "E", "Z")
    for prefix in prefixes:
        if abs(value) < 999.5 or prefix == prefixes[-1]:
            return f"{amount:.0f} {name}" if not prefix else f"{_three(value)} {prefix}{name}"
        value /= 1000
    raise AssertionError


def whole(amount: int) -> str:
    """An integer with thousands separated: `2,410`."""
    return f"{amount:,d}"


def counted(amount: int, what: str) -> str:
    """So many of something: `1 step`, `1,000 steps`."""
    return f"{whole(amount)} {what}{'s' * (amount != 1)}"


def ratio(value: float | None, sign: str = "×") -> str:
    """A factor: two digits below ten (`2.9×`, `0.53×`), whole above (`1,204×`)."""
    if value is None:
        return MISSING
    if value >= 9.95:
        return f"{value:,.0f}{sign}"
    if value >= 0.995:
        return f"{value:.1f}{sign}"
    return f"{value:.2g}{sign}"


def percent(fraction: float) -> str:
    """A fraction of one as a percentage with one decimal: `97.2 %`."""
    return f"{100 * fraction:.1f} %"


def scored(value: float | None, unit: str) -> str:
    """A score: a percentage where `unit` is `"%"`, else three decimals: `97.2 %`, `0.981`."""
    if value is None:
        return MISSING
    return percent(value) if unit == "%" else f"{value:.3f}"


def at_most(value: float) -> str:
    """An upper bound of `value` with one digit, rounded up so that what it claims holds: `3e-15`; `0` for exactly zero."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    exponent = math.floor(math.log10(value))
    digit = math.ceil(value / 10.0**exponent - 1e-9)
    if digit > 9:
        digit, exponent = 1, exponent + 1
    return f"{digit}e{exponent}" if abs(exponent) > 3 else f"{digit * 10.0**exponent:g}"


def power(exponent: int) -> str:
    """A power of ten in superscripts: `10⁻¹⁶`."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def _three(value: float) -> str:
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:.{digits}f}"
    short = f"{value:g}"
    return short if len(short) < len(text) and float(short) == value else text
