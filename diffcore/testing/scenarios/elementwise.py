"""Elementwise arithmetic, powers, exponentials, rounding and extremes."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.generators import binary, both, jnp, misused_binary, misused_unary, once, torch, unary
from diffcore.testing.scenarios.samples import away, distinct, exactly, joined, mask, normal, positive, whole, within

ARITHMETIC = {"add": ops.add, "sub": ops.sub, "mul": ops.mul, "div": ops.div}
EXTREMES = {"maximum": ops.maximum, "minimum": ops.minimum}

BASIC = [
    *binary("add", ops.add, normal, **both("add")),
    *binary("sub", ops.sub, normal, **both("subtract", "sub")),
    *binary("mul", ops.mul, normal, **both("multiply", "mul")),
    *binary("div", ops.div, away, **both("divide", "div")),
    *binary("maximum", ops.maximum, distinct, **both("maximum")),
    *binary("minimum", ops.minimum, distinct, **both("minimum")),
    *binary("pow", ops.pow, positive, **both("power", "pow")),
    *(Scenario(name, "repeated operand", once(f), away((2, 3))) for name, f in ARITHMETIC.items()),
    *(Scenario(name, "repeated operand at a tie", once(f), away((2, 3)), smooth=False) for name, f in EXTREMES.items()),
    Scenario("pow", "repeated operand", once(ops.pow), positive((2, 3))),
    *(
        Scenario(name, f"number on the {side}", function, away((2, 3)))
        for name, f in ARITHMETIC.items()
        for side, function in (("left", lambda x, f=f: f(2.5, x)), ("right", lambda x, f=f: f(x, 3)))
    ),
    *(
        Scenario(
            name,
            "alpha",
            lambda x, y, f=f: f(x, y, alpha=-2.5),
            normal((2, 3), (3,)),
            torch=lambda t, x, y, n=name: getattr(t, n)(x, y, alpha=-2.5),
        )
        for name, f in (("add", ops.add), ("sub", ops.sub))
    ),
    *(
        Scenario("maximum", f"number on the {s}", g, away((5,)))
        for s, g in (("left", lambda x: ops.maximum(0, x)), ("right", lambda x: ops.maximum(x, 0.1)))
    ),
    *(
        Scenario("pow", f"exponent {p}", lambda x, p=p: ops.pow(x, p), away((2, 3)), torch=lambda torch, x, p=p: torch.pow(x, p))
        for p in (0, 1, 2, 3, -1, -2, 2.0)
    ),
    *(
        Scenario("pow", f"root {p}", lambda x, p=p: ops.pow(x, p), positive((2, 3)), torch=lambda torch, x, p=p: torch.pow(x, p))
        for p in (0.5, -0.5)
    ),
    Scenario("pow", "square", ops.square, normal((2, 3)), **both("square")),
    Scenario("pow", "base 2", lambda y: ops.pow(2.0, y), normal((2, 3)), torch=lambda torch, y: torch.pow(2.0, y)),
    Scenario("pow", "whole exponents of negative bases", lambda x: ops.pow(x, np.array([[0], [1], [2], [3]], np.int8)), away((4, 2))),
    *(
        Scenario(
            "pow",
            f"0 to the number {p}",
            lambda x, p=p: ops.pow(x, p),
            exactly([0.0, 1.5]),
            smooth=False,
            torch=lambda torch, x, p=p: torch.pow(x, p),
        )
        for p in (0, 1, 2, 3)
    ),
    Scenario("pow", "0 to the array", ops.pow, exactly([0.0, 0.0, 0.0, 2.0], [1.0, 2.0, 3.0, 0.0]), smooth=False, torch=torch("pow")),
    Scenario("maximum", "ties", ops.maximum, exactly([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), smooth=False, torch=torch("maximum")),
    Scenario("minimum", "ties", ops.minimum, exactly([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), smooth=False, torch=torch("minimum")),
]

FUNCTIONS = [
    *unary("neg", ops.neg, normal, **both("negative", "neg")),
    *unary("reciprocal", ops.reciprocal, away, **both("reciprocal")),
    *unary("exp", ops.exp, normal, **both("exp")),
    *unary("exp2", ops.exp2, normal, **both("exp2")),
    *unary("expm1", ops.expm1, normal, **both("expm1")),
    *unary("log", ops.log, positive, **both("log")),
    *unary("log2", ops.log2, positive, **both("log2")),
    *unary("log10", ops.log10, positive, **both("log10")),
    *unary("log1p", ops.log1p, within(-0.7, 2), **both("log1p")),
    *unary("logit", ops.logit, within(0.2, 0.8), reference=lambda jax, x: jax.scipy.special.logit(x), torch=torch("logit")),
    *unary("sqrt", ops.sqrt, positive, **both("sqrt")),
    *unary("rsqrt", ops.rsqrt, positive, reference=lambda jax, x: jax.lax.rsqrt(x), torch=torch("rsqrt")),
    *unary("erf", ops.erf, normal, reference=lambda jax, x: jax.scipy.special.erf(x), torch=torch("erf")),
    *unary("erfc", ops.erfc, normal, reference=lambda jax, x: jax.scipy.special.erfc(x), torch=torch("erfc")),
    *unary("tanh", ops.tanh, normal, **both("tanh")),
    *unary("sigmoid", ops.sigmoid, normal, reference=lambda jax, x: jax.nn.sigmoid(x), torch=torch("sigmoid")),
    *unary("relu", ops.relu, away, reference=lambda jax, x: jax.nn.relu(x), torch=torch("relu")),
    *unary("abs", ops.abs, away, **both("abs")),
    *unary("nan_to_num", ops.nan_to_num, normal, **both("nan_to_num")),
    *binary("hypot", ops.hypot, away, **both("hypot")),
    *binary("logaddexp", ops.logaddexp, normal, **both("logaddexp")),
    *(
        Scenario(name, f"number on the {side}", function, away((2, 3)))
        for name, f in (("hypot", ops.hypot), ("logaddexp", ops.logaddexp))
        for side, function in (("left", lambda x, f=f: f(0.5, x)), ("right", lambda x, f=f: f(x, -2)))
    ),
    *(Scenario(name, "repeated operand", once(f), away((2, 3))) for name, f in (("hypot", ops.hypot), ("logaddexp", ops.logaddexp))),
]

SPECIAL_POINTS = [
    Scenario("exp", "far out", ops.exp, exactly([-800.0, -40.0, 20.0]), torch=torch("exp")),
    Scenario("expm1", "small and large", ops.expm1, exactly([-800.0, -1e-12, 1e-12, 20.0]), **both("expm1")),
    Scenario("log1p", "small and large", ops.log1p, exactly([-1e-12, 1e-12, 1e6]), **both("log1p")),
    Scenario("log1p", "at -1", ops.log1p, exactly([-1.0, 0.0]), smooth=False, torch=torch("log1p")),
    Scenario("log", "at 0", ops.log, exactly([0.0, 2.0]), smooth=False, torch=torch("log")),
    Scenario("logit", "clamped", lambda x: ops.logit(x, 0.1), exactly([0.02, 0.3, 0.95]), torch=lambda torch, x: torch.logit(x, 0.1)),
    Scenario(
        "logit",
        "at its clamps",
        lambda x: ops.logit(x, 0.25),
        exactly([0.0, 0.25, 0.75, 1.0]),
        smooth=False,
        torch=lambda torch, x: torch.logit(x, 0.25),
    ),
    Scenario("logit", "at 0 and 1", ops.logit, exactly([0.0, 1.0, 0.5]), smooth=False, torch=torch("logit")),
    Scenario("reciprocal", "at 0", ops.reciprocal, exactly([0.0, 2.0]), smooth=False, torch=torch("reciprocal")),
    Scenario("rsqrt", "at 0", ops.rsqrt, exactly([0.0, 4.0]), smooth=False, torch=torch("rsqrt")),
    Scenario("erf", "far out", ops.erf, exactly([-30.0, -5.0, 1e-9, 5.0, 30.0]), torch=torch("erf")),
    Scenario("erfc", "far out", ops.erfc, exactly([-30.0, -5.0, 1e-9, 5.0, 30.0]), torch=torch("erfc")),
    Scenario("sigmoid", "far out", ops.sigmoid, exactly([-800.0, -40.0, 40.0, 800.0]), torch=torch("sigmoid")),
    Scenario("tanh", "far out", ops.tanh, exactly([-400.0, -20.0, 20.0, 400.0]), torch=torch("tanh")),
    Scenario("relu", "at 0", ops.relu, exactly([0.0, -0.0, 1.0, -1.0]), smooth=False, torch=torch("relu")),
    Scenario("abs", "at 0", ops.abs, exactly([0.0, -0.0, 1.0, -1.0]), smooth=False, torch=torch("abs")),
    Scenario("sqrt", "at 0", ops.sqrt, exactly([4.0, 0.0]), smooth=False, torch=torch("sqrt")),
    Scenario("hypot", "far out", ops.hypot, exactly([1e30, 1e-30], [1e30, 1e-30]), smooth=False, torch=torch("hypot")),
    Scenario("hypot", "at 0", ops.hypot, exactly([0.0, 0.0, -3.0], [0.0, 2.0, 0.0]), smooth=False),
    Scenario("logaddexp", "far out", ops.logaddexp, exactly([900.0, -900.0, 0.0], [899.0, -901.0, 900.0]), reference=jnp("logaddexp")),
    Scenario("logaddexp", "one infinite", ops.logaddexp, exactly([-np.inf, 1.0], [1.0, -np.inf]), smooth=False, torch=torch("logaddexp")),
    Scenario(
        "nan_to_num",
        "replaced",
        lambda x: ops.nan_to_num(x, 0.5, 2.0, -3.0),
        exactly([np.inf, -np.inf, 1.0]),
        smooth=False,
        torch=lambda torch, x: torch.nan_to_num(x, 0.5, 2.0, -3.0),
    ),
]

STEPS = {"floor": ops.floor, "ceil": ops.ceil, "trunc": ops.trunc, "sign": ops.sign}

ROUNDING = [
    *(row for name, f in STEPS.items() for row in unary(name, f, away, **both(name))),
    *(
        Scenario(name, case, f, draw, smooth=False, **both(name))
        for name, f in STEPS.items()
        for case, draw in (
            ("whole numbers", exactly([-2.0, -1.0, 0.0, -0.0, 1.0, 2.0])),
            ("large", exactly([-1e20, 1e20, 2.0**52 + 0.5])),
            ("integers", whole((3, 2))),
            ("infinite", exactly([-np.inf, np.inf])),
        )
    ),
    *unary("round", ops.round, away, **both("round")),
    Scenario("round", "halves", ops.round, exactly([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]), smooth=False, **both("round")),
    Scenario("round", "integers", ops.round, whole((3, 2)), smooth=False, **both("round")),
    *(
        Scenario(
            "round",
            f"decimals {d}",
            lambda x, d=d: ops.round(x, decimals=d),
            exactly([1234.5678, -0.0625, 55.0]),
            smooth=False,
            torch=lambda torch, x, d=d: torch.round(x, decimals=d),
        )
        for d in (1, 3, -2)
    ),
    *unary("sub", ops.frac, away, prefix="frac ", torch=torch("frac")),
    Scenario("sub", "frac of whole numbers", ops.frac, exactly([-2.0, 0.0, 3.0]), smooth=False, torch=torch("frac")),
]


def apart(*shapes):
    """Operands for division with rounding: quotients at least 0.1 away from whole numbers; the second of either sign."""

    def draw(rng):
        if len(shapes) == 1:  # overlapping parts of one operand
            return (np.asarray(np.resize([2.75, -1.2, 1.5, 3.4, -1.3, 1.4], shapes[0])),)
        x, y = shapes
        return np.asarray(rng.choice([-1.0, 1.0], x) * rng.choice([5.3, 6.4, 8.3], x)), np.asarray(rng.choice([-2.0, 1.0, 2.0], y))

    return draw


MODES = ("floor", "trunc")
QUOTIENTS = [
    *binary("remainder", ops.remainder, apart, **both("remainder")),
    *binary("fmod", ops.fmod, apart, **both("fmod")),
    *(
        Scenario(name, f"number on the {side}", function, draw, torch=oracle)
        for name, f in (("remainder", ops.remainder), ("fmod", ops.fmod))
        for side, function, draw, oracle in (
            ("left", lambda x, f=f: f(7.5, x), exactly([2.0, -2.0, 1.1]), None),
            ("right", lambda x, f=f: f(x, -2), exactly([2.5, -5.5, 7.1]), lambda torch, x, n=name: getattr(torch, n)(x, -2)),
        )
    ),
    *(
        Scenario(name, case, f, draw, smooth=False, torch=torch(name))
        for name, f in (("remainder", ops.remainder), ("fmod", ops.fmod))
        for case, draw in (
            ("of multiples", exactly([6.0, -6.0, 6.0, -6.0], [3.0, 3.0, -3.0, -3.0])),
            ("signs", exactly([5.0, -5.0, 5.0, -5.0], [3.0, 3.0, -3.0, -3.0])),
            ("integers", joined(whole((4, 1)), lambda rng: (np.array([3, -3, 2]),))),
        )
    ),
    *binary(
        "quotient", ops.floor_divide, apart, reference=jnp("floor_divide"), torch=lambda torch, x, y: torch.div(x, y, rounding_mode="floor")
    ),
    *(
        Scenario(
            "quotient",
            f"{mode} {case}",
            lambda x, y, mode=mode: ops.div(x, y, rounding_mode=mode),
            draw,
            smooth=False,
            torch=lambda torch, x, y, mode=mode: torch.div(x, y, rounding_mode=mode),
        )
        for mode in MODES
        for case, draw in (
            ("signs", exactly([5.0, -5.0, 5.0, -5.0], [3.0, 3.0, -3.0, -3.0])),
            ("multiples", exactly([6.0, -6.0, 6.0, -6.0], [3.0, 3.0, -3.0, -3.0])),
            ("integers", joined(whole((4, 1)), lambda rng: (np.array([3, -3, 2]),))),
            ("columns and rows", normal((3, 1), (4,))),
            ("empty", normal((0,), (1,))),
        )
    ),
]


def clamped(x, low, high):
    return ops.clamp(x, low, high)


LIMITS = {"both": (-0.2, 1.6), "lower": (-0.1, None), "upper": (None, 0.2), "wide": (-5, 5), "narrow": (0, 0.1), "crossed": (0.2, -0.2)}

BOUNDED = [
    *unary("clamp", lambda x: ops.clamp(x, -0.2, 1.6), away, torch=lambda torch, x: torch.clamp(x, -0.2, 1.6)),
    *(
        Scenario(
            "clamp",
            f"numbers, {case}",
            lambda x, limits=limits: ops.clamp(x, *limits),
            away((2, 3)),
            reference=lambda jax, x, limits=limits: jax.numpy.clip(x, *limits),
            torch=lambda torch, x, limits=limits: torch.clamp(x, *limits),
        )
        for case, limits in LIMITS.items()
    ),
    Scenario(
        "clamp",
        "at its bounds",
        lambda x: ops.clamp(x, -1, 2),
        exactly([-1.0, 2.0, 0.0, -2.0, 3.0]),
        smooth=False,
        torch=lambda torch, x: torch.clamp(x, -1, 2),
    ),
    *(
        Scenario(
            "clamp",
            f"tensors, {case}",
            clamped,
            distinct(*shapes),
            reference=jnp("clip"),
            torch=None if case == "broadcast" else torch("clamp"),
            strided=case == "strided",
        )
        for case, shapes in {
            "same": ((2, 3), (2, 3), (2, 3)),
            "0-d": ((), (), ()),
            "broadcast": ((2, 1), (3,), ()),
            "wider bounds": ((3,), (2, 1), (2, 3)),
            "empty": ((0, 2), (2,), (1,)),
            "strided": ((2, 3), (3,), (2, 3)),
        }.items()
    ),
    Scenario(
        "clamp", "tensors at ties", clamped, exactly([1.0, 2.0, 0.0], [1.0, 0.0, 0.5], [3.0, 2.0, 1.0]), smooth=False, torch=torch("clamp")
    ),
    Scenario("clamp", "tensors that meet", clamped, exactly([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]), smooth=False),
    Scenario("clamp", "number and tensor", lambda x, high: ops.clamp(x, -0.07, high), distinct((2, 2), (2,))),
    Scenario("clamp", "bounds of itself", lambda x: ops.clamp(x, ops.mul(x, 0.5), ops.mul(x, 2)), positive((2, 2))),
    Scenario("clamp", "clamp_min", ops.clamp_min, distinct((2, 3), (3,)), torch=torch("clamp_min")),
    Scenario("clamp", "clamp_max", ops.clamp_max, distinct((2, 3), (3,)), torch=torch("clamp_max")),
    Scenario("clamp", "clamp_min at a tie", ops.clamp_min, exactly([1.0, 2.0], [1.0, 3.0]), smooth=False, torch=torch("clamp_min")),
    *(
        Scenario("lerp", case, ops.lerp, draw, torch=torch("lerp"), strided=case == "strided")
        for case, draw in {
            "same": normal((2, 3), (2, 3), (2, 3)),
            "0-d": normal((), (), ()),
            "one": normal((1,), (1, 1), (1,)),
            "broadcast": normal((2, 1), (3,), ()),
            "wider weight": normal((3,), (3,), (2, 1)),
            "empty": normal((0, 2), (2,), (1,)),
            "strided": normal((2, 3), (3,), (2, 3)),
            "beyond the ends": exactly([0.0, 1.0], [2.0, -1.0], [-3.0, 4.0]),
            "far apart": exactly([1e8, -1e8], [1e-8, 1e8], [0.3, 0.8]),
        }.items()
    ),
    *(
        Scenario(
            "lerp",
            f"number {w}",
            lambda x, y, w=w: ops.lerp(x, y, w),
            normal((2, 3), (3,)),
            torch=lambda torch, x, y, w=w: torch.lerp(x, y, w),
        )
        for w in (0, 0.3, 0.5, 1, 2.5)
    ),
    Scenario("lerp", "repeated operand", lambda x: ops.lerp(x, x, x), normal((2, 2))),
    Scenario("lerp", "aliased views", lambda x: ops.lerp(x[:-1], x[1:], x[1:]), normal((3, 2))),
    Scenario("lerp", "number at the start", lambda y, w: ops.lerp(0.0, y, w), normal((2, 2), (2,))),
    Scenario("lerp", "at one half", ops.lerp, exactly([1.0, 2.0], [3.0, -1.0], [0.5, -0.5]), torch=torch("lerp")),
]

CHOICES = [
    *(
        Scenario("where", case, ops.where, joined(mask(m), normal(x, y)), strided=case == "strided", **both("where"))
        for case, m, x, y in (
            ("same", (3, 4), (3, 4), (3, 4)),
            ("0-d", (), (), ()),
            ("one", (1,), (1, 1), (1,)),
            ("columns and rows", (3, 1), (4,), (2, 1, 1)),
            ("condition widest", (2, 3), (3,), ()),
            ("condition narrowest", (), (2, 3), (3,)),
            ("empty", (0, 3), (3,), (1, 1)),
            ("strided", (2, 3), (2, 3), (3,)),
        )
    ),
    Scenario("where", "repeated operand", lambda c, x: ops.where(c, x, x), joined(mask((2, 3)), normal((2, 3)))),
    Scenario("where", "transpose", lambda c, x: ops.where(c, x, x.T), joined(mask((2, 2)), normal((2, 2)))),
    Scenario("where", "aliased views", lambda c, x: ops.where(c, x[:-1], x[1:]), joined(mask((2, 2)), normal((3, 2)))),
    Scenario("where", "number", lambda c, x: ops.where(c, x, 0), joined(mask((2, 3)), normal((3,)))),
    Scenario("where", "safe division", lambda x: ops.where(x > 0, 1 / ops.where(x > 0, x, 1.0), 0.0), away((6,))),
]

ROWS = [*BASIC, *FUNCTIONS, *SPECIAL_POINTS, *ROUNDING, *QUOTIENTS, *BOUNDED, *CHOICES]

UNARY = """
    neg reciprocal exp exp2 expm1 log log2 log10 log1p logit sqrt rsqrt erf erfc tanh sigmoid relu abs nan_to_num floor ceil trunc round
    sign
