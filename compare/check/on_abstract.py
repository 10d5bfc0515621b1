"""Checks on abstract arrays: shape, dtype and aliasing are numpy's, through every derivative, and no value is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compare.check.engines import GRADIENTS, JACOBIANS, NESTINGS
from compare.check.trial import Trial
from diffcore import tree
from diffcore.arrays.abstract import AbstractArray
from diffcore.testing import CheckFailed


def abstract(x: Any) -> AbstractArray:
    """`x` without its values: same shape, dtype and strides."""
    return AbstractArray(x.shape, x.dtype, strides=x.strides)


def values(t: Trial) -> None:
    """The value, and every kernel call by itself, has numpy's shape and dtype, and shares memory with what it shares it with in numpy."""
    _value(t)
    _calls(t)


def _value(t: Trial) -> None:
    for dtype in (np.float64, np.float32):
        operands = t.operands(dtype)
        shadows = [abstract(x) for x in operands]
        out, shadow = t.function(*operands), t.function(*shadows)
        _expect_alike(f"{t.id}: value in {np.dtype(dtype)}", shadow, out)
        for i, (s, x) in enumerate(zip(shadows, operands, strict=True)):
            _expect_sharing(f"{t.id}: value and operand {i}", shadow, s, out, x)


def _calls(t: Trial) -> None:
    for call in t.calls:
        arrays = [i for i, x in enumerate(call.primals) if isinstance(x, np.ndarray | np.generic)]
        shadows = [abstract(x) if i in arrays else x for i, x in enumerate(call.primals)]
        out = call.kernel.compute(np, *shadows, **call.params)
        _expect_alike(f"{t.id}: {call.kernel.name}", out, call.out)
        for i in arrays:
            _expect_sharing(f"{t.id}: {call.kernel.name} and operand {i}", out, shadows[i], call.out, call.primals[i])


def derivatives(engine: str) -> Callable[[Trial], None]:
    """Jacobians and gradients by an engine have numpy's shapes and dtypes."""
    jacobians = {name: transform for name, (of, transform) in JACOBIANS.items() if of == engine and "chunks" not in name}
    gradients = {name: transform for name, (of, transform) in GRADIENTS.items() if of == engine}

    def check(t: Trial) -> None:
        operands, shadows = t.operands(), [abstract(x) for x in t.operands()]
        for name, transform in jacobians.items():
            derivative = transform(t.function, t.variables)
            _expect_alike(f"{t.id}: Jacobian by {name}", derivative(*shadows), derivative(*operands))
        for name, transform in gradients.items():
            derivative = transform(t.scalar(squared=True), t.variables)
            _expect_alike(f"{t.id}: gradient by {name}", derivative(*shadows), derivative(*operands))

    return check


def second_derivatives(t: Trial) -> None:
    """All second derivatives, in the four nestings, have numpy's shapes and dtypes."""
    operands, shadows = t.operands(), [abstract(x) for x in t.operands()]
    for name, (_, hessians) in NESTINGS.items():
        hessian = next(iter(hessians.values()))(t.scalar(), t.variables)
        _expect_alike(f"{t.id}: {name}", hessian(*shadows), hessian(*operands))


def _expect_alike(what: str, found: Any, expected: Any) -> None:
    given, wanted = tree.flatten(found)[0], tree.flatten(expected)[0]
    real = [x for x in given if not isinstance(x, AbstractArray)]
    if real:
        raise CheckFailed(f"{what}: {type(real[0]).__name__} out of abstract arrays")
    kinds = [[f"{np.dtype(x.dtype)}{tuple(x.shape)}" for x in arrays] for arrays in (given, wanted)]
    if kinds[0] != kinds[1]:
        raise CheckFailed(f"{what}: {', '.join(kinds[0])} on abstract arrays, {', '.join(kinds[1])} on numpy's")


def _expect_sharing(what: str, found: Any, shadow: AbstractArray, out: Any, x: Any) -> None:
    if not isinstance(x, np.ndarray):
        return  # numpy's reductions give numbers instead of arrays without axes; these have no memory to share
    if out.size and (found.storage is shadow.storage) != np.shares_memory(out, x):  # without elements there is nothing to share
        raise CheckFailed(f"{what}: memory is {'shared' if found.storage is shadow.storage else 'not shared'}, unlike in numpy")
