"""Hooks: functions of the user's that are called with a gradient."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

_numbers = itertools.count()


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away again. Also a context manager that does."""

    def __init__(self, hooks: dict[int, Callable[[Any], Any]], hook: Callable[[Any], Any]) -> None:
        self._hooks, self._number = hooks, next(_numbers)
        hooks[self._number] = hook

    def remove(self) -> None:
        """Call the hook no more."""
        self._hooks.pop(self._number, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def called(hooks: dict[int, Callable[[Any], Any]], gradient: Any) -> Any:
    """`gradient` after all `hooks`: each may return another one of the same shape, or `None` to leave it. Raises `TypeError`."""
    for hook in list(hooks.values()):
        new = hook(gradient)
        if new is None:
            continue
        if type(new) is not type(gradient):
            raise TypeError(f"a hook must return a tensor or None, got {type(new).__name__}")
        if new.shape != gradient.shape:
            raise RuntimeError(f"a hook has changed the size of the gradient: {tuple(gradient.shape)} became {tuple(new.shape)}")
        gradient = new
    return gradient
