"""Checkers: what must hold of a kernel's rules and of an engine's derivatives on a scenario.

`calls_of` runs a scenario and returns every kernel call it made, so that the rules of a kernel can be checked by themselves
(`check_rules` here, `check_derivative` in `diffcore.testing.derivative`); engines are handed in as functions (`check_jacobian`) and
never imported. Every checker raises `CheckFailed` saying what differs by how much.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from diffcore import ops, tree
from diffcore.arrays import is_array, is_float
from diffcore.dispatch import new_level
from diffcore.kernels.record import Call, Kernel
from diffcore.tensor import TensorSurface
from diffcore.testing.scenario import Program, Scenario


class CheckFailed(AssertionError):
    """A value or a derivative is not what it must be; the message says which, and by how much."""


def weighted(function: Program, rng: np.random.Generator, shape: tuple[int, ...], *, squared: bool = True) -> Program:
    """A scalar program: the sum of `w * function(...)**2` for random `w`, so that linear functions have second derivatives too.

    Without `squared` it is the sum of `w * function(...)`.
    """
    weights = np.asarray(rng.uniform(0.5, 1.5, shape))

    def scalar(*operands: Any) -> Any:
        out = function(*operands)
        scaled = ops.mul(out, weights.astype(out.dtype))
        return ops.sum(ops.mul(scaled, out) if squared else scaled)

    return scalar


# comparison


def difference(actual: Any, expected: Any) -> float:
    """The largest distance of two arrays relative to the largest element expected (or 1); infinite for NaN and for other infinities."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.dtype.kind != expected.dtype.kind or actual.dtype.kind not in "fc":
        return 0.0 if np.array_equal(actual, expected) else float("inf")
    finite = np.isfinite(expected)
    if np.isnan(expected).any() or np.isnan(actual).any() or not np.array_equal(actual[~finite], expected[~finite]):
        return float("inf")
    actual, expected = actual[finite], expected[finite]
    if not actual.size:
        return 0.0
    return float(np.abs(actual - expected).max() / max(1.0, np.abs(expected).max()))


def expect_close(what: str, actual: Any, expected: Any, tolerance: float) -> None:
    """Raise `CheckFailed` unless the structures `actual` and `expected` have equal shapes and are within `tolerance` (see `difference`)."""
    given, wanted = tree.flatten(actual)[0], tree.flatten(expected)[0]
    if len(given) != len(wanted):
        raise CheckFailed(f"{what}: {len(given)} arrays, expected {len(wanted)}")
    for i, (a, e) in enumerate(zip(given, wanted, strict=True)):
        where = f"{what} [{i}]" if len(wanted) > 1 else what
        if np.shape(a) != np.shape(e):
            raise CheckFailed(f"{where}: shape {np.shape(a)}, expected {np.shape(e)}")
        found = difference(a, e)
        if not found <= tolerance:
            raise CheckFailed(f"{where}: differs by {found:.3g}, allowed {tolerance:.3g}\nactual {np.asarray(a)}\nexpected {np.asarray(e)}")


@contextmanager
def unchanged(what: str, values: Any) -> Iterator[None]:
    """Raise `CheckFailed` when an array in the structure `values` has other bytes at the end of the block than at its beginning."""
    arrays = [x for x in tree.flatten(values)[0] if isinstance(x, np.ndarray)]
    before = [x.tobytes() for x in arrays]
    yield
    for i, (x, old) in enumerate(zip(arrays, before, strict=True)):
        if x.tobytes() != old:
            raise CheckFailed(f"{what}: array {i} of shape {x.shape} was changed in place")


# kernel calls


class _Traced(TensorSurface):
    """A value whose kernel calls are written down, by no engine: what it carries is the list of calls so far."""

    __slots__ = ()
    engine = "trace"

    @staticmethod
    def follow(kernel: Kernel, primals: list[Any], carried: list[Any], mask: int, out: Any, aux: Any, params: dict[str, Any]) -> Any:
        shapes = tuple(getattr(x, "shape", ()) for x in primals)
        calls: list[Call] = next(c for c in carried if c is not None)
        calls.append(Call(kernel, primals, out, params, shapes, tuple(out.shape), aux))
        return calls if is_float(out.dtype) else None


_Traced.box = _Traced


def calls_of(scenario: Scenario, dtype: Any = np.float64) -> list[Call]:
    """Every kernel call of the scenario's program, in order."""
    level, calls = new_level(), list[Call]()
    operands, wanted = scenario.operands(dtype), scenario.variables or (0,)
    scenario.function(*[_Traced(x, level, calls) if i in wanted else x for i, x in enumerate(operands)])
    return calls


