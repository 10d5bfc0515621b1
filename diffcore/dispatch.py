"""Dispatch: `apply(kernel, *operands, **params)` hands a kernel to the engine of its highest-level operand.

A tensor of either engine is a box: a `level` and, under it, its `primal`, which is an array or a box of a lower level. With
plain arrays a kernel just computes. Level 0 is the imperative level of `requires_grad=True`; every functional transform
takes a fresh level from a counter that is never reused, so nested transforms never confuse perturbations and an
exception leaves nothing behind.
"""

from __future__ import annotations

import itertools
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from diffcore.arrays import is_array, namespace
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.works import touched
from diffcore.errors import DiffError, DTypeError, GradientError, ShapeError
from diffcore.ledger import label, state
from diffcore.modes import Mode
from diffcore.places import here
from diffcore.watch import watch

if TYPE_CHECKING:
    from diffcore.kernels.record import Kernel

_levels = itertools.count(1)
_new = object.__new__

clock = itertools.count()
"""Times of recorded operations, of views and of changes in place, in one order."""


def new_level() -> int:
    """A level above every level handed out so far."""
    return next(_levels)


class Boxed:
    """A tensor of either engine as dispatch sees it: `primal` at `level`, with what the engine has `carried` there.

    `carried` is the node that recorded the value (`revdiff`), its tangents (`dualdiff`), or `None` for a constant.
    """

    __slots__ = ("__weakref__", "carried", "level", "origin", "primal")
    engine: str = ""
    origin: Origin
    """How a view was made; not set on other tensors (see `diffcore.aliasing`)."""

    def __init__(self, primal: Any, level: int = 0, carried: Any = None) -> None:
        self.primal = primal
        self.level = level
        self.carried = carried

    @property
    def is_constant(self) -> bool:
        """Whether the box carries no derivative information, so that its primal says everything."""
        return self.carried is None

    box: type[Boxed]
    """The class of the engine's results."""
    _mode = Mode()
    """The engine's switch: whether operations are followed. What is no engine has none to turn."""

    @staticmethod
    def through(x: Any, chain: Any) -> Any:
        """The tensor that the layers of `chain` (see `diffcore.nn.chain`) make of `x`, or `None` to have them called one by one."""

    @staticmethod
    def follow(kernel: Kernel, primals: list[Any], carried: list[Any], mask: int, out: Any, aux: Any, params: dict[str, Any]) -> Any:
        """What a box around `out = kernel(*primals)` carries, given what its operands have `carried`.

        Bit `i` of `mask` says whether operand `i` carries anything. The lists are the callee's to change.
        """
        raise NotImplementedError


class Origin(NamedTuple):
    """How a view was made: `kernel(operand, **params)`, at `time`; `followed` unless that was under `no_grad`.

    A view that was followed may carry nothing all the same: in forward mode where its base's directions are none of a run's.
    """

    operand: Boxed
    kernel: Kernel
    params: dict[str, Any]
    time: int
    followed: bool


APART = object()
"""In the place of an `Origin`: a view for PyTorch, which on this backend shares no memory."""


def _note_origin(result: Boxed, operand: Boxed, kernel: Kernel, params: dict[str, Any]) -> None:
    """Remember how a view was made, where it shares memory; a copy does not keep what it was made of."""
    out, base = result.primal, operand.primal
    while isinstance(out, Boxed):
        out = out.primal
    while isinstance(base, Boxed):
        base = base.primal
    if isinstance(out, ndarray):
        shares = owner_of(out) is owner_of(base)
    elif isinstance(out, AbstractArray):
        shares = isinstance(base, AbstractArray) and out.storage is base.storage
    else:
        if not any(map(is_array, params.get("index", ()))):
            result.origin = APART  # type: ignore[assignment]
        return
    if shares:
        result.origin = Origin(operand, kernel, params, next(clock), result.carried is not None or operand._mode.enabled)


