"""The layers over sequences: recurrent ones, attention, and the transformer's encoder."""

from diffcore.nn import attention, cells, recurrent, transformer
from dualdiff.nn.module import Module


class RNN(recurrent.RNN, Module):
    """`diffcore.nn.RNN` holding forward-mode parameters, which are seeded step by step."""

    whole = False


class LSTM(recurrent.LSTM, Module):
    """`diffcore.nn.LSTM` holding forward-mode parameters, which are seeded step by step."""

    whole = False


class GRU(recurrent.GRU, Module):
    """`diffcore.nn.GRU` holding forward-mode parameters, which are seeded step by step."""

    whole = False


class RNNCell(cells.RNNCell, Module):
    """`diffcore.nn.RNNCell` holding forward-mode parameters."""


class LSTMCell(cells.LSTMCell, Module):
    """`diffcore.nn.LSTMCell` holding forward-mode parameters."""


class GRUCell(cells.GRUCell, Module):
    """`diffcore.nn.GRUCell` holding forward-mode parameters."""


class MultiheadAttention(attention.MultiheadAttention, Module):
    """`diffcore.nn.MultiheadAttention` holding forward-mode parameters."""


class TransformerEncoderLayer(transformer.TransformerEncoderLayer, Module):
    """`diffcore.nn.TransformerEncoderLayer` holding forward-mode parameters."""


class TransformerEncoder(transformer.TransformerEncoder, Module):
    """`diffcore.nn.TransformerEncoder` of forward-mode modules."""
