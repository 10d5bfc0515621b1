"""Functional transforms of forward mode: `jvp`, `value_and_grad`, `grad`, `jacobian`, `forward_gradient`, `hvp`, `hessian`.

Each takes a fresh level, so they nest in each other and in those of `revdiff` in any order. Arrays in, arrays out, on numpy and on jax
(also under `jax.jit`); tensors of an outer transform in, tensors of that transform out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import is_array, namespace, random
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import new_level
from diffcore.ledger import did, label, state
from diffcore.seeds import array_under, ones_of, zeros_of
from diffcore.sparsity import Patterns, detected_twice
from diffcore.structured import check_options
from diffcore.transforms import (
    Arguments,
    along,
    arguments_of,
    as_primal,
    aux_of,
    check_alike,
    positions,
    results,
    scalar_of,
    value_and_aux,
    variable_primal,
)
from diffcore.whole import whole
from dualdiff import collecting
from dualdiff.forms import contract
from dualdiff.jacobians import columns_of, sparse_jacobian
from dualdiff.plans import Plans, Run, below, call, seeded
from dualdiff.seeding import Directions
from dualdiff.tensor import Tensor, tangent_of


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`function(*primals)` and its directional derivative `J tangents`, in one pass; both have the structure of the result.

    **Arguments:** `primals`, `tangents`: tuples of arrays or of nested structures of arrays, equal in structure, shapes and floating dtype.
    `None` in place of a tangent (or of a structure of them) is a symbolic zero: that primal is a constant, which costs nothing, and whole
    arguments of any kind may be left constant so. An array of zeros is a direction like any other: values are never looked at.
    What `function` returns may hold whole numbers and booleans, whose tangent is zero. Raises `TypeError` when primals and tangents are not
    tuples or lists, `GradientError` when they do not match, and for a result that holds anything else than numbers.
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise TypeError(
            f"primal and tangent arguments to jvp must be tuples or lists; found {type(primals).__name__} and {type(tangents).__name__}"
        )
    return _jvp("jvp", function, primals, tangents)


def _jvp(transform: str, function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`jvp` as part of `transform`, which is what errors speak of."""
    moving = list(range(len(primals)))
    if len(tangents) == len(primals) and any(t is None for t in tangents):
        moving = [i for i in moving if tangents[i] is not None]
        tangents = [tangents[i] for i in moving]
    arguments = Arguments(transform, tuple(primals), tuple(moving))
    given = arguments.unpack(tangents, f"{transform}: the tangents must be like the primals", missing=True)
    given = [None if t is None else _direction(transform, t, p) for t, p in zip(given, arguments.primals, strict=True)]
    level, seed = new_level(), Directions(0)
    variables = [Tensor(p, level, None if t is None else {seed: t}) for p, t in zip(arguments.primals, given, strict=True)]
    outs, build = results(transform, call(function, arguments, variables, level), constants=True)
    pushed = [tangent_of(y, seed) if isinstance(y, Tensor) and y.level == level else zeros_of(as_primal(y)) for y in outs]
    return build([below(y, level) for y in outs]), build(pushed)


def _direction(transform: str, tangent: Any, primal: Any) -> Any:
    """A tangent of `primal`, of its shape and dtype; a Python float takes that dtype."""
    given = np.asarray(tangent, primal.dtype) if isinstance(tangent, float) else variable_primal(tangent, transform)
    check_alike(transform, "shapes", tuple(given.shape), tuple(primal.shape))
    check_alike(transform, "dtypes", given.dtype, primal.dtype)
    return given


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    seeding: str = "auto",
    memory: int | str | None = None,
) -> Callable[..., tuple[Any, Any]]:
    """The function that returns `(function(*args), gradient)` for a scalar-valued `function`; arguments as for `revdiff.value_and_grad`.

    **Arguments:** `seeding`: `"parameters"`, one direction per scalar variable (the textbook's `n x m`); `"activations"`, one per
    feature of each result that is linear in variables, collected by that kernel's adjoint; `"auto"`, per variable whichever costs fewer
    operations to carry to the end, worked out from shapes when arguments like these are met again (at first, whichever has fewer
    directions).
    `memory`: a bound in bytes (or `"64MB"`) on what tangents and gradients add to the primal pass; directions run in chunks, and the primal
    is evaluated anew for each. The chunks are planned at the first call and kept for calls with arguments of the same shapes, dtypes
    and modes. Raises `MemoryBudgetError` stating the least that would do.
    """
    return _value_and_grad("value_and_grad", function, argnums, has_aux, seeding, memory)


