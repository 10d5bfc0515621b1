"""Checks of first derivatives by both engines on numpy arrays: Jacobians, products with them, gradients, layouts, float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import dualdiff
import revdiff
from compare.check.engines import GRADIENTS, JACOBIANS
from compare.check.excuses import not_smooth
from compare.check.trial import Trial
from diffcore import ops
from diffcore.testing import CheckFailed, check_jacobian, expect_close, unchanged

FIRST = 1e-12
"""Tolerance of first derivatives in float64."""


def jacobians_by(engine: str) -> Callable[[Trial], None]:
    """The Jacobian by every way of an engine is the reference's, and so is a product with it."""
    own = {name: transform for name, (of, transform) in JACOBIANS.items() if of == engine}
    product = {"revdiff": _vjp, "dualdiff": _jvp}[engine]

    def check(trial: Trial) -> None:
        for name, transform in own.items():
            check_jacobian(name, transform, trial.row, trial.operands(), trial.jacobian, tolerance=FIRST)
        product(trial)

    return check


def gradients_by(engine: str) -> Callable[[Trial], None]:
    """The gradient by every way of an engine is the reference's."""
    own = {name: transform for name, (of, transform) in GRADIENTS.items() if of == engine}

    def check(trial: Trial) -> None:
        operands = trial.operands()
        for name, transform in own.items():
            with unchanged(f"{trial.id} {name}", list(operands)):
                found = transform(trial.scalar(), trial.variables)(*operands)
            expect_close(f"{trial.id}: gradient by {name}", found, trial.gradient, FIRST * trial.precision)

    return check


def _vjp(trial: Trial) -> None:
    """`revdiff.vjp` returns the value and the product of a cotangent with the Jacobian."""
    primals, cotangent = trial.primals, trial.cotangent
    with unchanged(trial.id, [*primals, cotangent]):
        out, pullback = revdiff.vjp(trial.of_variables(trial.function), *primals)
        pulled = pullback(cotangent)
    expect_close(f"{trial.id}: value of vjp", out, trial.value, 0)
    expect_close(f"{trial.id}: vjp", pulled, tuple(np.tensordot(cotangent, block, cotangent.ndim) for block in trial.jacobian), FIRST)


def _jvp(trial: Trial) -> None:
    """`dualdiff.jvp` returns the value and the product of the Jacobian with a tangent."""
    primals = trial.primals
    with unchanged(trial.id, [*primals, *trial.along]):
        out, tangent = dualdiff.jvp(trial.of_variables(trial.function), primals, trial.along)
    expect_close(f"{trial.id}: value of jvp", out, trial.value, 0)
    expected = sum(np.tensordot(block, v, v.ndim) for block, v in zip(trial.jacobian, trial.along, strict=True))
    expect_close(f"{trial.id}: jvp", tangent, expected, FIRST)


def laid_out(name: str) -> Callable[[Trial], None]:
    """Value and gradient do not depend on how the operands lie in memory."""
    _, transform = GRADIENTS[name]

    def check(trial: Trial) -> None:
        operands = replace(trial.row, strided=True).operands()
        expect_close(f"{trial.id}: value with gaps between elements", trial.function(*operands), trial.value, FIRST * trial.precision)
        found = transform(trial.scalar(), trial.variables)(*operands)
        expect_close(f"{trial.id}: gradient by {name} with gaps between elements", found, trial.gradient, FIRST * trial.precision)

    return check


def already_laid_out(trial: Trial) -> str:
    """Rows with a derivative whose operands can lie otherwise than they do."""
    if not trial.has_derivative:
        return "no derivative"
    if trial.row.contiguous:
        return "must not have gaps"
    return "laid out with gaps already" if trial.row.strided else ""


def without_examples(trial: Trial) -> str:
    """Smooth rows whose first variable has an axis of examples."""
    return not_smooth(trial) or ("" if trial.operands()[trial.variables[0]].ndim else "no axis of examples")


def behind_a_layer(trial: Trial) -> None:
    """Directions seeded on activations come through as they should: a kernel that says it keeps examples apart does.

    Each example of the first variable is scaled by parameters that the examples share; the derivative by these is the reference's.
    """
    at, operands = trial.variables[0], trial.operands()
    shared = np.asarray(trial.row.rng.uniform(0.95, 1.05, operands[at].shape[1:]))

    def behind(parameters: Any) -> Any:
        return trial.function(*(ops.mul(x, parameters) if i == at else x for i, x in enumerate(operands)))

    expected = revdiff.jacobian(behind)(shared)
    found = dualdiff.jacobian(behind, seeding="activations")(shared)
    expect_close(f"{trial.id}: Jacobian by activations behind a layer", found, expected, FIRST)


def float32_by(engine: str) -> Callable[[Trial], None]:
    """In float32 value and derivatives stay float32, and are float64's to six digits."""
    gradients = {name: transform for name, (of, transform) in GRADIENTS.items() if of == engine}
    jacobians = {name: transform for name, (of, transform) in JACOBIANS.items() if of == engine}

    def check(trial: Trial) -> None:
        operands = trial.operands(np.float32)
        value = trial.function(*operands)
        if value.dtype != np.float32:
            raise CheckFailed(f"{trial.id}: the value of float32 operands has dtype {value.dtype}")
        unit = 1e-5 * max(1, *(float(np.abs(x).max(initial=0, where=np.isfinite(x))) for x in operands))
        for name, transform in gradients.items():
            found = transform(trial.scalar(), trial.variables)(*operands)
            _expect_float32(f"{trial.id}: gradient by {name}", found)
            expect_close(f"{trial.id}: gradient by {name} in float32", _widened(found), trial.gradient, unit)
        for name, transform in jacobians.items():
            _expect_float32(f"{trial.id}: Jacobian by {name}", transform(trial.function, trial.variables)(*operands))

    return check


def _expect_float32(what: str, found: Any) -> None:
    kinds = {str(block.dtype) for block in found}
    if kinds - {"float32"}:
        raise CheckFailed(f"{what}: dtype {', '.join(sorted(kinds))} for operands of float32")


def _widened(arrays: Any) -> Any:
    return tuple(np.asarray(x, np.float64) for x in arrays)
