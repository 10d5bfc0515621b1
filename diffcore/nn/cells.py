"""One step of a recurrent network: `RNNCell`, `LSTMCell`, `GRUCell`, and the step functions that the layers over sequences share.

A step takes the projection of its input, `projected = input @ weight_ih.T + bias_ih`, which a layer computes for all times at once, the
state so far, and the weights from hidden state to gates; what follows the two projections is one kernel (see `diffcore.kernels.cells`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import cells as _p
from diffcore.kernels.elementwise import add, relu, tanh
from diffcore.kernels.indexing import getitem
from diffcore.nn import initial
from diffcore.ops import linear, reshape
from diffcore.ops.axes import Tensor
from diffcore.seeds import zeros_of
from diffcore.whole import whole

State = tuple[Tensor, ...]
"""The hidden state `[batch, hidden]`, and for an LSTM the cell state beside it."""
Step = Callable[[Tensor, State, Tensor, Tensor | None], State]


def _part(x: Tensor, i: int, size: int) -> Tensor:
    """Part `i` of `x` `[batch, parts * size]`."""
    return getitem(x, index=(slice(None), slice(i * size, (i + 1) * size)))


def tanh_step(projected: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """`h' = tanh(projected + h @ weight.T + bias)` (Elman 1990, "Finding structure in time")."""
    return (tanh(add(projected, linear(state[0], weight, bias))),)


def relu_step(projected: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """`h' = relu(projected + h @ weight.T + bias)`."""
    return (relu(add(projected, linear(state[0], weight, bias))),)


def lstm_step(projected: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """`c' = f c + i g`, `h' = o tanh(c')` with the gates i, f, g, o side by side in `projected + h @ weight.T + bias`.

    i, f and o go through a sigmoid, g through tanh (Hochreiter and Schmidhuber 1997, "Long short-term memory", with forget gates).
    """
    h, c = state
    size = h.shape[-1]
    after = _p.lstm_cell(add(projected, linear(h, weight, bias)), c)
    return _part(after, 0, size), _part(after, 1, size)


def gru_step(projected: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    """`h' = (1 - z) n + z h` with `r, z = sigmoid(...)` and `n = tanh(projected_n + r (h @ weight_n.T + bias_n))`.

    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder"; the reset gate acts after the product, as in PyTorch.
    """
    (h,) = state
    return (_p.gru_cell(projected, linear(h, weight, bias), h),)


STEPS: dict[str, Step] = {"tanh": tanh_step, "relu": relu_step, "lstm": lstm_step, "gru": gru_step}


def check_nonlinearity(op: str, nonlinearity: str) -> None:
    """Raise `ValueError` for what is no nonlinearity of a plain recurrent network."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{op}: unknown nonlinearity: `nonlinearity` (={nonlinearity!r}) must be 'tanh' or 'relu'")


def check_size(op: str, name: str, value: Any) -> int:
    """`value`, which must be a positive whole number. Raises `TypeError` and `ValueError`."""
    found = whole(value)
    if found is None:
        raise TypeError(f"{op}: `{name}` (={value!r}) should be of type int, got: {type(value).__name__}")
    if found <= 0:
        raise ValueError(f"{op}: `{name}` (={value}) must be greater than zero")
    return found


def check_like(op: str, x: Tensor, weight: Tensor, size: int) -> None:
    """Raise unless `x` has `size` features and the dtype of `weight`."""
    if x.shape[-1] != size:
        raise ShapeError(f"{op}: `input` {tuple(x.shape)} must have {size} features along its last axis, got {x.shape[-1]}")
    if x.dtype != weight.dtype:
        raise DTypeError(
            f"{op}: `input` has dtype {x.dtype}, but the weights have {weight.dtype}. Did you mean `input.to({str(weight.dtype)!r})`?"
        )


