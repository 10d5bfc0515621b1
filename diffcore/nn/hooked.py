"""Forward hooks. A module that has some gets a `forward` of its own that calls them, so that calls of all others are as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffcore.hooks import RemovableHandle
from diffcore.nn.registry import Structure


class Hooked:
    """`forward` of one module with its hooks: those called `before` it may replace the arguments, those called `after` it the result."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._own = module.__dict__.get("forward")
        self.before: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}
        self.with_kwargs: set[int] = set()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module = self._module
        for number, hook in list(self.before.items()):
            if number in self.with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        out = self._own(*args, **kwargs) if self._own is not None else type(module).forward(module, *args, **kwargs)
        for number, hook in list(self.after.items()):
            changed = hook(module, args, kwargs, out) if number in self.with_kwargs else hook(module, args, out)
            if changed is not None:
                out = changed
        return out

    def add(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any], prepend: bool, with_kwargs: bool) -> RemovableHandle:
        """Call `hook` too, before the others of `hooks` with `prepend`."""
        handle = RemovableHandle(hooks, hook)
        number = next(reversed(hooks))
        if prepend:
            others = [(n, h) for n, h in hooks.items() if n != number]
            hooks.clear()
            hooks.update([(number, hook), *others])
        if with_kwargs:
            self.with_kwargs.add(number)
        return handle


def hooked(module: Any) -> Hooked:
    """The hooks of `module`, which calls them from now on."""
    found = module.__dict__.get("forward")
    if not isinstance(found, Hooked):
        found = Hooked(module)
        object.__setattr__(module, "forward", found)
        Structure.version += 1
    return found
