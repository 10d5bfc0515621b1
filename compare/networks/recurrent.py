"""Networks that read a sequence step by step: RNN, LSTM and GRU, to classify it or to foretell its next token."""

from __future__ import annotations

from typing import Any

from compare.errors import InputError
from compare.networks.base import Network
from compare.networks.kit import Kit


class Recurrent(Network):
    """`depth` recurrent layers of `width` units; the output of the last step goes through a linear layer to the classes."""

    takes = "sequence"
    width, depth = 16, 1
    optimizer, lr = "adam", 0.01
    layer: str
    """The name of the layer in `engine.nn`."""

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Features, then units, then classes, for instance `8-16h-10`."""
        return "-".join([str(inputs[-1]), *[f"{width}h"] * depth, str(outputs)])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`recurrent`, then `classifier` on its last output."""
        if len(inputs) != 2:
            raise InputError(f"{self.name}: examples must be sequences (steps, features), but their shape is {tuple(inputs)}")
        recurrent = getattr(kit, self.layer)(inputs[1], width, num_layers=depth, batch_first=True)
        return kit.named(recurrent=kit.outputs(recurrent), last=kit.step(-1), classifier=kit.Linear(width, outputs))


class RNN(Recurrent):
    """`h <- tanh(W x + U h + b)`."""

    name, layer = "rnn", "RNN"
    account = "Elman's recurrent network (1990), read to its last step; --width units in each of --depth layers"


class LSTM(Recurrent):
    """Gates say what a cell forgets, takes in and shows (Gers, Schmidhuber, Cummins 2000 added the gate to forget)."""

    name, layer = "lstm", "LSTM"
    account = "long short-term memory (Hochreiter & Schmidhuber 1997), read to its last step; --width units in each of --depth layers"


class GRU(Recurrent):
    """Two gates and no cell."""

    name, layer = "gru", "GRU"
    account = "gated recurrent units (Cho 2014), read to their last step; --width units in each of --depth layers"


class LanguageModel(Recurrent):
    """Tokens `[steps]` are looked up in a table of `width` features, read by `depth` recurrent layers of `width` units, and the output of
    every step goes through a linear layer to all tokens: logits `[n, steps, tokens]` of the next one (Mikolov et al. 2010, "Recurrent
    neural network based language model").
    """

    takes, task, data = "tokens", "language", "text"
    width, batch = 12, 32

    def shape(self, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> str:
        """Tokens, then features and units, then tokens, for instance `27t-16-16h-27`."""
        return "-".join([f"{outputs}t", str(width), *[f"{width}h"] * depth, str(outputs)])

    def build(self, kit: Kit, inputs: tuple[int, ...], outputs: int, *, width: int, depth: int) -> Any:
        """`embedding`, `recurrent`, then `tokens`, a linear layer."""
        if len(inputs) != 1:
            raise InputError(f"{self.name}: examples must be sequences of tokens (steps,), but their shape is {tuple(inputs)}")
        recurrent = getattr(kit, self.layer)(width, width, num_layers=depth, batch_first=True)
        return kit.named(
            embedding=kit.Embedding(outputs, width), recurrent=kit.outputs(recurrent), tokens=kit.Linear(width, outputs)
        )


class RNNLanguageModel(LanguageModel):
    """`RNN`, foretelling."""

    name, layer = "rnn-language", "RNN"
    account = "language model: recurrent network (Mikolov 2010) over an embedding; --width features and units, --depth layers"


class LSTMLanguageModel(LanguageModel):
    """`LSTM`, foretelling."""

    name, layer = "lstm-language", "LSTM"
    account = "language model: LSTM (Sundermeyer 2012) over an embedding; --width features and units, --depth layers"


class GRULanguageModel(LanguageModel):
    """`GRU`, foretelling."""

    name, layer = "gru-language", "GRU"
    account = "language model: gated recurrent units (Cho 2014) over an embedding; --width features and units, --depth layers"


NETWORKS = (RNN(), LSTM(), GRU(), RNNLanguageModel(), LSTMLanguageModel(), GRULanguageModel())
