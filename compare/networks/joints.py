"""Modules that join others, over any engine's `nn.Module`. They use only what PyTorch's tensors and ours have in common."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any


@cache
def joints(engine: Any) -> Any:
    """The joints of `engine` (`revdiff`, `dualdiff` or `torch`) by name; `Kit` says what each one does."""

    class Residual(engine.nn.Module):
        def __init__(self, body: Any, shortcut: Any) -> None:
            super().__init__()
            self.body, self.shortcut = body, shortcut

        def forward(self, x: Any) -> Any:
            return self.body(x) + (x if self.shortcut is None else self.shortcut(x))

    class Concatenated(engine.nn.Module):
        def __init__(self, branches: tuple[Any, ...]) -> None:
            super().__init__()
            for i, branch in enumerate(branches):
                self.add_module(str(i), branch)

        def forward(self, x: Any) -> Any:
            return engine.cat([branch(x) for branch in self.children()], 1)

    class Outputs(engine.nn.Module):
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            return self.layer(x)[0]

    class Step(engine.nn.Module):
        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

        def forward(self, x: Any) -> Any:
            return x[:, self.index]

        def extra_repr(self) -> str:
            return str(self.index)

    class Patches(engine.nn.Module):
        def __init__(self, projection: Any, token: Any, positions: Any) -> None:
            super().__init__()
            self.projection, self.token, self.positions = projection, token, positions

        def forward(self, x: Any) -> Any:
            patches = self.projection(x).flatten(2).transpose(1, 2)
            token = self.token.expand(patches.shape[0], -1, -1)
            return engine.cat([token, patches], 1) + self.positions

    return SimpleNamespace(Residual=Residual, Concatenated=Concatenated, Outputs=Outputs, Step=Step, Patches=Patches)