def with_kernel(call: Call, kernel: Kernel) -> Call:
    """`call` under the rules of another kernel: how the checkers themselves are checked."""
    return Call(kernel, call.primals, call.out, call.params, call.shapes, call.shape, call.aux)


def active(call: Call) -> tuple[int, ...]:
    """The operands of `call` that can have a tangent."""
    return tuple(i for i, x in enumerate(call.primals) if is_array(x) and is_float(x.dtype))


def coarsest_unit(call: Call) -> float:
    """The unit roundoff of the narrowest floating dtype among operands and result."""
    return float(max(np.finfo(x.dtype).eps for x in (call.out, *(call.primals[i] for i in active(call)))))


def check_rules(call: Call, rng: np.random.Generator, *, directions: Sequence[int] = (1, 3), tolerance: float = 1e-12) -> None:
    """The two rules of `call.kernel` are adjoint to each other, and consistent with themselves.

    `<u, J v> = <J^T u, v>` for each set of operands; several directions at once give what they give one by one; cotangents do not
    depend on which others are needed, nor on residuals that the kernel does not declare; nothing is changed in place. `tolerance` is for
    float64 and grows with the unit of a narrower dtype.
    """
    kernel, operands = call.kernel, active(call)
    if not operands:
        raise CheckFailed(f"{kernel.name}: no operand is floating point, so there is no derivative to check")
    unit = coarsest_unit(call)
    tolerance *= unit / np.finfo(np.float64).eps
    tangents, cotangent = [normal_like(rng, call.primals[i]) for i in operands], normal_like(rng, call.out)
    with unchanged(f"{kernel.name}: operands, result, tangents, cotangent", [*call.primals, call.out, list(call.aux), tangents, cotangent]):
        pulled = _pull(call, cotangent, operands)
        for count in range(1, len(operands) + 1):
            for some in itertools.combinations(range(len(operands)), count):
                chosen = tuple(operands[j] for j in some)
                pushed = push(call, {operands[j]: tangents[j] for j in some})
                what = f"{kernel.name}: <u, J v> and <J^T u, v> in {_names(call, chosen)}"
                _expect_adjoint(what, (cotangent, pushed), [(pulled[j], tangents[j]) for j in some], tolerance, unit)
                expect_close(
                    f"{kernel.name}: cotangents of {_names(call, chosen)}, needed alone",
                    _pull_declared(call, cotangent, chosen),
                    [pulled[j] for j in some],
                    tolerance,
                )
        for k in directions:
            _check_directions(call, operands, rng, k, tolerance)


def _check_directions(call: Call, operands: tuple[int, ...], rng: np.random.Generator, k: int, tolerance: float) -> None:
    name = call.kernel.name
    stacks = [normal_like(rng, call.primals[i], k) for i in operands]
    cotangents = normal_like(rng, call.out, k)
    for chosen in {*itertools.combinations(operands, 1), operands}:
        own = {i: t for i, t in zip(operands, stacks, strict=True) if i in chosen}
        one_by_one = np.stack([push(call, {i: t[d] for i, t in own.items()}) for d in range(k)])
        expect_close(f"{name}: {k} tangents at once in {_names(call, chosen)}", push(call, own, (k,)), one_by_one, tolerance)
    each = [_pull(call, cotangents[d], operands) for d in range(k)]
    for j, at_once in enumerate(_pull(call, cotangents, operands, (k,))):
        expect_close(
            f"{name}: {k} cotangents at once of {_names(call, operands[j : j + 1])}", at_once, np.stack([g[j] for g in each]), tolerance
        )


def normal_like(rng: np.random.Generator, like: Any, *lead: int) -> Any:
    """A standard normal tangent or cotangent of `like`, with leading direction axes `lead`."""
    return np.asarray(rng.standard_normal((*lead, *like.shape)), like.dtype)


def _expect_adjoint(what: str, pushed: tuple[Any, Any], pulled: Sequence[tuple[Any, Any]], tolerance: float, unit: float) -> None:
    """Two inner products, the second a sum of several, agree relative to the sum of their terms' magnitudes, however small these are."""
    left, right = np.sum(pushed[0] * pushed[1]), sum(np.sum(g * v) for g, v in pulled)
    scale = max(np.sum(np.abs(pushed[0] * pushed[1])), sum(np.sum(np.abs(g * v)) for g, v in pulled))
    # Rules may cancel (`1 - out * out`), and then know their result only to the unit of what they subtracted.
    allowed = tolerance * scale + 8 * unit * max(1.0, np.sqrt(pushed[0].size))
    if not abs(left - right) <= allowed:
        raise CheckFailed(f"{what}: {left:.17g} and {right:.17g} differ by {abs(left - right):.3g}, allowed {allowed:.3g}")


