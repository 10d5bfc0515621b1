"""Recurrent layers over whole sequences: `RNN`, `LSTM`, `GRU`.

The inputs of all times are projected by one product; the loop over time does what depends on the state alone. It runs within one kernel
(see `diffcore.kernels.recurrent`), or step by step (see `diffcore.nn.cells`) for forward mode, which seeds the result of each product; then
the batch is axis 0, which keeps examples apart. Work and memory are linear in the number of steps.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels.indexing import getitem
from diffcore.kernels.recurrent import recurrent
from diffcore.nn import initial
from diffcore.nn.cells import STEPS, State, check_like, check_nonlinearity, check_size, pair_of
from diffcore.ops import cat, dropout, linear, reshape, stack, transpose, unbind, unsqueeze
from diffcore.ops.axes import Tensor
from diffcore.seeds import zeros_of


class Recurrent(initial.Initialised):
    """Base of the recurrent layers: `num_layers` of them stacked, each in one direction or in both.

    Parameters of layer `k`: `weight_ih_l{k}` `[gates * hidden, input]`, `weight_hh_l{k}` `[gates * hidden, hidden]`, `bias_ih_l{k}` and
    `bias_hh_l{k}` `[gates * hidden]`, and the same with `_reverse` for the direction from the last time to the first; from the second
    layer on the input is the layer's below, both directions side by side. All are drawn from U(-1/sqrt(hidden), 1/sqrt(hidden)).
    """

    gates: int
    states = 1
    whole = True
    """Whether a layer is one kernel over all times, or a loop of kernels over them: then each step's products are kernels by themselves."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if proj_size:
            raise ValueError(f"{name}: `proj_size` (={proj_size!r}) must be 0: projections of the hidden state are not supported")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: `dropout` (={dropout!r}) should be a number in range [0, 1], the probability of a zero")
        self.input_size, self.hidden_size = check_size(name, "input_size", input_size), check_size(name, "hidden_size", hidden_size)
        self.num_layers = check_size(name, "num_layers", num_layers)
        for option, value in (("bias", bias), ("batch_first", batch_first), ("bidirectional", bidirectional)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: `{option}` (={value!r}) should be of type bool, got: {type(value).__name__}")
        if dropout and self.num_layers == 1:
            warnings.warn(
                f"{name}: `dropout` (={dropout}) acts after all but the last recurrent layer, so it needs `num_layers` greater than 1",
                stacklevel=3,
            )
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, float(dropout), bidirectional
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        size, drawn = self.hidden_size, dict[str, Any]()
        bound, rows = 1 / math.sqrt(size), self.gates * size
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else size * (1 + self.bidirectional)
            for suffix in self._suffixes(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, size)}
                if self.bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                for kind, shape in shapes.items():
                    drawn[f"{kind}_{suffix}"] = initial.uniform(bound, shape, device, dtype)
        return drawn

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"l{layer}", f"l{layer}_reverse") if self.bidirectional else (f"l{layer}",)

    def _kind(self) -> str:
        """The kind of step: a key of `STEPS`."""
        raise NotImplementedError

    def flatten_parameters(self) -> None:
        """Nothing: the weights need no common memory here. For code that is written for PyTorch."""

    def _run(self, input: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, State]:
        """The outputs of the last layer and the final states, for initial states `given`, or zeros for `()`."""
        batched = self._check(input, given)
        run, batch = (self._whole, 1) if self.whole else (self._stepped, 0)
        x = unsqueeze(input, batch) if not batched else input if self.batch_first == (batch == 0) else transpose(input, 0, 1)
        before = [unbind(s if batched else unsqueeze(s, 1), 0) for s in given]
        after: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = dropout(x, self.dropout, self.training)
            last = layer == self.num_layers - 1
            sides = []
            for suffix in self._suffixes(layer):
                state = tuple(s[len(after)] for s in before) or (zeros_of(x, (x.shape[batch], self.hidden_size)),) * self.states
                hidden, state = run(x, suffix, state, last and not (self.batch_first and batched))
                sides.append(hidden)
                after.append(state)
            x = sides[0] if len(sides) == 1 else cat(sides, -1)
        if self.whole and self.batch_first and batched:
            x = transpose(x, 0, 1)
        finals = [stack(layers, 0) for layers in zip(*after, strict=True)]
        if not batched:
            x, finals = _without_batch(x), [_without_batch(s) for s in finals]
        return x, tuple(finals)

    def _whole(self, x: Tensor, suffix: str, state: State, time_first: bool) -> tuple[Tensor, State]:
        """One layer in one direction over `x` `[time, batch, features]`: the hidden states of all times, and the last state."""
        own, reverse, times = self._parameters, suffix.endswith("_reverse"), x.shape[0]
        out = recurrent(
            x,
            state[0],
            state[1] if self.states > 1 else 0,
            own[f"weight_ih_{suffix}"],
            own[f"weight_hh_{suffix}"],
            own.get(f"bias_ih_{suffix}", 0),
            own.get(f"bias_hh_{suffix}", 0),
            kind=self._kind(),
            reverse=reverse,
        )
        hidden = getitem(out, index=(slice(0, times),)) if self.states > 1 else out
        return hidden, tuple(getitem(out, index=(at,)) for at in (0 if reverse else times - 1, times)[: self.states])

    def _stepped(self, x: Tensor, suffix: str, state: State, time_first: bool) -> tuple[Tensor, State]:
        """One layer in one direction over `x` `[batch, time, features]`, step by step; the hidden states come with `time_first` or not."""
        own, step = self._parameters, STEPS[self._kind()]
        weight, bias = own[f"weight_hh_{suffix}"], own.get(f"bias_hh_{suffix}")
        projected = linear(x, own[f"weight_ih_{suffix}"], own.get(f"bias_ih_{suffix}"))
        reverse = suffix.endswith("_reverse")
        times = range(x.shape[1])
        hidden = []
        for time in reversed(times) if reverse else times:
            state = step(getitem(projected, index=(slice(None), time)), state, weight, bias)
            hidden.append(state[0])
        return stack(hidden[::-1] if reverse else hidden, 0 if time_first else 1), state

    def _check(self, input: Tensor, given: tuple[Tensor, ...]) -> bool:
        """Whether `input` has a batch axis. Raises `ShapeError` and `DTypeError` for what does not fit."""
        op, shape = type(self).__name__, tuple(input.shape)
        if input.ndim not in (2, 3):
            raise ShapeError(f"{op}: expected `input` to be 2D or 3D, got {input.ndim}D: shape {shape}")
        batched = input.ndim == 3
        check_like(op, input, self._parameters["weight_ih_l0"], self.input_size)
        if not shape[1 if batched and self.batch_first else 0]:
            raise ShapeError(f"{op}: expected sequence length to be larger than 0, got `input` {shape}")
        batch = (shape[0 if self.batch_first else 1],) if batched else ()
        wanted = (self.num_layers * (1 + self.bidirectional), *batch, self.hidden_size)
        for name, s in zip(("hx", "cx"), given, strict=False):
            if tuple(s.shape) != wanted:
                raise ShapeError(f"{op}: expected `{name}` of shape {wanted} for `input` {shape}, got {tuple(s.shape)}")
            if s.dtype != input.dtype:
                raise DTypeError(f"{op}: `input` has dtype {input.dtype}, but `{name}` has {s.dtype}")
        return batched

    def extra_repr(self) -> str:
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        changed = [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *changed])


