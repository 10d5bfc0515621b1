"""Runs of layers that each come to one kernel, which a `Sequential` hands to the engine whole.

An engine that knows how takes such a run in one step of its own (`Boxed.through`), without dispatching every kernel by itself: for small
layers that is most of the time. The layers, their kernels and their results are the same either way.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from diffcore.dispatch import Boxed
from diffcore.kernels.record import Kernel
from diffcore.ledger import did
from diffcore.nn.registry import Structure
from diffcore.watch import watch


class KernelCall(NamedTuple):
    """What `forward(x)` of a layer comes to: `kernel(x, *parameters)`, the parameters by their names in the layer's registry."""

    kernel: Kernel
    registry: dict[str, Any] | None = None
    names: tuple[str, ...] = ()


class Step(NamedTuple):
    """One kernel of a chain; its parameters are those of the chain from `start` to `stop`."""

    kernel: Kernel
    start: int
    stop: int


class Chain:
    """Layers called one after another, each of which comes to one kernel, and the parameters of them all."""

    def __init__(self, modules: list[Any], calls: list[KernelCall]) -> None:
        self.modules = modules
        self.places = [(call.registry, name) for call in calls for name in call.names]
        self._parameters: list[Any] | None = None
        self.steps: list[Step] = []
        for call in calls:
            start = self.steps[-1].stop if self.steps else 0
            self.steps.append(Step(call.kernel, start, start + len(call.names)))
        self.plans: dict[Any, Any] = {}
        """For the engine to remember what it worked out for these steps."""

    def _now(self) -> list[Any]:
        return [registry[name] for registry, name in self.places]  # type: ignore[index]  # a layer with names has a registry

    def values(self) -> list[Any]:
        """The parameters that stand in the layers now, or what a transform has put in their places."""
        if Structure.borrowed:
            return self._now()
        if self._parameters is None:  # what a transform has put in their places is not remembered, nor kept alive
            self._parameters = self._now()
        return self._parameters

    def __call__(self, x: Any) -> Any:
        if isinstance(x, Boxed) and not watch.recording:
            out = x.through(x, self)
            if out is not None:
                return out
        elif isinstance(x, Boxed) and watch.count == watch.recording and type(x).through is not Boxed.through:
            did("chain", x.engine, len(self.modules))  # where nothing is watched, it would go through them in one
        for module in self.modules:
            x = module(x)
        return x


def parts(modules: Iterable[Any]) -> tuple[Any, ...]:
    """`modules` in order, every run of two or more that come to one kernel each as a `Chain`."""
    found: list[Any] = []
    for plain, run in groupby(((module, _call_of(module)) for module in modules), lambda pair: pair[1] is not None):
        pairs = list(run)
        if plain and len(pairs) > 1:
            found.append(Chain([module for module, _ in pairs], [call for _, call in pairs if call is not None]))
        else:
            found += [module for module, _ in pairs]
    return tuple(found)


def _call_of(module: Any) -> KernelCall | None:
    """What `module` declares its `forward` to come to, unless that has been replaced: by a subclass, by hooks or on the module."""
    if "forward" in vars(module):
        return None
    for kind in type(module).__mro__:
        if "_kernel_call" in vars(kind) and vars(kind).get("forward") is vars(kind)["_forward_defined"]:
            return module._kernel_call()
        if "forward" in vars(kind) or "__call__" in vars(kind):
            return None
    return None
