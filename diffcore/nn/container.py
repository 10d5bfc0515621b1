"""Containers of modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from diffcore.nn.module import Module


class Sequential(Module):
    """Modules called one after another; indexed by position, a slice gives a `Sequential`. Also takes one dict of named modules."""

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(modules):
                self.add_module(str(i), module)

    def forward(self, x: Any) -> Any:
        for module in self._modules.values():
            x = module(x)  # type: ignore[misc]
        return x

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        children = list(self._modules.values())
        if not -len(children) <= index < len(children):
            raise IndexError(f"index {index} is out of range for a Sequential of {len(children)} modules")
        return children[index]

    def append(self, module: Module) -> Sequential:
        """Add a module at the end, under the first number that is free from its position on."""
        number = len(self)
        while str(number) in self._modules:
            number += 1
        self.add_module(str(number), module)
        return self