def _value_and_grad(
    transform: str,
    function: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool = False,
    seeding: str = "auto",
    memory: int | str | None = None,
) -> Callable[..., tuple[Any, Any]]:
    """`value_and_grad` as part of `transform`, which is what errors speak of."""
    argnums = positions(transform, argnums)
    plans = Plans(function, seeding, memory, gathers=True)

    def differentiated(*args: Any) -> tuple[Any, Any]:
        arguments = arguments_of(transform, args, argnums)
        value, aux, gradients = plans.evaluate(arguments, lambda runs: _accumulated(function, arguments, runs, has_aux))
        taken: set[int] = set()
        found = zip(gradients, arguments.primals, strict=True)
        shaped = [zeros_of(p) if g is None else collecting.owned(_shaped(g, p), taken) for g, p in found]
        if state.ledger is not None:
            did("step", "dualdiff")
            for g in shaped:
                label(g, "gradient")
        return ((value, aux) if has_aux else value), arguments.pack(shaped)

    return differentiated


def _accumulated(
    function: Callable[..., Any], arguments: Arguments, runs: Iterable[Run], has_aux: bool
) -> tuple[Any, Any, list[Any]]:
    """The value of `function`, its second result, and the gradient of each variable as the sum of what the runs find."""
    gradients: list[Any] = [None] * len(arguments.primals)
    taken: set[int] = set()
    value = aux = None
    for run in runs:
        level = new_level()
        variables, seeds = seeded(arguments, level, run.seeding, lift=True)
        out = run.call(function, arguments, variables, level)
        out, aux = value_and_aux(arguments.transform, out) if has_aux else (out, None)
        value = below(scalar_of(arguments.transform, out), level)
        found = collecting.by_variable((out.carried or {}) if _is_of(out, level) else {}, value, cotangent=collecting.ONE)
        out = None  # or its tangents would live until the next run has its own
        for i, seed in enumerate(seeds):
            for own in dict.fromkeys((seed, seed.whole)):
                if own in found:
                    gradients[i] = collecting.added(gradients[i], own, found.pop(own), (), taken)
    return value, aux_of(aux, lambda y: below(y, level)) if has_aux else None, gradients


def _is_of(out: Any, level: int) -> bool:
    return isinstance(out, Tensor) and out.level == level


def _shaped(gradient: Any, primal: Any) -> Any:
    """`gradient` in the shape and dtype of `primal`."""
    gradient = gradient.reshape(tuple(primal.shape))
    return gradient if gradient.dtype == primal.dtype else gradient.astype(primal.dtype)


def grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, seeding: str = "auto", memory: int | str | None = None
) -> Callable[..., Any]:
    """The function that returns the gradient of a scalar-valued `function`; see `value_and_grad`."""
    return _grad("grad", function, argnums, seeding, memory)


def _grad(
    transform: str, function: Callable[..., Any], argnums: int | Sequence[int], seeding: str = "auto", memory: int | str | None = None
) -> Callable[..., Any]:
    both = _value_and_grad(transform, function, argnums, seeding=seeding, memory=memory)
    return lambda *args: both(*args)[1]


class ForwardGradient(NamedTuple):
    """What `forward_gradient` returns: the value, an unbiased estimate of the gradient, and the estimate's total variance.

    `variance` is the expected squared distance of the estimate from the gradient, itself estimated without bias from the same directions.
    """

    value: Any
    gradient: Any
    variance: Any


