"""Scenarios and checkers: what a kernel is tried on, and what must then hold of its rules and of an engine's derivatives.

The tables themselves are in `diffcore.testing.scenarios`; the tests and `python -m compare check` walk them.
"""

from diffcore.testing.checks import (
    CheckFailed,
    active,
    altered,
    calls_of,
    check_jacobian,
    check_rules,
    difference,
    expect_close,
    unchanged,
    weighted,
    with_kernel,
)
from diffcore.testing.derivative import check_derivative
from diffcore.testing.scenario import Misuse, Scenario, strided

__all__ = [
    "CheckFailed",
    "Misuse",
    "Scenario",
    "active",
    "altered",
    "calls_of",
    "check_derivative",
    "check_jacobian",
    "check_rules",
    "difference",
    "expect_close",
    "strided",
    "unchanged",
    "weighted",
    "with_kernel",
]
