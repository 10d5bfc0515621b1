"""Points of what combines elements: ties, sums, products and norms, matrices, indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffcore import linalg, ops
from diffcore.testing.ambiguous.point import Ambiguous, Program, inf, nan, same, torch_name

TIED = ([1.0, 3.0, 3.0],)
ZEROS = ([2.0, 0.0, 3.0],)


def along(name: str) -> dict[str, Any]:
    """The oracles of an op of `jax.nn` and `torch` along the first axis."""
    return {"torch": lambda torch, x: getattr(torch, name)(x, 0), "jax": lambda jax, x: getattr(jax.nn, name)(x, 0)}


def last(function: Program) -> Program:
    """The last element of what `function` gives."""
    return lambda *xs: ops.getitem(function(*xs), -1)


POINTS: list[Ambiguous] = [
    Ambiguous("amax of ties", ops.amax, TIED, (3.0,), ((0.0, 0.5, 0.5),), **same("max", "amax"), note="shared evenly"),
    Ambiguous(
        "max along a dim, of ties",
        lambda x: ops.max(x, 0).values,
        TIED,
        (3.0,),
        ((0.0, 1.0, 0.0),),
        lambda torch, x: torch.max(x, 0).values,
        note="all to the element whose index is returned, the first",
    ),
    Ambiguous("argmax of ties", ops.argmax, TIED, (1.0,), (), **same("argmax"), note="the first; an integer has no derivative"),
    Ambiguous("logsumexp with one -inf", lambda x: ops.logsumexp(x, 0), ([-inf, 0.0],), (0.0,), ((0.0, 1.0),), **along("logsumexp")),
    Ambiguous(
        "logsumexp of -inf alone",
        lambda x: ops.logsumexp(x, 0),
        ([-inf, -inf],),
        (-inf,),
        ((nan, nan),),
        **along("logsumexp"),
        note="no element is largest",
    ),
    Ambiguous(
        "log_softmax with one -inf",
        last(lambda x: ops.log_softmax(x, 0)),
        ([-inf, 0.0],),
        (0.0,),
        ((0.0, 0.0),),
        lambda torch, x: torch.log_softmax(x, 0)[-1],
        lambda jax, x: jax.nn.log_softmax(x, 0)[-1],
    ),
    Ambiguous(
        "min along a dim, of ties",
        lambda x: ops.min(x, 0).values,
        ([1.0, 1.0, 3.0],),
        (1.0,),
        ((1.0, 0.0, 0.0),),
        lambda torch, x: torch.min(x, 0).values,
        note="all to the first",
    ),
    Ambiguous(
        "cummax of ties",
        lambda x: ops.cummax(x, 0).values,
        TIED,
        (1.0, 3.0, 3.0),
        ((1.0, 1.0, 1.0),),
        lambda torch, x: torch.cummax(x, 0).values,
        lambda jax, x: jax.lax.cummax(x),
        by_jax=((1.0, 1.5, 0.5),),
        note="each to the last so far, whose index is returned",
    ),
    Ambiguous(
        "sort of ties",
        lambda x: ops.mul(ops.sort(x, 0, stable=True).values, np.array([1.0, 2.0, 3.0])),
        ([3.0, 1.0, 1.0],),
        (1.0, 2.0, 9.0),
        ((3.0, 1.0, 2.0),),
        lambda torch, x: torch.sort(x, dim=0, stable=True).values * torch.tensor([1.0, 2.0, 3.0]),
        lambda jax, x: jax.numpy.sort(x) * np.array([1.0, 2.0, 3.0]),
        note="stable: equals keep their order",
    ),
    Ambiguous(
        "median of an even number",
        ops.median,
        ([4.0, 1.0, 3.0, 2.0],),
        (2.0,),
        ((0.0, 0.0, 0.0, 1.0),),
        torch_name("median"),
        note="the lower of the two in the middle",
    ),
    Ambiguous(
        "std of equal numbers",
        ops.std,
        ([2.0, 2.0],),
        (0.0,),
        ((0.0, 0.0),),
        torch_name("std"),
        lambda jax, x: jax.numpy.std(x, ddof=1),
        by_jax=((nan, nan),),
        note="the middle of all directions, as of a norm",
    ),
    Ambiguous(
        "norm at 0",
        ops.norm,
        ([0.0, 0.0],),
        (0.0,),
        ((0.0, 0.0),),
        torch_name("norm"),
        lambda jax, x: jax.numpy.linalg.norm(x),
        by_jax=((nan, nan),),
        note="the middle of all directions",
    ),
    Ambiguous(
        "norm of order 1.5 at an element 0",
        lambda x: ops.norm(x, 1.5),
        ([0.0, -1.0],),
        (1.0,),
        ((0.0, -1.0),),
        lambda torch, x: torch.norm(x, 1.5),
        lambda jax, x: jax.numpy.linalg.norm(x, 1.5),
    ),
    Ambiguous(
        "norm of order 0.5 at an element 0",
        lambda x: ops.norm(x, 0.5),
        ([0.0, -1.0],),
        (1.0,),
        ((0.0, -1.0),),
        lambda torch, x: torch.norm(x, 0.5),
        lambda jax, x: jax.numpy.linalg.norm(x, 0.5),
        by_jax=((inf, -1.0),),
        note="no infinities at a cusp",
    ),
    Ambiguous(
        "prod with one 0", ops.prod, ZEROS, (0.0,), ((0.0, 6.0, 0.0),), **same("prod"), note="the product of the others, nothing divided"
    ),
    Ambiguous(
        "cumprod with one 0",
        lambda x: ops.cumprod(x, 0),
        ZEROS,
        (2.0, 0.0, 0.0),
        ((1.0, 8.0, 0.0),),
        lambda torch, x: torch.cumprod(x, 0),
        lambda jax, x: jax.numpy.cumprod(x),
    ),
    Ambiguous(
        "softmax with one -inf",
        last(lambda x: ops.softmax(x, 0)),
        ([-inf, 0.0],),
        (1.0,),
        ((0.0, 0.0),),
        lambda torch, x: torch.softmax(x, 0)[-1],
        lambda jax, x: jax.nn.softmax(x)[-1],
    ),
    Ambiguous(
        "softmax of -inf alone",
        lambda x: ops.softmax(x, 0),
        ([-inf, -inf],),
        (nan, nan),
        ((nan, nan),),
        lambda torch, x: torch.softmax(x, 0),
        lambda jax, x: jax.nn.softmax(x),
    ),
    Ambiguous(
        "det of a singular matrix",
        linalg.det,
        ([[1.0, 0.0], [0.0, 0.0]],),
        (0.0,),
        ((0.0, 0.0, 0.0, 1.0),),
        lambda torch, a: torch.linalg.det(a),
        lambda jax, a: jax.numpy.linalg.det(a),
        by_torch=((0.0, 0.0, 0.0, 0.0),),
        note="its cofactors",
    ),
    Ambiguous(
        "slogdet of a singular matrix",
        lambda a: linalg.slogdet(a).logabsdet,
        ([[1.0, 0.0], [0.0, 0.0]],),
        (-inf,),
        (),
        lambda torch, a: torch.linalg.slogdet(a).logabsdet,
        lambda jax, a: jax.numpy.linalg.slogdet(a)[1],
        by_torch=((nan, nan, nan, inf),),
        by_jax=((nan, nan, nan, inf),),
        refused="LinAlgError",
        note="the derivative is the inverse",
    ),
    Ambiguous(
        "cholesky of a matrix",
        linalg.cholesky,
        ([[1.0, 0.0], [0.0, 1.0]],),
        (1.0, 0.0, 0.0, 1.0),
        ((0.5, 0.5, 0.5, 0.5),),
        lambda torch, a: torch.linalg.cholesky(a),
        lambda jax, a: jax.numpy.linalg.cholesky(a),
        note="a function of the symmetric part",
    ),
    Ambiguous(
        "tril beside NaN",
        ops.tril,
        ([[1.0, nan], [2.0, 3.0]],),
        (1.0, 0.0, 2.0, 3.0),
        ((1.0, 0.0, 1.0, 1.0),),
        **same("tril"),
        note="selected, not multiplied by 0",
    ),
    Ambiguous(
        "triu beside NaN",
        ops.triu,
        ([[1.0, 2.0], [nan, 3.0]],),
        (1.0, 2.0, 0.0, 3.0),
        ((1.0, 1.0, 0.0, 1.0),),
        **same("triu"),
        note="selected, not multiplied by 0",
    ),
    Ambiguous(
        "setitem with a repeated index",
        lambda x, v: ops.setitem(x, np.array([0, 0]), v),
        ([1.0, 2.0], [3.0, 4.0]),
        (4.0, 2.0),
        ((0.0, 1.0), (0.0, 1.0)),
        jax=lambda jax, x, v: jax.numpy.asarray(x).at[np.array([0, 0])].set(v),
        torch=lambda torch, x, v: x.index_put((torch.tensor([0, 0]),), v),
        by_torch=((0.0, 1.0), (1.0, 1.0)),
        note="the last value wins",
    ),
    Ambiguous(
        "getitem with a negative step",
        lambda x: ops.mul(ops.getitem(x, slice(None, None, -1)), np.array([1.0, 2.0])),
        ([3.0, 4.0],),
        (4.0, 6.0),
        ((2.0, 1.0),),
        jax=lambda jax, x: jax.numpy.asarray(x)[::-1] * np.array([1.0, 2.0]),
        note="a view backwards; PyTorch has none",
    ),
    Ambiguous(
        "embedding of the padding",
        lambda w: ops.embedding(np.array([0, 1, 1]), w, 1),
        ([[1.0], [2.0]],),
        (1.0, 2.0, 2.0),
        ((1.0, 0.0),),
        torch=lambda torch, w: torch.nn.functional.embedding(torch.tensor([0, 1, 1]), w, 1),
        note="no derivative reaches that row",
    ),
]