def owner_of(array: Any) -> Any:
    """The numpy array that owns the buffer of `array`; `None` for what is no numpy array."""
    if not isinstance(array, ndarray):
        return None
    while isinstance(array.base, ndarray):
        array = array.base
    return array


def apply(kernel: Kernel, *operands: Any, **params: Any) -> Any:
    """The value of `kernel` at `operands`: an array for arrays, a tensor of the highest level's engine for tensors.

    For tensors the value is computed one level down; then their engine says what the result carries.
    """
    if watch.count or not operands:
        return _apply_watched(kernel, operands, params)
    # The first operand is looked at apart from the others: it is the data, they are parameters, and where the interpreter meets
    # tensors of one class alone it is faster.
    x = operands[0]
    top: Boxed | None = None
    what, mask = None, 0
    if isinstance(x, Boxed):
        top, level, box, what = x, x.level, x.box, x.carried
        if what is not None:
            mask = 1
        x = x.primal
    numpy_only = type(x) is ndarray
    if not numpy_only and isinstance(x, Boxed):
        return _apply_across(kernel, operands, params)
    primals, carried = [x], [what]
    if len(operands) > 1:
        bit = 2
        for x in operands[1:]:
            if isinstance(x, Boxed):
                if top is None:
                    top, level, box = x, x.level, x.box
                elif x.level != level or x.box is not box:
                    return _apply_across(kernel, operands, params)
                what = x.carried
                if what is not None:
                    mask += bit
                carried.append(what)
                x = x.primal
                if type(x) is not ndarray:
                    if isinstance(x, Boxed):
                        return _apply_across(kernel, operands, params)
                    numpy_only = False
            else:
                carried.append(None)
                if type(x) is not ndarray:
                    numpy_only = False
            primals.append(x)
            bit += bit
    xp = np if numpy_only else namespace(primals)
    aux: Any = ()
    try:
        if top is None:
            return kernel.compute(xp, *primals, **params)
        if kernel.aux:
            out, aux = kernel.forward(xp, *primals, **params)
        else:
            out = kernel.compute(xp, *primals, **params)
    except (ValueError, TypeError, IndexError) as error:
        if "out" in params:
            return _apply_into(kernel, operands, params)
        raise explained(kernel, primals, params, error) from None
    result: Boxed = _new(box)  # and filled in here: a call of the class would take as long as the rest
    result.primal = out
    result.level = level
    result.carried = top.follow(kernel, primals, carried, mask, out, aux, params) if mask else None
    if kernel.view:
        _note_origin(result, top, kernel, params)
    return result


_level_of = attrgetter("level")


def _apply_across(kernel: Kernel, operands: Any, params: dict[str, Any]) -> Any:
    """`apply` with operands of several levels, or with tensors of a lower level under them."""
    if "out" in params:
        return _apply_into(kernel, operands, params)
    boxes = [x for x in operands if isinstance(x, Boxed)]
    top: Boxed = boxes[0] if len(boxes) == 1 else max(boxes, key=_level_of)
    engine, level, lower, mask = top.engine, top.level, False, 0
    primals: list[Any] = list(operands)
    carried: list[Any] = [None] * len(primals)
    for i, x in enumerate(operands):
        if isinstance(x, Boxed):
            if x.level == level:
                if x.engine is not engine:
                    raise mixed_engines(engine, x.engine)
                what, x = x.carried, x.primal
                if what is not None:
                    carried[i] = what
                    mask |= 1 << i
                elif isinstance(x, Boxed):
                    x = unboxed(x)
            else:
                x = unboxed(x)
            if isinstance(x, Boxed):
                if x.level >= level:  # put under a constant by a change in place
                    return _apply_across(kernel, tuple([unboxed(y) for y in operands]), params)
                lower = True
            primals[i] = x
    aux: Any = ()
    if lower:
        out = apply(kernel, *primals, **params)
        if kernel.aux:
            aux = kernel.derive_aux(out, primals, params)
    elif kernel.aux:
        out, aux = _compute(kernel, kernel.forward, primals, params)
    else:
        out = _compute(kernel, kernel.compute, primals, params)
    result = top.box(out, level, top.follow(kernel, primals, carried, mask, out, aux, params) if mask else None)
    if kernel.view:
        _note_origin(result, top, kernel, params)
    return result


