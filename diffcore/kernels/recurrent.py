"""A recurrent layer over a whole sequence as one kernel: `recurrent`, for the kinds of steps in `diffcore.kernels.cells`.

The input is projected for many times by one product, and so are its cotangent and the weights', which sum over all times at once; what
runs from step to step is one product with the state and a few operations in place. On numpy that is written out in
`diffcore.kernels.recurrent_in_place`. On jax it is a `lax.scan`, so a compiled program does not grow with the sequence. On tensors (a
derivative of a derivative) and for many directions at once the same steps run one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

import numpy as np

from diffcore.arrays import is_mutable
from diffcore.dispatch import Boxed
from diffcore.kernels import recurrent_in_place as in_place
from diffcore.kernels.broadcast import align
from diffcore.kernels.cells import KINDS, plus
from diffcore.kernels.families import irregular
from diffcore.kernels.joining import concatenate
from diffcore.kernels.matmul import matmul
from diffcore.kernels.record import Call, Shape
from diffcore.kernels.shape import broadcast_to, transpose
from diffcore.seeds import zeros_of

Scan = Callable[..., tuple[Any, Any]]
"""`scan(body, carry, xs, reverse)`: `carry, ys = body(carry, xs at t)` for each time, which is axis 0 of all `xs` and `ys`."""


def _one_by_one(body: Callable[[Any, Any], Any], carry: Any, xs: tuple[Any, ...], reverse: bool) -> tuple[Any, Any]:
    """A `Scan` of arrays or tensors; `None` among `xs` and `ys` stays `None`."""
    steps = range(next(x.shape[0] for x in xs if x is not None))
    rows = []
    for t in reversed(steps) if reverse else steps:
        carry, ys = body(carry, tuple(None if x is None else x[t] for x in xs))
        rows.append(ys)
    if reverse:
        rows.reverse()
    stacked = [
        None if column[0] is None else concatenate(*column, axis=-column[0].ndim - 1, new=True) for column in zip(*rows, strict=True)
    ]
    return carry, tuple(stacked)


def _by_jax(body: Callable[[Any, Any], Any], carry: Any, xs: tuple[Any, ...], reverse: bool) -> tuple[Any, Any]:
    """A `Scan` as one loop of a compiled program."""
    found: tuple[Any, Any] = import_module("jax.lax").scan(body, carry, xs, reverse=reverse)
    return found


@lru_cache(maxsize=256)
def _compiled(function: Callable[..., Any], params: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    """`function(_by_jax, ..., **params)` compiled once per shape, so that outside of `jit` too a call is not traced anew."""
    compiled: Callable[..., Any] = import_module("jax").jit(partial(function, _by_jax, **dict(params)))
    return compiled


def _scanned(function: Callable[..., Any], *arrays: Any, **params: Any) -> Any:
    """`function` by the scan that suits what it runs on: `arrays`, some of which are tuples of arrays."""
    leaves = [x for part in arrays for x in (part if isinstance(part, tuple | list) else (part,))]
    if any(isinstance(x, Boxed) or is_mutable(x) for x in leaves):
        return function(_one_by_one, *arrays, **params)
    return _compiled(function, tuple(params.items()))(*arrays)


def _project(x: Any, weight: Any, bias: Any) -> Any:
    """`x @ weight.T + bias`, for a `bias` that may be the number 0."""
    out = matmul(x, weight.mT)
    return out + bias if hasattr(bias, "shape") else out


def _run(scan: Scan, x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, kind: str, reverse: bool) -> Any:
    """The result and the trace."""
    step = KINDS[kind]

    def body(state: Any, xs: Any) -> Any:
        h, c, parts = step.forward(xs[0], _project(state[0], w_hh, b_hh), *state)
        return (h, c), (h, concatenate(*parts, axis=-h.ndim - 1, new=True) if parts else None)

    state = (h, c if step.has_cell else None)
    state, (hs, trace) = scan(body, state, (_project(x, w_ih, b_ih),), reverse)
    return _joined(hs, state[1]), trace


def _joined(hs: Any, c: Any) -> Any:
    """The hidden states of all times, and behind them the last cell where there is one, as one array."""
    return hs if c is None else concatenate(hs, c.reshape((*c.shape[:-2], 1, *c.shape[-2:])), axis=-3)


def _forward(
    xp: Any, x: Any, hidden: Any, cell: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, *, kind: str, reverse: bool
) -> tuple[Any, tuple[Any]]:
    operands = x, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh
    if _explain(tuple(getattr(a, "shape", ()) for a in operands), {"kind": kind, "reverse": reverse}):
        raise ValueError("shapes disagree")
    if xp is np:
        out, trace = in_place.run(*operands, kind=kind, reverse=reverse)
    else:
        out, trace = _scanned(_run, *operands, kind=kind, reverse=reverse)
    return out, (trace,)


def _compute(
    xp: Any, x: Any, hidden: Any, cell: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, *, kind: str, reverse: bool
) -> Any:
    return _forward(xp, x, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh, kind=kind, reverse=reverse)[0]


def _trace(x: Any, hidden: Any, cell: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, kind: str, reverse: bool) -> Any:
    return _scanned(_run, x, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh, kind=kind, reverse=reverse)[1]


def _hidden_states(out: Any, kind: str) -> Any:
    """The part of a result that is hidden states: all but the cell at its end."""
    return out[..., :-1, :, :] if KINDS[kind].has_cell else out


def _before(first: Any, states: Any, reverse: bool) -> Any:
    """The states `[time, batch, hidden]` that steps start from."""
    first = first.reshape((1, *first.shape))
    return concatenate(states[1:], first, axis=-3) if reverse else concatenate(first, states[:-1], axis=-3)


def _states(out: Any, trace: Any, hidden: Any, cell: Any, kind: str, reverse: bool) -> tuple[Any, Any, Any]:
    """The hidden states after all steps and before them, and the cells before them."""
    hs = _hidden_states(out, kind)
    return hs, _before(hidden, hs, reverse), _before(cell, trace[:, -1], reverse) if KINDS[kind].has_cell else None


def _parts(trace: Any) -> tuple[Any, ...]:
    return () if trace is None else tuple(trace[i] for i in range(trace.shape[0]))


def _time_first(t: Any, ndim: int) -> Any:
    """A tangent or cotangent `[*lead, time, ...]` of what has `ndim` axes, with time in front."""
    lead = t.ndim - ndim
    return t if not lead else transpose(t, axes=(-ndim, *range(-t.ndim, -ndim), *range(1 - ndim, 0)))


def _time_back(t: Any, ndim: int) -> Any:
    """What `_time_first` has moved, back again."""
    lead = t.ndim - ndim
    return t if not lead else transpose(t, axes=(*range(1 - t.ndim, 1 - ndim), -t.ndim, *range(1 - ndim, 0)))


# pushforward


def _pushed(scan: Scan, operands: Any, out: Any, trace: Any, tangents: Any, *, kind: str, reverse: bool) -> Any:
    step = KINDS[kind]
    x, hidden, cell, w_ih, w_hh, _, _ = operands
    tx, th, tc, t_ih, t_hh, tb_ih, tb_hh = tangents
    hs, h_before, c_before = _states(out, trace, hidden, cell, kind, reverse)
    given = plus(None if tx is None else matmul(tx, w_ih.mT), _parameters(x, t_ih, tb_ih))
    recurring = _parameters(h_before, t_hh, tb_hh)
    if step.sums:
        given, recurring = plus(given, recurring), None
    lead = next(t.shape[: t.ndim - len(p.shape)] for t, p in zip(tangents, operands, strict=True) if t is not None)
    batch = (*lead, *hidden.shape)

    def body(state: Any, xs: Any) -> Any:
        ta, tb, h, c, new, trace = xs
        tb = plus(tb, matmul(state[0], w_hh.mT))
        state = step.push(_parts(trace), h, c, new, ta, tb, *state)
        return state, (state[0],)

    th = zeros_of(hidden, batch) if th is None else th
    tc = None if not step.has_cell else zeros_of(hidden, batch) if tc is None else tc
    given, recurring = (None if t is None else _time_first(_whole(t, (*lead, len(hs))), 3) for t in (given, recurring))
    (_, tc), (ths,) = scan(body, (th, tc), (given, recurring, h_before, c_before, hs, trace), reverse)
    return _joined(_time_back(ths, 3), tc)


def _parameters(x: Any, weight: Any, bias: Any) -> Any:
    """The tangent of `x @ weight.T + bias` `[time, batch, gates]` in weight and bias."""
    product = None if weight is None else matmul(x, align(weight, 2, 3).mT)
    return plus(product, None if bias is None else align(bias, 1, 3))


def _whole(t: Any, lead: Shape) -> Any:
    """A tangent that may be one for all times, for each."""
    shape = (*lead, *t.shape[-2:])
    return t if tuple(t.shape) == shape else broadcast_to(t, shape=shape)


def _pushforward(call: Call, tangents: Any) -> Any:
    return _scanned(_pushed, tuple(call.primals), call.out, call.aux[0], tangents, **call.params)


# pullback


def _pulled(scan: Scan, operands: Any, out: Any, trace: Any, g: Any, *, kind: str, reverse: bool, needs: tuple[bool, ...]) -> Any:
    step = KINDS[kind]
    x, hidden, cell, w_ih, w_hh, *_ = operands
    hs, h_before, c_before = _states(out, trace, hidden, cell, kind, reverse)
    gh = _time_first(_hidden_states(g, kind), 3)
    gc = g[..., -1, :, :] if step.has_cell else None

    def body(state: Any, xs: Any) -> Any:
        g, h, c, new, trace = xs
        ga, gb, gh, gc = step.pull(_parts(trace), h, c, new, g + state[0], state[1])
        return (plus(gh, matmul(gb, w_hh)), gc), (ga, None if step.sums else gb)

    (gh, gc), (ga, gb) = scan(body, (zeros_of(gh, tuple(gh.shape[1:])), gc), (gh, h_before, c_before, hs, trace), not reverse)
    ga = _time_back(ga, 3)
    gb = ga if gb is None else _time_back(gb, 3)
    axes = (-3, -2)
    return (
        matmul(ga, w_ih) if needs[0] else None,
        gh if needs[1] else None,
        gc if needs[2] else None,
        matmul(_rows(ga).mT, _rows(x)) if needs[3] else None,
        matmul(_rows(gb).mT, _rows(h_before)) if needs[4] else None,
        ga.sum(axis=axes) if needs[5] else None,
        gb.sum(axis=axes) if needs[6] else None,
    )


def _rows(x: Any) -> Any:
    """`[..., time, batch, features]` with time and batch merged."""
    return x.reshape((*x.shape[:-3], x.shape[-3] * x.shape[-2], x.shape[-1]))


def _pullback(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    if is_mutable(g) and g.ndim == 3 and not any(isinstance(x, Boxed) for x in (*call.primals, call.out, call.aux[0])):
        return in_place.pull(call.primals, call.shapes[0], call.out, call.aux[0], g, needs, **call.params)
    return _scanned(_pulled, tuple(call.primals), call.out, call.aux[0], g, needs=tuple(needs), **call.params)


# the kernel


def _explain(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
    x, hidden, cell, w_ih, w_hh, *biases = shapes
    step = KINDS[params["kind"]]
    if len(x) != 3 or not x[0]:
        return f"expected `x` [time, batch, features] with a time or more, got {x}"
    if len(hidden) != 2 or hidden[0] != x[1]:
        return f"expected `hidden` of shape ({x[1]}, hidden) for `x` {x}, got {hidden}"
    rows = step.gates * hidden[1]
    wanted = {"cell": hidden} if step.has_cell else {}
    wanted |= {"weight_ih": (rows, x[2]), "weight_hh": (rows, hidden[1])}
    for name, got in (("cell", cell), ("weight_ih", w_ih), ("weight_hh", w_hh)):
        if name in wanted and got != wanted[name]:
            return f"expected `{name}` of shape {wanted[name]} for `x` {x} and `hidden` {hidden}, got {got}"
    for name, got in zip(("bias_ih", "bias_hh"), biases, strict=True):
        if got not in ((), (rows,)):
            return f"expected `{name}` of shape ({rows},) for `hidden` {hidden}, got {got}"
    return None


def _batch_axis(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return 1 if operand == 0 and axis == 1 or operand in (1, 2) and axis == 0 else None


_KEPT = frozenset(("hidden", "cell", "weight_hh", "trace", "out"))

recurrent = irregular(
    "recurrent",
    _compute,
    forward=_forward,
    aux={"trace": _trace},
    pushforward=_pushforward,
    pullback=_pullback,
    keeps=(_KEPT | {"weight_ih"}, _KEPT, _KEPT, _KEPT | {"x"}, _KEPT, _KEPT, _KEPT),
    anew=frozenset(("x", "weight_ih", "bias_ih", "bias_hh")),
    carries_axis=_batch_axis,
    explain=_explain,
)
"""The hidden states `[time, batch, hidden]` of a layer over `x` `[time, batch, features]`, from the state `hidden` `[batch, hidden]`.

`kind` is "tanh", "relu", "lstm" or "gru", `reverse` runs from the last time to the first. Of an LSTM, which starts from `cell` (the number
0 for others), the result has one more row, the last cell. Biases are the number 0 where there are none. What is kept beside the operands
and the result is, per step, what the gates have come to (and an LSTM's cell): 5 arrays like the state for an LSTM, 4 for a GRU, else none.
"""
