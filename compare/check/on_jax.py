"""Checks on jax arrays, and jax as an outside oracle. The rows of a kernel share one compilation, which is what takes the time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from compare.check.engines import GRADIENTS, JACOBIANS
from compare.check.first_order import FIRST
from compare.check.second_order import SECOND
from compare.check.trial import Trial, trial
from diffcore.errors import DiffError
from diffcore.testing import CheckFailed, expect_close
from diffcore.testing.scenarios import rows_of

VALUE = 1e-14
"""Tolerance of values in float64 between libraries."""
TRACED = {"revdiff": ("revdiff", "revdiff"), "dualdiff": ("dualdiff by auto", "dualdiff by activations")}
"""Engine -> the names of the Jacobian and the gradient that are traced."""
LEAST_UNDER_JIT, MOST_UNDER_JIT = 4, 12
"""A third of a kernel's smooth rows goes through the engines under jit, within these bounds."""
JACOBIANS_BY_JAX, HESSIANS_BY_JAX = 12, 4
"""Of how many of a kernel's smooth rows jax takes first and second derivatives."""
EAGER = frozenset(
    (
        "mul-rows and columns",
        "relu-matrix",
        "pow-repeated operand",
        "getitem-arrays apart",
        "gather-first axis",
        "max-last",
        "logsumexp-last",
        "log_softmax-last",
        "matmul-stack times matrix",
        "linear-two layers",
        "cross_entropy-batch mean",
        "conv-groups",
        "max_pool-plane",
        "window_sum-mean of a plane",
        "normalise-batch, lines",
    )
)
"""Rows that are also run without `jit`, where each new operation and shape is compiled by itself."""


class Place(NamedTuple):
    """Which of a kernel's smooth rows a row is, of how many: they share a compilation, whose time grows with what is in it."""

    number: int
    of: int

    def among(self, most: int) -> bool:
        """Whether this is one of `most` rows, spread evenly over all."""
        return (self.number + 1) * most // self.of > self.number * most // self.of


Program = Callable[[Trial, Place, Any], Any]


