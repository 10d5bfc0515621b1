"""Systems of equations, inverses, determinants and factors of square matrices `[..., n, n]`.

All directions of a tangent share one factorisation: they are right-hand sides side by side. A matrix that is singular, or not
positive-definite, is a `LinAlgError`, also where only the derivative needs its inverse; on traced arrays, which have no values to look
at, the result is infinite or NaN. `det` is differentiated right at singular matrices too (by its cofactors), twice only where there
is an inverse.
`cholesky` is a function of the symmetric part of its operand, so its derivative is symmetric.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from diffcore.arrays.triangular import solve_triangular as _triangular
from diffcore.errors import LinAlgError
from diffcore.kernels.broadcast import align, unbroadcast
from diffcore.kernels.cumulative import others
from diffcore.kernels.elementwise import where
from diffcore.kernels.families import irregular
from diffcore.kernels.indexing import getitem, scatter_index
from diffcore.kernels.matmul import matmul
from diffcore.kernels.record import Call, Kernel, Rule, Shape
from diffcore.kernels.reduction import sum

_SINGULAR = "the input matrix is singular"
_INDEFINITE = "the factorization could not be completed because the input is not positive-definite"


def _checked(op: str, why: str, compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except np.linalg.LinAlgError:
        raise LinAlgError(f"linalg.{op}: {why}") from None


def _stacked(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    """Matrices of a stack are apart: axis 0 is a stack's where there are more than two axes."""
    own = shapes[operand]
    return len(own) > 2 and bool(shape) and len(own) >= len(shape) and own[0] == shape[0]


def _product(x: Any, y: Any) -> Any:
    return matmul(x, y)


# solutions


