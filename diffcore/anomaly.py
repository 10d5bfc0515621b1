"""Anomaly detection: the first operation that makes a NaN or an infinity, in a value, a tangent or a cotangent, is named with its line.

An operation makes one when what it got was finite and what it returned is not; constants given by the user may be infinite.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from diffcore import places
from diffcore.arrays import is_array, is_float
from diffcore.errors import AnomalyError
from diffcore.ledger import state
from diffcore.seeds import array_under


class _Mode(threading.local):
    enabled = False


_mode = _Mode()


def is_anomaly_enabled() -> bool:
    """Whether operations of this thread are checked."""
    return _mode.enabled


class set_detect_anomaly:
    """Switch anomaly detection on or off; also a context manager, which puts back what was before.

    While it is on, the first operation that makes a NaN or an infinity out of finite numbers raises `AnomalyError`, with the line that
    called it: in its value or, in forward mode, in a tangent, at once; in reverse mode, in a cotangent, during the backward pass.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._outer = _mode.enabled
        self._set(mode and check_nan)

    @staticmethod
    def _set(mode: bool) -> None:
        if mode != _mode.enabled:
            _mode.enabled = mode
            places.want(1 if mode else -1)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._set(self._outer)


class detect_anomaly:
    """`with detect_anomaly(): ...` checks every operation inside; see `set_detect_anomaly`."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan
        self._outer: list[set_detect_anomaly] = []

    def __enter__(self) -> Self:
        self._outer.append(set_detect_anomaly(True, self._check_nan))
        return self

    def __exit__(self, *_: object) -> None:
        self._outer.pop().__exit__()


def check_value(kernel: Any, operands: Iterable[Any], params: dict[str, Any], out: Any) -> None:
    """Raise `AnomalyError` if `out` is not finite though the operands and numbers among `params` are. Rules are not checked here."""
    if _mode.enabled and state.phase == "primal" and (kind := _flaw(out)) and not any(map(_flaw, (*operands, *params.values()))):
        raise AnomalyError(f"{kernel.name} made {kind} in its value, of shape {tuple(out.shape)}, from finite operands, at {places.here()}")


def check_tangents(kernel: Any, given: Iterable[Any], made: Iterable[Any]) -> None:
    """Raise `AnomalyError` if a tangent in `made` is not finite though those `given` are."""
    if _mode.enabled and (kinds := [kind for t in made if (kind := _flaw(t))]) and not any(map(_flaw, given)):
        raise AnomalyError(f"{kernel.name} made {kinds[0]} in the tangent of its result from finite tangents, at {places.here()}")


def check_cotangents(node: Any, given: Any, made: Iterable[Any]) -> None:
    """Raise `AnomalyError` if the pullback of `node` made a cotangent that is not finite of a finite one."""
    if not _mode.enabled or _flaw(given):
        return
    for name, g in zip(node.kernel.names(len(node.needs)), made, strict=True):
        if g is not None and (kind := _flaw(g)):
            place = places.place_of(node) or "a line unknown, since it ran before anomaly detection was switched on"
            raise AnomalyError(
                f"the backward pass of {node.kernel.name} made {kind} in the cotangent of `{name}` from a finite one; "
                f"{node.kernel.name} was called at {place}"
            )


def _flaw(value: Any) -> str:
    """`"a NaN"` or `"an infinity"` if there is one in `value`, else nothing. What is traced or abstract has no values to look at."""
    if isinstance(value, float):
        value = np.asarray(value)
    array = array_under(value)
    if not is_array(array) or not is_float(array.dtype):
        return ""
    try:
        array = np.asarray(array)
    except Exception:  # a tracer of jax's, or an abstract array
        return ""
    if np.isfinite(array).all():
        return ""
    return "a NaN" if np.isnan(array).any() else "an infinity"
