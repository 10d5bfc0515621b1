"""`Module`: parameters and submodules by name, as in PyTorch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple, Self

import numpy as np

from diffcore.arrays import devices, is_array, is_float
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import DiffError


class _Structure:
    """Counts changes to the registries of all modules, so that walks over them can be remembered until the next.

    `borrowed` counts the calls under way that have other values in the places of parameters.
    """

    version = 0
    borrowed = 0


@contextmanager
def borrowing() -> Iterator[None]:
    """While other values stand in the places of parameters."""
    _Structure.borrowed += 1
    try:
        yield
    finally:
        _Structure.borrowed -= 1


def _noted(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` of a dict, counted as a change of structure."""

    @wraps(method)
    def changed(*args: Any, **kwargs: Any) -> Any:
        _Structure.version += 1
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


class Module:
    """Base of all layers and networks. Attributes that are parameters or modules are registered under their names.

    Engine-neutral: `_parameter` makes a parameter of the engine that a subclass belongs to.
    """

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Module | None]
    _walked: tuple[int, Any]

    def __init__(self) -> None:
        object.__setattr__(self, "training", True)
        for name in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, name, Registry())
        object.__setattr__(self, "_walked", (-1, None))

    # what an engine's `Module` defines
    def _parameter(self, value: Any) -> Any:
        """A parameter of the engine that holds the array `value`."""
        raise self._of_no_engine("make parameters")

    def _constant(self, value: Any) -> Any:
        """A tensor of the engine that holds the array `value` and no derivative: a buffer."""
        raise self._of_no_engine("make buffers")

    @property
    def _layers(self) -> Any:
        """The engine's `nn`, for layers made of layers."""
        raise self._of_no_engine("make layers")

    def _of_no_engine(self, what: str) -> DiffError:
        return DiffError(
            f"{type(self).__name__} belongs to no engine, so it cannot {what}: use the class of that name in revdiff.nn or dualdiff.nn"
        )

    # attributes
    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign to a module before Module.__init__() call")
        if isinstance(value, ParameterMark):
            self._register(self._parameters, name, value)
        elif isinstance(value, Module):
            self._register(self._modules, name, value)
        elif name in self._parameters:
            self.register_parameter(name, value)
        elif name in self._modules:
            self.add_module(name, value)
        elif name in self._buffers:
            self.register_buffer(name, value)
        else:
            object.__setattr__(self, name, value)

    def _register(self, registry: dict[str, Any], name: str, value: Any) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"name {name!r} of a parameter, buffer or module must be a text, not empty and without a dot")
        self.__dict__.pop(name, None)
        for other in (self._parameters, self._modules, self._buffers):
            if other is not registry and name in other:
                del other[name]
        registry[name] = value

    def __getattr__(self, name: str) -> Any:
        for registry in ("_parameters", "_modules", "_buffers"):
            found = self.__dict__.get(registry, {})
            if name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._modules, self._buffers):
            if name in registry:
                del registry[name]
                return
        object.__delattr__(self, name)

    def register_parameter(self, name: str, parameter: Any) -> None:
        """Register a parameter (or `None`, a parameter that is absent) under `name`."""
        if parameter is not None and not isinstance(parameter, ParameterMark):
            raise TypeError(f"cannot assign {type(parameter).__name__!r} as parameter {name!r} (a Parameter or None is expected)")
        self._register(self._parameters, name, parameter)

    def register_buffer(self, name: str, tensor: Any) -> None:
        """Register a tensor that is state but no parameter, or `None`."""
        if tensor is not None and not isinstance(tensor, Boxed):
            raise TypeError(f"cannot assign {type(tensor).__name__!r} as buffer {name!r} (a Tensor or None is expected)")
        self._register(self._buffers, name, tensor)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a submodule under `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"cannot assign {type(module).__name__!r} as child module {name!r} (a Module or None is expected)")
        self._register(self._modules, name, module)

    # calls
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"Module [{type(self).__name__}] is missing the required 'forward' function")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs) if kwargs else self.forward(*args)

    # walks
    def named_modules(self, prefix: str = "", memo: set[int] | None = None) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted paths."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        memo.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(f"{prefix}.{name}" if prefix else name, memo)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((name, child) for name, child in self._modules.items() if child is not None)

    def children(self) -> Iterator[Module]:
        return (child for _, child in self.named_children())

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Dotted names and parameters; one that is shared appears once, under its first name."""
        return self._named("_parameters")

    def parameters(self) -> Iterator[Any]:
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        return self._named("_buffers")

    def _named(self, registry: str) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in getattr(module, registry).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    # state
    def state_dict(self) -> OrderedDict[str, Any]:
        """Names and tensors of parameters and buffers, detached but sharing memory; shared ones under each of their names."""
        return OrderedDict((name, value.detach()) for name, value in self._entries())

    def _entries(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Names and tensors of parameters and buffers, shared ones under each of their names."""
        for registry in (self._parameters, self._buffers):
            yield from ((prefix + name, value) for name, value in registry.items() if value is not None)
        for name, child in self.named_children():
            yield from child._entries(f"{prefix}{name}.")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Copy values in by name. Raises `DiffError` listing every missing, unexpected and misshapen entry; then nothing has changed."""
        own = dict(self._entries())
        problems = []
        missing, unexpected = [n for n in own if n not in state_dict], [n for n in state_dict if n not in own]
        if strict and missing:
            problems.append(f"Missing key(s) in state_dict: {', '.join(map(repr, missing))}.")
        if strict and unexpected:
            problems.append(f"Unexpected key(s) in state_dict: {', '.join(map(repr, unexpected))}.")
        for name in own:
            wanted = tuple(own[name].shape)
            if name in state_dict and tuple(np.shape(_array(state_dict[name]))) != wanted:
                problems.append(f"size mismatch for {name}: {tuple(np.shape(_array(state_dict[name])))} given, {wanted} expected.")
        if problems:
            raise DiffError(f"Error(s) in loading state_dict for {type(self).__name__}: {' '.join(problems)}")
        new = {name: devices.new_array(_array(state_dict[name]), t.dtype, t.device) for name, t in own.items() if name in state_dict}
        for name, array in new.items():
            own[name].data = array

    def to(self, target: Any = None, *, device: Any = None, dtype: Any = None) -> Self:
        """Cast (`dtype`) or move (`device`) all parameters and buffers in place, gradients with them; a cast leaves integers alone.

        What is wanted is told by its kind, `net.to("cuda:0")`, or named, `net.to(device="cuda:0")`.
        """
        targets = [wanted for wanted in (target, device, dtype) if wanted is not None]
        for wanted in targets or [target]:
            self._to(wanted)
        return self

    def _to(self, target: Any) -> None:
        moves = devices.is_device(target)
        target = target if moves else devices.as_dtype(target)
        if not moves and not is_float(target):
            raise DiffError(f"{type(self).__name__}.to only accepts floating point dtypes, got {target}")
        for tensor in [*self.parameters(), *(b for _, b in self.named_buffers())]:
            if moves or tensor.is_floating_point():
                gradient = tensor.grad
                tensor.data = tensor.detach().to(target)
                if gradient is not None:
                    tensor.grad = gradient.to(target)

    def double(self) -> Self:
        return self.to(np.float64)

    def float(self) -> Self:
        return self.to(np.float32)

    def train(self, mode: bool = True) -> Self:
        """Training mode for this module and all below it."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, wanted: bool = True) -> Self:
        """Make all parameters variables, or constants."""
        for parameter in self.parameters():
            parameter.requires_grad = wanted
        return self

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call `function` on every module below this one, then on this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # for transforms
    def _slots(self) -> Slots:
        """All parameters and their places; remembered until some module's structure changes."""
        version, slots = self._walked
        if version != _Structure.version:
            named = list(self.named_parameters())
            position = {id(parameter): i for i, (_, parameter) in enumerate(named)}
            places = [
                (module._parameters, name, position[id(value)])
                for module in self.modules()
                for name, value in module._parameters.items()
                if value is not None
            ]
            kinds = {p.box for _, p in named}
            common = kinds.pop() if len(kinds) == 1 else None
            slots = Slots(tuple(name for name, _ in named), [p for _, p in named], places, common)  # type: ignore[arg-type]  # registries
            object.__setattr__(self, "_walked", (_Structure.version, slots))
        return slots

    def _variables(self) -> Slots:
        """The parameters to differentiate by: those that require a gradient, and those that an outer transform put there."""
        slots = self._slots()
        names, values, places, _ = slots
        if not _Structure.borrowed:
            for value in values:
                if value.carried is None or value.level:
                    break
            else:
                return slots
        values = slots.now()
        chosen = [i for i, value in enumerate(values) if value.carried is not None or value.level]
        new = {old: position for position, old in enumerate(chosen)}
        kept = [(registry, name, new[i]) for registry, name, i in places if i in new]
        return Slots(tuple(names[i] for i in chosen), [values[i] for i in chosen], kept, None)

    # printing
    def extra_repr(self) -> str:
        """What to show between the parentheses of the module's line."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._modules.items()]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


class ParameterMark(Boxed):
    """Marks a tensor as a parameter, so that assigning it to a module registers it."""

    __slots__ = ()


def _array(value: Any) -> Any:
    value = unboxed(value.detach() if isinstance(value, Boxed) else value)  # type: ignore[attr-defined]
    return value if is_array(value) else np.asarray(value)


def functional_call(net: Module, parameters: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """`net(*args, **kwargs)` with `parameters` (tensors or arrays by name) in the places of its own, which stay untouched.

    They are put back even after an exception. Raises `DiffError` naming parameters that `net` does not have.
    """
    slots = net._slots()
    unknown = [name for name in parameters if name not in slots.names]
    if unknown:
        raise DiffError(f"functional_call: {type(net).__name__} has no parameter named {', '.join(map(repr, unknown))}")
    before = slots.now()
    with borrowing():
        slots.fill([parameters.get(name, old) for name, old in zip(slots.names, before, strict=True)])
        try:
            return net(*args, **kwargs)
        finally:
            slots.fill(before)
