"""Misuse of the kernels everything else is made of: wrong shapes, axes, dtypes and arguments."""

import numpy as np

from diffcore import ops
from diffcore.errors import ShapeError
from diffcore.kernels import convolution, cumulative, strides
from diffcore.kernels import elementwise as k
from diffcore.kernels import indexing as i
from diffcore.kernels.shape import roll
from diffcore.kernels.softmax import log_softmax, softmax
from diffcore.testing import Misuse
from diffcore.testing.scenarios.samples import classes, joined, mask, normal

MATRIX = normal((2, 3))
NO_INDICES = np.zeros((0, 3), np.intp)
ONE_TAP = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1, "taps": (1,)}
NO_AXIS = r"expected to be in range of \[-2, 1\], but got "


def bad(kernel, case, function, error, match, draw=MATRIX):
    return Misuse(kernel, f"given {case}", function, draw, error, match)


def unary(name, f):
    yield bad(name, "text", lambda x: f("text"), TypeError, name)
    yield bad(name, "nothing", lambda x: f(None), TypeError, name)
    yield bad(name, "one operand too many", lambda x: f(x, x), TypeError, "positional argument")
    yield bad(name, "an unknown argument", lambda x: f(x, sideways=True), TypeError, "sideways")


def binary(name, f):
    yield bad(name, "shapes that do not broadcast", f, ShapeError, rf"{name}: .*\(2, 3\).*\(2,\)", normal((2, 3), (2,)))
    yield bad(name, "three axes that do not broadcast", f, ShapeError, rf"{name}: .*\(2, 1, 3\).*\(4, 2\)", normal((2, 1, 3), (4, 2)))
    yield bad(name, "text", lambda x: f(x, "text"), TypeError, name)
    yield bad(name, "nothing", lambda x: f(x, None), TypeError, name)


def reduction(name, f):
    yield bad(name, "an axis too far", lambda x: f(x, 2), IndexError, NO_AXIS + "2")
    yield bad(name, "an axis too far back", lambda x: f(x, -3), IndexError, NO_AXIS + "-3")
    yield bad(name, "text for an axis", lambda x: f(x, "rows"), TypeError, "rows|str")
    yield bad(name, "half an axis", lambda x: f(x, 0.5), TypeError, "0.5|float")


TWICE = "multiple times|twice|more than once"

