"""What shares memory with what: changes in place, versions of buffers, and views whose base has changed.

Views and in-place operations on numpy share memory, so a change in place can be felt in three places:

- **residuals**: reverse mode may have saved the old values. Every change notes its time at the buffer it was made in, a node knows when it
  was recorded, and the backward pass compares the two (`check_saved`). Recording an operation costs nothing for this.
- **the base of a view**: its derivative changes in the part that the view shows. A view knows its `origin`, the operation that made it;
  that operation is linear, so the base's new derivative is `base + V^T (new - old)`, an ordinary expression.
- **other views**: they take their derivative anew from their base when they are next used (`refresh`).

On jax nothing shares memory: an in-place method gives the tensor a new array, and its views keep the old values.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, NamedTuple

import numpy as np

from diffcore.arrays import is_float, is_mutable
from diffcore.arrays.abstract import AbstractArray
from diffcore.dispatch import APART, Boxed, Origin, apply, clock, owner_of
from diffcore.errors import DTypeError, GradientError, ShapeError
from diffcore.kernels.record import Call
from diffcore.seeds import array_under
from diffcore.watch import watch


class Change(NamedTuple):
    """The last change in place of a buffer: when, which operation made it, on a tensor of which shape; `version` counts them all."""

    time: int
    name: str
    shape: tuple[int, ...]
    version: int
    buffer: weakref.ref[Any]


class _Changes:
    """Changes in place by `id` of the array that owns the buffer; `latest` is the time of the last one anywhere."""

    def __init__(self) -> None:
        self.latest = -1
        self._of: dict[int, Change] = {}

    def note(self, array: Any, name: str) -> None:
        """Write down that `array` has just been changed in place by the operation `name`."""
        owner = owner_of(array)
        if owner is None:
            return
        key = id(owner)
        before = self._of.get(key)
        if before is None:
            buffer, version = weakref.ref(owner, lambda _, key=key: self._of.pop(key, None)), 1  # type: ignore[misc]
        else:
            buffer, version = before.buffer, before.version + 1
        self.latest = next(clock)
        self._of[key] = Change(self.latest, name, tuple(array.shape), version, buffer)

    def of(self, array: Any) -> Change | None:
        """The last change of the buffer that `array` lies in."""
        owner = owner_of(array)
        return None if owner is None else self._of.get(id(owner))


changes = _Changes()


def buffer_of(array: Any) -> Any:
    """What stands for the memory of `array`, the same object for all arrays that share it; on jax, where none do, the array itself."""
    owner = owner_of(array)
    return getattr(array, "storage", array) if owner is None else owner


def check_saved(call: Call, time: int, names: frozenset[str] | None = None) -> None:
    """Raise `GradientError` when a residual of `call` (one of `names`), recorded at `time`, has been changed in place since.

    Worded like PyTorch's error.
    """
    kernel = call.kernel
    saved = [*zip(kernel.names(len(call.primals)), call.primals, strict=True), ("out", call.out), *zip(kernel.aux, call.aux, strict=True)]
    for name, value in saved:
        if names is not None and name not in names:
            continue
        array = array_under(value)
        change = changes.of(array)
        if change is not None and change.time > time:
            what = "its result" if name == "out" else f"its operand `{name}`"
            raise GradientError(
                f"one of the variables needed for gradient computation has been modified by an inplace operation: {kernel.name} saved "
                f"{what}, a tensor of shape {tuple(array.shape)}, whose memory was changed afterwards by `{change.name}` on a tensor of "
                f"shape {change.shape} (version {change.version}). Change a copy instead (`x.clone()`), or change it before {kernel.name} "
                f"uses it"
            )


# views


def origin_of(x: Any) -> Origin | None:
    """The operation that made the view `x`, if it is one that shares memory."""
    origin = getattr(x, "origin", None)
    return None if origin is APART else origin


class _Rederived:
    """When the derivative of a tensor was last replaced by a change in place; tensors that are gone are forgotten."""

    def __init__(self) -> None:
        self._times: dict[int, tuple[int, weakref.ref[Any]]] = {}

    def note(self, x: Any) -> int:
        """Write down that `x` has a new derivative now."""
        key, time = id(x), next(clock)
        if key in self._times:
            reference = self._times[key][1]
        else:
            watch.add(1)  # from now on operands have to be refreshed
            reference = weakref.ref(x, lambda _: self._forget(key))
        self._times[key] = time, reference
        return time

    def _forget(self, key: int) -> None:
        if self._times.pop(key, None) is not None:
            watch.add(-1)

    def when(self, x: Any) -> int:
        found = self._times.get(id(x))
        return -1 if found is None else found[0]


_rederived = _Rederived()


def refresh(x: Any) -> None:
    """Give the view `x` the derivative of its base, if that was replaced since `x` was made."""
    origin = origin_of(x)
    if origin is None:
        return
    operand, kernel, params, time, _ = origin
    refresh(operand)
    if _rederived.when(operand) > time:
        _take(x, _followed(x, lambda: apply(kernel, _untracked(operand), **params)), array_under(x))
        x.origin = origin._replace(time=_rederived.note(x))


def _followed(x: Any, compute: Any) -> Any:
    """`compute()` with derivatives followed whatever `no_grad` says."""
    outer, x._mode.enabled = x._mode.enabled, True
    try:
        return compute()
    finally:
        x._mode.enabled = outer


def _untracked(x: Any) -> Any:
    """`x` as it is now, as a tensor of its own that no later change in place of `x` touches, and no view."""
    return x.box(x.primal, x.level, x.carried)


# changes in place


def change(x: Any, name: str, new: Any) -> Any:
    """Give `x` in place the values and the derivative of `new`, as the operation `name` does; returns `x`.

    `new` has been computed from `x` without changing anything. Raises `GradientError` for a leaf that requires grad or a view of one,
    `ShapeError` and `DTypeError` where `new` does not fit. Then nothing has changed.
    """
    follows = x._mode.enabled or isinstance(new, Boxed) and new.box is not x.box and new._mode.enabled
    if watch.count:
        refresh(x)
    if follows:
        _check_leaf(x)
    new = _fitted(x, name, new)
    memory = array_under(x)
    if isinstance(memory, np.ndarray):
        check_writable(memory, name)
    if getattr(x, "origin", None) is APART:
        raise GradientError(
            f"{name}: a view of an array of jax's shares no memory, so a change in place would not reach its base: change the base "
            f"(`x[index] = value`), or a copy (`x.clone()`)"
        )
    updates = _updates(x, new) if follows else []
    value = array_under(new)
    if is_mutable(memory):
        memory[...] = value
        changes.note(memory, name)
    elif not updates:
        _bottom(x).primal = value
    for y, replaced in reversed(updates):  # bases first: what is a view of one already has what it gets from it
        _adopt(y, replaced)
    return x


def is_followed(x: Any, *others: Any) -> bool:
    """Whether an engine follows what is done to `x` with `others`: one of them carries a derivative, or a base of `x` does."""
    if any(isinstance(y, Boxed) and y._mode.enabled and (y.carried is not None or isinstance(y.primal, Boxed)) for y in (x, *others)):
        return True
    origin = origin_of(x)
    return origin is not None and x._mode.enabled and is_followed(origin.operand)


def put(name: str, out: Any, result: Any) -> Any:
    """Write `result` into `out`, which was given as `out=` to the operation `name`; returns `out`.

    Raises `GradientError` where a derivative would be lost, as PyTorch does, and `ShapeError` or `DTypeError` where `out` does not fit.
    """
    if not isinstance(out, Boxed):
        if isinstance(result, Boxed) or not isinstance(out, np.ndarray):
            raise TypeError(f"{name}(): argument 'out' must be a Tensor (an array for arrays), not {type(out).__name__}")
        np.copyto(out, result, casting="same_kind")
        return out
    if out.carried is not None or isinstance(result, Boxed) and result.carried is not None:
        raise GradientError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        )
    return change(out, name, result)


def snapshot(x: Any, *others: Any) -> Any:
    """`x` for an operation whose result is about to replace it: with a copy of its memory where a derivative may be kept waiting for it."""
    if watch.count:
        refresh(x)  # the copy is no view, so it cannot be refreshed later
    memory = array_under(x)
    if not is_mutable(memory) or not is_followed(x, *others):
        return x
    return _on(x, memory.copy())


def _on(x: Any, memory: Any) -> Any:
    """`x` with all its levels, on other memory."""
    return x.box(_on(x.primal, memory) if isinstance(x.primal, Boxed) else memory, x.level, x.carried)


def _check_leaf(x: Any) -> None:
    if x.carried is not None and x._leaf() is not None:
        raise GradientError(
            "a leaf Variable that requires grad is being used in an in-place operation: do it under `no_grad()`, or on `x.data`"
        )
    base, origin, followed = x, origin_of(x), True
    while origin is not None:
        followed = followed and origin.followed
        base, origin = origin.operand, origin_of(origin.operand)
    if base is not x and base.carried is not None:
        if base._leaf() is not None:
            raise GradientError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
        if x.carried is None and not followed and is_float(x.dtype):
            raise GradientError(
                "a view was created in no_grad mode and is being modified inplace with grad mode enabled: make the view outside of "
                "`no_grad()`, or change it inside"
            )


def _fitted(x: Any, name: str, new: Any) -> Any:
    """`new` in the dtype of `x`. Raises errors worded like PyTorch's where shape or kind do not fit."""
    new = new if isinstance(new, Boxed) else x._like(new)
    shape = tuple(new.primal.shape)
    if shape != tuple(x.primal.shape):
        raise ShapeError(f"{name}: output with shape {list(x.primal.shape)} doesn't match the broadcast shape {list(shape)}")
    if new.primal.dtype == x.primal.dtype:
        return new
    if not np.can_cast(new.primal.dtype, x.primal.dtype, "same_kind"):
        raise DTypeError(f"{name}: result type {new.primal.dtype} can't be cast to the desired output type {x.primal.dtype}")
    from diffcore.kernels.shape import astype

    return astype(new, dtype=x.primal.dtype)


