"""Rows for what every kernel is tried on (see `diffcore.testing.coverage`): operands repeated, aliased, of one element, viewed, extreme."""

from functools import partial

import numpy as np

from diffcore import ops
from diffcore.kernels import indexing as i
from diffcore.kernels import shape as s
from diffcore.testing import Scenario
from diffcore.testing.scenarios.samples import away, classes, distinct, exactly, joined, mask, normal, positive


def overlapping(function):
    """`function` of all rows but the first and of all but the last: two views of one buffer."""
    return lambda x, *rest: function(ops.getitem(x, slice(1, None)), ops.getitem(x, slice(None, -1)), *rest)


def product(function):
    """`function(x) * function(y)`, so that a kernel of one operand is called with two."""
    return lambda x, y: ops.mul(function(x), function(y))


def shared(kernel, function, draw):
    """A kernel of one operand `[2, 2]` called twice: with the same tensor, and with two views that overlap."""
    both = product(function)
    yield Scenario(kernel, "given the same tensor twice", lambda x: both(x, x), draw((2, 2)))
    yield Scenario(kernel, "given two views", overlapping(both), draw((3, 2)))


def torch(name):
    return lambda torch, *xs: getattr(torch, name)(*xs)


def unary(kernel, function, draw, *extremes):
    yield from shared(kernel, function, draw)
    yield Scenario(kernel, "given three axes", function, draw((2, 1, 3)))
    yield Scenario(kernel, "given one element in three axes", function, draw((1, 1, 1)))
    yield Scenario(kernel, "given a transposed view", lambda x: function(ops.permute(x, (1, 0))), draw((2, 3)))
    yield Scenario(kernel, "given a reversed view", lambda x: function(ops.getitem(x, slice(None, None, -1))), draw((4,)))
    yield Scenario(kernel, "given a repeated view", lambda x: function(ops.broadcast_to(x, (3, 2))), draw((2,)))
    yield Scenario(kernel, "given extremes", function, exactly(extremes), smooth=False, torch=torch(kernel))


def binary(kernel, function, draw):
    yield Scenario(kernel, "given two views", overlapping(function), draw((3, 2)))
    yield Scenario(kernel, "given examples that are not the result's", function, draw((2, 3), (2, 2, 3)))
    smooth = draw is not distinct  # on the diagonal they tie
    yield Scenario(kernel, "given a matrix and its transpose", lambda x: function(x, ops.permute(x, (1, 0))), draw((3, 3)), smooth=smooth)


def reduced(kernel, function, draw):
    yield from shared(kernel, lambda x: function(x, 1), draw)


TAKE = np.array([[1, 0], [0, 0]])
EMPTY = np.zeros((0, 2), np.intp)


def gather(x):
    return ops.gather(x, 0, TAKE)


def scatter(g):
    return i.scatter_add(g, indices=TAKE, axis=-2, size=3)


def put(g):
    return i.scatter_index(g, index=(np.array([0, 2]),), shape=(3, 2))


def cast(x):
    return s.astype(x, dtype=np.dtype(np.float64))


def loss(x):
    return ops.cross_entropy(x, np.array([1, 0]))


def layer(x, w):
    return ops.linear(x, w)


