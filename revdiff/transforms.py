"""Functional transforms of reverse mode: `vjp`, `value_and_grad`, `grad`, `jacobian`, `hvp`, `hessian`.

Each takes a fresh level, so they nest in each other and in those of `dualdiff` in any order. Arrays in, arrays out, on numpy and on jax
(also under `jax.jit`); tensors of an outer transform in, tensors of that transform out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from diffcore import tree
from diffcore.ledger import did, label
from diffcore.seeds import ones_of, zeros_of
from diffcore.sparsity import Patterns, detected_twice
from diffcore.structured import check_options
from diffcore.tensor import check_cotangent, own_memory
from diffcore.transforms import Arguments, along, arguments_of, as_primal, aux_of, check_alike, positions, results, scalar_of, value_and_aux
from diffcore.watch import watch
from revdiff import tape
from revdiff.jacobians import rows_of, sparse_jacobian
from revdiff.runs import below, pull, run
from revdiff.tensor import Tensor


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`function(*primals)` and the map from a cotangent of it to `J^T cotangent`, one per primal, in the structure of the primals.

    **Arguments:** `primals`: arrays, or nested structures of arrays, floating point. The returned function can be called many times.
    What `function` returns may hold whole numbers and booleans, whose derivative is zero. Raises `GradientError` for integer primals, for a
    result that holds anything else than numbers, and for a cotangent of another shape than the result.
    """
    arguments = Arguments("vjp", primals, tuple(range(len(primals))))
    out, leaves, level = run(function, arguments)
    outs, build = results("vjp", out, constants=True)
    values = [below(y, level) for y in outs]

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        given = [as_primal(g) for g in tree.leaves_as(cotangent, out, "vjp: the cotangent must be like the result")]
        for value, g in zip(values, given, strict=True):
            check_cotangent(value, g)
        found = pull(outs, given, level)
        taken = {id(g) for g in given}
        return arguments.pack(_gradients(found, leaves, arguments, taken))

    return build(values), pullback


_base = attrgetter("base")
_ARRAYS, _OWNERS = {np.ndarray}, {type(None)}
_ONES = {kind: kind(1) for kind in (np.float32, np.float64)}
"""The cotangent of a loss that is a number of numpy's, by its type: nearly always it is one, and then nothing is left to be checked."""


def _gradients(found: dict[Any, Any], leaves: Sequence[tape.Node], arguments: Arguments, taken: set[int]) -> list[Any]:
    """One gradient per variable, zeros where no cotangent arrived; numpy arrays share memory neither with each other nor with `taken`."""
    gradients = list(map(found.get, leaves))
    ours = set(map(id, gradients))
    # Nearly always every variable has an array of its own, which is seen without a step of Python per variable.
    if len(ours) < len(leaves) or taken & ours or {*map(type, gradients)} != _ARRAYS or {*map(type, map(_base, gradients))} != _OWNERS:
        gradients = [zeros_of(p) if g is None else own_memory(g, taken) for g, p in zip(gradients, arguments.primals, strict=True)]
    taken |= ours
    return gradients


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The function that returns `(function(*args), gradient)` for a scalar-valued `function`.

    The gradient is taken with respect to the positional arguments `argnums`: for a `Module` a dict from parameter name to array, for a
    structure of arrays the same structure. Other arrays reach `function` as constant tensors. With `has_aux`, `function` returns
    `(scalar, aux)` and the value is that pair. Raises `GradientError` for a result that is not one scalar and for integer arguments.
    """
    return _value_and_grad("value_and_grad", function, argnums, has_aux)


def _value_and_grad(
    transform: str, function: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """`value_and_grad` as part of `transform`, which is what errors speak of."""
    argnums = positions(transform, argnums)

    def differentiated(*args: Any) -> tuple[Any, Any]:
        arguments = arguments_of(transform, args, argnums)
        out, leaves, level = run(function, arguments)
        out, aux = value_and_aux(transform, out) if has_aux else (out, None)
        node = one = None
        if type(out) is Tensor and out.level == level:
            value, node = out.primal, out.carried
            one = _ONES.get(type(value)) or ones_of(scalar_of(transform, out).primal)
        else:
            value = as_primal(scalar_of(transform, out))
        found = {} if node is None else tape.backward((node,), (one,))
        gradients = _gradients(found, leaves, arguments, set())
        if watch.count:
            did("step", "revdiff")
            for g in gradients:
                label(g, "gradient")
        result = arguments.pack(gradients)
        return ((value, aux_of(aux, lambda y: below(y, level))) if has_aux else value), result

    return differentiated


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that returns the gradient of a scalar-valued `function`; see `value_and_grad`."""
    return _grad("grad", function, argnums)


def _grad(transform: str, function: Callable[..., Any], argnums: int | Sequence[int]) -> Callable[..., Any]:
    both = _value_and_grad(transform, function, argnums)
    return lambda *args: both(*args)[1]


def hvp(function: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of a scalar-valued `function` at `primals`, times `tangents`: reverse over reverse.

    **Arguments:** `primals`: one array, or a tuple of the function's arguments; `tangents`: the same structure, `None` for zeros. Returns
    the structure of `primals`.
    """
    points, directions = along(primals, tangents)
    arguments = Arguments("hvp", points, tuple(range(len(points))))
    given = arguments.unpack(directions, "hvp: the tangents must be like the primals", missing=True)
    for t, p in zip(given, arguments.primals, strict=True):
        if t is not None:
            check_alike("hvp", "shapes", tuple(np.shape(as_primal(t))), tuple(p.shape))
    given = arguments.pack([zeros_of(p) if t is None else t for t, p in zip(given, arguments.primals, strict=True)])
    moving = tuple(i for i, t in enumerate(directions) if t is not None)
    # Of the gradient only what has a direction is differentiated; of no part of it, the result is zero.
    result = vjp(_grad("hvp", function, moving), *points)[1](tuple(given[i] for i in moving)) if moving else given
    return result if isinstance(primals, tuple) else result[0]


def hessian(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, sparsity: Any = None, check: bool = False
) -> Callable[..., Any]:
    """The function that returns all second derivatives of a scalar-valued `function`: `jacobian` of `grad`, `[*input, *input]`.

    `sparsity` and `check` as for `jacobian`: the pattern of the Hessian (elements, elements) of one array; `"auto"` finds it as
    `hessian_sparsity` does.
    """
    argnums = positions("hessian", argnums)
    if sparsity is None:
        check_options(False, "dense", None, check)
        return rows_of("hessian", _grad("hessian", function, argnums), argnums)
    patterns = Patterns("hessian", sparsity, lambda arguments: detected_twice(function, arguments))
    return sparse_jacobian(_grad("hessian", function, argnums), argnums, patterns, check)
