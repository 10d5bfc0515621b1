"""Diagonals, triangles and sliding windows."""

import numpy as np

from diffcore import ops
from diffcore.errors import ShapeError
from diffcore.kernels import strides as k
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import exactly, normal
from diffcore.testing.scenarios.shape import RANGE, method


def embedded(case, shape, sizes, offset=0, axes=(-2, -1), **options):
    """The diagonal written out by a mask, for shapes that are not square."""
    eye = np.eye(*sizes, offset)

    def reference(jax, g):
        wide = jax.numpy.zeros((*shape[:-1], *sizes))
        i, j = np.nonzero(eye)
        return jax.numpy.moveaxis(wide.at[..., i, j].set(g), (-2, -1), axes)

    return Scenario(
        "embed_diagonal",
        case,
        lambda g: k.embed_diagonal(g, offset=offset, axis1=axes[0], axis2=axes[1], sizes=sizes),
        normal(shape),
        reference=reference,
        **options,
    )


def windows(x, axis, size, step):
    """Windows of `x` gathered by an array of positions."""
    count = (x.shape[axis] - size) // step + 1
    chosen = np.arange(count)[:, None] * step + np.arange(size)
    return np.moveaxis(np.asarray(x).take(chosen, axis), axis % x.ndim + 1, -1)


def folded(case, shape, axis, size, step, length, **options):
    """Windows added back, as a product with the matrix of `unfold`; `shape` is that of the windows."""
    inner = list(shape[:-1])
    inner[axis] = length
    count = int(np.prod(inner))
    source = windows(np.arange(count).reshape(inner), axis, size, step).reshape(-1)
    return Scenario(
        "fold",
        case,
        lambda g: k.fold(g, axis=axis, size=size, step=step, length=length),
        normal(shape),
        reference=lambda jax, g: (g.reshape(-1) @ jax.nn.one_hot(source, count, dtype=g.dtype)).reshape(inner),
        **options,
    )


def diagonal(case, shape, *arguments, **options):
    return method("diagonal", case, shape, "diagonal", *arguments, jax=lambda jnp, x: jnp.diagonal(x, *arguments), **options)


NANS = [[1.0, np.nan], [3.0, 2.0]]

ROWS = [
    diagonal("square", (3, 3)),
    diagonal("wide", (2, 4)),
    diagonal("tall", (4, 2)),
    diagonal("above", (3, 4), 2),
    diagonal("below", (3, 2), -1),
    diagonal("corner", (2, 3), 2),
    diagonal("beyond the corner", (2, 3), 5),
    diagonal("of a stack", (2, 3, 3), 0, 1, 2),
    diagonal("of first and last", (2, 3, 2), 0, -1, 0),
    diagonal("of axes swapped", (2, 2, 3), 1, 2, 1),
    diagonal("size one", (1, 1)),
    diagonal("empty", (0, 3)),
    diagonal("strided", (3, 3), 1, strided=True),
    method("diagonal", "diag", (3, 2), "diag", jax=lambda jnp, x: jnp.diag(x)),
    method("diagonal", "diag below", (3, 2), "diag", -1),
    method("diagonal", "trace", (3, 2), "trace", jax=lambda jnp, x: jnp.trace(x)),
    Scenario("diagonal", "with itself", lambda x: ops.mul(ops.diagonal(x), ops.getitem(x, 0)), normal((3, 3))),
    method("embed_diagonal", "diag", (3,), "diag", jax=lambda jnp, x: jnp.diag(x)),
    method("embed_diagonal", "diag above", (2,), "diag", 1, jax=lambda jnp, x: jnp.diag(x, 1)),
    method("embed_diagonal", "diag_embed", (2, 3), "diag_embed"),
    method("embed_diagonal", "diag_embed below", (2, 2), "diag_embed", -1),
    method("embed_diagonal", "diag_embed, first and last", (2, 2), "diag_embed", 0, 0, 2),
    method("embed_diagonal", "diag_embed, axes swapped", (2, 2), "diag_embed", 1, -1, 1),
    method("embed_diagonal", "size one", (1,), "diag_embed"),
    method("embed_diagonal", "no stack", (0, 2), "diag_embed"),
    method("embed_diagonal", "empty", (2, 0), "diag_embed", 1),
    method("embed_diagonal", "strided", (2, 2), "diag_embed", 0, strided=True),
    embedded("wide", (2,), (2, 4)),
    embedded("tall", (2, 2), (4, 2), 0),
    embedded("wide above", (2,), (2, 4), 2),
    embedded("tall below", (2,), (4, 2), -1),
    embedded("tall, first axes", (2, 2), (3, 2), -1, (0 - 3, 1 - 3)),
    Scenario("embed_diagonal", "with itself", lambda x: ops.matmul(ops.diag(x), ops.unsqueeze(x, 1)), normal((3,))),
    method("unfold", "overlapping", (5,), "unfold", 0, 3, 1, jax=lambda jnp, x: jnp.stack([x[i : i + 3] for i in range(3)])),
    method("unfold", "apart", (2, 7), "unfold", 1, 2, 3, jax=lambda jnp, x: jnp.stack([x[:, i : i + 2] for i in (0, 3)], 1)),
    method("unfold", "touching", (4, 2), "unfold", 0, 2, 2),
    method("unfold", "step of two", (2, 6), "unfold", -1, 3, 2),
    method("unfold", "middle axis", (2, 4, 2), "unfold", 1, 2, 1),
    method("unfold", "whole axis", (2, 3), "unfold", 1, 3, 1),
    method("unfold", "single elements", (3,), "unfold", 0, 1, 2),
    method("unfold", "no elements", (3,), "unfold", 0, 0, 1),
    method("unfold", "size one", (1, 1), "unfold", 0, 1, 1),
    method("unfold", "empty", (0, 3), "unfold", 1, 2, 1),
    method("unfold", "strided", (2, 4), "unfold", 1, 2, 1, strided=True),
    method("unfold", "three axes, first", (4, 2, 1), "unfold", -3, 3, 1),
    Scenario(
        "unfold", "with itself", lambda x: ops.mul(ops.unfold(x, 0, 2, 1), ops.unsqueeze(ops.getitem(x, slice(1, None)), 1)), normal((4,))
    ),
    folded("overlapping", (3, 3), -1, 3, 1, 5),
    folded("apart", (2, 2, 2), -1, 2, 3, 7),
    folded("touching", (2, 2, 2), -2, 2, 2, 4),
    folded("step of two", (2, 2, 3), -1, 3, 2, 6),
    folded("middle axis", (2, 3, 2, 2), -2, 2, 1, 4),
    folded("whole axis", (2, 1, 3), -1, 3, 1, 3),
    folded("single elements", (2, 1), -1, 1, 2, 3),
    folded("rest at the end", (2, 2), -1, 2, 2, 5),
    folded("size one", (1, 1, 1), -2, 1, 1, 1),
    folded("empty", (0, 2, 2), -1, 2, 1, 3),
    folded("strided", (2, 3, 2), -1, 2, 1, 4, strided=True),
    Scenario(
        "fold", "with itself", lambda g: ops.mul(k.fold(g, axis=-1, size=2, step=1, length=3), ops.getitem(g, (0, 0))), normal((2, 2))
    ),
    method("where", "tril", (3, 3), "tril", jax=lambda jnp, x: jnp.tril(x)),
    method("where", "triu", (3, 3), "triu", jax=lambda jnp, x: jnp.triu(x)),
    method("where", "tril of a stack, above", (2, 2, 3), "tril", 1),
    method("where", "triu of a tall one, below", (4, 2), "triu", -1),
    method("where", "tril of nothing", (0, 3), "tril"),
    Scenario("where", "tril beside what is not finite", lambda x: ops.tril(x), exactly(NANS), smooth=False),
]