ROWS = [
    *unary("neg", ops.neg, normal, 0.0, -0.0, 1e30, -1e-30),
    *unary("exp", ops.exp, normal, 80.0, -80.0, 1e-30, 0.0),
    *unary("log", ops.log, positive, 1e30, 1e-30, 1.0),
    *unary("sqrt", ops.sqrt, positive, 1e30, 1e-30, 1.0),
    *unary("tanh", ops.tanh, normal, 0.0, 1e-30, 30.0, -700.0),
    *unary("sigmoid", ops.sigmoid, normal, 0.0, 1e-30, 80.0, -80.0),
    *unary("relu", ops.relu, away, 1e30, -1e30, 1e-30, -1e-30),
    *unary("abs", ops.abs, away, 1e30, -1e30, 1e-30, -1e-30),
    *binary("add", ops.add, normal),
    *binary("sub", ops.sub, normal),
    *binary("mul", ops.mul, normal),
    *binary("div", ops.div, away),
    *binary("maximum", ops.maximum, distinct),
    *binary("minimum", ops.minimum, distinct),
    *binary("pow", ops.pow, positive),
    Scenario("where", "given two views", lambda c, x: overlapping(partial(ops.where, c))(x), joined(mask((2, 3)), normal((3, 3)))),
    Scenario("where", "given empty operands", ops.where, joined(mask((0, 3)), normal((0, 3), (1, 3)))),
    Scenario("where", "given examples that are not the result's", ops.where, joined(mask((2, 2, 3)), normal((2, 3), (2, 2, 3)))),
    Scenario("where", "given square matrices", ops.where, joined(mask((3, 3)), normal((3, 3), (3, 3)))),
    Scenario("where", "given one element", ops.where, joined(mask((1,)), normal((1,), (1, 1)))),
    Scenario("where", "given three axes", ops.where, joined(mask((2, 1, 3)), normal((1, 2, 1), (2, 2, 3)))),
    *shared("reshape", lambda x: ops.reshape(x, (4,)), normal),
    Scenario("reshape", "given one element", lambda x: ops.reshape(x, (1, 1, 1)), normal((1,))),
    Scenario("reshape", "given a transposed view", lambda x: ops.reshape(ops.permute(x, (1, 0)), (6,)), normal((2, 3))),
    *shared("transpose", lambda x: ops.permute(x, (1, 0)), normal),
    Scenario("transpose", "given one element", lambda x: ops.permute(x, (1, 0, 2)), normal((1, 1, 1))),
    Scenario("transpose", "given one axis", lambda x: ops.permute(x, (0,)), normal((3,))),
    *shared("broadcast_to", lambda x: ops.broadcast_to(x, (2, *x.shape)), normal),
    Scenario("broadcast_to", "given no elements", lambda x: ops.broadcast_to(x, (2, 0, 3)), normal((0, 1))),
    Scenario("broadcast_to", "given one element", lambda x: ops.broadcast_to(x, (2, 3)), normal((1, 1))),
    Scenario("broadcast_to", "given a transposed view", lambda x: ops.broadcast_to(ops.permute(x, (1, 0)), (2, 3, 2)), normal((2, 3))),
    *shared("astype", cast, normal),
    *(
        Scenario("astype", f"given {case}", cast, normal(shape), reference=lambda jax, x: 1 * x, torch=lambda torch, x: x.double())
        for case, shape in (("the same dtype", (2, 3)), ("one element", (1,)), ("three axes", (2, 1, 3)), ("no axis", ()))
    ),
    Scenario("astype", "given a transposed view", lambda x: cast(ops.permute(x, (1, 0))), normal((2, 3))),
    Scenario("astype", "given numbers that float32 holds", lambda x: cast(ops.astype(x, np.float32)), exactly([0.5, -2.0]), smooth=False),
    Scenario("getitem", "given no elements", lambda x: ops.getitem(x, (slice(None), 1)), normal((0, 3))),
    Scenario("getitem", "given one element", lambda x: ops.getitem(x, (0, slice(None))), normal((1, 1))),
    Scenario("getitem", "given two views", overlapping(product(lambda x: ops.getitem(x, (slice(None), 1)))), normal((3, 2))),
    *shared("scatter_index", put, normal),
    Scenario("scatter_index", "given one element", lambda g: i.scatter_index(g, index=(slice(1, 2),), shape=(3,)), normal((1,))),
    *shared("gather", gather, normal),
    Scenario("gather", "given no elements", lambda x: ops.gather(x, 0, EMPTY), normal((0, 2))),
    *shared("scatter_add", scatter, normal),
    Scenario("scatter_add", "given one element", lambda g: i.scatter_add(g, indices=np.array([2]), axis=-1, size=3), normal((1,))),
    Scenario("scatter_add", "given a middle axis", lambda g: i.scatter_add(g, indices=TAKE[..., None], axis=-2, size=3), normal((2, 2, 2))),
    Scenario("scatter_add", "given all in one place", lambda g: i.scatter_add(g, indices=TAKE * 0, axis=-1, size=2), normal((2, 2))),
    Scenario("scatter_add", "given one slot", lambda g: i.scatter_add(g, indices=TAKE * 0, axis=-1, size=1), normal((2, 2))),
    *reduced("sum", ops.sum, normal),
    *reduced("mean", ops.mean, normal),
    *reduced("max", ops.amax, distinct),
    Scenario("max", "given no elements in the rest", lambda x: ops.amax(x, 1), normal((0, 3))),
    *reduced("logsumexp", ops.logsumexp, normal),
    *reduced("log_softmax", ops.log_softmax, normal),
    Scenario("log_softmax", "given one element", lambda x: ops.log_softmax(x, 1), normal((1, 1))),
    *shared("cross_entropy", loss, normal),
    Scenario("cross_entropy", "given one element", ops.cross_entropy, joined(normal((1, 1)), classes((1,), 1))),
    Scenario("matmul", "given a matrix and its transpose", lambda x: ops.matmul(x, ops.permute(x, (1, 0))), normal((2, 3))),
    Scenario("linear", "given two views", lambda x, b: overlapping(lambda u, w: ops.linear(u, w, b))(x), normal((3, 2), (2,))),
    Scenario("linear_unbiased", "given the same tensor twice", lambda x: layer(x, x), normal((3, 2))),
    Scenario("linear_unbiased", "given two views", overlapping(layer), normal((3, 2))),
    Scenario("linear_unbiased", "given a transposed view", lambda x, w: layer(ops.permute(x, (1, 0)), w), normal((2, 3), (1, 2))),
]
