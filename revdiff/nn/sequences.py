"""The layers over sequences: recurrent ones, attention, and the transformer's encoder."""

from diffcore.nn import attention, cells, recurrent, transformer
from revdiff.nn.module import Module


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
    """`diffcore.nn.TransformerEncoder` of reverse-mode modules."""
