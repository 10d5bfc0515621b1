"""What networks are made of: the layers of one engine on one device in one dtype, and the ways of joining them.

A network is described once, with a `Kit`. Over `revdiff` or `dualdiff` it makes the network that is compared; over `torch` it makes
PyTorch's own of the same architecture with the same names of parameters, against which both are tested.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

from compare.networks.joints import joints


class Kit:
    """The layers of `engine.nn`, with `device` and `dtype` filled in where a layer has parameters: `kit.Linear(3, 4)`, `kit.ReLU()`.

    **Arguments:** `engine`: `revdiff`, `dualdiff` or `torch`; `device`: `"meta"` for shapes alone; `dtype`: one of the engine's.
    """

    def __init__(self, engine: Any, *, device: Any = None, dtype: Any = None) -> None:
        self.engine, self.device, self.dtype = engine, device, dtype
        self._joints = joints(engine)

    def __getattr__(self, name: str) -> Any:
        layer = getattr(self.engine.nn, name)
        return partial(layer, device=self.device, dtype=self.dtype) if name in WITH_PARAMETERS else layer

    def parameter(self, value: Any) -> Any:
        """A parameter of the network's own, that starts as the array `value`."""
        return self.engine.nn.Parameter(self.engine.tensor(value, device=self.device, dtype=self.dtype))

    def drawn(self, *shape: int, std: float = 0.0) -> Any:
        """A parameter of the network's own, drawn from `N(0, std^2)`; zeros without `std`."""
        parameter = self.engine.nn.Parameter(self.engine.zeros(shape, device=self.device, dtype=self.dtype))
        if std and self.device != "meta":  # shapes alone: nothing to draw
            self.engine.nn.init.normal_(parameter, std=std)
        return parameter

    def named(self, **modules: Any) -> Any:
        """`Sequential` of modules under names of their own."""
        return self.engine.nn.Sequential(OrderedDict(modules))

    def residual(self, body: Any, shortcut: Any = None) -> Any:
        """`body(x) + shortcut(x)`; the shortcut is the identity by default (He et al. 2016)."""
        return self._joints.Residual(body, shortcut)

    def concatenated(self, *branches: Any) -> Any:
        """The outputs of `branches`, all of the same input, side by side along the channels (Szegedy et al. 2015)."""
        return self._joints.Concatenated(branches)

    def outputs(self, recurrent: Any) -> Any:
        """The outputs `[n, steps, features]` of a recurrent layer, without the state that it ends in."""
        return self._joints.Outputs(recurrent)

    def step(self, index: int) -> Any:
        """`[n, features]` of `[n, steps, features]`: the step at `index`."""
        return self._joints.Step(index)

    def patches(self, projection: Any, token: Any, positions: Any) -> Any:
        """An image as a sequence `[n, 1 + patches, features]`: a class token, then what `projection` makes of each patch, and where each
        stands (Dosovitskiy et al. 2021).

        **Arguments:** `projection`: the convolution whose stride is its window; `token` `[1, 1, features]` and `positions`
        `[1, 1 + patches, features]`: parameters.
        """
        return self._joints.Patches(projection, token, positions)


WITH_PARAMETERS = frozenset(
    """
    Linear Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm
    GroupNorm RMSNorm Embedding RNN LSTM GRU RNNCell LSTMCell GRUCell MultiheadAttention TransformerEncoderLayer PReLU
    """.split()
)
"""Layers that take `device` and `dtype`."""