def check_writable(memory: Any, name: str) -> None:
    """Raise `GradientError` where the elements of an array cannot be changed one by one."""
    overlaps = memory.size and any(step == 0 and n > 1 for step, n in zip(memory.strides, memory.shape, strict=True))
    if not memory.flags.writeable or overlaps:  # where there are no elements, numpy has strides of 0
        raise GradientError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory location, or its "
            f"memory is read-only. Please clone() the tensor before performing the operation."
        )


def _updates(x: Any, new: Any) -> list[tuple[Any, Any]]:
    """The tensors that get a new derivative, `x` and the bases that it is a view of, each with what it becomes."""
    if new.carried is None and x.carried is None and new.level <= x.level and not isinstance(x.primal, Boxed):
        return []
    updates = [(x, new)]
    old = _untracked(x)
    while (origin := origin_of(x)) is not None:
        operand, kernel, params, *_ = origin
        before = _untracked(operand)
        call = Call(kernel, (None,), None, params, (tuple(operand.primal.shape),), tuple(x.primal.shape), ())
        after = before + kernel.pullback(call, new - old, (True,))[0]  # type: ignore[misc]  # views are linear, so they have one
        updates.append((operand, after))
        x, old, new = operand, before, after
    return updates


def _adopt(x: Any, new: Any) -> None:
    """Give `x` the derivative of `new`, keeping the memory of `x` where it can be kept."""
    if new.box is not x.box and x.carried is None and isinstance(x.primal, Boxed):
        _adopt(x.primal, new)  # of views made since too, which were made of that
    else:
        _take(x, new, array_under(x))
    if _is_shared(array_under(x)):
        time = _rederived.note(x)
        origin = origin_of(x)
        if origin is not None:
            x.origin = origin._replace(time=time)


def _is_shared(memory: Any) -> bool:
    """Whether there may be a view of `memory`, an array that one tensor holds, or it is one."""
    if isinstance(memory, AbstractArray):
        return memory.base is not None or sys.getrefcount(memory.storage) > 2
    return isinstance(memory, np.ndarray) and (memory.base is not None or sys.getrefcount(memory) > 3)


def _take(x: Any, new: Any, memory: Any) -> None:
    """Make `x` carry what `new` does, over `memory` where that can be changed.

    A tensor of another class, as of another engine or of one that follows something else than derivatives, is put under `x`.
    """
    if new.box is x.box:
        primal = new.primal
        if is_mutable(memory):
            primal = _on(primal, memory) if isinstance(primal, Boxed) else memory
        x.primal, x.level, x.carried = primal, new.level, new.carried
    else:
        x.primal, x.carried = _on(new, memory) if is_mutable(memory) else new, None


def _bottom(x: Any) -> Any:
    """The lowest tensor under `x`, which holds the array."""
    while isinstance(x.primal, Boxed):
        x = x.primal
    return x
