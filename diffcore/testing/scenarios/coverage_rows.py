"""Rows for what every kernel is tried on (see `diffcore.testing.coverage`): operands repeated, aliased, of one element, viewed, extreme."""

from functools import partial

import numpy as np

from diffcore import linalg, ops
from diffcore.kernels import convolution, cumulative, normalisation, padding, pooling, strides
from diffcore.kernels import indexing as i
from diffcore.kernels import linalg as matrices
from diffcore.kernels import loss as losses
from diffcore.kernels import shape as s
from diffcore.kernels.windows import Window
from diffcore.testing import Scenario
from diffcore.testing.scenarios.generators import once
from diffcore.testing.scenarios.samples import away, classes, distinct, exactly, joined, mask, normal, positive, within


def overlapping(function):
    """`function` of all rows but the first and of all but the last: two views of one buffer."""
    return lambda x, *rest: function(ops.getitem(x, slice(1, None)), ops.getitem(x, slice(None, -1)), *rest)


def product(function):
    """`function(x) * function(y)`, so that a kernel of one operand is called with two."""
    return lambda x, y: ops.mul(function(x), function(y))


def shared(kernel, function, draw, shape=(2, 2)):
    """A kernel of one operand called twice: with the same tensor, and with two views that overlap."""
    both = product(function)
    yield Scenario(kernel, "given the same tensor twice", lambda x: both(x, x), draw(shape))
    yield Scenario(kernel, "given two views", overlapping(both), draw((shape[0] + 1, *shape[1:])))


def of_matrices(kernel, function, *values):
    """The same for a kernel of square matrices: of one matrix, and of it and its transpose."""
    both = product(function)
    yield Scenario(kernel, "given the same matrix twice", lambda a: both(a, a), exactly(*values))
    yield Scenario(kernel, "given a matrix and its transpose", lambda a: both(a, a.mT), exactly(*values))


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


def twice(name):
    return lambda torch, x: getattr(torch, name)(x, x)


def taps_of(x, g):
    return convolution.conv_weight(x, g, stride=(1,), padding=((1, 1),), dilation=(1,), groups=1, taps=(3,))


def standardised(x, weight, bias):
    return normalisation.normalise(x, weight, bias, axis=(-1,), eps=0.1, centred=True, report=None)