def _without_batch(x: Tensor) -> Tensor:
    """`x` `[n, 1, features]` as `[n, features]`."""
    return reshape(x, (x.shape[0], x.shape[2]))


class RNN(Recurrent):
    """`h[t] = tanh(x[t] @ weight_ih.T + bias_ih + h[t-1] @ weight_hh.T + bias_hh)`, or `relu` with `nonlinearity="relu"`.

    `forward(input, hx=None)` returns `(output, h_n)`. `input` is `[time, batch, input_size]`, `[batch, time, input_size]` with
    `batch_first`, or `[time, input_size]` for one sequence; `output` has the hidden states of the last layer in the places of the inputs,
    both directions side by side. `hx` (zeros by default) and `h_n` are `[num_layers * directions, batch, hidden_size]`, without `batch` for
    one sequence.

    **Arguments:** as for PyTorch's; `dropout` acts between layers in training. Raises `ShapeError` and `DTypeError` for what does not fit.
    Packed sequences are not supported: pad (`nn.utils.rnn.pad_sequence`) and take `output` where sequences end.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        check_nonlinearity(type(self).__name__, nonlinearity)
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        self.nonlinearity = nonlinearity

    def _kind(self) -> str:
        return self.nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (final,) = self._run(input, () if hx is None else (hx,))
        return output, final


class LSTM(Recurrent):
    """An LSTM (see `diffcore.nn.cells.lstm_step`); the rows of the weights are those of the gates i, f, g, o.

    `forward(input, (h_0, c_0)=None)` returns `(output, (h_n, c_n))`; shapes, arguments and errors as for `RNN`. `proj_size` must be 0.
    """

    gates, states = 4, 2

    def _kind(self) -> str:
        return "lstm"

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, State]:
        return self._run(input, () if hx is None else pair_of(type(self).__name__, hx))


class GRU(Recurrent):
    """A GRU (see `diffcore.nn.cells.gru_step`); the rows of the weights are those of the gates r, z, n.

    `forward(input, hx=None)` returns `(output, h_n)`; shapes, arguments and errors as for `RNN`.
    """

    gates = 3

    def _kind(self) -> str:
        return "gru"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (final,) = self._run(input, () if hx is None else (hx,))
        return output, final