def misused(kernel, case, function, error, match, shape=(2, 3)):
    return Misuse(kernel, case, function, normal(shape), error, match)


SQUARE = {"offset": 0, "axis1": -2, "axis2": -1}

MISUSES = [
    misused("diagonal", "axis", lambda x: ops.diagonal(x, 0, 0, 2), IndexError, RANGE.format(2)),
    misused(
        "diagonal", "one axis", lambda x: ops.diagonal(x, 0, 1, -1), ShapeError, "diagonal: diagonal dimensions cannot be identical 1, -1"
    ),
    misused("diagonal", "number", ops.diagonal, IndexError, r"in range of \[-1, 0\], but got 1", ()),
    misused("diagonal", "diag", ops.diag, ShapeError, r"diag: supports 1D or 2D tensors, got 3D, \(2, 1, 2\)", (2, 1, 2)),
    misused("diagonal", "trace", ops.trace, ShapeError, r"trace: expected a matrix, but got a tensor of shape \(3,\)", (3,)),
    misused("diagonal", "fraction", lambda x: ops.diagonal(x, 0.5), TypeError, "float.* integer"),
    misused("embed_diagonal", "axis", lambda x: ops.diag_embed(x, 0, 0, 3), IndexError, r"\[-3, 2\], but got 3"),
    misused("embed_diagonal", "one axis", lambda x: ops.diag_embed(x, 0, 0, 0), ShapeError, "diag_embed: .* cannot be identical 0, 0"),
    misused("embed_diagonal", "number", ops.diag_embed, ShapeError, "diag_embed: expected at least a 1-dimensional tensor", ()),
    misused("embed_diagonal", "sizes", lambda x: k.embed_diagonal(x, **SQUARE, sizes=(2, 2)), ShapeError, r"embed_diagonal: .*\(2, 3\)"),
    misused("unfold", "axis", lambda x: ops.unfold(x, 2, 1, 1), IndexError, RANGE.format(2)),
    misused(
        "unfold", "too large", lambda x: ops.unfold(x, 1, 4, 1), ShapeError, "unfold: maximum size .* at dimension 1 is 3 but `size` is 4"
    ),
    misused("unfold", "negative", lambda x: ops.unfold(x, 1, -1, 1), ShapeError, "unfold: `size` is -1 but must be >= 0"),
    misused("unfold", "no step", lambda x: ops.unfold(x, 1, 2, 0), ShapeError, "unfold: `step` is 0 but must be > 0"),
    misused("unfold", "fraction", lambda x: ops.unfold(x, 1, 1.5, 1), TypeError, "float.* integer"),
    misused("fold", "number", lambda g: k.fold(g, axis=-1, size=1, step=1, length=1), IndexError, "fold: axis -1 is out of range", ()),
    *(
        misused("fold", case, lambda g, o=options: k.fold(g, **o), error, match)
        for case, options, error, match in (
            ("too short", {"axis": -1, "size": 3, "step": 1, "length": 3}, ShapeError, "fold: 2 windows of 3 elements, 1 apart, .* 3"),
            ("window size", {"axis": -1, "size": 2, "step": 1, "length": 4}, ShapeError, "fold: .*the last axis must have 2 elements"),
            ("axis", {"axis": -3, "size": 3, "step": 1, "length": 4}, IndexError, "fold: axis -3 is out of range"),
            ("no step", {"axis": -1, "size": 3, "step": 0, "length": 4}, ShapeError, "fold: .*step 0 must be positive"),
        )
    ),
]