IN_TWOS = Window((2,), (2,), (1,), (0,), (2,))
TAP = np.array([[[0, 1]], [[1, 1]]], np.uint8)
MATRIX = [[2.0, 0.5], [-0.3, 1.5]]


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
    *(
        Scenario(kernel, "given the same tensor twice", once(getattr(ops, name)), away((2, 2)), smooth=False, torch=twice(name))
        for kernel, name in (("remainder", "remainder"), ("fmod", "fmod"), ("clamp", "clamp_min"))
    ),
    Scenario("clamp", "given two views", overlapping(ops.clamp_min), distinct((3, 2))),
    *shared("flip", lambda x: ops.flip(x, 0), normal),
    Scenario("flip", "given a number", ops.flip, normal(()), torch=lambda torch, x: torch.flip(x, ())),
    *shared("roll", lambda x: ops.roll(x, 1, 1), normal),
    Scenario("set_index", "given itself for the value", lambda x: ops.setitem(x, slice(None, None, -1), x), normal((2, 2))),
    *shared("embedding", lambda w: ops.embedding(np.array([1, 1, 0]), w), normal),
    Scenario(
        "embedding",
        "given one element",
        lambda w: ops.embedding(np.array([0, 0]), w),
        normal((1, 1)),
        torch=lambda torch, w: torch.nn.functional.embedding(torch.tensor([0, 0]), w),
    ),
    *reduced("min", ops.amin, distinct),
    Scenario("min", "given no elements in the rest", lambda x: ops.amin(x, 1), normal((0, 3)), torch=lambda torch, x: x.amin(1)),
    *reduced("var", ops.var, distinct),
    *(
        Scenario("var", f"given {case}", lambda x: ops.var(x, None, correction=0), normal(shape), torch=lambda t, x: t.var(x, correction=0))
        for case, shape in (("a number", ()), ("one element", (1, 1)))
    ),
    *reduced("norm", lambda x, axis: ops.norm(x, 2, axis), away),
    Scenario("norm", "given three axes", lambda x: ops.norm(x, 2, 1), away((2, 2, 2)), torch=lambda torch, x: torch.norm(x, 2, 1)),
    Scenario("norm", "given one element", lambda x: ops.norm(x, 3, 1), away((1, 1)), torch=lambda torch, x: torch.norm(x, 3, 1)),
    *reduced("cumsum", ops.cumsum, normal),
    *reduced("cumprod", ops.cumprod, away),
    *reduced("prod", ops.prod, away),
    *reduced("logcumsumexp", ops.logcumsumexp, normal),
    Scenario("recurrence", "given two views", overlapping(lambda a, b: cumulative.recurrence(a, b, axis=-2)), normal((3, 2))),
    Scenario("recurrence", "given one element", lambda a, b: cumulative.recurrence(a, b, axis=-1), normal((1, 1), (1,))),
    Scenario("einsum", "given two views", overlapping(lambda x, y: ops.einsum("ij,kj->ik", x, y)), normal((3, 2))),
    *shared("unpad", lambda g: padding.unpad(g, widths=((1, 1),), mode="replicate"), normal, (4, 4)),
    Scenario("unpad", "given twice its columns", lambda g: padding.unpad(g, widths=((1, 1),), mode="circular"), normal((2, 4))),
    *(
        Scenario("unpad", f"given {case}", lambda g, w=widths: padding.unpad(g, widths=w, mode="circular"), normal(shape))
        for case, widths, shape in (("a number", (), ()), ("one element", ((0, 0),), (1, 1)))
    ),
    Scenario("solve", "given the same matrix twice", lambda a: linalg.solve(a, a), exactly(MATRIX)),
    Scenario(
        "solve_triangular", "given a matrix and its transpose", lambda a: linalg.solve_triangular(a, a.mT, upper=True), exactly(MATRIX)
    ),
    *of_matrices("inv", linalg.inv, MATRIX),
    *of_matrices("det", linalg.det, MATRIX),
    Scenario(
        "det", "given a stack of stacks", linalg.det, lambda rng: (rng.uniform(-1, 1, (2, 2, 2, 2)),), torch=lambda t, a: t.linalg.det(a)
    ),
    *of_matrices("cofactor", matrices.cofactor, MATRIX),
    *of_matrices("slogdet", ops.logdet, MATRIX),
    *of_matrices("cholesky", linalg.cholesky, MATRIX),
    *shared("huber", lambda x: losses.huber(x, delta=2.0), within(-1.5, 1.5)),
    *shared("log_cosh", lambda x: losses.log_cosh(x), normal),
    *(
        Scenario(kernel.name, "given the same tensor twice", lambda x, k=kernel: k(x, x), within(0.2, 0.8)((2, 2)))
        for kernel in (losses.binary_cross_entropy, losses.binary_cross_entropy_with_logits)
    ),
    *shared("diagonal", ops.diagonal, normal),
    *shared("embed_diagonal", ops.diag_embed, normal),
    *shared("unfold", lambda x: ops.unfold(x, 0, 2, 1), normal),
    *shared("fold", lambda g: strides.fold(g, axis=-1, size=2, step=1, length=3), normal),
    Scenario("conv", "given the same tensor twice", lambda x, b: ops.conv1d(x, x, b, padding=1), normal((2, 2, 2), (2,))),
    Scenario("conv", "given two views", lambda x, b: overlapping(lambda u, w: ops.conv1d(u, w, b))(x), normal((3, 2, 2), (2,))),
    Scenario("conv_transpose", "given the same tensor twice", lambda x: ops.conv_transpose1d(x, x), normal((2, 2, 2))),
    Scenario("conv_transpose", "given two views", overlapping(ops.conv_transpose1d), normal((3, 2, 2))),
    Scenario("conv_weight", "given the same tensor twice", lambda x: taps_of(x, x), normal((1, 2, 3))),
    Scenario("conv_weight", "given two views", overlapping(taps_of), normal((3, 1, 3))),
    Scenario("normalise", "given the same tensor twice", lambda x: standardised(x, x, x), normal((2, 3))),
    *shared("max_pool", lambda x: ops.max_pool1d(x, 2), distinct, (2, 1, 4)),
    *shared("pool_gather", lambda x: pooling.pool_gather(x, tap=TAP, window=IN_TWOS), normal, (2, 1, 4)),
    *shared("pool_scatter", lambda g: pooling.pool_scatter(g, tap=TAP, window=IN_TWOS, shape=(4,)), normal, (2, 1, 2)),
    *shared("window_sum", lambda x: pooling.window_sum(x, window=IN_TWOS), normal, (2, 1, 4)),
    *shared("window_spread", lambda g: pooling.window_spread(g, window=IN_TWOS, shape=(4,)), normal, (2, 1, 2)),
]
