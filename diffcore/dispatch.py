"""Dispatch: `apply(kernel, *operands, **params)` hands a kernel to the engine of its highest-level operand.

A tensor of either engine is a box: a `level` and, under it, its `primal`, which is an array or a box of a lower level. With
plain arrays a kernel just computes. Level 0 is the imperative level of `requires_grad=True`; every functional transform
takes a fresh level from a counter that is never reused, so nested transforms never confuse perturbations and an
exception leaves nothing behind.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from diffcore.arrays import namespace
from diffcore.errors import DiffError, DTypeError, GradientError, ShapeError
from diffcore.ledger import label, state

if TYPE_CHECKING:
    from diffcore.kernels.record import Kernel

_levels = itertools.count(1)


def new_level() -> int:
    """A level above every level handed out so far."""
    return next(_levels)


class Boxed:
    """What the tensors of both engines have in common as far as dispatch is concerned."""

    __slots__ = ()
    engine: str = ""
    level: int
    primal: Any

    @property
    def is_constant(self) -> bool:
        """Whether the box carries no derivative information, so that its primal says everything."""
        raise NotImplementedError

    @staticmethod
    def record(kernel: Kernel, level: int, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute `kernel` on operands of which at least one is a box of `level`, and carry or record its derivative."""
        raise NotImplementedError


def apply(kernel: Kernel, *operands: Any, **params: Any) -> Any:
    """The value of `kernel` at `operands`: an array for arrays, a tensor of the highest level's engine for tensors."""
    top: Boxed | None = None
    for x in operands:
        if isinstance(x, Boxed) and (top is None or x.level > top.level):
            top = x
    if top is not None:
        return top.record(kernel, top.level, operands, params)
    if state.ledger is not None:
        return _booked(kernel, kernel.compute, operands, params)
    try:
        return kernel.compute(namespace(operands), *operands, **params)
    except (ValueError, TypeError, IndexError) as error:
        raise explained(kernel, operands, params, error) from None


def evaluate(kernel: Kernel, primals: list[Any], params: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    """The value of `kernel` and what it hands its derivative rules beside it (`kernel.aux`)."""
    for x in primals:
        if isinstance(x, Boxed):
            out = apply(kernel, *primals, **params)
            return out, kernel.derive_aux(out, primals, params) if kernel.aux else ()
    if state.ledger is not None:
        return _booked(kernel, kernel.forward, primals, params) if kernel.aux else (_booked(kernel, kernel.compute, primals, params), ())
    try:
        if kernel.aux:
            return kernel.forward(namespace(primals), *primals, **params)  # type: ignore[no-any-return]
        return kernel.compute(namespace(primals), *primals, **params), ()
    except (ValueError, TypeError, IndexError) as error:
        raise explained(kernel, primals, params, error) from None


def _booked(kernel: Kernel, compute: Any, operands: Any, params: dict[str, Any]) -> Any:
    """Compute under a ledger: operations are booked under the kernel's name, the result as an activation unless a rule runs."""
    outer = state.kernel
    state.kernel = outer or kernel.name
    try:
        result = compute(namespace(operands), *operands, **params)
    except (ValueError, TypeError, IndexError) as error:
        raise explained(kernel, operands, params, error) from None
    finally:
        state.kernel = outer
    if not outer:
        label(result[0] if isinstance(result, tuple) else result, "activation", only="workspace")
    return result


def unboxed(x: Any) -> Any:
    """`x` without the boxes that carry no derivative; lower-level boxes that carry one stay."""
    while isinstance(x, Boxed) and x.is_constant:
        x = x.primal
    return x


def lowered(operands: tuple[Any, ...], level: int, engine: str) -> tuple[list[Any], list[Any]]:
    """What lies one level below each operand, and per operand its box where it carries a derivative of `level`, else `None`."""
    primals: list[Any] = []
    own: list[Any] = []
    for x in operands:
        if isinstance(x, Boxed):
            if x.level == level:
                if x.engine is not engine:
                    raise mixed_engines(engine, x.engine)
                primal = x.primal
                if x.is_constant:
                    primals.append(unboxed(primal) if isinstance(primal, Boxed) else primal)
                    own.append(None)
                else:
                    primals.append(primal)
                    own.append(x)
                continue
            x = unboxed(x)
        primals.append(x)
        own.append(None)
    return primals, own


def mixed_engines(first: str, second: str) -> GradientError:
    """The error for tensors of both engines met at one level."""
    return GradientError(
        f"a {first} tensor and a {second} tensor cannot meet in one operation: detach one (`x.detach()`), "
        f"or nest the engines with their functional transforms, e.g. `dualdiff.jvp(revdiff.grad(f), (x,), (v,))`"
    )


def explained(kernel: Kernel, operands: Any, params: dict[str, Any], error: Exception) -> Exception:
    """The error to raise for `error`: the kernel's own account of what does not fit, where it has one."""
    if isinstance(error, DiffError):
        return error
    shapes = tuple(getattr(x, "shape", ()) for x in operands)
    described = ", ".join(f"`{name}` {shape}" for name, shape in zip(kernel.operands, shapes, strict=False))
    if kernel.explain is not None:
        message = kernel.explain(shapes, params)
        if message is not None:
            return ShapeError(f"{kernel.name}: {message}")
    detail = " ".join(str(error).split())
    if isinstance(error, IndexError):
        return IndexError(f"{kernel.name}: {detail} ({described})")
    if isinstance(error, ValueError):
        return ShapeError(f"{kernel.name}: {detail} ({described})")
    dtypes = ", ".join(str(getattr(x, "dtype", type(x).__name__)) for x in operands)
    return DTypeError(f"{kernel.name}: {detail} ({described}; {dtypes})")
