"""Gathering, scattering and masking under PyTorch's names, and tables of rows."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import indexing as k
from diffcore.testing import Scenario
from diffcore.testing.scenarios.indexing import BOUNDS, MASK, ROWS_TWICE, at, misused
from diffcore.testing.scenarios.samples import classes, joined, mask, normal

PLACES = np.array([[0, 2], [2, 1]])


def gathered(case, shape, axis, indices, **options):
    return Scenario(
        "gather",
        case,
        lambda x: ops.take_along_dim(x, indices, axis),
        normal(shape),
        reference=lambda jax, x: jax.numpy.take_along_axis(x, indices, axis),
        torch=lambda torch, x: torch.take_along_dim(x, torch.tensor(indices), axis),
        **options,
    )


def added(case, shape, axis, indices, size, **options):
    def reference(jax, g):
        chosen = jax.nn.one_hot(np.moveaxis(np.broadcast_to(indices, shape), axis, -1), size, dtype=g.dtype)
        return jax.numpy.moveaxis(jax.numpy.einsum("...i,...is->...s", jax.numpy.moveaxis(g, axis, -1), chosen), -1, axis)

    return Scenario(
        "scatter_add",
        case,
        lambda g: k.scatter_add(g, indices=indices, axis=axis, size=size),
        normal(shape),
        reference=reference,
        **options,
    )


def put(kernel, case, shape, name, *arguments, value=None, larger=False, **options):
    """An op under PyTorch's name, of `x` and, where its shape is given, of a last operand `value`.

    PyTorch differentiates scattering from a source no `larger` than the index only, so it is given as much of the source.
    """

    def outside(torch, *operands):
        given = [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]
        values = [v[tuple(slice(0, n) for n in arguments[1].shape)] for v in operands[1:]] if larger else operands[1:]
        return getattr(torch, name)(operands[0], *given, *values)

    return Scenario(
        kernel,
        f"{name} {case}",
        lambda x, *v: getattr(ops, name)(x, *arguments, *v),
        normal(shape) if value is None else normal(shape, value),
        torch=outside,
        **options,
    )


def looked_up(case, indices, weight, padding=None, **options):
    return Scenario(
        "embedding",
        case,
        lambda w: ops.embedding(indices, w, padding),
        normal(weight),
        smooth=padding is None,
        reference=lambda jax, w: w[indices],
        torch=(lambda torch, w: torch.nn.functional.embedding(torch.tensor(indices), w, padding)) if indices.size else None,
        **options,
    )


ROWS = [
    gathered("first axis", (3, 2), 0, np.array([[0, 2], [2, 2]])),
    gathered("last axis", (2, 3), -1, np.array([[2, 2, 0, 1], [0, 0, 0, 0]])),
    gathered("middle axis", (2, 3, 2), 1, np.array([[[0, 2]], [[1, 1]]])),
    gathered("one axis", (4,), 0, np.array([3, 3, 0])),
    gathered("indices broadcast", (2, 3), 1, np.array([[1, 1]])),
    gathered("operand broadcasts", (1, 3), 1, np.array([[1, 1], [0, 2]])),
    gathered("size one", (1, 1), 0, np.array([[0]])),
    gathered("empty", (3, 2), 0, np.zeros((0, 2), np.intp)),
    gathered("strided", (3, 2), 0, np.array([[0, 2], [2, 2]]), strided=True),
    added("first axis", (2, 2), 0 - 2, np.array([[0, 2], [2, 2]]), 3),
    added("last axis", (2, 4), -1, np.array([[2, 2, 0, 1], [0, 0, 0, 0]]), 3),
    added("one axis", (3,), -1, np.array([3, 3, 0]), 4),
    added("indices broadcast", (2, 2), -1, np.array([[1, 1]]), 3),
    added("empty", (0, 2), -2, np.zeros((0, 2), np.intp), 3),
    added("strided", (2, 2), -2, np.array([[0, 2], [2, 2]]), 3, strided=True),
    put("getitem", "rows", (3, 2), "index_select", 0, ROWS_TWICE),
    put("getitem", "columns", (2, 3), "index_select", -1, ROWS_TWICE),
    put("getitem", "of a scalar", (), "index_select", 0, np.array([0])),
    put("getitem", "some", (2, 3), "take", np.array([[5, 0], [-1, 5]])),
    put("getitem", "rows", (4, 2), "narrow", 0, 1, 2),
    put("getitem", "from the end", (2, 4), "narrow", 1, -3, 2),
    put("getitem", "nothing", (2, 4), "narrow", 1, 4, 0),
    put("getitem", "a row", (3, 2), "select", 0, -1),
    put("getitem", "an element", (3,), "select", 0, 1),
    put("getitem", "matrix", (3, 4), "masked_select", MASK),
    put("getitem", "rows", (3, 1), "masked_select", MASK),
    put("getitem", "wider mask", (4,), "masked_select", MASK),
    put("getitem", "repeats", (3, 2), "repeat_interleave", np.array([2, 0, 1]), 0),
    put("getitem", "repeats of columns", (2, 3), "repeat_interleave", np.array([0, 2, 1]), 1),
    put("gather", "first axis", (3, 2), "gather", 0, PLACES),
    put("gather", "last axis", (2, 3), "gather", -1, np.array([[2, 2, 0, 1], [0, 0, 0, 0]])),
    put("gather", "smaller index", (3, 4), "gather", 1, np.array([[3, 0]])),
    put("gather", "vector", (4,), "gather", 0, np.array([3, 3, 0])),
    put("gather", "scalars", (), "gather", 0, np.array(0)),
    put("gather", "of a scalar", (), "gather", 0, np.array([0, 0])),
    put("gather", "no index", (3, 2), "gather", 0, np.zeros((0, 2), np.int64)),
    put("gather", "everywhere", (2, 3), "take_along_dim", np.array([5, 0, 0])),
    put("gather", "narrow integers", (3, 2), "gather", 0, PLACES.astype(np.int32)),
    put("scatter_add", "rows", (3, 2), "scatter_add", 0, PLACES, value=(2, 2)),
    put("scatter_index", "smaller index", (3, 4), "scatter_add", 1, np.array([[3, 3]]), value=(2, 3), larger=True),
    put("scatter_add", "columns", (2, 3), "scatter_add", 1, PLACES, value=(2, 2)),
    put("scatter_add", "vector", (3,), "scatter_add", 0, ROWS_TWICE, value=(3,)),
    put("scatter_add", "scalars", (), "scatter_add", 0, np.array(0), value=()),
    put("scatter_add", "nothing", (3, 2), "scatter_add", 0, np.zeros((0, 2), np.int64), value=(0, 2)),
    put("scatter_add", "strided", (3, 2), "scatter_add", 0, PLACES, value=(2, 2), strided=True),
    put("scatter_index", "rows", (3, 2), "index_add", 0, ROWS_TWICE, value=(3, 2)),
    put("scatter_index", "columns", (2, 3), "index_add", 1, np.array([2, 2]), value=(2, 2)),
    Scenario(
        "scatter_index",
        "index_add, scaled",
        lambda x, y: ops.index_add(x, 0, ROWS_TWICE, y, alpha=-2.5),
        normal((3,), (3,)),
        torch=lambda torch, x, y: torch.index_add(x, 0, torch.tensor(ROWS_TWICE), y, alpha=-2.5),
    ),
    put("set_index", "rows", (3, 2), "index_copy", 0, np.array([2, 0]), value=(2, 2)),
    put("set_index", "columns", (2, 3), "index_copy", -1, np.array([1]), value=(2, 1)),
    put("set_index", "rows", (3, 2), "index_fill", 0, np.array([-1, 0]), 2.0),
    put("set_index", "by a tensor", (2, 3), "index_fill", 1, np.array([1]), value=()),
    put("set_index", "rows", (3, 2), "scatter", 0, np.array([[0, 2], [2, 1]]), value=(2, 2)),
    put("set_index", "number", (3, 2), "scatter", 0, PLACES, 2.5),
    put("set_index", "smaller index", (3, 4), "scatter", 1, np.array([[3, 0]]), value=(2, 3), larger=True),
    put("set_index", "repeated", (2, 3), "scatter", 1, np.array([[2, 1]]), value=(1, 2)),
    put("set_index", "vector", (4,), "scatter", 0, np.array([3, 1]), value=(3,), larger=True),
    put("set_index", "some", (3, 4), "masked_scatter", MASK, value=(3, 4)),
    put("set_index", "wider mask", (4,), "masked_scatter", MASK, value=(7,)),
    put("where", "number", (3, 4), "masked_fill", MASK, -2.0),
    put("where", "tensor", (3, 4), "masked_fill", MASK, value=()),
    put("where", "rows of the mask", (2, 3), "masked_fill", np.array([True, False, True]), 1),
    Scenario(
        "where",
        "setitem by a mask",
        lambda x, v, m: ops.setitem(x, m, v),
        joined(normal((3, 2), ()), mask((3, 2))),
        reference=lambda jax, x, v, m: jax.numpy.where(m, v, x),
    ),
    Scenario(
        "where",
        "setitem by a mask of rows",
        lambda x, v, m: ops.setitem(x, m, v),
        joined(normal((3, 2), (2,)), mask((3,))),
        reference=lambda jax, x, v, m: jax.numpy.where(m[:, None], v, x),
    ),
    looked_up("batch", np.array([[0, 3], [3, 1]]), (4, 2)),
    looked_up("vector", np.array([2, 2, 0]), (3, 2)),
    looked_up("one", np.array(1), (3, 2)),
    looked_up("one feature", np.array([0, 1]), (2, 1)),
    looked_up("one row", np.array([[0]]), (1, 3)),
    looked_up("no index", np.zeros((0,), np.int64), (3, 2)),
    looked_up("no feature", np.array([0, 1]), (2, 0)),
    looked_up("narrow integers", np.array([[0, 2]], np.int32), (3, 2)),
    looked_up("padding", np.array([[0, 2], [2, 1]]), (3, 2), 2),
    looked_up("padding from the end", np.array([0, 2, 2]), (3, 2), -1),
    looked_up("padding alone", np.array([1, 1]), (3, 2), 1),
    looked_up("strided", np.array([2, 0, 2]), (3, 2), strided=True),
    Scenario(
        "embedding",
        "traced indices",
        lambda i, w: ops.embedding(i, w),
        joined(classes((2, 2), 3), normal((3, 2))),
        reference=lambda jax, i, w: w[i],
        torch=lambda torch, i, w: torch.nn.functional.embedding(i, w),
    ),
    Scenario(
        "embedding",
        "tied to the output",
        lambda w: ops.linear(ops.tanh(ops.embedding(np.array([0, 2, 0]), w)), w),
        normal((3, 2)),
        reference=lambda jax, w: jax.numpy.tanh(w[np.array([0, 2, 0])]) @ w.T,
    ),
    Scenario(
        "embedding",
        "mean of words",
        lambda w, v: ops.linear(ops.mean(ops.embedding(np.array([[0, 2], [1, 1]]), w), 1), v),
        normal((3, 2), (2, 2)),
        torch=lambda torch, w, v: torch.nn.functional.linear(w[torch.tensor([[0, 2], [1, 1]])].mean(1), v),
    ),
    *(
        Scenario(
            "reshape",
            f"one_hot {case}",
            lambda i, n=count: ops.one_hot(i, n),
            classes(shape, 3),
            smooth=False,
            reference=lambda jax, i, n=count: jax.numpy.eye(n, dtype=np.int64)[i],
        )
        for case, shape, count in (("vector", (4,), 3), ("more classes", (2, 2), 5), ("0-d", (), 3), ("nothing", (0,), 2))
    ),
]

MISUSES = [
    misused("getitem", "index_select", lambda x: ops.index_select(x, 1, at(0, 3)), IndexError, "index_select: " + BOUNDS.format(3, 1, 3)),
    misused(
        "getitem", "index_select back", lambda x: ops.index_select(x, 1, at(-1)), IndexError, "index_select: index -1 is out of bounds"
    ),
    misused(
        "getitem", "index_select matrix", lambda x: ops.index_select(x, 1, at([0])), IndexError, "index_select: .* supposed to be a vector"
    ),
    misused("getitem", "take", lambda x: ops.take(x, at(6)), IndexError, "take: index 6 is out of bounds"),
    misused(
        "getitem", "take fractions", lambda x: ops.take(x, at(0.5)), DTypeError, "take: expected `index` to hold integers, got float64"
    ),
    misused("getitem", "narrow", lambda x: ops.narrow(x, 1, 1, 3), ShapeError, r"narrow: start \(1\) \+ length \(3\) exceeds .* \(3\)"),
    misused(
        "getitem", "narrow start", lambda x: ops.narrow(x, 1, -4, 1), IndexError, r"narrow: start out of range .*\[-3, 3\], but got -4"
    ),
    misused("getitem", "narrow length", lambda x: ops.narrow(x, 1, 0, -1), ShapeError, "narrow: length must be non-negative, got -1"),
    misused("getitem", "select", lambda x: ops.select(x, 0, 2), IndexError, r"select: index 2 out of range for tensor of size \(2, 3\)"),
    misused(
        "getitem", "masked_select", lambda x: ops.masked_select(x, at(1, 0, 1)), DTypeError, "masked_select: only supports boolean masks"
    ),
    misused("getitem", "repeats", lambda x: ops.repeat_interleave(x, at(1, 2), 1), ShapeError, "repeats must have the same size as input"),
    misused(
        "getitem", "fewer than no repeats", lambda x: ops.repeat_interleave(x, at(1, -2), 0), ShapeError, "repeats can not be negative"
    ),
    misused(
        "getitem", "half repeats", lambda x: ops.repeat_interleave(x, at(1, 0.5), 0), DTypeError, "`repeats` to hold integers, got float64"
    ),
    misused(
        "scatter_index", "index_add", lambda x, y: ops.index_add(x, 0, at(0, 1), y), IndexError, r"number of indices \(2\)", (2, 3), (1, 3)
    ),
    misused(
        "scatter_index", "index_add sizes", lambda x, y: ops.index_add(x, 0, at(0, 1), y), ShapeError, "must match self", (2, 3), (2, 2)
    ),
    misused(
        "scatter_index", "index_add bounds", lambda x: ops.index_add(x, 0, at(0, 2), x), IndexError, "index_add: " + BOUNDS.format(2, 0, 2)
    ),
    misused("gather", "bounds", lambda x: ops.gather(x, 1, at([3], [0])), IndexError, "gather: " + BOUNDS.format(3, 1, 3)),
    misused("gather", "negative", lambda x: ops.gather(x, 1, at([-1], [0])), IndexError, "gather: " + BOUNDS.format(-1, 1, 3)),
    misused(
        "gather", "axes", lambda x: ops.gather(x, 1, at(0, 1)), ShapeError, "gather: index tensor must have the same number of dimensions"
    ),
    misused(
        "gather", "sizes", lambda x: ops.gather(x, 0, at([0] * 4)), ShapeError, r"gather: size does not match at dimension 1.*\(1, 4\)"
    ),
    misused(
        "gather", "fractions", lambda x: ops.gather(x, 1, at([0.0])), DTypeError, "gather: expected `index` to hold integers, got float64"
    ),
    misused("gather", "axis", lambda x: ops.gather(x, 5, at([0])), IndexError, r"\[-2, 1\], but got 5"),
    misused(
        "gather", "take_along_dim", lambda x: ops.take_along_dim(x, at(0), 1), ShapeError, "take_along_dim: .* same number of dimensions"
    ),
    misused(
        "scatter_add", "bounds", lambda x: ops.scatter_add(x, 1, at([3], [0]), x), IndexError, "scatter_add: " + BOUNDS.format(3, 1, 3)
    ),
    misused(
        "scatter_add", "number", lambda x: ops.scatter_add(x, 1, at([0]), 1.0), DTypeError, "scatter_add: `src` must be a tensor, not float"
    ),
    misused(
        "scatter_add",
        "sizes",
        lambda x: ops.scatter_add(x, 0, at([0] * 4), x),
        ShapeError,
        "scatter_add: size does not match at dimension 1",
    ),
    misused(
        "scatter_add", "src", lambda x: ops.scatter_add(x, 1, at([0] * 4), x), ShapeError, r"`index` \(1, 4\) to be no larger than `src`"
    ),
    misused("scatter_add", "fractions", lambda x: ops.scatter_add(x, 1, at([0.0]), x), DTypeError, "scatter_add: expected `index` to hold"),
    misused("set_index", "scatter", lambda x: ops.scatter(x, 1, at([0, 3]), 1.0), IndexError, "scatter: " + BOUNDS.format(3, 1, 3)),
    misused("set_index", "index_copy", lambda x: ops.index_copy(x, 0, at(0, -1), x), IndexError, "index_copy: " + BOUNDS.format(-1, 0, 2)),
    misused(
        "set_index", "index_fill", lambda x: ops.index_fill(x, 0, at(0), x), ShapeError, "index_fill: only supports a 0-dimensional value"
    ),
    misused(
        "set_index", "masked_scatter", lambda x, v: ops.masked_scatter(x, at(True), v), ShapeError, "has 2 elements, but .* 6", (2, 3), (2,)
    ),
    misused("where", "masked_fill", lambda x: ops.masked_fill(x, at(1, 0, 1), 2.0), DTypeError, "masked_fill: only supports boolean masks"),
    misused(
        "where", "masked_fill sizes", lambda x: ops.masked_fill(x, at(True, False), 2.0), ShapeError, "masked_fill: .* do not broadcast"
    ),
    misused(
        "where", "masked_fill value", lambda x: ops.masked_fill(x, at(True), x), ShapeError, "masked_fill: only supports a 0-dimensional"
    ),
    misused("where", "one branch", lambda x: ops.where(x, x), DTypeError, "where: expected a condition alone, or"),
    misused(
        "embedding", "bounds", lambda w: ops.embedding(at(0, 2), w), IndexError, "embedding: index 2 is out of range: `weight` has 2 rows"
    ),
    misused("embedding", "negative", lambda w: ops.embedding(at(0, -1), w), IndexError, "embedding: index -1 is out of range"),
    misused("embedding", "fractions", lambda w: ops.embedding(at(0.5), w), DTypeError, "embedding: expected `input` to hold integers"),
    misused(
        "embedding", "vector", lambda w: ops.embedding(at(0), w), ShapeError, r"embedding: `weight` must be 2-D, got shape \(3,\)", (3,)
    ),
    misused(
        "embedding",
        "padding",
        lambda w: ops.embedding(at(0), w, 2),
        IndexError,
        r"embedding: `padding_idx` \(=2\) must be within the 2 rows",
    ),
    misused(
        "astype", "one_hot", lambda x: ops.one_hot(at(0, 3), 2), IndexError, "one_hot: class values must be smaller than num_classes, got 3"
    ),
    misused("reshape", "one_hot below", lambda x: ops.one_hot(at(0, -3)), IndexError, "one_hot: class values must be non-negative, got -3"),
    misused("reshape", "one_hot of nothing", lambda x: ops.one_hot(np.zeros(0, int)), ShapeError, "one_hot: can not infer total number"),
    misused("reshape", "one_hot of fractions", lambda x: ops.one_hot(x, 2), DTypeError, "one_hot: expected `index` to hold integers"),
]