def _apply_watched(kernel: Kernel, operands: Any, params: dict[str, Any]) -> Any:
    """`apply` while something is watched (see `diffcore.watch`)."""
    if "out" in params:
        return _apply_into(kernel, operands, params)
    boxed = False
    for x in operands:
        if isinstance(x, Boxed):
            boxed = True
            if getattr(x, "origin", None) is not None:
                from diffcore.aliasing import refresh

                refresh(x)
    return _apply_across(kernel, operands, params) if boxed else _compute(kernel, kernel.compute, operands, params)


def _apply_into(kernel: Kernel, operands: Any, params: dict[str, Any]) -> Any:
    """`apply` with `out=`: the result goes into the memory of a tensor that is there already."""
    from diffcore.aliasing import put

    out = params.pop("out")
    result = apply(kernel, *operands, **params)
    return result if out is None else put(kernel.name, out, result)


def _compute(kernel: Kernel, compute: Any, operands: Any, params: dict[str, Any]) -> Any:
    """`compute` (the kernel's value, or that and its aux) on arrays."""
    if state.ledger is not None:
        return _booked(kernel, compute, operands, params)
    try:
        result = compute(namespace(operands), *operands, **params)
    except (ValueError, TypeError, IndexError) as error:
        raise explained(kernel, operands, params, error) from None
    if watch.count:
        from diffcore.anomaly import check_value

        check_value(kernel, operands, params, result[0] if compute is kernel.forward else result)
    return result


def _booked(kernel: Kernel, compute: Any, operands: Any, params: dict[str, Any]) -> Any:
    """Compute under a ledger: operations are booked under the kernel's name, the result as an activation unless a rule runs."""
    outer, ledger = state.kernel, state.ledger
    assert ledger is not None
    if not outer:
        state.kernel = kernel.name
        if ledger.located:
            state.place = here()
    try:
        if ledger.works:
            ledger.did("kernel" if outer else "apply", kernel.cased(operands, params))
            ledger.next_operation()
        if ledger.recalled is None or kernel.view:
            result = compute(namespace(operands), *operands, **params)
        else:
            result = ledger.recalled.result(kernel, compute, operands, params)
    except (ValueError, TypeError, IndexError) as error:
        raise explained(kernel, operands, params, error) from None
    finally:
        state.kernel = outer
        if ledger.works:
            ledger.next_operation()
    if not outer:
        if ledger.works and not kernel.view:
            touched(operands, result if isinstance(result, tuple) else (result,))
        label(result[0] if isinstance(result, tuple) else result, "activation", only="workspace")
    return result


def unboxed(x: Any) -> Any:
    """`x` without the boxes that carry no derivative; lower-level boxes that carry one stay."""
    while isinstance(x, Boxed) and x.carried is None:
        x = x.primal
    return x


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
    described = ", ".join(f"`{name}` {shape}" for name, shape in zip(kernel.names(len(shapes)), shapes, strict=False))
    if kernel.explain is not None:
        message = kernel.explain(shapes, params)
        if message is not None:
            return ShapeError(f"{kernel.name}: {message}")
    detail = " ".join(str(error).split())
    if "unexpected keyword argument" in detail:
        return TypeError(f"{kernel.name}() got an unexpected keyword argument {detail.rsplit(' ', 1)[-1]}")
    if isinstance(error, IndexError):
        return IndexError(f"{kernel.name}: {detail} ({described})")
    if isinstance(error, ValueError):
        return ShapeError(f"{kernel.name}: {detail} ({described})")
    dtypes = ", ".join(str(getattr(x, "dtype", type(x).__name__)) for x in operands)
    return DTypeError(f"{kernel.name}: {detail} ({described}; {dtypes})")