def _names(call: Call, operands: Sequence[int]) -> str:
    names = call.kernel.names(len(call.shapes))
    return ", ".join(f"`{names[i]}` {call.shapes[i]}" for i in operands)


def push(call: Call, tangents: dict[int, Any], lead: tuple[int, ...] = ()) -> Any:
    """The tangent of the result for `tangents` by operand: a new array, zeros for a symbolic zero. `CheckFailed` for a wrong shape."""
    out = call.kernel.pushforward(call, tuple(tangents.get(i) for i in range(len(call.primals))))  # type: ignore[misc]
    if out is None:
        return np.zeros((*lead, *call.shape), call.out.dtype)
    if tuple(out.shape) != (*lead, *call.shape):
        raise CheckFailed(f"{call.kernel.name}: a tangent of shape {tuple(out.shape)}, expected {(*lead, *call.shape)}")
    return np.array(out)


def _pull(call: Call, cotangent: Any, operands: Sequence[int], lead: tuple[int, ...] = ()) -> list[Any]:
    needs = tuple(i in operands for i in range(len(call.shapes)))
    found = call.kernel.pullback(call, cotangent, needs)  # type: ignore[misc]
    result = []
    for i, g in enumerate(found):
        wanted = (*lead, *call.shapes[i])
        if i not in operands:
            if g is not None:
                raise CheckFailed(f"{call.kernel.name}: a cotangent of {_names(call, (i,))}, which was not needed")
            continue
        g = np.zeros(wanted, cotangent.dtype) if g is None else g
        if tuple(g.shape) != wanted:
            raise CheckFailed(f"{call.kernel.name}: a cotangent of {_names(call, (i,))} has shape {tuple(g.shape)}, expected {wanted}")
        result.append(np.array(g))
    return result


def _pull_declared(call: Call, cotangent: Any, operands: Sequence[int]) -> list[Any]:
    """`_pull` with no more than the residuals that the kernel declares; what fails then, reads others."""
    try:
        return _pull(_kept(call, operands), cotangent, operands)
    except CheckFailed:
        raise
    except Exception as error:  # whatever a rule comes to that finds `None` where it reads
        declared = ", ".join(sorted({name for i in operands for name in call.kernel.keeps[i]})) or "nothing"
        what = f"{call.kernel.name}: cotangents of {_names(call, operands)}"
        raise CheckFailed(f"{what} read more than is kept ({declared}): {error}") from error


def _kept(call: Call, operands: Sequence[int]) -> Call:
    """`call` with only the residuals that reverse mode keeps when `operands` need a cotangent, by the kernel's own declaration."""
    kernel = call.kernel
    read = frozenset[str]() if kernel.variadic else frozenset[str]().union(*(kernel.keeps[i] for i in operands))
    return Call(
        kernel,
        [x if name in read else None for x, name in zip(call.primals, kernel.names(len(call.primals)), strict=True)],
        call.out if "out" in read else None,
        call.params,
        call.shapes,
        call.shape,
        tuple(a if name in read else None for a, name in zip(call.aux, kernel.aux, strict=True)),
    )


# engines


def check_jacobian(
    name: str, jacobian: Callable[..., Any], scenario: Scenario, operands: Sequence[Any], expected: Any, *, tolerance: float = 1e-12
) -> None:
    """`jacobian(function, argnums)(*operands)`, by the engine `name`, is `expected`, has the operands' dtypes and changes none of them."""
    with unchanged(f"{scenario.id}: operands of {name}", list(operands)):
        found = jacobian(scenario.function, scenario.variables)(*operands)
    expect_close(f"{scenario.id}: {name}", found, expected, tolerance)
    for i, block in zip(scenario.variables, found, strict=True):
        if block.dtype != operands[i].dtype:
            raise CheckFailed(f"{scenario.id}: {name} has dtype {block.dtype} for an operand of {operands[i].dtype}")


def altered(kernel: Kernel, **changes: Any) -> Kernel:
    """A copy of `kernel` with some fields changed, not registered."""
    return replace(kernel, _plans={}, **changes)
