"""Sorting and selecting: the values are gathered, the positions are constants."""

import numpy as np

from diffcore import ops
from diffcore.errors import ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import distinct, exactly, mask

TIED = [[2.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0], [3.0, 1.0, 2.0, 3.0]]


def chosen(case, function, torch, draw, **options):
    """Values and positions of one selection."""
    smooth = options.pop("smooth", True)
    yield Scenario("gather", case, lambda x: function(x).values, draw, smooth=smooth, torch=lambda t, x: torch(t, x).values, **options)
    yield Scenario("argsort", case, lambda x: function(x).indices, draw, smooth=False, torch=lambda t, x: torch(t, x).indices, **options)


ROWS = [
    *(
        row
        for case, shape, dim, descending in (
            ("one axis", (5,), 0, False),
            ("last", (2, 4), -1, False),
            ("first, descending", (3, 2), 0, True),
            ("middle", (2, 3, 2), 1, False),
            ("middle, descending", (2, 3, 2), -2, True),
            ("one element", (1, 1), 0, False),
            ("empty", (0, 3), 1, True),
            ("nothing to sort", (2, 0), 1, False),
            ("strided", (3, 2), 0, False),
        )
        for row in chosen(
            f"sort {case}",
            lambda x, d=dim, o=descending: ops.sort(x, d, o),
            lambda torch, x, d=dim, o=descending: torch.sort(x, d, o),
            distinct(shape),
            strided=case == "strided",
        )
    ),
    *(
        row
        for order in (False, True)
        for name, values in (("ties", TIED), ("infinities", [[np.inf, 1.0, -np.inf, np.inf]]))
        for row in chosen(
            f"sort {name}{' descending' if order else ''}",
            lambda x, o=order: ops.sort(x, -1, o),
            lambda torch, x, o=order: torch.sort(x, dim=-1, descending=o, stable=True),
            exactly(values),
            smooth=False,
        )
    ),
    *(
        row
        for case, k, dim, largest in (
            ("largest", 2, -1, True),
            ("smallest", 3, -1, False),
            ("first axis", 1, 0, True),
            ("none", 0, 1, True),
        )
        for row in chosen(
            f"topk {case}",
            lambda x, k=k, d=dim, b=largest: ops.topk(x, k, d, b),
            lambda torch, x, k=k, d=dim, b=largest: torch.topk(x, k, d, b),
            distinct((3, 4)),
        )
    ),
    *(
        row
        for case, k, dim, keep in (("first", 1, -1, False), ("middle kept", 2, 0, True), ("last", 4, 1, False))
        for row in chosen(
            f"kthvalue {case}",
            lambda x, k=k, d=dim, b=keep: ops.kthvalue(x, k, d, b),
            lambda torch, x, k=k, d=dim, b=keep: torch.kthvalue(x, k, d, b),
            distinct((3, 4)),
        )
    ),
    *(
        row
        for case, shape, dim, keep in (("even", (3, 4), 1, False), ("odd kept", (3, 4), 0, True), ("one", (2, 1), -1, False))
        for row in chosen(
            f"median {case}",
            lambda x, d=dim, b=keep: ops.median(x, d, b),
            lambda torch, x, d=dim, b=keep: torch.median(x, d, b),
            distinct(shape),
        )
    ),
    Scenario("max", "median of all", ops.median, distinct((3, 4)), smooth=False, torch=lambda torch, x: torch.median(x)),
    Scenario("max", "median of ties", ops.median, exactly([1.0, 2.0, 2.0, 3.0]), smooth=False, torch=lambda torch, x: torch.median(x)),
    Scenario("max", "median of a scalar", ops.median, distinct(()), torch=lambda torch, x: torch.median(x)),
    Scenario("gather", "repeated operand", lambda x: ops.mul(ops.sort(x).values, x), distinct((2, 3))),
    Scenario("gather", "msort", ops.msort, distinct((3, 2)), torch=lambda torch, x: torch.msort(x)),
    Scenario("argsort", "positions", lambda x: ops.argsort(x, 0, True), distinct((4, 2)), torch=lambda t, x: t.argsort(x, 0, True)),
    Scenario("argsort", "0-d", ops.argsort, distinct(()), torch=lambda torch, x: torch.argsort(x)),
    Scenario("argsort", "booleans", ops.argsort, mask((6,)), torch=lambda torch, x: torch.argsort(x, stable=True)),
    Scenario(
        "argsort",
        "NaN",
        lambda x: ops.argsort(x, -1, True),
        exactly([1.0, np.nan, 3.0, np.nan]),
        smooth=False,
        torch=lambda torch, x: torch.argsort(x, dim=-1, descending=True, stable=True),
    ),
]


def misused(name, function):
    yield Misuse(
        "argsort", f"{name} axis too large", lambda x: function(x, 2), distinct((2, 3)), IndexError, r"range of \[-2, 1\], but got 2"
    )
    yield Misuse("argsort", f"{name} axis too small", lambda x: function(x, -3), distinct((2, 3)), IndexError, "out of range .* but got -3")
    yield Misuse(
        "argsort", f"{name} axis of a scalar", lambda x: function(x, 1), distinct(()), IndexError, r"range of \[-1, 0\], but got 1"
    )
    yield Misuse("argsort", f"{name} axis by name", lambda x: function(x, "rows"), distinct((2, 3)), TypeError, "integer")


MISUSES = [
    *misused("sort", ops.sort),
    *misused("topk", lambda x, dim: ops.topk(x, 1, dim)),
    *misused("kthvalue", lambda x, dim: ops.kthvalue(x, 1, dim)),
    *misused("median", ops.median),
    Misuse(
        "argsort",
        "topk of too many",
        lambda x: ops.topk(x, 4),
        distinct((3,)),
        ShapeError,
        r"topk: .*`k` \(=4\) out of range .* 3 elements",
    ),
    Misuse(
        "argsort", "topk of fewer than none", lambda x: ops.topk(x, -1), distinct((3,)), ShapeError, r"topk: .*`k` \(=-1\) out of range"
    ),
    Misuse("argsort", "kthvalue from 0", lambda x: ops.kthvalue(x, 0), distinct((3,)), ShapeError, r"kthvalue: .*`k` \(=0\) out of range"),
    Misuse("argsort", "median of nothing", lambda x: ops.median(x), distinct((0, 2)), IndexError, r"median: .*shape \(0, 2\)"),
    Misuse("argsort", "median of no rows", lambda x: ops.median(x, 0), distinct((0, 2)), IndexError, r"median: .*shape \(0, 2\)"),
]
