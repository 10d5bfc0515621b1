"""Whether an engine follows derivatives in this thread, and the context managers that switch it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any


class Mode(threading.local):
    """One engine's switch, per thread."""

    enabled = True


class Switch:
    """A context manager and decorator that sets `mode.enabled` and puts it back; the engines subclass it as `no_grad`, `enable_grad`.

    As a decorator with or without parentheses: `@no_grad()`, `@no_grad`.
    """

    mode: Mode
    enabled: bool
    _outer: list[bool]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        made._outer = []
        return made if function is None else made(function)

    def __enter__(self) -> None:
        self._outer.append(self.mode.enabled)
        self.mode.enabled = self.enabled

    def __exit__(self, *_: object) -> None:
        self.mode.enabled = self._outer.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _within(type(self), function)


class Setting:
    """Sets `mode.enabled` at once and, as a context manager, puts it back at the end; as a decorator it sets it around the calls alone.

    The engines subclass it as `set_grad_enabled`.
    """

    mode: Mode

    def __init__(self, mode: bool) -> None:
        self.wanted = bool(mode)
        self.before = self.mode.enabled
        self.mode.enabled = self.wanted

    def __enter__(self) -> None:
        self.mode.enabled = self.wanted

    def __exit__(self, *_: object) -> None:
        self.mode.enabled = self.before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self.mode.enabled = self.before
        return _within(lambda: type(self)(self.wanted), function)


class InferenceSwitch(Switch):
    """As `Switch` with `enabled` the opposite of its argument: the engines subclass it as `inference_mode`."""

    enabled = False

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        if callable(mode):
            return super().__new__(cls, mode)
        made = super().__new__(cls)
        made.enabled = not mode
        return made

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _within(lambda: type(self)(not self.enabled), function)


def _within(switch: Callable[[], AbstractContextManager[None]], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` run within a new switch at every call. A generator runs within it whenever it runs, and its consumer does not."""
    if isgeneratorfunction(function):

        @wraps(function)
        def stepping(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            steps = function(*args, **kwargs)
            resume: Callable[[Any], Any] = steps.send
            sent: Any = None
            while True:
                try:
                    with switch():
                        item = resume(sent)
                except StopIteration as end:
                    return end.value
                try:
                    resume, sent = steps.send, (yield item)
                except GeneratorExit:
                    with switch():
                        steps.close()
                    raise
                except BaseException as error:
                    resume, sent = steps.throw, error

        return stepping

    @wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        with switch():
            return function(*args, **kwargs)

    return inner
