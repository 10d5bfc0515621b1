"""Reductions."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import apart, away, classes, distinct, exactly, mask, normal

AXES = {
    "all": ((2, 3), None),
    "all of three": ((2, 3, 2), None),
    "first": ((3, 2), 0),
    "last": ((2, 3), -1),
    "two": ((2, 3, 4), (0, -1)),
    "middle": ((2, 3, 2), 1),
    "0-d": ((), None),
    "size one": ((1, 1), 1),
    "strided": ((3, 2), 0),
}


def over(kernel, function, draw, name, torch, *, empty=True, **options):
    cases = dict(AXES)
    if empty:
        cases |= {"empty result": ((0, 3), 1), "no element": ((0, 3), 0)}
    for case, (shape, axis) in cases.items():
        for keepdims in (False, True):
            yield Scenario(
                kernel,
                case + (" kept" if keepdims else ""),
                lambda x, axis=axis, keepdims=keepdims: function(x, axis, keepdims),
                draw(shape),
                strided=case == "strided",
                reference=lambda jax, x, axis=axis, keepdims=keepdims: name(jax)(x, axis=axis, keepdims=keepdims),
                torch=None if axis is None else lambda t, x, axis=axis, keepdims=keepdims: getattr(t, torch)(x, axis, keepdims),
                **options,
            )


TIED = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, 1.0, -1.0]]


def extremum(kernel, full, along, name):
    """Rows of `max` or `min`: over axes, at ties, of the same operand twice."""
    yield from over(kernel, full, distinct, lambda jax: getattr(jax.numpy, kernel), name, empty=False)
    for case, function, torch in (
        ("ties", lambda x: full(x, -1), lambda torch, x: getattr(torch, name)(x, -1)),
        ("ties in all", full, lambda torch, x: getattr(torch, name)(x)),
        ("ties in two axes kept", lambda x: full(x, (0, 1), True), lambda torch, x: getattr(torch, name)(x, (0, 1), True)),
    ):
        yield Scenario(kernel, case, function, exactly(TIED), smooth=False, torch=torch)
    yield Scenario(kernel, "repeated operand", lambda x: ops.mul(full(x), x), distinct((2, 3)))
    yield Scenario(kernel, "all by its short name", along, distinct((2, 3)), torch=lambda torch, x: getattr(torch, kernel)(x))
    yield Scenario(
        "gather",
        f"{kernel} along an axis",
        lambda x: along(x, 1).values,
        distinct((3, 4)),
        reference=lambda jax, x: getattr(x, kernel)(1),
        torch=lambda torch, x: getattr(torch, kernel)(x, 1).values,
    )
    yield Scenario(
        "gather",
        f"{kernel} along an axis, ties",
        lambda x: along(x, -1, True).values,
        exactly(TIED),
        smooth=False,
        torch=lambda torch, x: getattr(torch, kernel)(x, -1, True).values,
    )


def positions(kernel, function):
    for case, draw, axis in (
        ("all", distinct((2, 3)), None),
        ("last", distinct((2, 3)), -1),
        ("first of ties", exactly(TIED), 1),
        ("0-d", normal(()), None),
        ("0-d along an axis", normal(()), -1),
    ):
        yield Scenario(
            kernel,
            case,
            lambda x, axis=axis: function(x, axis),
            draw,
            smooth=False,
            reference=None if case == "0-d along an axis" else lambda jax, x, axis=axis: getattr(jax.numpy, kernel)(x, axis),
            torch=lambda torch, x, axis=axis: getattr(torch, kernel)(x, axis),
        )


def truths(kernel, function):
    for case, draw, axis in (
        ("all axes", mask((2, 3)), None),
        ("one axis", mask((4, 3)), 0),
        ("two axes", mask((2, 2, 2)), (0, -1)),
        ("0-d", mask(()), None),
        ("no element", mask((0, 2)), 0),
        ("numbers", exactly([[0.0, 1.0], [2.0, -3.0]]), 1),
    ):
        yield Scenario(
            kernel,
            case,
            lambda x, axis=axis: function(x, axis),
            draw,
            reference=lambda jax, x, axis=axis: getattr(jax.numpy, kernel)(x, axis),
            torch=None if axis is None else lambda torch, x, axis=axis: getattr(torch, kernel)(x, axis),
        )


def far_apart(shape):
    """Numbers whose variance is well above 0."""
    return lambda rng: (5 * distinct(shape)(rng)[0],)


def spreads(name, function):
    for case, shape, axis, correction in (
        ("all", (2, 3), None, 1),
        ("last", (2, 3), -1, 1),
        ("first", (3, 2), 0, 0),
        ("two", (2, 2, 3), (0, -1), 1),
        ("middle", (2, 3, 2), 1, 2),
        ("half a correction", (4,), 0, 0.5),
        ("no stack", (0, 3), 1, 1),
        ("strided", (3, 2), 0, 1),
    ):
        for keepdims in (False, True):
            yield Scenario(
                "var",
                f"{name} {case}{' kept' if keepdims else ''}",
                lambda x, a=axis, c=correction, k=keepdims: function(x, a, correction=c, keepdim=k),
                far_apart(shape),
                strided=case == "strided",
                reference=lambda jax, x, a=axis, c=correction, k=keepdims: getattr(jax.numpy, name)(x, axis=a, ddof=c, keepdims=k),
                torch=None
                if 0 in shape
                else lambda t, x, a=axis, c=correction, k=keepdims: getattr(t, name)(x, a, correction=c, keepdim=k),
            )
    yield Scenario(
        "var",
        f"{name} far from 0",
        lambda x: function(x, 0),
        exactly([[10000.0, 9998.0], [10004.0, 10001.0], [9996.0, 10001.0], [10004.0, 10000.0]]),  # the means are exact, also as XLA divides
        smooth=False,
        torch=lambda torch, x: getattr(torch, name)(x, 0),
    )
    yield Scenario(
        "var",
        f"{name} of equal numbers",
        lambda x: function(x, 1),
        exactly([[2.0, 2.0], [1.0, 3.0]]),
        smooth=False,
        torch=lambda torch, x: getattr(torch, name)(x, 1),
    )


def at_scale(x, power):
    """The norm of `x` from far out in its dtype, brought back."""
    scale = float(np.finfo(x.dtype).max) ** power
    return ops.div(ops.norm(ops.mul(x, scale)), scale)


def norms(p, draw=away):
    for case, shape, axis in (
        ("all", (2, 3), None),
        ("last kept", (2, 3), -1),
        ("first", (3, 2), 0),
        ("two", (2, 2, 3), (0, -1)),
        ("0-d", (), None),
    ):
        keep = case == "last kept"
        yield Scenario(
            {1: "abs", 0: "not_equal", np.inf: "max", -np.inf: "min"}.get(p, "norm"),
            f"norm of order {p} {case}",
            lambda x, a=axis, k=keep: ops.norm(x, p, a, k),
            draw(shape),
            smooth=p != 0,
            torch=(lambda torch, x, a=axis, k=keep: torch.linalg.vector_norm(x, p, a, k)) if p else None,
            reference=None if p else lambda jax, x, a=axis, k=keep: (x != 0).sum(a, keepdims=k).astype(x.dtype),
        )
    yield Scenario(
        {1: "abs", 0: "not_equal", np.inf: "max", -np.inf: "min"}.get(p, "norm"),
        f"norm of order {p} of zeros",
        lambda x: ops.norm(x, p, -1),
        exactly([[0.0, 0.0], [0.0, -2.0], [3.0, 3.0]]),
        smooth=False,
        torch=(lambda torch, x: torch.linalg.vector_norm(x, p, -1)) if p else None,
    )


ROWS = [
    *over("sum", ops.sum, normal, lambda jax: jax.numpy.sum, "sum"),
    Scenario("mean", "of squares", lambda x: ops.mean(ops.mul(x, x), -1), normal((2, 3)), torch=lambda torch, x: (x * x).mean(-1)),
    *(row for row in over("mean", ops.mean, normal, lambda jax: jax.numpy.mean, "mean") if "no element" not in row.case),
    *extremum("max", ops.amax, ops.max, "amax"),
    *extremum("min", ops.amin, ops.min, "amin"),
    Scenario("max", "aminmax", lambda x: ops.sub(*ops.aminmax(x, dim=1)), distinct((2, 3))),
    *(row for row in over("logsumexp", ops.logsumexp, normal, lambda jax: jax.nn.logsumexp, "logsumexp") if "no element" not in row.case),
    Scenario("sum", "repeated operand", lambda x: ops.mul(ops.sum(x), x), normal((2, 3)), reference=lambda jax, x: x.sum() * x),
    Scenario("sum", "no axes named", lambda x: ops.sum(x, []), normal((2, 3)), torch=lambda torch, x: torch.sum(x, [])),
    Scenario("sum", "0-d along an axis", lambda x: ops.sum(x, -1), normal(()), torch=lambda torch, x: torch.sum(x, -1)),
    Scenario("astype", "sum of booleans", ops.sum, mask((2, 3)), torch=lambda torch, x: torch.sum(x)),
    Scenario(
        "astype", "sum of bytes", lambda x: ops.sum(x, 0), lambda rng: (np.full((3, 2), 200, np.uint8),), torch=lambda t, x: t.sum(x, 0)
    ),
    Scenario("sum", "in another dtype", lambda x: ops.sum(x, 0, dtype=np.float32), normal((3, 2)), smooth=False),
    Scenario(
        "sum",
        "without NaN",
        lambda x: ops.nansum(x, 1),
        exactly([[1.0, np.nan, 2.0], [0.0, 1.0, 3.0]]),
        smooth=False,
        torch=lambda torch, x: torch.nansum(x, 1),
    ),
    Scenario(
        "not_equal",
        "how many",
        lambda x: ops.count_nonzero(x, 0),
        exactly([[0.0, 1.0], [2.0, 3.0]]),
        torch=lambda torch, x: torch.count_nonzero(x, 0),
    ),
    *positions("argmax", ops.argmax),
    *positions("argmin", ops.argmin),
    *truths("any", ops.any),
    *truths("all", ops.all),
    *spreads("var", ops.var),
    *spreads("std", ops.std),
    Scenario("var", "unbiased", lambda x: ops.var(x, False), normal((4,)), torch=lambda torch, x: torch.var(x, unbiased=False)),
    Scenario("var", "with the mean", lambda x: ops.div(*ops.var_mean(x, 1)), away((2, 3))),
    Scenario("var", "root with the mean", lambda x: ops.mul(*ops.std_mean(x, 1)), away((2, 3))),
    *(row for p in (2, 3, 1.5, 0.5, -1, -2, 1, 0) for row in norms(p)),
    *(row for p in (np.inf, -np.inf) for row in norms(p, apart)),
    Scenario("norm", "of no elements in all", lambda x: ops.norm(x, 2, 1), normal((0, 3)), torch=lambda torch, x: torch.norm(x, 2, 1)),
    Scenario("sum", "norm of no elements", lambda x: ops.norm(x, 2, 0), normal((0, 3)), torch=lambda torch, x: torch.norm(x, 2, 0)),
    Scenario("norm", "strided", lambda x: ops.norm(x, 3, 0), away((3, 2)), strided=True),
    Scenario("norm", "repeated operand", lambda x: ops.div(x, ops.norm(x)), away((2, 3))),
    Scenario("norm", "squares overflow", lambda x: at_scale(x, 0.75), exactly([3.0, 4.0]), smooth=False),
    Scenario("norm", "squares underflow", lambda x: at_scale(x, -0.75), exactly([3.0, -4.0]), smooth=False),
    Scenario("norm", "distance", ops.dist, normal((2, 3), (3,)), torch=lambda torch, x, y: torch.dist(x, y)),
    Scenario(
        "logsumexp",
        "far out",
        lambda x: ops.logsumexp(x, -1),
        exactly([[900.0, 899.0], [-900.0, -901.0]]),
        reference=lambda jax, x: jax.nn.logsumexp(x, -1),
    ),
    Scenario(
        "logsumexp",
        "one infinite",
        lambda x: ops.logsumexp(x, -1),
        exactly([[-np.inf, 1.0, 2.0]]),
        smooth=False,
        torch=lambda torch, x: torch.logsumexp(x, -1),
    ),
]


def misused(kernel, function, *, several=True, floating=False, nonempty=False):
    """What every reduction is asked wrongly: an axis that is not there, one twice, one that is no number, one of a scalar."""
    yield Misuse(
        kernel, "axis too large", lambda x: function(x, 2), normal((2, 3)), IndexError, r"expected to be in range of \[-2, 1\], but got 2"
    )
    yield Misuse(kernel, "axis too small", lambda x: function(x, -3), normal((2, 3)), IndexError, r"Dimension out of range .* but got -3")
    yield Misuse(kernel, "axis of a scalar", lambda x: function(x, 1), normal(()), IndexError, r"in range of \[-1, 0\], but got 1")
    yield Misuse(kernel, "axis by name", lambda x: function(x, "rows"), normal((2, 3)), TypeError, "integer")
    if several:
        yield Misuse(
            kernel, "axis twice", lambda x: function(x, (0, -2)), normal((2, 3)), ShapeError, r"dim \(0, -2\) appears multiple times"
        )
    else:
        yield Misuse(kernel, "several axes", lambda x: function(x, (0, 1)), normal((2, 3)), TypeError, "integer")
    if floating:
        yield Misuse(
            kernel, "integers", lambda x: function(x, 0), classes((3,), 4), DTypeError, r"floating-point tensor, got int64.*x\.float\(\)"
        )
    if nonempty:
        yield Misuse(
            kernel, "no element", lambda x: function(x, 0), normal((0, 3)), IndexError, r"at least one element, `x` has shape \(0, 3\)"
        )


MISUSES = [
    *misused("sum", ops.sum),
    *misused("mean", ops.mean, floating=True),
    *misused("max", ops.amax, nonempty=True),
    *misused("min", ops.amin, nonempty=True),
    *misused("argmax", ops.argmax, several=False, nonempty=True),
    *misused("argmin", ops.argmin, several=False, nonempty=True),
    *misused("any", ops.any),
    *misused("all", ops.all),
    *misused("var", ops.var, floating=True),
    *misused("norm", lambda x, dim: ops.norm(x, 2, dim), floating=True),
    *misused("logsumexp", ops.logsumexp, nonempty=True),
    Misuse(
        "norm",
        "order by name",
        lambda x: ops.norm(x, "nuclear"),
        normal((3,)),
        ShapeError,
        "norm: `p` .='nuclear'. must be a number or 'fro'",
    ),
    Misuse(
        "max",
        "norm of no elements",
        lambda x: ops.norm(x, np.inf),
        normal((0,)),
        IndexError,
        "vector_norm of order inf: .* at least one element",
    ),
]