def forward_gradient(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, directions: int = 1, rng: Any = None
) -> Callable[..., ForwardGradient]:
    """The function that estimates the gradient of a scalar-valued `function` from random directions, in one forward pass.

    For `v ~ N(0, I)`, `E[(grad . v) v] = grad`; the estimate is the mean over `directions` draws, and its variance is
    `(n + 1) |grad|^2 / directions` for `n` variables (Baydin, Pearlmutter, Syme, Wood, Torr 2022, "Gradients without backpropagation").

    **Arguments:** `rng`: a `numpy.random.Generator`, a seed, a jax key (needed for new draws under `jax.jit`), or `None` for the shared
    generator.
    """
    argnums, k = positions("forward_gradient", argnums), whole(directions, least=1)
    if k is None:
        raise ValueError(f"forward_gradient: `directions` (={directions!r}) must be a positive integer")

    def estimate(*args: Any) -> ForwardGradient:
        arguments = Arguments("forward_gradient", args, argnums)
        drawn = _normal_directions(arguments.primals, k, rng)
        level, seed = new_level(), Directions(1)
        variables = [Tensor(p, level, {seed: v}) for p, v in zip(arguments.primals, drawn, strict=True)]
        out = scalar_of("forward_gradient", call(function, arguments, variables, level))
        value = below(out, level)
        own = isinstance(out, Tensor) and out.level == level and seed in out.tangents
        slopes = contract(out.tangents[seed], seed, ones_of(value), tuple(value.shape)) if own else zeros_of(value, (k,))
        estimates = [(slopes @ v.reshape((k, -1))).reshape(tuple(v.shape[1:])) / k for v in drawn]
        n = sum(math.prod(p.shape) for p in arguments.primals)
        return ForwardGradient(value, arguments.pack(estimates), (n + 1) * (slopes * slopes).sum() / k**2)

    return estimate


def _normal_directions(primals: list[Any], k: int, rng: Any) -> list[Any]:
    """Standard normal directions `[k, *shape]` per variable, on its backend."""
    arrays = [array_under(p) for p in primals]
    seed = whole(rng, least=0)
    if is_array(rng) and seed is None:
        import jax

        keys = jax.random.split(rng, len(arrays))
        return [jax.random.normal(key, (k, *a.shape), a.dtype) for key, a in zip(keys, arrays, strict=True)]
    if rng is not None and seed is None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"forward_gradient: `rng` (={rng!r}) must be a numpy.random.Generator, a seed of 0 or more, a jax key or None")
    generator = random.default_generator() if rng is None else np.random.default_rng(rng if seed is None else seed)
    return [_drawn((k, *a.shape), a, generator) for a in arrays]


def _drawn(shape: tuple[int, ...], like: Any, generator: Any) -> Any:
    """Standard normal numbers in the dtype and on the backend of `like`."""
    if isinstance(like, AbstractArray):
        return AbstractArray(shape, np.float64).astype(like.dtype)  # as they are drawn
    drawn = random.normal(shape, like.dtype, generator, like)
    xp = namespace((like,))
    return drawn if xp is np else xp.asarray(drawn)


def hvp(function: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of a scalar-valued `function` at `primals`, times `tangents`: forward over forward.

    **Arguments:** `primals`: one array, or a tuple of the function's arguments; `tangents`: the same structure, `None` for zeros. Returns
    the structure of `primals`.
    """
    points, directions = along(primals, tangents)
    result = _jvp("hvp", _grad("hvp", function, tuple(range(len(points)))), points, directions)[1]
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
        return columns_of("hessian", _grad("hessian", function, argnums), argnums)
    patterns = Patterns("hessian", sparsity, lambda arguments: detected_twice(function, arguments))
    return sparse_jacobian(_grad("hessian", function, argnums), argnums, patterns, check)
