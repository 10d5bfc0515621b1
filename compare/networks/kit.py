"""What networks are made of: the layers of one engine on one device in one dtype, and the ways of joining them.

A network is described once, with a `Kit`. Over `revdiff` or `dualdiff` it makes the network that is compared; over `torch` it makes
PyTorch's own of the same architecture with the same names of parameters, against which both are tested.
"""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace
from typing import Any


class Kit:
    """The layers of `engine.nn`, with `device` and `dtype` filled in where a layer has parameters: `kit.Linear(3, 4)`, `kit.ReLU()`.

    **Arguments:** `engine`: `revdiff`, `dualdiff` or `torch`; `device`: `"meta"` for shapes alone; `dtype`: one of the engine's.
    """

    def __init__(self, engine: Any, *, device: Any = None, dtype: Any = None) -> None:
        self.engine, self.device, self.dtype = engine, device, dtype
        self._joints = _joints(engine)

    def __getattr__(self, name: str) -> Any:
        layer = getattr(self.engine.nn, name)
        return partial(layer, device=self.device, dtype=self.dtype) if name in WITH_PARAMETERS else layer

    def parameter(self, value: Any) -> Any:
        """A parameter of the network's own, that starts as the array `value`."""
        return self.engine.nn.Parameter(self.engine.tensor(value, device=self.device, dtype=self.dtype))

    def residual(self, body: Any, shortcut: Any = None) -> Any:
        """`body(x) + shortcut(x)`; the shortcut is the identity by default (He et al. 2016)."""
        return self._joints.Residual(body, shortcut)

    def concatenated(self, *branches: Any) -> Any:
        """The outputs of `branches`, all of the same input, side by side along the channels (Szegedy et al. 2015)."""
        return self._joints.Concatenated(branches)


WITH_PARAMETERS = frozenset(
    """
    Linear Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm
    GroupNorm RMSNorm Embedding RNN LSTM GRU RNNCell LSTMCell GRUCell MultiheadAttention TransformerEncoderLayer PReLU
    """.split()
)
"""Layers that take `device` and `dtype`."""


@cache
def _joints(engine: Any) -> Any:
    """Modules of `engine` that join others."""

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

    return SimpleNamespace(Residual=Residual, Concatenated=Concatenated)