@cache
def _quickest() -> dict[str, Any]:
    """What makes XLA compile quickly, which takes far longer here than to run: a third of the time without fusion emitters."""
    import jax

    plain: dict[str, Any] = {"xla_backend_optimization_level": 0}
    quicker = {**plain, "xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
    try:
        jax.jit(lambda x: x + 1, compiler_options=quicker)(1.0)
    except jax.errors.JaxRuntimeError:  # a release that does not know one of them
        return plain
    return quicker


def _compiled(function: Callable[..., Any], operands: Any) -> Any:
    import jax

    return jax.jit(function, compiler_options=_quickest())(operands)


def _together(kernel: str, program: Program, wanted: Callable[[Trial], bool]) -> dict[str, Any]:
    """`program(trial, place, operands)` of every row of `kernel`, compiled in one: row name -> what it gave, or the error it raised."""
    trials = [t for t in map(trial, rows_of(kernel)) if wanted(t)]
    smooth = [t for t in trials if t.smooth]
    places = [Place(smooth.index(t) if t.smooth else 0, max(len(smooth), 1)) for t in trials]

    def everything(operands: Any) -> list[Any]:
        return [program(t, place, xs) for t, place, xs in zip(trials, places, operands, strict=True)]

    try:
        found = _compiled(everything, [t.operands() for t in trials])
    except Exception:  # one row breaks all; which one it is shows when each is compiled by itself
        return {t.id: _alone(t, place, program) for t, place in zip(trials, places, strict=True)}
    return {t.id: result for t, result in zip(trials, found, strict=True)}


def _alone(t: Trial, place: Place, program: Program) -> Any:
    try:
        return _compiled(lambda operands: program(t, place, operands), t.operands())
    except Exception as error:  # whatever it is, it is what the check has to tell
        return error


def _result(found: dict[str, Any], t: Trial) -> Any:
    result = found[t.id]
    if isinstance(result, Exception):
        raise CheckFailed(f"{t.id}: on jax {type(result).__name__}: {str(result).splitlines()[0] if str(result) else ''}") from result
    return result


# the engines on jax arrays


def _by_engine(engine: str) -> Program:
    jacobian, gradient = (table[name][1] for table, name in zip((JACOBIANS, GRADIENTS), TRACED[engine], strict=True))

    def program(t: Trial, place: Place, operands: Any) -> Any:
        found: dict[str, Any] = {}
        if t.smooth and not place.among(min(max(place.of // 3, LEAST_UNDER_JIT), MOST_UNDER_JIT)):
            return found
        if t.has_derivative:
            found["gradient"] = gradient(t.scalar(), t.variables)(*operands)
        if t.smooth:
            found["jacobian"] = jacobian(t.function, t.variables)(*operands)
        if engine == "revdiff" or not t.has_derivative:
            found["value"] = t.function(*operands)
        return found

    return program


@lru_cache(maxsize=4)
def _traced(kernel: str, engine: str) -> dict[str, Any]:
    return _together(kernel, _by_engine(engine), lambda t: not t.row.strided or not t.smooth)


def already_strided(t: Trial) -> str:
    """Rows that are not merely another layout in memory, which jax does not have."""
    return "a layout of numpy's" if t.row.strided and t.smooth else ""


def under_jit(engine: str) -> Callable[[Trial], None]:
    """Under `jax.jit` value, Jacobian and gradient are numpy's."""

    def check(t: Trial) -> None:
        found = _result(_traced(t.row.kernel, engine), t)
        if "value" in found:
            expect_close(f"{t.id}: value under jit", found["value"], t.value, VALUE if t.has_derivative else 0)
        if "gradient" in found:
            tolerance = FIRST if t.row.smooth else VALUE * t.precision
            expect_close(f"{t.id}: gradient under jit by {engine}", found["gradient"], t.gradient, tolerance)
        if "jacobian" in found:
            expect_close(f"{t.id}: Jacobian under jit by {engine}", found["jacobian"], t.jacobian, FIRST)

    return check


def not_eager(t: Trial) -> str:
    """A row of each kind."""
    return "" if t.id in EAGER else "run under jit alone"


def eager(engine: str) -> Callable[[Trial], None]:
    """On jax arrays without `jit` the Jacobian is numpy's, and made of jax arrays."""
    name = TRACED[engine][0]

    def check(t: Trial) -> None:
        import jax

        found = JACOBIANS[name][1](t.function, t.variables)(*(jax.numpy.asarray(x) for x in t.operands()))
        if not all(isinstance(block, jax.Array) for block in found):
            raise CheckFailed(f"{t.id}: the Jacobian by {name} of jax arrays is not all jax arrays")
        expect_close(f"{t.id}: Jacobian on jax by {name}", found, t.jacobian, FIRST)

    return check


# jax as an oracle


def _by_jax(t: Trial, place: Place, operands: Any) -> Any:
    """Value (of the reference, where there is one) and derivatives (of our ops on jax's arrays) by jax alone."""
    import jax

    found = {"value": t.function(*operands) if t.row.reference is None else t.row.reference(jax, *operands)}
    if not t.smooth:
        return found
    if place.among(JACOBIANS_BY_JAX):
        found["jacobian"] = jax.jacrev(t.function, t.variables)(*operands)
    if place.among(HESSIANS_BY_JAX):
        found["hessian"] = jax.hessian(t.scalar(), t.variables)(*operands)
    return found


@lru_cache(maxsize=4)
def _oracle(kernel: str) -> dict[str, Any]:
    return _together(kernel, _by_jax, lambda t: not beyond_jax(t))


def beyond_jax(t: Trial) -> str:
    """Rows of which jax has something to say."""
    if t.smooth:
        return already_strided(t)
    return "" if t.row.reference is not None else "at a kink" if t.has_derivative else "no such function in jax"


def by_jax(t: Trial) -> None:
    """jax computes the same value, and differentiates the same program to the same Jacobian and second derivatives."""
    found = _result(_oracle(t.row.kernel), t)
    expect_close(f"{t.id}: value by jax", t.value, found["value"], VALUE)
    for quantity, tolerance in (("jacobian", FIRST), ("hessian", SECOND)):
        if quantity in found:
            expect_close(f"{t.id}: {quantity} by jax", getattr(t, quantity), found[quantity], tolerance)


def shapes_by_jax(t: Trial) -> None:
    """Shape and dtype on jax are numpy's."""
    import jax

    try:
        expected = jax.eval_shape(t.function, *t.operands())
    except DiffError as error:
        raise CheckFailed(f"{t.id}: on jax {error}") from error
    if (tuple(expected.shape), np.dtype(expected.dtype)) != (t.value.shape, t.value.dtype):
        raise CheckFailed(f"{t.id}: on jax {expected.dtype}{expected.shape}, on numpy {t.value.dtype}{t.value.shape}")
