"""Layers whose parameters are recorded: `revdiff.nn.Linear` and the rest, under PyTorch's names."""

from __future__ import annotations

import sys
from typing import Any

from diffcore.nn import attention, cells, container, linear, module, recurrent, transformer
from diffcore.nn.activation import CrossEntropyLoss, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from diffcore.nn.linear import Flatten
from revdiff.nn import functional, init, utils
from revdiff.tensor import Tensor, tensor


class Parameter(Tensor, module.ParameterMark):
    """A tensor that a module registers; it requires a gradient unless told otherwise."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(tensor(data).primal)
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Module(module.Module):
    """`diffcore.nn.Module` with reverse-mode parameters: the base of user-written layers and networks."""

    def _parameter(self, value: Any) -> Parameter:
        return Parameter(value)

    def _constant(self, value: Any) -> Tensor:
        return Tensor(value)

    @property
    def _layers(self) -> Any:
        return sys.modules[__name__]


class Sequential(container.Sequential, Module):
    """`diffcore.nn.Sequential` of reverse-mode modules."""


class Linear(linear.Linear, Module):
    """`diffcore.nn.Linear` holding reverse-mode parameters."""


class RNN(recurrent.RNN, Module):
    """`diffcore.nn.RNN` holding reverse-mode parameters."""


class LSTM(recurrent.LSTM, Module):
    """`diffcore.nn.LSTM` holding reverse-mode parameters."""


class GRU(recurrent.GRU, Module):
    """`diffcore.nn.GRU` holding reverse-mode parameters."""


class RNNCell(cells.RNNCell, Module):
    """`diffcore.nn.RNNCell` holding reverse-mode parameters."""


class LSTMCell(cells.LSTMCell, Module):
    """`diffcore.nn.LSTMCell` holding reverse-mode parameters."""


class GRUCell(cells.GRUCell, Module):
    """`diffcore.nn.GRUCell` holding reverse-mode parameters."""


class MultiheadAttention(attention.MultiheadAttention, Module):
    """`diffcore.nn.MultiheadAttention` holding reverse-mode parameters."""


class TransformerEncoderLayer(transformer.TransformerEncoderLayer, Module):
    """`diffcore.nn.TransformerEncoderLayer` holding reverse-mode parameters."""


class TransformerEncoder(transformer.TransformerEncoder, Module):
    """`diffcore.nn.TransformerEncoder` holding reverse-mode parameters."""


__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "CrossEntropyLoss",
    "Flatten",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "LogSoftmax",
    "Module",
    "MultiheadAttention",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "functional",
    "init",
    "utils",
]
