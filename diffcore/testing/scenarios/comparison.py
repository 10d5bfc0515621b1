"""Comparisons, tests and logic."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.generators import both, jnp, misused_binary, misused_unary, torch
from diffcore.testing.scenarios.samples import exactly, joined, mask, normal, whole

ORDER = {
    "equal": (ops.eq, "eq"),
    "not_equal": (ops.ne, "ne"),
    "less": (ops.lt, "lt"),
    "less_equal": (ops.le, "le"),
    "greater": (ops.gt, "gt"),
    "greater_equal": (ops.ge, "ge"),
}
TESTS = {"isnan": ops.isnan, "isinf": ops.isinf, "isfinite": ops.isfinite}
LOGIC = {"logical_and": ops.logical_and, "logical_or": ops.logical_or, "logical_xor": ops.logical_xor}
BITS = {"bitwise_and": ops.bitwise_and, "bitwise_or": ops.bitwise_or, "bitwise_xor": ops.bitwise_xor}

PAIRS = {
    "columns and rows": exactly([[0.0], [1.0]], [0.0, 1.0, 2.0]),
    "0-d": normal((), ()),
    "empty": normal((0,), (1,)),
    "NaN and infinities": exactly([np.inf, -np.inf, np.nan, 0.0], [np.inf, np.inf, np.nan, -0.0]),
    "integers": whole((3, 1), (4,), low=-1, high=2),
}


def close(case, draw, **options):
    return Scenario(
        "isclose",
        case,
        lambda x, y: ops.isclose(x, y, **options),
        draw,
        smooth=False,
        reference=lambda jax, x, y: jax.numpy.isclose(x, y, **options),
        torch=lambda torch, x, y: torch.isclose(x, y, **options),
    )


ROWS = [
    *(
        Scenario(kernel, case, f, draw, reference=jnp(kernel), torch=torch(name), smooth=False)
        for kernel, (f, name) in ORDER.items()
        for case, draw in PAIRS.items()
    ),
    *(Scenario(kernel, "number", lambda x, f=f: f(x, 1), exactly([0.0, 1.0, 2.0]), smooth=False) for kernel, (f, _) in ORDER.items()),
    *(
        Scenario(name, case, f, draw, smooth=False, **both(name))
        for name, f in TESTS.items()
        for case, draw in {
            "mixed": exactly([[np.nan, np.inf], [-np.inf, 1.0]]),
            "0-d": exactly(np.inf),
            "empty": normal((0, 2)),
            "integers": whole((2, 2)),
        }.items()
    ),
    *(
        Scenario(name, case, f, draw, smooth=False, **both(name))
        for name, f in (LOGIC | BITS).items()
        for case, draw in {
            "booleans": joined(mask((3, 1)), mask((4,))),
            "0-d": joined(mask(()), mask(())),
            "empty": joined(mask((0, 2)), mask((2,))),
            "integers": whole((3, 1), (4,)),
            "integers and booleans": joined(whole((3,)), mask((2, 1))),
        }.items()
    ),
    *(Scenario(name, "numbers", f, exactly([[0.0], [2.0]], [0.0, 1.0]), smooth=False, **both(name)) for name, f in LOGIC.items()),
    *(
        Scenario("logical_not", case, ops.logical_not, draw, smooth=False, **both("logical_not"))
        for case, draw in {"0-d": mask(()), "matrix": mask((3, 2)), "empty": mask((0,)), "numbers": exactly([0.0, 2.0, -0.0])}.items()
    ),
    *(
        Scenario("bitwise_not", case, ops.bitwise_not, draw, smooth=False, **both("bitwise_not"))
        for case, draw in {"0-d": mask(()), "booleans": mask((3, 2)), "empty": mask((0,)), "integers": whole((2, 3))}.items()
    ),
    close("default", exactly([1.0, 1.0, 1e6, 0.0], [1.0 + 1e-9, 1.1, 1e6 + 1, 1e-9])),
    close("absolute", exactly([[0.0], [1.0]], [0.2, 0.9, 2.0]), rtol=0.0, atol=0.3),
    close("relative to the second", exactly([100.0, 109.0], [109.0, 100.0]), rtol=0.085, atol=0.0),
    close("NaN and infinities", PAIRS["NaN and infinities"]),
    close("equal NaN", PAIRS["NaN and infinities"], equal_nan=True),
    close("empty", normal((0, 2), (2,))),
    close("0-d", normal((), ())),
]

MISUSES = [
    *(row for kernel, (f, _) in ORDER.items() for row in misused_binary(kernel, f)),
    *(row for name, f in (TESTS | {"bitwise_not": ops.bitwise_not}).items() for row in misused_unary(name, f)),
    Misuse("bitwise_not", "of numbers", ops.bitwise_not, normal((2,)), DTypeError, "^bitwise_not: .*float64"),
    *(
        Misuse(name, case, f, normal(*shapes), ShapeError, f"{name}: shapes .* do not broadcast")
        for name, f in LOGIC.items()
        for case, shapes in {
            "last axes": ((2, 3), (4,)),
            "first axes": ((2, 3), (3, 3)),
            "vectors": ((2,), (3,)),
            "columns": ((2, 1), (3, 4)),
        }.items()
    ),
    *(
        Misuse(name, case, f, whole(*shapes), ShapeError, f"{name}: shapes .* do not broadcast")
        for name, f in BITS.items()
        for case, shapes in {"last axes": ((2, 3), (4,)), "first axes": ((2, 3), (3, 3))}.items()
    ),
    *(Misuse(name, "of numbers", f, normal((2,), (2,)), DTypeError, f"^{name}: .*float64") for name, f in BITS.items()),
    *(Misuse(name, "text", lambda x, f=f: f(x, "a"), whole((2,)), DTypeError, f"^{name}: ") for name, f in BITS.items()),
    *(
        Misuse("logical_not", f"{given!r}", lambda x, given=given: ops.logical_not(x, *given), mask((2,)), DTypeError, "^logical_not: ")
        for given in ((1,), (None,), (1, 2), ("a",))
    ),
    Misuse("isclose", "negative tolerance", lambda x, y: ops.isclose(x, y, rtol=-1), normal((2,), (2,)), ValueError, r"`rtol` \(=-1\)"),
    Misuse("isclose", "tolerance of NaN", lambda x, y: ops.isclose(x, y, atol=np.nan), normal((2,), (2,)), ValueError, r"`atol` \(=nan\)"),
    Misuse("isclose", "dtypes", ops.isclose, joined(normal((2,)), whole((2,))), DTypeError, "same dtype, got float64 and int64"),
    Misuse("isclose", "shapes", ops.isclose, normal((2,), (3,)), ShapeError, "isclose: shapes .* do not broadcast"),
    Misuse("isclose", "allclose of shapes", ops.allclose, normal((2,), (3,)), ShapeError, "isclose: shapes .* do not broadcast"),
]