MISUSES = [
    *(
        row
        for name in ("neg", "exp", "log", "sqrt", "tanh", "sigmoid", "relu", "abs", "sign")
        for row in unary(name, getattr(ops, name))
    ),
    bad("logical_not", "one operand too many", lambda x: k.logical_not(x, x), TypeError, "logical_not"),
    *(row for name in ("add", "sub", "mul", "div", "maximum", "minimum", "pow") for row in binary(name, getattr(ops, name))),
    *(
        bad(name, "shapes that do not broadcast", getattr(k, name), ShapeError, rf"{name}: .*\(2, 3\).*\(2,\)", normal((2, 3), (2,)))
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    ),
    bad("where", "branches that do not broadcast", ops.where, ShapeError, r"\(3,\).*\(4,\)", joined(mask((3,)), normal((3,), (4,)))),
    bad("where", "a condition that does not broadcast", ops.where, ShapeError, "where", joined(mask((2,)), normal((3,), (3,)))),
    bad("where", "one branch", lambda c, x: ops.where(c, x), TypeError, "where|argument", joined(mask((3,)), normal((3,)))),
    bad("where", "one operand too many", lambda c, x: ops.where(c, x, x, x), TypeError, "argument", joined(mask((3,)), normal((3,)))),
    bad("reshape", "another number of elements", lambda x: ops.reshape(x, (4, 2)), ShapeError, r"reshape: .*\(?4, 2\)?.*"),
    bad("reshape", "two lengths to be found", lambda x: ops.reshape(x, (-1, -1)), ShapeError, "reshape"),
    bad("reshape", "half a length", lambda x: ops.reshape(x, (1.5, 4)), TypeError, "float|1.5"),
    bad("reshape", "a length that cannot be found", lambda x: ops.reshape(x, (-1, 4)), ShapeError, "reshape"),
    bad("reshape", "axes to flatten in the wrong order", lambda x: ops.flatten(x, 1, 0), (ShapeError, RuntimeError), "start_dim"),
    bad("transpose", "an axis twice", lambda x: ops.permute(x, (0, 0)), (ShapeError, RuntimeError), "permut|" + TWICE),
    bad("transpose", "too few axes", lambda x: ops.permute(x, (0,)), (ShapeError, RuntimeError), "permut"),
    bad("transpose", "an axis too far", lambda x: ops.transpose(x, 0, 2), IndexError, NO_AXIS + "2"),
    bad("transpose", "half an axis", lambda x: ops.transpose(x, 0.5, 1), TypeError, "float|0.5"),
    bad("broadcast_to", "another length", lambda x: ops.broadcast_to(x, (2, 4)), ShapeError, r"\(2, 3\).*\(2, 4\)"),
    bad("broadcast_to", "fewer axes", lambda x: ops.broadcast_to(x, (3,)), ShapeError, r"\(2, 3\).*\(3,\)"),
    bad("broadcast_to", "another length to expand to", lambda x: ops.expand(x, 4, 3), ShapeError, r"\(2, 3\).*\(?4, 3\)?"),
    bad("broadcast_to", "an axis of its own in the wrong place", lambda x: ops.broadcast_to(x, (2, 3, 1)), ShapeError, r"\(2, 3, 1\)"),
    bad("astype", "a dtype that does not exist", lambda x: ops.astype(x, "flaot32"), TypeError, "flaot32"),
    bad("astype", "a list for a dtype", lambda x: ops.astype(x, [32]), TypeError, ""),
    bad("astype", "a number for a dtype", lambda x: ops.astype(x, 32), TypeError, "32"),
    bad("astype", "one operand too many", lambda x: ops.astype(x, np.float32, x), TypeError, "argument"),
    bad("getitem", "an index too far", lambda x: ops.getitem(x, 2), IndexError, r"2 is out of bounds.*"),
    bad("getitem", "more indices than axes", lambda x: ops.getitem(x, (0, 0, 0)), IndexError, "too many indices"),
    bad("getitem", "half an index", lambda x: ops.getitem(x, 0.5), IndexError, "0.5"),
    bad("getitem", "two ellipses", lambda x: ops.getitem(x, (..., ...)), IndexError, "single ellipsis"),
    bad("getitem", "a mask of another shape", lambda x: ops.getitem(x, np.array([True] * 5)), IndexError, r"mask.*5"),
    bad("getitem", "text", lambda x: ops.getitem(x, "row"), IndexError, "row"),
    bad("gather", "an axis too far", lambda x: ops.gather(x, 2, NO_INDICES), IndexError, NO_AXIS + "2"),
    bad("gather", "an index too far", lambda x: ops.gather(x, 0, np.array([[9]])), IndexError, "9"),
    bad("gather", "indices of fewer axes", lambda x: ops.gather(x, 0, np.array([0])), (ShapeError, IndexError), "gather"),
    bad("gather", "fractions for indices", lambda x: ops.gather(x, 0, np.array([[0.5]])), (IndexError, TypeError), "gather"),
    bad("gather", "a 0-d tensor", lambda x: ops.gather(x, 0, np.array([[0]])), (IndexError, ShapeError), "gather|axis|dim", normal(())),
    bad("scatter_index", "an index too far", lambda g: i.scatter_index(g, index=(5,), shape=(2, 3)), IndexError, "5"),
    bad("scatter_index", "more indices than axes", lambda g: i.scatter_index(g, index=(0, 0, 0), shape=(2, 3)), IndexError, "3"),
    bad("scatter_index", "text", lambda g: i.scatter_index(g, index=("row",), shape=(2, 3)), IndexError, "scatter_index"),
    bad(
        "scatter_index",
        "another shape",
        lambda g: i.scatter_index(g, index=(slice(None),), shape=(4, 3)),
        ShapeError,
        r"scatter_index: .*\(2,3\).*\(4,3\)",
    ),
    *(
        bad("scatter_add", case, lambda g, at=at, size=size: i.scatter_add(g, indices=at, axis=-1, size=size), error, "scatter_add")
        for case, at, size, error in (
            ("an index too far", np.full((2, 3), 9), 3, IndexError),
            ("fractions for indices", np.zeros((2, 3)), 3, (IndexError, TypeError)),
            ("indices of another shape", np.zeros((5, 3), np.intp), 3, ShapeError),
            ("a negative size", np.zeros((2, 3), np.intp), -1, ShapeError),
        )
    ),
    bad(
        "scatter_add",
        "a 0-d tensor",
        lambda g: i.scatter_add(g, indices=np.array(0), axis=-1, size=1),
        (IndexError, ShapeError),
        "scatter_add",
        normal(()),
    ),
    *reduction("sum", ops.sum),
    *reduction("mean", ops.mean),
    *reduction("max", ops.amax),
    *reduction("argmax", ops.argmax),
    *reduction("logsumexp", ops.logsumexp),
    *reduction("log_softmax", ops.log_softmax),
    *(
        bad(name, "an axis twice", lambda x, f=f: f(x, (0, -2)), (ShapeError, RuntimeError), TWICE)
        for name, f in (("sum", ops.sum), ("mean", ops.mean), ("max", ops.amax), ("logsumexp", ops.logsumexp))
    ),
    *(bad(f.name, "a 0-d tensor", lambda x, f=f: f(x, axis=-1), IndexError, f"^{f.name}: ", normal(())) for f in (log_softmax, softmax)),
    *(
        bad(f.name, "a number", lambda x, f=f: f(x, axis=-1), (IndexError, TypeError), f"^{f.name}: ", normal(()))
        for f in (cumulative.cumsum, cumulative.cumprod, cumulative.logcumsumexp)
    ),
    bad("prod", "a number", lambda x: cumulative.prod(x, axis=(-1,)), IndexError, "^prod: ", normal(())),
    bad("roll", "a number", lambda x: roll(x, shifts=(1,), axes=(-1,)), IndexError, "^roll: ", normal(())),
    bad("embedding", "a number", lambda w: ops.embedding(np.array([0]), w), (IndexError, ShapeError), "^embedding: ", normal(())),
    bad("unfold", "a number", lambda x: strides.unfold(x, axis=-1, size=1, step=1), (IndexError, ShapeError), "^unfold: ", normal(())),
    *(
        bad(name, "a number", f, ShapeError, match, normal((), *weights))
        for name, f, match, *weights in (
            ("conv", ops.conv1d, "^conv1d: .*`input`", (1, 1, 1), (1,)),
            ("conv_unbiased", ops.conv1d, "^conv1d: .*`input`", (1, 1, 1)),
            ("conv_transpose", ops.conv_transpose1d, "^conv_transpose1d: .*`input`", (1, 1, 1)),
            ("conv_weight", lambda x, g: convolution.conv_weight(x, g, **ONE_TAP), "^conv_weight: `x` and `g` need 3 axes", (1, 1, 1)),
            ("max_pool", lambda x: ops.max_pool1d(x, 1), "^max_pool1d: .*`input`"),
            ("window_sum", lambda x: ops.avg_pool1d(x, 1), "^avg_pool1d: .*`input`"),
            ("normalise", lambda x: ops.layer_norm(x, (1,)), "^layer_norm: "),
        )
    ),
    bad("mean", "whole numbers", lambda x: ops.mean(np.array([1, 2])), TypeError, "mean: .*int64"),
    bad("max", "nothing to choose from", lambda x: ops.amax(x, 0), (IndexError, ShapeError), r"\(0, 3\)", normal((0, 3))),
    bad("matmul", "inner lengths that differ", ops.matmul, ShapeError, "3 != 2. Did you mean `x @ y.T`", normal((2, 3), (2, 3))),
    bad("matmul", "stacks that do not broadcast", ops.matmul, ShapeError, "do not broadcast", normal((2, 2, 3), (3, 3, 2))),
    bad("matmul", "vectors of different lengths", ops.matmul, ShapeError, "2 != 3", normal((2,), (3,))),
    bad("matmul", "a number", ops.matmul, ShapeError, "at least one axis", normal((), (2, 3))),
    bad("linear", "features that differ", ops.linear, ShapeError, "must have 2 features, not 3", normal((2, 3), (4, 2), (4,))),
    bad("linear", "a bias of another length", ops.linear, ShapeError, r"must have shape \(4,\)", normal((2, 3), (4, 3), (3,))),
    bad("linear", "a number", ops.linear, ShapeError, "at least one axis", normal((), (4, 2), (4,))),
    bad("linear", "one operand too many", lambda x, w, b: ops.linear(x, w, b, b), TypeError, "argument", normal((2, 3), (4, 3), (4,))),
    bad("linear_unbiased", "features that differ", ops.linear, ShapeError, "must have 2 features, not 3", normal((2, 3), (4, 2))),
    bad("linear_unbiased", "a vector of other features", ops.linear, ShapeError, "must have 2 features, not 3", normal((3,), (4, 2))),
    bad("linear_unbiased", "a number", ops.linear, ShapeError, "at least one axis", normal((), (4, 2))),
    bad("linear_unbiased", "a stack of other features", ops.linear, ShapeError, "must have 2 features, not 3", normal((2, 2, 3), (4, 2))),
    *(
        bad("cross_entropy", case, f, error, match, joined(draw, target))
        for case, f, error, match, draw, target in (
            ("an unknown reduction", lambda x, t: ops.cross_entropy(x, t, reduction="top"), ValueError, "top", MATRIX, classes((2,), 3)),
            ("a class too far", lambda x, t: ops.cross_entropy(x, t + 3), IndexError, "out of bounds", MATRIX, classes((2,), 3)),
            ("a negative class", lambda x, t: ops.cross_entropy(x, t - 9), IndexError, "out of bounds", MATRIX, classes((2,), 3)),
            ("too few targets", ops.cross_entropy, ShapeError, r"\(2,\).*\(1,\)", MATRIX, classes((1,), 3)),
            ("a number", ops.cross_entropy, ShapeError, "at least one axis", normal(()), classes((), 1)),
        )
    ),
]