""".split()
BINARY = "add sub mul div pow maximum minimum hypot logaddexp remainder fmod".split()

NUMBERS = whole((2, 3))

MISUSES = [
    *(row for name in UNARY for row in misused_unary(name, getattr(ops, name))),
    *(row for name in BINARY for row in misused_binary(name, getattr(ops, name))),
    *misused_binary("quotient", ops.floor_divide),
    Misuse("add", "alpha of integers", lambda x: ops.add(x, x, alpha=0.5), NUMBERS, DTypeError, r"add: .*`alpha` \(=0.5\)"),
    Misuse("sub", "alpha of integers", lambda x: ops.sub(x, 1, alpha=0.5), NUMBERS, DTypeError, r"sub: .*`alpha` \(=0.5\)"),
    Misuse(
        "div", "rounding mode", lambda x: ops.div(x, 2, rounding_mode="up"), normal((2,)), ValueError, r"div: `rounding_mode` \(='up'\)"
    ),
    *(
        Misuse(kernel, "integer zero", lambda x, f=f: f(x, np.array([1, 0, 2])), NUMBERS, ZeroDivisionError, "integer is divided by 0")
        for kernel, f in (("quotient", ops.floor_divide), ("remainder", ops.remainder), ("fmod", ops.fmod))
    ),
    Misuse("clamp", "no bounds", ops.clamp, normal((2,)), ValueError, "clamp: at least one of `min` or `max`"),
    Misuse(
        "clamp", "text", lambda x: ops.clamp(x, "a"), normal((2,)), DTypeError, "clamp: expected a number or a tensor as a bound, got 'a'"
    ),
    Misuse("clamp", "no bound", lambda x: ops.clamp_min(x, None), normal((2,)), DTypeError, "clamp_min: expected a number .* got None"),
    Misuse("clamp", "lower bound", ops.clamp, normal((2, 3), (4,)), ShapeError, r"clamp: shapes \(2, 3\) and \(4,\) do not broadcast"),
    Misuse("clamp", "upper bound", ops.clamp_max, normal((2, 3), (2,)), ShapeError, "clamp: .* do not broadcast"),
    Misuse("lerp", "ends", lambda x, y: ops.lerp(x, y, 0.5), normal((2, 3), (2,)), ShapeError, "lerp: .* do not broadcast"),
    Misuse("lerp", "weight", ops.lerp, normal((2, 3), (3,), (2,)), ShapeError, "lerp: .* do not broadcast"),
    Misuse("lerp", "text", lambda x: ops.lerp(x, "a", 0.5), normal((2,)), DTypeError, "^lerp: "),
    Misuse("lerp", "None", lambda x: ops.lerp(x, x, None), normal((2,)), DTypeError, "^lerp: "),
    Misuse(
        "where", "condition of numbers", ops.where, normal((2,), (2,), (2,)), DTypeError, "`condition` to be a boolean tensor, got float64"
    ),
    Misuse("where", "no condition", lambda x: ops.where(None, x, x), normal((2,)), DTypeError, "`condition` to be a boolean .* NoneType"),
    Misuse("where", "condition", ops.where, joined(mask((3,)), normal((2,), (2,))), ShapeError, "where: shapes .* do not broadcast"),
    Misuse("where", "branches", ops.where, joined(mask((2, 3)), normal((2, 1), (4,))), ShapeError, "where: shapes .* do not broadcast"),
    Misuse("nan_to_num", "replacement", lambda x: ops.nan_to_num(x, "a"), exactly([np.nan]), (DTypeError, ShapeError), "^nan_to_num: "),
]
