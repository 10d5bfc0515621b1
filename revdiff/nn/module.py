"""What layers of this engine are made of: `Parameter`, and `Module` that holds some."""

from __future__ import annotations

import sys
from typing import Any

from diffcore.nn import module
from diffcore.nn.registry import ParameterMark
from revdiff.tensor import Tensor, tensor


class Parameter(Tensor, ParameterMark):
    """A tensor that a module registers; it requires a gradient unless told otherwise."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(tensor(data).primal)
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Module(module.Module, metaclass=module.EngineType):
    """`diffcore.nn.Module` with reverse-mode parameters: the base of user-written layers and networks."""

    def _parameter(self, value: Any) -> Parameter:
        return Parameter(value)

    def _constant(self, value: Any) -> Tensor:
        return Tensor(value)

    @property
    def _layers(self) -> Any:
        return sys.modules[__package__]
