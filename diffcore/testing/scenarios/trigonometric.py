"""Circular and hyperbolic functions."""

import numpy as np

from diffcore import ops
from diffcore.testing import Scenario
from diffcore.testing.scenarios.generators import binary, both, misused_binary, misused_unary, once, torch, unary
from diffcore.testing.scenarios.samples import away, exactly, normal, within

DRAWS = {
    "sin": normal,
    "cos": normal,
    "tan": within(-1.1, 1.1),
    "asin": within(-0.7, 0.7),
    "acos": within(-0.7, 0.7),
    "atan": normal,
    "sinh": normal,
    "cosh": normal,
    "asinh": normal,
    "acosh": within(1.4, 4),
    "atanh": within(-0.7, 0.7),
}
INVERSES = {name: "arc" + name[1:] for name in DRAWS if name.startswith("a")}

ROWS = [
    *(row for name, draw in DRAWS.items() for row in unary(name, getattr(ops, name), draw, **both(INVERSES.get(name, name), name))),
    *(
        Scenario(name, case, getattr(ops, name), draw, torch=torch(name), smooth=smooth)
        for name, case, draw, smooth in (
            ("sin", "large", exactly([1e3, -1e5]), False),
            ("cos", "large", exactly([1e3, -1e5]), False),
            ("sin", "tiny", exactly([1e-12, -1e-30, 0.0]), True),
            ("tan", "tiny", exactly([1e-12, -1e-30, 0.0]), True),
            ("sinh", "tiny", exactly([1e-12, -1e-30, 0.0]), True),
            ("atan", "far out", exactly([-1e6, 1e6, 1e200, -np.inf]), False),
            ("asinh", "far out", exactly([-1e6, 1e-12, 1e30]), False),
            ("acosh", "far out", exactly([1e6, 1e30]), False),
            ("asin", "at 1", exactly([1.0, 0.0]), False),
            ("acos", "at 1", exactly([1.0, 0.0]), False),
            ("acosh", "at 1", exactly([1.0, 2.0]), False),
            ("atanh", "at 1", exactly([1.0, -1.0, 0.5]), False),
            ("tanh", "tiny", exactly([1e-12, -1e-30, 0.0]), True),
        )
    ),
    *binary("atan2", ops.atan2, away, **both("arctan2", "atan2")),
    Scenario("atan2", "repeated operand", once(ops.atan2), away((2, 3))),
    Scenario("atan2", "number on the left", lambda x: ops.atan2(0.5, x), away((2, 3))),
    Scenario("atan2", "number on the right", lambda x: ops.atan2(x, -2), away((2, 3))),
    Scenario("atan2", "at 0", ops.atan2, exactly([0.0, 0.0, 0.0, 1.0], [0.0, 1.0, -1.0, 0.0]), smooth=False, torch=torch("atan2")),
    Scenario("atan2", "far out", ops.atan2, exactly([1e30, 1e-30], [1e30, 1e-30]), smooth=False),
]

MISUSES = [
    *(row for name in DRAWS for row in misused_unary(name, getattr(ops, name))),
    *misused_binary("atan2", ops.atan2),
]
