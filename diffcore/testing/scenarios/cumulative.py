"""Running values."""

import numpy as np

from diffcore import ops
from diffcore.errors import ShapeError
from diffcore.kernels import cumulative as k
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import away, distinct, exactly, mask, normal

CASES = {
    "one axis": ((4,), 0),
    "first": ((3, 2), 0),
    "last": ((2, 3), -1),
    "middle": ((2, 3, 2), 1),
    "middle from behind": ((2, 5, 2), -2),
    "0-d": ((), 0),
    "size one": ((1, 1), 1),
    "one element": ((2, 1), -1),
    "no stack": ((0, 3), 1),
    "no element": ((2, 0), 1),
    "strided": ((3, 2), 0),
}


def running(kernel, function, name=None, jax_name=None, draw=normal, *, skip=(), values=lambda found: found):
    for case, (shape, axis) in CASES.items():
        if case in skip:
            continue
        yield Scenario(
            kernel,
            f"{name or kernel} {case}",
            lambda x, axis=axis: values(function(x, axis)),
            draw(shape),
            strided=case == "strided",
            reference=(lambda jax, x, axis=axis: getattr(jax.lax, jax_name)(x, axis % x.ndim)) if jax_name and shape else None,
            torch=lambda torch, x, axis=axis: values(getattr(torch, name or kernel)(x, axis)),
        )


def first(found):
    return found.values


def recurrence(case, a, b, axis, reverse=False, **options):
    """`a` and `b` are drawn with these shapes; the reference goes from element to element."""

    def step(jax, a, b):
        a, b = jax.numpy.broadcast_arrays(a, b)
        a, b = (jax.numpy.moveaxis(x, axis, 0) for x in (a, b))
        _, s = jax.lax.scan(lambda s, ab: (ab[0] * s + ab[1],) * 2, jax.numpy.zeros_like(b[:1].sum(0)), (a, b), reverse=reverse)
        return jax.numpy.moveaxis(s, 0, axis)

    return Scenario(
        "recurrence", case, lambda a, b: k.recurrence(a, b, axis=axis, reverse=reverse), normal(a, b), reference=step, **options
    )


ZEROS = ([2.0, 0.0, 3.0], [0.0, 0.0, 1.0], [1.5, 2.0, 0.0])

ROWS = [
    *running("cumsum", ops.cumsum, jax_name="cumsum"),
    Scenario("astype", "cumsum of booleans", lambda x: ops.cumsum(x, 0), mask((4,)), torch=lambda torch, x: torch.cumsum(x, 0)),
    Scenario("cumsum", "repeated operand", lambda x: ops.mul(ops.cumsum(x, 0), x), normal((3,)), torch=lambda torch, x: x.cumsum(0) * x),
    Scenario("cumsum", "from the end", lambda x: k.cumsum(x, axis=-1, reverse=True), normal((2, 4))),
    *running("cumprod", ops.cumprod, jax_name="cumprod", draw=away),
    Scenario("cumprod", "zeros", lambda x: ops.cumprod(x, 1), exactly(ZEROS), torch=lambda torch, x: torch.cumprod(x, 1)),
    Scenario("cumprod", "from the end", lambda x: k.cumprod(x, axis=-1, reverse=True), away((2, 4))),
    Scenario("cumprod", "repeated operand", lambda x: ops.mul(ops.cumprod(x, 0), x), away((3,)), torch=lambda torch, x: x.cumprod(0) * x),
    *running("prod", ops.prod, draw=away, skip=("0-d",)),
    *(
        Scenario(
            "prod",
            case,
            lambda x, axis=axis, keep=keep: ops.prod(x, axis, keep),
            draw,
            reference=lambda jax, x, axis=axis, keep=keep: jax.numpy.prod(x, axis, keepdims=keep),
        )
        for case, draw, axis, keep in (
            ("all", away((2, 3)), None, False),
            ("all kept", away((2, 3)), None, True),
            ("0-d", away(()), None, False),
            ("two axes", away((2, 2, 2)), (0, -1), False),
            ("two axes kept", away((2, 2, 2)), (0, 1), True),
            ("nothing", away((0,)), None, False),
        )
    ),
    Scenario("prod", "one zero", lambda x: ops.prod(x, 1), exactly(ZEROS), torch=lambda torch, x: torch.prod(x, 1)),
    Scenario("prod", "two zeros", ops.prod, exactly([0.0, 2.0, 0.0, 3.0]), torch=lambda torch, x: torch.prod(x)),
    Scenario("astype", "prod of booleans", ops.prod, mask((4,)), torch=lambda torch, x: torch.prod(x)),
    recurrence("one axis", (4,), (4,), -1),
    recurrence("long", (11,), (11,), -1),
    recurrence("first axis", (3, 2), (3, 2), -2),
    recurrence("middle axis", (2, 3, 2), (2, 3, 2), -2),
    recurrence("from the end", (2, 5), (2, 5), -1, True),
    recurrence("factors shared", (4,), (2, 4), -1),
    recurrence("terms shared", (2, 4), (4,), -1),
    recurrence("factors broadcast", (4, 1), (4, 3), -2),
    recurrence("terms broadcast from the end", (4, 3), (1, 4, 1), -2, True),
    recurrence("one element", (2, 1), (2, 1), -1),
    recurrence("no stack", (0, 3), (0, 3), -1),
    recurrence("strided", (3, 2), (3, 2), -2, strided=True),
    Scenario("recurrence", "repeated operand", lambda x: k.recurrence(x, x, axis=-1), normal((2, 3))),
    *running("logcumsumexp", ops.logcumsumexp, jax_name="cumlogsumexp"),
    Scenario(
        "logcumsumexp",
        "far out",
        lambda x: ops.logcumsumexp(x, -1),
        exactly([[900.0, 899.0, -5.0], [-900.0, -901.0, -899.5]]),
        torch=lambda torch, x: torch.logcumsumexp(x, -1),
    ),
    *running("gather", ops.cummax, "cummax", "cummax", distinct, skip=("0-d", "no stack", "no element"), values=first),
    *running("gather", ops.cummin, "cummin", "cummin", distinct, skip=("0-d", "no stack", "no element"), values=first),
    *(
        Scenario(
            kernel,
            case,
            lambda x, f=function: f(x, -1).indices,
            draw,
            smooth=False,
            torch=None if case == "0-d" else lambda torch, x, f=function: getattr(torch, f.__name__)(x, -1).indices,
        )
        for kernel, function in (("argcummax", ops.cummax), ("argcummin", ops.cummin))
        for case, draw in (
            ("ties", exactly([1.0, 3.0, 3.0, 2.0, 1.0, 0.0, 1.0, 0.0])),
            ("stack", distinct((2, 4))),
            ("NaN", exactly([1.0, 3.0, np.nan, 2.0, np.nan, 0.0])),
            ("0-d", distinct(())),
        )
    ),
    Scenario("sub", "diff", lambda x: ops.diff(x, 1, 0), normal((3, 2)), torch=lambda torch, x: torch.diff(x, 1, 0)),
    Scenario("sub", "second diff", lambda x: ops.diff(x, 2), normal((2, 4)), torch=lambda torch, x: torch.diff(x, 2)),
    Scenario("sub", "diff of one", lambda x: ops.diff(x), normal((2, 1)), torch=lambda torch, x: torch.diff(x)),
    Scenario("getitem", "diff of booleans", ops.diff, mask((5,)), torch=lambda torch, x: torch.diff(x)),
]