def _side_by_side(solve: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """`solve(a, b)` where `b` has more leading axes than `a`: they become columns, so that `a` is factored once."""
    extra = b.ndim - a.ndim
    if extra <= 0:
        return solve(a, b)
    lead, inner, (n, k) = b.shape[:extra], b.shape[extra:-2], b.shape[-2:]
    columns = math.prod(lead) * k
    order = (*range(extra, b.ndim - 1), *range(extra), b.ndim - 1)
    x = solve(a, b.transpose(order).reshape((*inner, n, columns)))
    x = x.reshape((*x.shape[:-1], *lead, k))
    stack = x.ndim - extra - 1
    return x.transpose((*range(stack, stack + extra), *range(stack), x.ndim - 1))


def _explain_solve(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
    a, b = shapes
    if len(b) >= 2 and a[-1] != b[-2]:
        return f"Incompatible shapes of `A` {a} and `B` {b} for the equation AX = B: {a[-1]} != {b[-2]}"
    return f"batch axes of `A` {a} and `B` {b} do not broadcast"


Params = dict[str, Any]


def _solver(name: str, compute: Rule, masked: Callable[[Any, Params], Any], turned: Callable[[Params], Params]) -> Kernel:
    """A kernel for `x` with `a x = b`: `masked(t, params)` is what of a tangent of `a` counts, `turned(params)` the params for `a.mT`."""

    def pushforward(call: Call, tangents: Any) -> Any:
        ta, tb = tangents
        source = None if tb is None else align(tb, len(call.shapes[1]), len(call.shape))
        if ta is not None:
            moved = -_product(align(masked(ta, call.params), len(call.shapes[0]), len(call.shape)), call.out)
            source = moved if source is None else source + moved
        return kernel(call.primals[0], source, **call.params)

    def pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
        gb = kernel(call.primals[0].mT, g, **turned(call.params))
        ga = masked(unbroadcast(-_product(gb, call.out.mT), len(call.shape), call.shapes[0]), call.params) if needs[0] else None
        return ga, unbroadcast(gb, len(call.shape), call.shapes[1]) if needs[1] else None

    kernel = irregular(
        name,
        compute,
        pushforward=pushforward,
        pullback=pullback,
        keeps=(frozenset(("a", "out")), frozenset(("a",))),
        examples=_stacked,
        explain=_explain_solve,
    )
    return kernel


def _solve(xp: Any, a: Any, b: Any) -> Any:
    return _checked("solve", f"the solver failed because {_SINGULAR}", lambda: _side_by_side(xp.linalg.solve, a, b))


def _solve_triangular(xp: Any, a: Any, b: Any, *, upper: bool, unit: bool = False) -> Any:
    def solve(a: Any, b: Any) -> Any:
        return _triangular(xp, a, b, upper, unit)

    return _checked("solve_triangular", _SINGULAR, lambda: _side_by_side(solve, a, b))


def _triangle(t: Any, params: dict[str, Any]) -> Any:
    """The part of `t` that a triangular solver reads."""
    strict, n = params.get("unit", False), t.shape[-1]
    row, column = np.arange(n)[:, None], np.arange(n)
    if params["upper"]:
        row, column = column, row
    return where(row > column if strict else row >= column, t, 0)


solve = _solver("solve", _solve, lambda t, params: t, lambda params: params)
"""`x` with `a @ x = b` for `a` `[..., n, n]` and `b` `[..., n, k]`, whose leading axes broadcast."""

solve_triangular = _solver("solve_triangular", _solve_triangular, _triangle, lambda params: {**params, "upper": not params["upper"]})
"""`x` with `a @ x = b` for a triangular `a`; of the other triangle (with `unit` also of the diagonal, taken for ones) nothing is read."""


# inverses and determinants


def _inv(xp: Any, a: Any) -> Any:
    return _checked("inv", f"the inversion could not be completed because {_SINGULAR}", lambda: xp.linalg.inv(a))


inv = irregular(
    "inv",
    _inv,
    pushforward=lambda call, tangents: -_product(call.out, _product(tangents[0], call.out)),
    pullback=lambda call, g, needs: (-_product(call.out.mT, _product(g, call.out.mT)),),
    keeps=(frozenset(("out",)),),
    examples=_stacked,
)


def _scaled(g: Any, matrix: Any) -> Any:
    """Numbers `[*lead, *stack]` times a stack of matrices."""
    return g.reshape((*g.shape, 1, 1)) * matrix


def _contracted(x: Any, y: Any) -> Any:
    return sum(x * y, axis=(-2, -1))


def _cofactor(xp: Any, a: Any) -> Any:
    """From singular values: `u diag(product of the others) vh`, times the sign of `u` and `vh`. Nothing is divided by."""
    u, s, vh = xp.linalg.svd(a, full_matrices=False)
    orientation = xp.sign(xp.linalg.det(u) * xp.linalg.det(vh))
    return (u * (others(s, -1) * orientation.reshape((*a.shape[:-2], 1))).reshape((*a.shape[:-2], 1, a.shape[-1]))) @ vh


def _push_cofactor(call: Call, tangents: Any) -> Any:
    (t,) = tangents
    inverse = inv(call.primals[0]).mT
    return _scaled(_contracted(inverse, t), call.out) - _product(_product(inverse, t.mT), call.out)


def _pull_cofactor(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    inverse = inv(call.primals[0]).mT
    return (_scaled(_contracted(call.out, g), inverse) - _product(_product(call.out, g.mT), inverse),)


cofactor = irregular(
    "cofactor",
    _cofactor,
    pushforward=_push_cofactor,
    pullback=_pull_cofactor,
    keeps=(frozenset(("a", "out")),),
    examples=_stacked,
)
"""The derivative of the determinant, `det(a) inv(a).mT` where `a` has an inverse, and its limit where not."""

det = irregular(
    "det",
    lambda xp, a: xp.linalg.det(a),
    pushforward=lambda call, tangents: _contracted(cofactor(call.primals[0]), tangents[0]),
    pullback=lambda call, g, needs: (_scaled(g, cofactor(call.primals[0])),),
    keeps=(frozenset(("a",)),),
    examples=_stacked,
)


def _slogdet(xp: Any, a: Any) -> Any:
    return xp.stack(tuple(xp.linalg.slogdet(a)), axis=-1)


def _logarithm(shape: Shape) -> tuple[Any, ...]:
    return (*(slice(None),) * (len(shape) - 1), 1)


def _push_slogdet(call: Call, tangents: Any) -> Any:
    slope = _contracted(inv(call.primals[0]).mT, tangents[0])
    shape = (*slope.shape, 2)
    return scatter_index(slope, index=_logarithm(shape), shape=shape)


slogdet = irregular(
    "slogdet",
    _slogdet,
    pushforward=_push_slogdet,
    pullback=lambda call, g, needs: (_scaled(getitem(g, index=_logarithm(g.shape)), inv(call.primals[0]).mT),),
    keeps=(frozenset(("a",)),),
    examples=_stacked,
)
"""Sign and logarithm of the magnitude of the determinant, `[..., 2]`, of one factorisation. The sign has no derivative."""


# factors


def _cholesky(xp: Any, a: Any) -> Any:
    return _checked("cholesky", _INDEFINITE, lambda: xp.linalg.cholesky((a + a.mT) / 2))


def _lower_half(t: Any) -> Any:
    """The lower triangle of `t` with half its diagonal: what `l` is, where `t = l + l.mT`."""
    n = t.shape[-1]
    row, column = np.arange(n)[:, None], np.arange(n)
    return t * np.where(row > column, 1, np.where(row == column, 0.5, 0)).astype(t.dtype)


def _push_cholesky(call: Call, tangents: Any) -> Any:
    (t,), factor = tangents, call.out
    left = solve_triangular(factor, (t + t.mT) / 2, upper=False)
    return _product(factor, _lower_half(solve_triangular(factor, left.mT, upper=False)))


def _pull_cholesky(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    factor = call.out.mT
    inner = _lower_half(_product(factor, g))
    left = solve_triangular(factor, inner + inner.mT, upper=True)
    return (solve_triangular(factor, left.mT, upper=True) / 2,)


cholesky = irregular(
    "cholesky",
    _cholesky,
    pushforward=_push_cholesky,
    pullback=_pull_cholesky,
    keeps=(frozenset(("out",)),),
    examples=_stacked,
)
"""The lower triangular `l` with `l @ l.mT = a`, for the symmetric part of `a`."""
