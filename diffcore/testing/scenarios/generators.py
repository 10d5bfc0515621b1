"""Rows that elementwise kernels share: each generator lays one function out over many shapes, layouts and aliases."""

import numpy as np

from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import normal

WHOLE = lambda f: f

UNARY = {
    "0-d": ((), WHOLE),
    "one": ((1,), WHOLE),
    "vector": ((4,), WHOLE),
    "matrix": ((2, 3), WHOLE),
    "three axes": ((2, 1, 3), WHOLE),
    "empty": ((0, 3), WHOLE),
    "strided": ((2, 3), WHOLE),
    "strided three axes": ((2, 3, 2), WHOLE),
    "repeated operand": ((2, 2), lambda f: lambda x: f(x) * x),
    "transpose": ((2, 2), lambda f: lambda x: f(x.T) * x),
    "aliased views": ((3, 2), lambda f: lambda x: f(x[:-1]) * x[1:]),
    "column": ((2, 2), lambda f: lambda x: f(x[:, 1:]) * x),
}


def unary(kernel, function, draw, *, reference=None, torch=None, prefix="", **options):
    """Twelve rows of a function of one operand. `prefix` tells the parameters of several calls apart."""
    for case, (shape, wrapped) in UNARY.items():
        yield Scenario(
            kernel,
            prefix + case,
            wrapped(function),
            draw(shape),
            strided=case.startswith("strided"),
            reference=reference and (lambda jax, x, w=wrapped: w(lambda x: reference(jax, x))(x)),
            torch=torch and (lambda t, x, w=wrapped: w(lambda x: torch(t, x))(x)),
            **options,
        )


BINARY = {
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


def binary(kernel, function, draw, *, reference=None, torch=None, **options):
    """Thirteen rows of a function of two operands that broadcast."""
    oracles = {"reference": reference, "torch": torch}
    yield from (Scenario(kernel, case, function, draw(*pair), **oracles, **options) for case, pair in BINARY.items())
    yield Scenario(kernel, "strided", function, draw((3, 2), (2,)), strided=True, **oracles, **options)
    for case, shape, split in (
        ("aliased views", (3, 2), lambda x: (x[:-1], x[1:])),
        ("overlapping columns", (2, 3), lambda x: (x[:, :2], x[:, 1:])),
    ):
        yield Scenario(
            kernel,
            case,
            lambda x, split=split: function(*split(x)),
            draw(shape),
            reference=reference and (lambda jax, x, split=split: reference(jax, *split(x))),
            torch=torch and (lambda t, x, split=split: torch(t, *split(x))),
            **options,
        )


def once(function):
    """`function(x, x)`."""
    return lambda x: function(x, x)


def jnp(name):
    return lambda jax, *xs: getattr(jax.numpy, name)(*xs)


def torch(name):
    return lambda torch, *xs: getattr(torch, name)(*xs)


def functional(name, **options):
    return lambda torch, *xs: getattr(torch.nn.functional, name)(*xs, **options)


def both(name, torch_name=None):
    return {"reference": jnp(name), "torch": torch(torch_name or name)}


NO_NUMBERS = {
    "text": "text",
    "None": None,
    "set": {1.0},
    "array of text": np.array(["a", "b"]),
}


def misused_unary(kernel, function):
    """Four rows: what holds no numbers."""
    for case, given in NO_NUMBERS.items():
        yield Misuse(kernel, case, lambda x, given=given: function(given), normal((2,)), DTypeError, f"^{kernel}: ")


def misused_binary(kernel, function, name=None):
    """Four rows: shapes that do not broadcast, and what holds no numbers."""
    name = name or kernel
    for case, shapes in {"last axes": ((2, 3), (4,)), "first axes": ((2, 3), (3, 3)), "vectors": ((2,), (3,))}.items():
        yield Misuse(kernel, case, function, normal(*shapes), ShapeError, rf"^{name}: .*do not broadcast: they disagree at axis -\d")
    yield Misuse(kernel, "text", lambda x: function(x, "text"), normal((2,)), DTypeError, f"^{name}: ")