def misused(kernel, function):
    yield Misuse(kernel, "axis too large", lambda x: function(x, 2), normal((2, 3)), IndexError, r"in range of \[-2, 1\], but got 2")
    yield Misuse(kernel, "axis too small", lambda x: function(x, -3), normal((2, 3)), IndexError, r"Dimension out of range .* but got -3")
    yield Misuse(kernel, "axis of a scalar", lambda x: function(x, 1), normal(()), IndexError, r"in range of \[-1, 0\], but got 1")
    yield Misuse(kernel, "axis by name", lambda x: function(x, "rows"), normal((2, 3)), TypeError, "integer")
    if kernel != "prod":
        yield Misuse(kernel, "no axis", lambda x: function(x), normal((2, 3)), TypeError, r"`dim` is missing: along which axis of \(2, 3\)")
        yield Misuse(kernel, "two axes", lambda x: function(x, (0, 1)), normal((2, 3)), TypeError, "integer")


MISUSES = [
    *misused("cumsum", ops.cumsum),
    *misused("cumprod", ops.cumprod),
    *misused("prod", ops.prod),
    *misused("logcumsumexp", ops.logcumsumexp),
    *misused("argcummax", ops.cummax),
    *misused("argcummin", ops.cummin),
    *(
        Misuse("recurrence", case, lambda a, b, axis=axis: k.recurrence(a, b, axis=axis), draw, error, match)
        for case, draw, axis, error, match in (
            ("lengths", normal((3,), (4,)), -1, ShapeError, r"recurrence: .*`a` \(3,\), `b` \(4,\)"),
            ("stacks", normal((2, 3), (4, 3)), -1, ShapeError, r"recurrence: .*`a` \(2, 3\), `b` \(4, 3\)"),
            ("axis", normal((3,), (3,)), -2, IndexError, "recurrence"),
            ("scalars", normal((), ()), -1, IndexError, "recurrence"),
        )
    ),
    Misuse("sub", "diff of a scalar", lambda x: ops.diff(x), normal(()), (ShapeError, IndexError), "at least one axis, got"),
    Misuse(
        "sub", "diff a negative number of times", lambda x: ops.diff(x, -1), normal((3,)), ShapeError, r"`n` \(=-1\) must be non-negative"
    ),
    Misuse("sub", "diff along a wrong axis", lambda x: ops.diff(x, 1, 3), normal((3,)), IndexError, "but got 3"),
]
