"""Softmax and its logarithm."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import exactly, normal, whole

CASES = {
    "last": ((2, 3), -1),
    "first": ((3, 2), 0),
    "middle": ((2, 3, 2), 1),
    "second to last": ((2, 2, 2), -2),
    "one axis": ((4,), 0),
    "0-d": ((), 0),
    "one class": ((3, 1), 1),
    "one": ((1, 1), 0),
    "no rows": ((0, 3), 1),
    "no classes": ((2, 0), 1),
    "strided": ((2, 3), -1),
    "strided first": ((3, 2), 0),
}


def rows(name, function):
    def oracles(axis):
        return {
            "reference": lambda jax, x: getattr(jax.nn, name)(x, axis),
            "torch": lambda torch, x: getattr(torch, name)(x, axis),
        }

    for case, (shape, axis) in CASES.items():
        known = oracles(axis) if shape else {"torch": oracles(axis)["torch"]}
        yield Scenario(name, case, lambda x, axis=axis: function(x, axis), normal(shape), strided=case.startswith("strided"), **known)
    known = oracles(-1)
    yield Scenario(name, "far out", lambda x: function(x, -1), exactly([[900.0, 0.0], [-900.0, -900.5]]), **known)
    yield Scenario(
        name,
        "one infinite",
        lambda x: function(x, -1),
        exactly([[-np.inf, 1.0, 2.0]]),
        smooth=False,
        torch=known["torch"] if name == "softmax" else None,
    )
    yield Scenario(name, "equal", lambda x: function(x, -1), exactly([[1.0, 1.0, 1.0]]), **known)
    yield Scenario(name, "repeated operand", lambda x: function(x, -1) * x, normal((2, 3)))
    yield Scenario(name, "aliased views", lambda x: function(x[:-1], -1) * x[1:], normal((3, 2)))
    yield Scenario(name, "transpose", lambda x: function(x.T, 0) * x.T, normal((2, 3)))
    yield Scenario(name, "twice", lambda x: function(function(x, 0), 1), normal((2, 3)))
    yield Scenario(name, "last by default", function, normal((2, 3)))
    yield Scenario(name, "axis by numpy's name", lambda x: function(x, axis=0), normal((2, 3)))


ROWS = [*rows("softmax", ops.softmax), *rows("log_softmax", ops.log_softmax)]

MISUSES = [
    Misuse(name, case, function, draw, error, match)
    for name, f in (("softmax", ops.softmax), ("log_softmax", ops.log_softmax))
    for case, function, draw, error, match in (
        ("axis too large", lambda x, f=f: f(x, 2), normal((2, 3)), IndexError, r"Dimension out of range .*\[-2, 1\], but got 2"),
        ("axis too small", lambda x, f=f: f(x, -3), normal((2, 3)), IndexError, r"Dimension out of range .*\[-2, 1\], but got -3"),
        ("axis of 0-d", lambda x, f=f: f(x, 1), normal(()), IndexError, r"Dimension out of range .*\[-1, 0\], but got 1"),
        ("axis by name", lambda x, f=f: f(x, "last"), normal((2, 3)), TypeError, "integer"),
        ("integers", f, whole((2, 3)), DTypeError, f"{name}: expected a floating-point tensor, got int64"),
    )
]
