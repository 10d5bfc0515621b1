"""`Module`: parameters and submodules by name, as in PyTorch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from operator import attrgetter
from typing import Any, Self

from diffcore.dispatch import Boxed
from diffcore.errors import DiffError, StateError
from diffcore.hooks import RemovableHandle
from diffcore.nn import state
from diffcore.nn.hooked import hooked
from diffcore.nn.inputs import refusal
from diffcore.nn.moves import Moves
from diffcore.nn.registry import ParameterMark, Registry, Slots, Structure, standing
from diffcore.places import noted
from diffcore.replay import is_again, within
from diffcore.seeds import array_under
from diffcore.watch import watch

_level, _carried = attrgetter("level"), attrgetter("carried")
_WHAT_FORWARD_IS = ("forward", "inplace")
"""Attributes on which it hangs whether a layer comes to one kernel (see `diffcore.nn.chain`)."""


class ModuleType(type):
    """The class of `Module`: what is set on a class may replace `forward` of all its instances."""

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        type.__setattr__(cls, "_forward_defined", body.get("forward"))

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        Structure.version += 1


class Module(Moves, metaclass=ModuleType):
    """Base of all layers and networks. Attributes that are parameters or modules are registered under their names.

    Engine-neutral: `_parameter` makes a parameter of the engine that a subclass belongs to.
    """

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Module | None]
    _unsaved: set[str]
    _walked: tuple[int, Any]

    def __init__(self) -> None:
        object.__setattr__(self, "training", True)
        for name in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, name, Registry())
        object.__setattr__(self, "_unsaved", set())
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
            self._rebuffer(name, value)
        else:
            object.__setattr__(self, name, value)
            if name in _WHAT_FORWARD_IS:
                Structure.version += 1

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
                self._unsaved.discard(name)
                return
        object.__delattr__(self, name)
        Structure.version += 1

    def __dir__(self) -> list[str]:
        registered = [*self._parameters, *self._modules, *self._buffers]
        return sorted({*super().__dir__(), *(name for name in registered if name.isidentifier())})

    def _rebuffer(self, name: str, tensor: Any) -> None:
        """Assign a buffer: its value alone, and once per evaluation however often a transform runs the module."""
        if is_again():
            return
        if isinstance(tensor, Boxed) and tensor.level:
            tensor = tensor.box(array_under(tensor))
        self.register_buffer(name, tensor, name not in self._unsaved)

    def register_parameter(self, name: str, parameter: Any) -> None:
        """Register a parameter (or `None`, a parameter that is absent) under `name`."""
        if parameter is not None and not isinstance(parameter, ParameterMark):
            raise TypeError(f"cannot assign {type(parameter).__name__!r} as parameter {name!r} (a Parameter or None is expected)")
        self._register(self._parameters, name, parameter)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Register a tensor that is state but no parameter, or `None`; it is part of `state_dict` if it is `persistent`.

        What is assigned to it later is kept as a value alone, without a derivative of a transform that is under way.
        """
        if tensor is not None and not isinstance(tensor, Boxed):
            raise TypeError(f"cannot assign {type(tensor).__name__!r} as buffer {name!r} (a Tensor or None is expected)")
        self._register(self._buffers, name, tensor)
        if persistent:
            self._unsaved.discard(name)
        else:
            self._unsaved.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a submodule under `name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"cannot assign {type(module).__name__!r} as child module {name!r} (a Module or None is expected)")
        self._register(self._modules, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """`add_module` by another name."""
        self.add_module(name, module)

    # what is registered, by dotted name
    def get_submodule(self, target: str) -> Module:
        """The module below this one at the dotted path `target`, itself for `""`. Raises `AttributeError`."""
        found: Any = self
        for name in target.split(".") if target else ():
            if name not in found._modules:
                held = hasattr(found, name)
                raise AttributeError(f"`{name}` is not an nn.Module" if held else f"{type(found).__name__} has no attribute `{name}`")
            found = found._modules[name]
        return found

    def get_parameter(self, target: str) -> Any:
        """The parameter at the dotted path `target`. Raises `AttributeError`."""
        return self._named_in("_parameters", target, "nn.Parameter")

    def get_buffer(self, target: str) -> Any:
        """The buffer at the dotted path `target`. Raises `AttributeError`."""
        return self._named_in("_buffers", target, "a buffer")

    def _named_in(self, registry: str, target: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name in getattr(module, registry):
            return getattr(module, registry)[name]
        held = hasattr(module, name)
        raise AttributeError(f"`{name}` is not {what}" if held else f"{type(module).__name__} has no attribute `{name}`")

    # calls
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"Module [{type(self).__name__}] is missing the required 'forward' function")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if watch.count:
                return noted(self, args, kwargs)
            return self.forward(*args, **kwargs) if kwargs else self.forward(*args)
        except (AttributeError, TypeError):
            refused = refusal(self, args)
            if refused is None:
                raise
            raise refused from None

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args)` before every `forward`; what it returns, if anything, takes the place of the arguments.

        With `with_kwargs` it is called with `(module, args, kwargs)` and returns both. With `prepend` it comes before the other hooks.
        """
        hooks = hooked(self)
        return hooks.add(hooks.before, hook, prepend, with_kwargs)

    def register_forward_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args, result)` after every `forward`; what it returns, if anything, takes the place of the result.

        With `with_kwargs` it is called with `(module, args, kwargs, result)`. With `prepend` it comes before the other hooks.
        """
        hooks = hooked(self)
        return hooks.add(hooks.after, hook, prepend, with_kwargs)

    # walks
    def named_modules(self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once (under each of its paths without `remove_duplicate`), with dotted paths."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Names and modules directly below this one, each once."""
        seen: set[int] = set()
        for name, child in self._modules.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below this one, each once."""
        return (child for _, child in self.named_children())

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """Dotted names, after `prefix`, and parameters; without `recurse` this module's own alone.

        One that is shared appears once, under its first name, or without `remove_duplicate` under each of its names.
        """
        if prefix or not recurse or not remove_duplicate:
            return self._named("_parameters", prefix, recurse, remove_duplicate)
        slots = self._slots()  # they are remembered: a walk would take time and two sets, as large as the objects of a small step
        return zip(slots.names, slots.now(), strict=True)

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        """The parameters, each once; without `recurse` this module's own alone."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """Dotted names and buffers; arguments as for `named_parameters`."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """The buffers, each once; without `recurse` this module's own alone."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else iter([(prefix, self)])
        for path, module in modules:
            for name, value in getattr(module, registry).items():
                if value is not None and id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    # state
    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> OrderedDict[str, Any]:
        """Names, after `prefix`, and tensors of parameters and persistent buffers; shared ones under each of their names.

        They share memory and are detached, unless `keep_vars`.
        """
        return OrderedDict((name, value if keep_vars else value.detach()) for name, value in self._entries(prefix))

    def _entries(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Names and tensors of parameters and persistent buffers, shared ones under each of their names."""
        for name, value in self._parameters.items():
            if value is not None:
                yield prefix + name, value
        for name, value in self._buffers.items():
            if value is not None and name not in self._unsaved:
                yield prefix + name, value
        for name, child in self._modules.items():
            if child is not None:
                yield from child._entries(f"{prefix}{name}.")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> state.IncompatibleKeys:
        """Copy values in by name, cast to the dtype that is there; with `assign` in the dtype and on the device that they have.

        Returns the names that were missing and unexpected, both empty if `strict`. Raises `StateError` listing every missing and unexpected
        (if `strict`) and every misshapen entry, and `TypeError` for what is no mapping; then nothing has changed.
        """
        return state.load(type(self).__name__, dict(self._entries()), state_dict, strict, assign)

    def train(self, mode: bool = True) -> Self:
        """Training mode for this module and all below it."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or without `set_to_none` fill them with zeros."""
        for parameter in self.parameters():
            if parameter.grad is None:
                continue
            if set_to_none:
                parameter.grad = None
            else:
                parameter.grad.zero_()

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
        if version != Structure.version:
            slots = self._places("_parameters")
            object.__setattr__(self, "_walked", (Structure.version, slots))
        return slots

    def _places(self, registry: str) -> Slots:
        """All parameters, or all buffers, and their places."""
        named = list(self._named(registry, "", True, True))
        position = {id(tensor): i for i, (_, tensor) in enumerate(named)}
        places = [
            (getattr(module, registry), name, position[id(value)])
            for module in self.modules()
            for name, value in getattr(module, registry).items()
            if value is not None
        ]
        kinds = {tensor.box for _, tensor in named}
        return Slots(tuple(name for name, _ in named), [t for _, t in named], places, kinds.pop() if len(kinds) == 1 else None)

    def _variables(self) -> Slots:
        """The parameters to differentiate by: those that require a gradient, and those that an outer transform put there."""
        slots = self._slots()
        names, values, places, _ = slots
        if not (Structure.borrowed or any(map(_level, values)) or None in map(_carried, values)):
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
        extra = self.extra_repr()
        if not lines and "\n" not in extra:
            return f"{self._get_name()}({extra})"
        lines = (extra.split("\n") if extra else []) + lines
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def _get_name(self) -> str:
        """What this module calls itself when it is printed."""
        return type(self).__name__


def functional_call(net: Module, parameters: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """`net(*args, **kwargs)` with `parameters` (tensors or arrays by name) in the places of its own, which stay untouched.

    Buffers may be among them: statistics that move in training move in the tensors given. They are put back even after an exception.
    Raises `StateError` naming parameters that `net` does not have.
    """
    slots = net._slots()
    others = {name for name in parameters if name not in slots.names}
    buffers = net._places("_buffers") if others else Slots((), [], [], None)
    unknown = [name for name in parameters if name in others and name not in buffers.names]
    if unknown:
        raise StateError(f"functional_call: {type(net).__name__} has no parameter named {', '.join(map(repr, unknown))}")
    with ExitStack() as stack:
        for part in (slots, buffers):
            given = [parameters.get(name, own) for name, own in zip(part.names, part.now(), strict=True)]
            surroundings = partial(standing, part, given)
            stack.enter_context(surroundings())
            stack.enter_context(within(surroundings))
        return net(*args, **kwargs)


class EngineType(ModuleType):
    """The class of an engine's `Module`: layers without parameters, which belong to no engine, count as modules of each."""

    def __subclasscheck__(cls, other: type) -> bool:
        if super().__subclasscheck__(other):
            return True
        of_no_engine = getattr(other, "_parameter", None) is Module._parameter
        return of_no_engine and "_parameter" in cls.__dict__

    def __instancecheck__(cls, instance: Any) -> bool:
        return cls.__subclasscheck__(type(instance))