class Cell(initial.Initialised):
    """Base of the cells: `weight_ih` `[gates * hidden, input]`, `weight_hh` `[gates * hidden, hidden]`, `bias_ih`, `bias_hh`.

    All are drawn from U(-1/sqrt(hidden), 1/sqrt(hidden)).
    """

    gates: int

    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: str | None, dtype: Any) -> None:
        super().__init__()
        name = type(self).__name__
        self.input_size, self.hidden_size = check_size(name, "input_size", input_size), check_size(name, "hidden_size", hidden_size)
        self.bias = bool(bias)
        self._begin(device, dtype)

    def _initial(self, device: Any, dtype: Any) -> dict[str, Any]:
        bound, rows = 1 / math.sqrt(self.hidden_size), self.gates * self.hidden_size
        weights = {"weight_ih": (rows, self.input_size), "weight_hh": (rows, self.hidden_size)}
        drawn = {name: initial.uniform(bound, shape, device, dtype) for name, shape in weights.items()}
        for name in ("bias_ih", "bias_hh"):
            drawn[name] = initial.uniform(bound, (rows,), device, dtype) if self.bias else None
        return drawn

    def _step(self) -> Step:
        raise NotImplementedError

    def _stepped(self, input: Tensor, state: tuple[Tensor | None, ...]) -> State:
        """The state after `input`, from `state`, of which what is `None` is zero; both `[batch, ...]`, or a single example."""
        op, own = type(self).__name__, self._parameters
        if input.ndim not in (1, 2):
            raise ShapeError(f"{op}: expected `input` to be 1D or 2D, got {input.ndim}D: shape {tuple(input.shape)}")
        check_like(op, input, own["weight_ih"], self.input_size)
        wanted = (*input.shape[:-1], self.hidden_size)
        for name, x in zip(("hx", "cx"), state, strict=False):
            if x is not None and tuple(x.shape) != wanted:
                raise ShapeError(f"{op}: expected `{name}` of shape {wanted} for `input` {tuple(input.shape)}, got {tuple(x.shape)}")
            if x is not None and x.dtype != input.dtype:
                raise DTypeError(f"{op}: `input` has dtype {input.dtype}, but `{name}` has {x.dtype}")
        rows = (math.prod(input.shape[:-1]), self.hidden_size)
        projected = linear(reshape(input, (rows[0], self.input_size)), own["weight_ih"], own["bias_ih"])
        before = tuple(zeros_of(projected, rows) if x is None else reshape(x, rows) for x in state)
        after = self._step()(projected, before, own["weight_hh"], own["bias_hh"])
        return tuple(reshape(x, wanted) for x in after)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(Cell):
    """`h' = tanh(input @ weight_ih.T + bias_ih + hx @ weight_hh.T + bias_hh)`, or `relu` with `nonlinearity="relu"`.

    `forward(input, hx=None)`: `input` `[batch, input_size]` or `[input_size]`, `hx` (zeros by default) and the result
    `[batch, hidden_size]` or `[hidden_size]`.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        check_nonlinearity(type(self).__name__, nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def _step(self) -> Step:
        return STEPS[self.nonlinearity]

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._stepped(input, (hx,))[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(Cell):
    """One step of an LSTM (see `lstm_step`); the rows of the weights are those of the gates i, f, g, o.

    `forward(input, (hx, cx)=None)` returns `(h', c')`; shapes as for `RNNCell`.
    """

    gates = 4

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def _step(self) -> Step:
        return lstm_step

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> State:
        return self._stepped(input, (None, None) if hx is None else pair_of(type(self).__name__, hx))


class GRUCell(Cell):
    """One step of a GRU (see `gru_step`); the rows of the weights are those of the gates r, z, n. Called as `RNNCell`."""

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def _step(self) -> Step:
        return gru_step

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._stepped(input, (hx,))[0]


def pair_of(op: str, hx: Any) -> State:
    """`hx` as a pair of states. Raises `TypeError`."""
    if not isinstance(hx, tuple | list) or len(hx) != 2:
        got = f"{len(hx)} of them" if isinstance(hx, tuple | list) else type(hx).__name__
        raise TypeError(f"{op}: `hx` must be a pair (hidden state, cell state), got {got}")
    return tuple(hx)
