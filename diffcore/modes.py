"""Whether an engine follows derivatives in this thread, and the context managers that switch it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any


class Mode(threading.local):
    """One engine's switch, per thread."""

    enabled = True


class Switch:
    """A context manager and decorator that sets `mode.enabled` and puts it back; the engines subclass it as `no_grad`, `enable_grad`."""

    mode: Mode
    enabled: bool

    def __init__(self) -> None:
        self._outer: list[bool] = []

    def __enter__(self) -> None:
        self._outer.append(self.mode.enabled)
        self.mode.enabled = self.enabled

    def __exit__(self, *_: object) -> None:
        self.mode.enabled = self._outer.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return inner
