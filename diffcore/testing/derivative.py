"""Whether a kernel's pushforward is the derivative of its `compute`, to about twelve digits.

The derivative is estimated from `compute` alone, by the first of three ways that works for the call:

- *longdouble*: central differences extrapolated to step 0 (Richardson) in extended precision, good to about 1e-15;
- *complex step*: `Im f(x + ih v) / h` for a step so small that it is exact, for analytic functions whose code does not run in extended
  precision (LAPACK's). Squire, Trapp 1998, "Using complex variables to estimate derivatives of real functions";
- *float64*: the extrapolation in float64, good to about 1e-12. A kernel that is left with this needs an outside oracle.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from diffcore.errors import LinAlgError
from diffcore.kernels.record import Call
from diffcore.testing.checks import CheckFailed, active, coarsest_unit, normal_like, push

LONGDOUBLE, COMPLEX, FLOAT64 = "longdouble", "complex step", "float64"
STEPS = (0.02, 1.0, 0.1, 0.004, 0.0008)
"""First steps of the extrapolation: the usual one, a great one (exact for linear kernels), and others for what is left."""
LEVELS = 6
"""Halvings of the step; the error is of order `step ** (2 * LEVELS)`."""
TINY = 1e-30
"""The imaginary step: its square vanishes beside 1, so nothing is cut off and nothing cancels."""
FLOOR = 16 * np.finfo(np.float64).eps
"""What float64 leaves uncertain of a derivative, relative to the value that is differentiated."""
COARSE = 100
"""How much less is asked where only float64 is there."""


class Estimate(NamedTuple):
    """A derivative along one direction, how it was found, and how far it may be off."""

    value: Any
    method: str
    error: float


def extended() -> bool:
    """Whether `numpy.longdouble` is wider than float64 here (on x86 it is; on others it may be the same)."""
    return bool(np.finfo(np.longdouble).eps < np.finfo(np.float64).eps / 100)


def check_derivative(call: Call, rng: np.random.Generator, *, tolerance: float = 1e-12) -> str:
    """The pushforward of `call.kernel`, in each operand, is the derivative of its `compute`. Returns the coarsest method it took.

    The difference allowed is `tolerance` times the largest derivative (for an elementwise kernel: each element's own), and what rounding
    of the value leaves uncertain; so small derivatives are held to as many digits as large ones. Grows with the unit of narrower dtypes.
    """
    operands = active(call)
    if not operands:
        raise CheckFailed(f"{call.kernel.name}: no operand is floating point, so there is no derivative to check")
    units = coarsest_unit(call) / np.finfo(np.float64).eps
    methods = []
    for i in operands:
        tangent = np.clip(normal_like(rng, call.primals[i]), -1, 1)
        found = push(call, {i: tangent})
        best = estimate(call, i, tangent, tolerance)
        methods.append(best.method)
        sizes = np.abs(best.value)
        scale = sizes if call.kernel.partials else sizes.max(initial=0)
        wanted = tolerance * (COARSE if best.method == FLOAT64 else 1)
        allowed = np.asarray(units * (wanted * scale + FLOOR * _largest(call.out)))
        _expect_within(f"{call.kernel.name}: J v in `{call.kernel.names(len(call.primals))[i]}` {call.shapes[i]}", found, best, allowed)
    return max(methods, key=(LONGDOUBLE, COMPLEX, FLOAT64).index)


def _expect_within(what: str, found: Any, best: Estimate, allowed: Any) -> None:
    distance = np.abs(found - best.value)
    wrong = ~(distance <= allowed)  # NaN is wrong too
    if wrong.any():
        at = np.unravel_index(np.argmax(wrong), wrong.shape)
        expected, bound = np.asarray(best.value)[at], np.broadcast_to(allowed, wrong.shape)[at]
        raise CheckFailed(
            f"{what} and its derivative by {best.method} differ: {float(found[at])!r}, expected {float(expected)!r}, "
            f"{float(distance[at]):.3g} apart, allowed {float(bound):.3g}"
        )


def _largest(x: Any) -> float:
    return float(np.abs(x).max(initial=0))


def estimate(call: Call, operand: int, tangent: Any, tolerance: float = 1e-12) -> Estimate:
    """The derivative of `call.kernel.compute` in one operand along `tangent`, without its rules."""
    found = [e for e in _estimates(call, operand, tangent, tolerance) if e is not None]
    return found[-1] if found[-1].error <= tolerance or len(found) == 1 else min(found, key=lambda e: e.error)


def _estimates(call: Call, operand: int, tangent: Any, tolerance: float) -> Iterator[Estimate | None]:
    """Estimates from the sharpest method to the coarsest, until one is sharp enough."""
    if extended():
        wide = _extrapolated(call, operand, tangent, np.longdouble, tolerance)
        yield wide
        if wide is not None and wide.error <= tolerance:
            return
    narrow = _extrapolated(call, operand, tangent, np.float64, tolerance)
    exact = _complex_step(call, operand, tangent)
    if narrow is None:
        raise CheckFailed(f"{call.kernel.name}: its value cannot be computed beside the point of the call")
    # What is not analytic (`abs`, `maximum`) may run on complex numbers all the same, and gives something else.
    if exact is not None and _distance(exact, narrow.value) <= 1e-6 + 10 * narrow.error:
        yield Estimate(exact, COMPLEX, 0.0)
    else:
        yield narrow


def _distance(x: Any, y: Any) -> float:
    """The largest distance relative to the largest element of `y`; infinite where something is not finite."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("inf")
    return float(np.abs(x - y).max(initial=0) / max(_largest(y), np.finfo(np.float64).tiny))


def _extrapolated(call: Call, operand: int, tangent: Any, dtype: Any, tolerance: float) -> Estimate | None:
    """Richardson's extrapolation of central differences in `dtype`, by the step that promises the smallest error."""
    value = _runner(call, operand, tangent, dtype)
    name = FLOAT64 if dtype is np.float64 else LONGDOUBLE
    best: Estimate | None = None
    for step in STEPS:
        column = _last_column(value, dtype(step))
        if column is None:
            return None
        coarse, fine = column
        # Truncation leaves less than they differ by, rounding about as much. Slopes below what the value resolves do not count.
        distance = float(np.abs(fine - coarse).max(initial=0))
        scale = max(_largest(fine), FLOOR * _largest(call.out) / tolerance, np.finfo(np.float64).tiny)
        error = distance / scale if np.isfinite(distance) else float("inf")
        if best is None or error < best.error:
            best = Estimate(_one_more(coarse, fine, LEVELS - 1), name, error)
        if error <= tolerance / 10:
            break
    return best


def _last_column(value: Callable[[Any], Any], step: Any) -> tuple[Any, Any] | None:
    """The last two extrapolations of equal order, or `None` where the value cannot be computed in this dtype."""
    row = []
    for level in range(LEVELS):
        h = step / 2**level
        above, below = value(h), value(-h)
        if above is None or below is None:
            return None
        row.append((above - below) / (2 * h))
    for order in range(1, LEVELS - 1):
        row = [_one_more(coarse, fine, order) for coarse, fine in itertools.pairwise(row)]
    return row[0], row[1]


def _one_more(coarse: Any, fine: Any, order: int) -> Any:
    """The extrapolation of one order more, from two whose steps differ by a factor of two."""
    return (4**order * fine - coarse) / (4**order - 1)


def _complex_step(call: Call, operand: int, tangent: Any) -> Any:
    out = _runner(call, operand, tangent, np.complex128)(1j * TINY)
    return None if out is None else out.imag / TINY


def _runner(call: Call, operand: int, tangent: Any, dtype: Any) -> Callable[[Any], Any]:
    """The value of the call as a function of how far its operand is moved along `tangent`; `None` where it does not run in `dtype`.

    It is NaN where it is moved to what has no value (a matrix that is not definite), so that a smaller step is taken.
    """
    wide = [np.asarray(x, dtype) if i in active(call) else x for i, x in enumerate(call.primals)]
    along = np.asarray(tangent, dtype)

    def value(h: Any) -> Any:
        moved = [np.asarray(x + h * along) if i == operand else x for i, x in enumerate(wide)]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                out = np.asarray(call.kernel.compute(np, *moved, **call.params))
            except (TypeError, np.exceptions.ComplexWarning):
                return None
            except LinAlgError:
                return np.full(call.shape, np.nan, dtype)
        return out if out.dtype == dtype else None

    return value
