"""Indexing, gathering and scattering."""

import numpy as np

from diffcore import ops
from diffcore.kernels import indexing as k
from diffcore.testing import Scenario
from diffcore.testing.scenarios.samples import normal

ROWS_TWICE = np.array([0, 2, 0])
MASK = np.array([[True, False, True, False], [False] * 4, [True] * 4])


def item(case, shape, index, **options):
    return Scenario("getitem", case, lambda x: ops.getitem(x, index), normal(shape), reference=lambda jax, x: x[index], **options)


def scattered(case, shape, index, target, **options):
    return Scenario(
        "scatter_index",
        case,
        lambda g: k.scatter_index(g, index=index, shape=target),
        normal(shape),
        reference=lambda jax, g: jax.numpy.zeros(target, g.dtype).at[index].add(g),
        **options,
    )


def gathered(case, shape, axis, indices, **options):
    return Scenario(
        "gather",
        case,
        lambda x: ops.gather(x, axis, indices),
        normal(shape),
        reference=lambda jax, x: jax.numpy.take_along_axis(x, indices, axis),
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
    item("integer first, array apart", (2, 3, 4), (1, slice(None), ROWS_TWICE)),
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
]
