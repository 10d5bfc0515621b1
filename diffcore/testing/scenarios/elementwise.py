"""Elementwise kernels."""

import numpy as np

from diffcore import ops
from diffcore.kernels import elementwise as k
from diffcore.testing import Scenario
from diffcore.testing.scenarios.samples import away, distinct, exactly, joined, mask, normal, positive


def unary(kernel, function, draw, **options):
    shapes = {"0-d": (), "one": (1,), "empty": (0, 3), "matrix": (3, 4)}
    yield from (Scenario(kernel, case, function, draw(shape), **options) for case, shape in shapes.items())
    yield Scenario(kernel, "strided", function, draw((2, 3, 2)), strided=True, **options)


def binary(kernel, function, draw, **options):
    shapes = {
        "same": ((3, 4), (3, 4)),
        "0-d": ((), ()),
        "0-d left": ((), (2, 3)),
        "0-d right": ((3,), ()),
        "rows and columns": ((3, 1), (4,)),
        "columns and rows": ((1, 4), (3, 1)),
        "fewer axes left": ((4,), (2, 3, 4)),
        "fewer axes right": ((2, 3, 1), (3, 2)),
        "ones": ((1, 1), (1,)),
        "empty": ((0, 3), (3,)),
    }
    yield from (Scenario(kernel, case, function, draw(*pair), **options) for case, pair in shapes.items())
    yield Scenario(kernel, "strided", function, draw((3, 2), (2,)), strided=True, **options)


def once(function):
    """`function(x, x)`, with the references bent likewise."""
    return lambda x: function(x, x)


def jnp(name):
    return lambda jax, *xs: getattr(jax.numpy, name)(*xs)


def torch(name):
    return lambda torch, *xs: getattr(torch, name)(*xs)


def both(name, torch_name=None):
    return {"reference": jnp(name), "torch": torch(torch_name or name)}


ROWS = [
    *binary("add", ops.add, normal, **both("add")),
    *binary("sub", ops.sub, normal, **both("subtract", "sub")),
    *binary("mul", ops.mul, normal, **both("multiply", "mul")),
    *binary("div", ops.div, away, **both("divide", "div")),
    *binary("maximum", ops.maximum, distinct, **both("maximum")),
    *binary("minimum", ops.minimum, distinct, **both("minimum")),
    *binary("pow", ops.pow, positive, **both("power", "pow")),
    *(Scenario(f.name, "repeated operand", once(f), away((2, 3))) for f in (ops.add, ops.sub, ops.mul, ops.div)),
    *(Scenario(f.name, "repeated operand at a tie", once(f), away((2, 3)), smooth=False) for f in (ops.maximum, ops.minimum)),
    Scenario("pow", "repeated operand", once(ops.pow), positive((2, 3))),
    *(
        Scenario(f.name, f"number on the {side}", function, away((2, 3)))
        for f in (ops.add, ops.sub, ops.mul, ops.div)
        for side, function in (("left", lambda x, f=f: f(2.5, x)), ("right", lambda x, f=f: f(x, 3)))
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
    *unary("neg", ops.neg, normal, **both("negative", "neg")),
    *unary("exp", ops.exp, normal, **both("exp")),
    *unary("log", ops.log, positive, **both("log")),
    *unary("sqrt", ops.sqrt, positive, **both("sqrt")),
    *unary("tanh", ops.tanh, normal, **both("tanh")),
    *unary("sigmoid", ops.sigmoid, normal, reference=lambda jax, x: jax.nn.sigmoid(x), torch=torch("sigmoid")),
    *unary("relu", ops.relu, away, reference=lambda jax, x: jax.nn.relu(x), torch=torch("relu")),
    *unary("abs", ops.abs, away, **both("abs")),
    *unary("sign", ops.sign, away, **both("sign")),
    Scenario("sigmoid", "far out", ops.sigmoid, exactly([-800.0, -40.0, 40.0, 800.0]), torch=torch("sigmoid")),
    Scenario("tanh", "far out", ops.tanh, exactly([-400.0, -20.0, 20.0, 400.0]), torch=torch("tanh")),
    Scenario("relu", "at 0", ops.relu, exactly([0.0, -0.0, 1.0, -1.0]), smooth=False, torch=torch("relu")),
    Scenario("abs", "at 0", ops.abs, exactly([0.0, -0.0, 1.0, -1.0]), smooth=False, torch=torch("abs")),
    Scenario("sqrt", "at 0", ops.sqrt, exactly([4.0, 0.0]), smooth=False, torch=torch("sqrt")),
    Scenario("maximum", "ties", ops.maximum, exactly([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), smooth=False, torch=torch("maximum")),
    Scenario("minimum", "ties", ops.minimum, exactly([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), smooth=False, torch=torch("minimum")),
    *(
        Scenario("where", case, ops.where, joined(mask(m), normal(x, y)), **both("where"))
        for case, m, x, y in (
            ("same", (3, 4), (3, 4), (3, 4)),
            ("0-d", (), (), ()),
            ("columns and rows", (3, 1), (4,), (2, 1, 1)),
            ("condition widest", (2, 3), (3,), ()),
            ("condition narrowest", (), (2, 3), (3,)),
            ("empty", (0, 3), (3,), (1, 1)),
        )
    ),
    Scenario("where", "repeated operand", lambda c, x: ops.where(c, x, x), joined(mask((2, 3)), normal((2, 3)))),
    Scenario("where", "number", lambda c, x: ops.where(c, x, 0), joined(mask((2, 3)), normal((3,)))),
    Scenario("where", "safe division", lambda x: ops.where(x > 0, 1 / ops.where(x > 0, x, 1.0), 0.0), away((6,))),
    *(
        Scenario(f.name, case, f, draw, reference=jnp(f.name), torch=torch(t), smooth=False)
        for f, t in (
            (k.equal, "eq"),
            (k.not_equal, "ne"),
            (k.less, "lt"),
            (k.less_equal, "le"),
            (k.greater, "gt"),
            (k.greater_equal, "ge"),
        )
        for case, draw in (
            ("columns and rows", exactly([[0.0], [1.0]], [0.0, 1.0, 2.0])),
            ("0-d", normal((), ())),
            ("empty", normal((0,), (1,))),
        )
    ),
    *(
        Scenario("logical_not", c, k.logical_not, mask(s), **both("logical_not"))
        for c, s in (("0-d", ()), ("matrix", (3, 2)), ("empty", (0,)))
    ),
]
