"""Where the parameters, buffers and submodules of modules are kept, and how walks over them are remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

from diffcore.dispatch import Boxed


class ParameterMark(Boxed):
    """Marks a tensor as a parameter, so that assigning it to a module registers it."""

    __slots__ = ()


class Structure:
    """Counts changes to the registries of all modules and to what their `forward` is, so that walks over them can be remembered.

    `borrowed` counts the calls under way that have other values in the places of parameters.
    """

    version = 0
    borrowed = 0


@contextmanager
def borrowing() -> Iterator[None]:
    """While other values stand in the places of parameters."""
    Structure.borrowed += 1
    try:
        yield
    finally:
        Structure.borrowed -= 1


@contextmanager
def standing(slots: Slots, values: Sequence[Any]) -> Iterator[None]:
    """With `values` in the places of the parameters, and afterwards again what stood there before."""
    before = slots.now()
    with borrowing():
        slots.fill(values)
        try:
            yield
        finally:
            slots.fill(before)


def _noted(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` of a dict, counted as a change of structure."""

    @wraps(method)
    def changed(*args: Any, **kwargs: Any) -> Any:
        Structure.version += 1
        return method(*args, **kwargs)

    return changed


class Registry(dict[str, Any]):
    """A dict of parameters, buffers or submodules that notes every change made to it."""

    __slots__ = ()
    __setitem__ = _noted(dict.__setitem__)
    __delitem__ = _noted(dict.__delitem__)
    __ior__ = _noted(dict.__ior__)
    pop, popitem, clear = _noted(dict.pop), _noted(dict.popitem), _noted(dict.clear)
    update, setdefault = _noted(dict.update), _noted(dict.setdefault)


class Slots(NamedTuple):
    """Where the parameters of a network stand: `names` and `values`, each once, and the registry entries with the position of their
    value. `box` is the tensor class that all of them have in common, if any.
    """

    names: tuple[str, ...]
    values: list[Any]
    places: list[tuple[Registry, str, int]]
    box: Any

    def fill(self, values: Sequence[Any]) -> None:
        """Put `values` in the places of the parameters, shared ones everywhere they occur."""
        put = dict.__setitem__  # notes no change: the structure stays as it is
        for registry, name, i in self.places:
            put(registry, name, values[i])

    def now(self) -> list[Any]:
        """What stands in the places now."""
        current = list(self.values)
        for registry, name, i in self.places:
            current[i] = registry[name]
        return current
