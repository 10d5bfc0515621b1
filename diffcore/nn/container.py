"""Containers of modules and of parameters."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from diffcore.dispatch import Boxed
from diffcore.nn import chain
from diffcore.nn.module import Module
from diffcore.nn.registry import ParameterMark, Structure
from diffcore.seeds import array_under


def _position(what: str, index: Any, length: int) -> int:
    """`index` from the start. Raises `IndexError` out of range."""
    found = operator.index(index)
    if not -length <= found < length:
        raise IndexError(f"index {found} is out of range for a {what} of {length} modules")
    return found % length


class _Numbered(Module):
    """Modules in order, under their numbers as names unless they were given others."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def _name(self, index: Any) -> str:
        return list(self._modules)[_position(type(self).__name__, index, len(self))]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name(index), module)

    def _renumber(self, modules: Iterable[Any]) -> None:
        """Hold `modules`, under the numbers from 0 on."""
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __delitem__(self, index: int | slice) -> None:
        if isinstance(index, slice):
            for name in list(self._modules)[index]:
                del self._modules[name]
        else:
            del self._modules[self._name(index)]
        self._renumber(list(self))

    def append(self, module: Module) -> Self:
        """Add a module at the end, under the first number that is free from its position on."""
        number = len(self)
        while str(number) in self._modules:
            number += 1
        self.add_module(str(number), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end. Raises `TypeError` for what is no iterable of them; then nothing is added."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"{type(self).__name__}.extend should be called with an iterable, but got {type(modules).__name__}")
        added = list(modules)
        for i, module in enumerate(added):
            _check_module(module, str(len(self) + i))
        for module in added:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before position `index`."""
        _check_module(module, str(index))
        if not -len(self) <= index <= len(self):
            raise IndexError(f"index {index} is out of range for a {type(self).__name__} of {len(self)} modules")
        modules = list(self)
        modules.insert(index + len(self) if index < 0 else index, module)
        self._renumber(modules)
        return self

    def pop(self, index: int) -> Any:
        """Take out the module at `index`, and return it."""
        module = self._modules[self._name(index)]
        del self[index]
        return module


def _check_module(module: Any, name: str) -> None:
    if not isinstance(module, Module):
        raise TypeError(f"cannot assign {type(module).__name__!r} as child module {name!r} (a Module is expected)")


class Sequential(_Numbered):
    """Modules called one after another; indexed by position, a slice gives a `Sequential`. Also takes one dict of named modules."""

    _parts: tuple[int, tuple[Any, ...]] = -1, ()

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(modules):
                self.add_module(str(i), module)

    def forward(self, x: Any) -> Any:
        version, parts = self._parts
        if version != Structure.version:
            parts = chain.parts(self._modules.values())
            object.__setattr__(self, "_parts", (Structure.version, parts))
        for part in parts:
            x = part(x)
        return x

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_parts"}  # a copy works them out anew

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    def __add__(self, other: Any) -> Any:
        return type(self)(*self, *other) if isinstance(other, Sequential) else NotImplemented

    def __iadd__(self, other: Any) -> Any:
        return self.extend(other) if isinstance(other, Sequential) else NotImplemented


class ModuleList(_Numbered):
    """A list of modules, which are submodules of what holds it. It cannot be called."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._name(index)]

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> Any:
        return type(self)([*self, *other])

    def __contains__(self, module: object) -> bool:
        return any(held is module for held in self)

    def insert(self, index: int, module: Module) -> None:
        """Add a module before position `index`."""
        super().insert(index, module)

    def __repr__(self) -> str:
        """Equal modules in a row are printed once."""
        runs: list[tuple[int, int, str]] = []
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        if not runs:
            return f"{self._get_name()}()"
        lines = [f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}" for a, b, text in runs]
        return f"{self._get_name()}(\n  " + "\n  ".join(line.replace("\n", "\n  ") for line in lines) + "\n)"


class ModuleDict(Module):
    """A dict of modules in order of insertion, which are submodules of what holds it. It cannot be called."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take out all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take out the module at `key`, and return it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._modules.items()

    def update(self, modules: Any) -> None:
        """Add modules of a mapping, or of pairs of keys and modules. Raises `TypeError`; then nothing is added."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleDict.update should be called with a mapping or pairs of keys and modules, not {type(modules).__name__}")
        pairs = list(modules.items() if isinstance(modules, Mapping | ModuleDict) else modules)
        for key, module in pairs:
            _check_module(module, key)
        for key, module in pairs:
            self.add_module(key, module)


class ParameterList(Module):
    """A list of parameters, which are parameters of what holds it; tensors put in become parameters. It cannot be called."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parameters.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._parameters[self._name(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        self.register_parameter(self._name(index), _as_parameter(self, value))

    def _name(self, index: Any) -> str:
        found = operator.index(index)
        if not -len(self) <= found < len(self):
            raise IndexError(f"index {found} is out of range for a ParameterList of {len(self)} parameters")
        return str(found % len(self))

    def append(self, value: Any) -> Self:
        """Add a parameter at the end."""
        self.register_parameter(str(len(self)), _as_parameter(self, value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end. Raises `TypeError` for what is no iterable of tensors; then nothing is added."""
        if not isinstance(values, Iterable) or isinstance(values, Boxed):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for parameter in [_as_parameter(self, value) for value in values]:
            self.append(parameter)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def __repr__(self) -> str:
        return _described(self)


class ParameterDict(Module):
    """A dict of parameters in order of insertion, which are parameters of what holds it; tensors put in become parameters."""

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        return self._parameters[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.register_parameter(key, _as_parameter(self, value))

    def __delitem__(self, key: str) -> None:
        del self._parameters[key]

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, key: object) -> bool:
        return key in self._parameters

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter at `key`, or `default`."""
        return self._parameters.get(key, default)

    def clear(self) -> None:
        """Take out all parameters."""
        self._parameters.clear()

    def pop(self, key: str) -> Any:
        """Take out the parameter at `key`, and return it."""
        return self._parameters.pop(key)

    def keys(self) -> Iterable[str]:
        return self._parameters.keys()

    def values(self) -> Iterable[Any]:
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._parameters.items()

    def update(self, parameters: Any) -> None:
        """Add parameters of a mapping, or of pairs of keys and tensors. Raises `TypeError`; then nothing is added."""
        if not isinstance(parameters, Iterable) or isinstance(parameters, Boxed):
            raise TypeError(
                f"ParameterDict.update should be called with a mapping or pairs of keys and tensors, not {type(parameters).__name__}"
            )
        pairs = parameters.items() if isinstance(parameters, Mapping | ParameterDict) else parameters
        for key, parameter in [(key, _as_parameter(self, value)) for key, value in pairs]:
            self.register_parameter(key, parameter)

    def __repr__(self) -> str:
        return _described(self)


def _as_parameter(container: Module, value: Any) -> Any:
    if isinstance(value, ParameterMark):
        return value
    if not isinstance(value, Boxed):
        raise TypeError(f"{type(container).__name__} holds tensors and parameters, not {type(value).__name__}")
    return container._parameter(array_under(value))


def _described(container: Module) -> str:
    """The parameters by name, each by its dtype and shape."""
    lines = [
        f"({name}): Parameter containing: [{p.dtype} of size {'x'.join(map(str, p.shape))}]"
        for name, p in container.named_parameters(recurse=False, remove_duplicate=False)
    ]
    return f"{type(container).__name__}(" + "".join(f"\n    {line}" for line in lines) + ("\n)" if lines else ")")
