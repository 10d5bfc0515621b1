"""Indexing: reading, adding into zeros and writing, at every kind of index."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import indexing as k
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import joined, normal

ROWS_TWICE = np.array([0, 2, 0])
MASK = np.array([[True, False, True, False], [False] * 4, [True] * 4])
PLACES = np.array([[0, 3], [1, 1]])
TRUTH = np.array(True)


def item(case, shape, index, **options):
    options = {"reference": lambda jax, x: x[index], **options}
    return Scenario("getitem", case, lambda x: ops.getitem(x, index), normal(shape), **options)


def scattered(case, shape, index, target, **options):
    return Scenario(
        "scatter_index",
        case,
        lambda g: k.scatter_index(g, index=index, shape=target),
        normal(shape),
        reference=lambda jax, g: jax.numpy.zeros(target, g.dtype).at[index].add(g),
        **options,
    )


def assigned(case, shape, index, value, **options):
    """`x[index] = value` for a value of the shape given; PyTorch has no negative steps."""
    return Scenario(
        "set_index",
        case,
        lambda x, v: ops.setitem(x, index, v),
        normal(shape, value),
        reference=lambda jax, x, v: x.at[index].set(v),
        **options,
    )


def read_and_written(x, v):
    return ops.mul(ops.setitem(x, (slice(1, None), 0), ops.getitem(x, 0)), ops.setitem(v, 0, x[0, 0]))


ROWS = [
    item("integer", (3, 4), 1),
    item("negative integer", (3, 4), (-1, 2)),
    item("all integers", (2, 3), (1, -1)),
    item("integer of one axis", (3,), 2),
    item("slice", (5,), slice(1, 4)),
    item("slice with step", (7, 2), slice(1, None, 3)),
    item("backwards", (3, 4), (slice(None, None, -1), slice(3, 0, -2))),
    item("whole first axis", (3, 4), (slice(None), slice(1, 3))),
    item("empty slice", (3, 2), slice(2, 1)),
    item("None", (3, 2), (None, slice(1, None), None)),
    item("None behind", (3,), (..., None)),
    item("ellipsis", (2, 3, 4), (..., 1)),
    item("ellipsis between", (2, 3, 4), (1, ..., slice(None, None, 2))),
    item("ellipsis of nothing", (2, 3), (1, ..., 2)),
    item("nothing", (2, 3), ()),
    item("0-d", (), ()),
    item("0-d ellipsis", (), ...),
    item("0-d None", (), None),
    item("array", (4, 2), np.array([2, 0])),
    item("repeated", (3, 2), ROWS_TWICE),
    item("negative array", (3, 2), np.array([-1, 0, -3])),
    item("array of two axes", (4,), np.array([[0, 3], [3, 1]])),
    item("empty array", (3, 2), np.array([], np.intp)),
    item("behind a slice", (2, 3), (slice(None), ROWS_TWICE)),
    item("adjacent arrays", (3, 4), (ROWS_TWICE, np.array([1, 1, 1]))),
    item("adjacent arrays behind a slice", (2, 3, 4), (slice(None), ROWS_TWICE, np.array([3, 1, 3]))),
    item("arrays that broadcast", (3, 4), (ROWS_TWICE[:, None], np.array([0, 3]))),
    item("arrays apart", (3, 2, 4), (ROWS_TWICE, slice(None), np.array([1, 3, 1]))),
    item("array and integer apart", (3, 2, 4), (ROWS_TWICE, slice(None), 2)),
    item("array and integer adjacent", (2, 3, 4), (slice(None), 1, ROWS_TWICE)),
    item(
        "integer first, array apart",
        (2, 3, 4),
        (1, slice(None), ROWS_TWICE),
        reference=lambda jax, x: x[1][:, ROWS_TWICE],  # the integer is taken first, as in PyTorch
        torch=lambda torch, x: x[1, :, torch.tensor(ROWS_TWICE)],
    ),
    item("None between arrays", (3, 4), (ROWS_TWICE, None, np.array([1, 3, 1]))),
    item("None and array", (3, 4), (None, ROWS_TWICE)),
    item("array, then None", (3, 4), (ROWS_TWICE, None)),
    item("mask", (3, 4), MASK),
    item("mask of rows", (3, 2), np.array([True, False, True])),
    item("mask of columns", (2, 3), (slice(None), np.array([True, False, True]))),
    item("mask without True", (2, 3), np.zeros(2, bool)),
    item("strided", (4, 3), (slice(None, None, 2), np.array([2, 0, 2])), strided=True),
    Scenario("getitem", "list", lambda x: ops.getitem(x, [2, 0, 2]), normal((3, 2)), reference=lambda jax, x: x[np.array([2, 0, 2])]),
    Scenario(
        "getitem",
        "twice",
        lambda x: ops.add(ops.getitem(x, slice(0, 2)), ops.getitem(x, slice(1, 3))),
        normal((3, 2)),
        reference=lambda jax, x: x[:2] + x[1:],
    ),
    scattered("slice", (2, 3), (slice(1, 3),), (4, 3)),
    scattered("step", (2,), (slice(0, None, 3),), (5,)),
    scattered("integer", (3,), (1,), (2, 3)),
    scattered("0-d", (), (1, 2), (2, 3)),
    scattered("None", (1, 2), (None, slice(None)), (2,)),
    scattered("repeated", (3, 2), (ROWS_TWICE,), (3, 2)),
    scattered("behind a slice", (2, 3), (slice(None), ROWS_TWICE), (2, 3)),
    scattered("arrays apart", (3, 2), (ROWS_TWICE, slice(None), np.array([1, 3, 1])), (3, 2, 4)),
    scattered("empty", (0, 2), (slice(0, 0),), (3, 2)),
    scattered("strided", (3, 2), (ROWS_TWICE,), (3, 2), strided=True),
    Scenario("getitem", "list of lists", lambda x: ops.getitem(x, [[0, 3], [1, 1]]), normal((4, 2)), reference=lambda jax, x: x[PLACES]),
    Scenario("getitem", "range", lambda x: ops.getitem(x, range(3, 0, -2)), normal((4, 2)), reference=lambda jax, x: x[np.array([3, 1])]),
    item("mask of three axes", (2, 2, 2), np.arange(8).reshape(2, 2, 2) % 3 == 0),
    item("mask of the first two axes", (2, 2, 2), np.array([[True, False], [True, True]])),
    item("mask of the last two axes", (2, 2, 2), (..., np.array([[True, False], [True, True]]))),
    item("mask and array", (3, 4), (np.array([True, False, True]), np.array([3, 0]))),
    item("mask and integer", (3, 4), (np.array([True, False, True]), -1)),
    item("True", (2, 3), True),
    item("False", (2, 3), False),
    item("0-d mask", (2, 3), (slice(None), TRUTH)),
    item("True beside an array", (2, 3), (True, np.array([1, 0]))),
    item("True of 0-d", (), True),
    scattered("size one", (1,), (np.array([0]),), (1,)),
    scattered("behind two slices", (2, 1, 3), (slice(None), slice(0, 1), ROWS_TWICE), (2, 2, 3)),
    scattered("one after another", (2, 2), (np.array([3, 1]),), (4, 2)),
    Scenario(
        "scatter_index",
        "index_put, accumulating",
        lambda x, v: ops.index_put(x, (ROWS_TWICE,), v, accumulate=True),
        normal((3, 2), (2,)),
        torch=lambda torch, x, v: torch.index_put(x, (torch.tensor(ROWS_TWICE),), v, accumulate=True),
    ),
    assigned("integer", (3, 2), 1, (2,)),
    assigned("element", (3, 2), (1, -1), ()),
    assigned("slice", (4, 2), slice(1, 3), (2, 2)),
    assigned("backwards", (4, 2), slice(None, None, -2), (2, 2)),
    assigned("columns", (2, 4), (slice(None), slice(1, 3)), (2, 2)),
    assigned("columns, broadcast", (2, 4), (..., slice(1, 3)), (2, 1)),
    assigned("one value", (3, 2), slice(0, 2), ()),
    Scenario(
        "set_index",
        "ones in front",
        lambda x, v: ops.setitem(x, slice(0, 2), v),
        normal((3, 2), (1, 1, 1, 2)),
        reference=lambda jax, x, v: x.at[:2].set(v[0, 0]),
    ),
    assigned("None", (3, 2), (0, None), (1, 2)),
    assigned("array", (3, 2), np.array([2, 0]), (2, 2)),
    assigned("negative array", (3, 2), (slice(None), np.array([-1])), (3, 1)),
    assigned("arrays apart", (3, 2, 4), (np.array([2, 0]), slice(None), np.array([1, 3])), (2, 2)),
    assigned("array and integer", (2, 3, 2), (slice(None), np.array([0, 2]), 1), (2, 1)),
    assigned("arrays that broadcast", (3, 4), (np.array([[2], [0]]), np.array([1, 3])), (2, 2)),
    assigned("mask and slice", (3, 4), (np.array([True, False, True]), slice(0, 2)), (2, 2)),
    assigned("mask of as many", (3, 4), MASK, (6,)),
    assigned("everything", (2, 2), ..., (2, 2)),
    assigned("0-d", (), (), ()),
    assigned("nothing", (3, 2), slice(1, 1), (2,)),
    assigned("into nothing", (0, 2), slice(None), (2,)),
    assigned("size one", (1,), 0, ()),
    assigned("strided", (3, 4), (slice(None, None, 2), 1), (2,), strided=True),
    assigned("True", (2, 3), (slice(None), True), (2, 1, 3)),
    Scenario("set_index", "number", lambda x: ops.setitem(x, (0, 1), 2.5), normal((2, 2)), reference=lambda jax, x: x.at[0, 1].set(2.5)),
    Scenario("set_index", "list", lambda x: ops.setitem(x, 0, [2.5, 1]), normal((2, 2)), reference=lambda jax, x: x.at[0].set([2.5, 1])),
    Scenario(
        "set_index",
        "repeated, the last wins",
        lambda x, v: ops.setitem(x, ROWS_TWICE, v),
        normal((4, 2), (3, 2)),
        reference=lambda jax, x, v: x.at[np.array([2, 0])].set(v[1:]),
    ),
    Scenario(
        "set_index",
        "repeated behind a slice",
        lambda x, v: ops.setitem(x, (slice(None), np.array([1, 1, -2])), v),
        normal((2, 3), (2, 3)),
        reference=lambda jax, x, v: x.at[:, 1].set(v[:, 2]),
    ),
    Scenario(
        "set_index",
        "traced and repeated",
        lambda x, v, i: ops.setitem(x, i, v),
        joined(normal((4, 2), (3, 2)), lambda rng: (np.array([1, 3, 1]),)),
        reference=lambda jax, x, v, i: x.at[np.array([3, 1])].set(v[1:]),
    ),
    Scenario("set_index", "with itself", read_and_written, normal((3, 2), (3, 2))),
    Scenario(
        "set_index",
        "two views",
        lambda x: ops.setitem(x[1:], slice(0, 2), x[:2]),
        normal((4,)),
        reference=lambda jax, x: x[1:].at[:2].set(x[:2]),
    ),
    assigned("elements", (3, 2), (np.array([2, 0]), np.array([1, 1])), (2,)),
]


def misused(kernel, case, function, error, match, *shapes):
    return Misuse(kernel, case, function, normal(*(shapes or ((2, 3),))), error, match)


def at(*index):
    return np.array(index)


BOUNDS = "index {} is out of bounds for (dimension|axis) {} with size {}"

MISUSES = [
    misused("getitem", "integer", lambda x: ops.getitem(x, 2), IndexError, BOUNDS.format(2, 0, 2)),
    misused("getitem", "array", lambda x: ops.getitem(x, (0, at(0, -4))), IndexError, BOUNDS.format(-4, 1, 3)),
    misused("getitem", "too many", lambda x: ops.getitem(x, (0, 0, 0)), IndexError, "too many indices for tensor of dimension 2"),
    misused("getitem", "fractions", lambda x: ops.getitem(x, at(0.0)), IndexError, r"not by float64 of shape \(1,\)"),
    misused("getitem", "text", lambda x: ops.getitem(x, "a"), IndexError, "tensors are indexed by integers, .* not by 'a'"),
    misused(
        "getitem", "mask", lambda x: ops.getitem(x, at(True, False, True)), IndexError, r"mask \(3,\) does not match .*\(2, 3\) at axis 0"
    ),
    misused("getitem", "two ellipses", lambda x: ops.getitem(x, (..., 0, ...)), IndexError, "an index can only have a single ellipsis"),
    *(
        misused("scatter_index", case, lambda g, i=index, s=shape: k.scatter_index(g, index=i, shape=s), error, match)
        for case, index, shape, error, match in (
            ("sizes", (slice(0, 3),), (4, 3), ShapeError, r"scatter_index: .*\(`g` \(2, 3\)\)"),
            ("bounds", (at(0, 4),), (4, 3), IndexError, "scatter_index: " + BOUNDS.format(4, 0, 4)),
            ("too many", (0, 0, 0), (2, 3), IndexError, "scatter_index: too many indices"),
            ("fractions", (at(0.5, 1),), (4, 3), IndexError, "scatter_index: .*integer"),
        )
    ),
    misused(
        "set_index", "value", lambda x, v: ops.setitem(x, 0, v), ShapeError, r"setitem: shape mismatch: value of shape \(2,\)", (2, 3), (2,)
    ),
    misused("set_index", "value too deep", lambda x: ops.setitem(x, 0, x), ShapeError, r"value of shape \(2, 3\) .* of shape \(3,\)"),
    misused("set_index", "bounds", lambda x: ops.setitem(x, 5, 1.0), IndexError, BOUNDS.format(5, 0, 2)),
    misused("set_index", "array bounds", lambda x: ops.setitem(x, at(0, 5), 1.0), IndexError, BOUNDS.format(5, 0, 2)),
    misused("set_index", "too many", lambda x: ops.setitem(x, (0, 0, 0), 1.0), IndexError, "too many indices for tensor of dimension 2"),
    misused("set_index", "complex", lambda x: ops.setitem(x, 0, 1j), DTypeError, "setitem: a value of complex128 cannot be written"),
    misused(
        "set_index", "mask", lambda x: ops.setitem(x, at(True, False, True), 1.0), IndexError, "does not match the shape of the indexed"
    ),
]
