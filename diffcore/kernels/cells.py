"""Steps of recurrent networks: the gates' nonlinear part, with both rules by hand.

A step makes the state after it from the gates' projections. `lstm_cell` and `gru_cell` are kernels, for loops over time that are written
with them; `diffcore.kernels.recurrent` runs whole sequences by the same functions, which is why they come apart: `forward` makes the new
state and `parts`, the arrays of the state's shape that the others read; `push` and `pull` carry tangents and cotangents. All run on
arrays and on tensors, with any leading axes of directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from diffcore.arrays import is_mutable
from diffcore.kernels.elementwise import relu, sigmoid, tanh, where
from diffcore.kernels.families import irregular
from diffcore.kernels.joining import concatenate
from diffcore.kernels.owned import added
from diffcore.kernels.record import Call, Shape

Parts = tuple[Any, ...]


def block(x: Any, i: int, size: int, count: int = 1) -> Any:
    """`count` gates of `x` `[..., gates * size]` from gate `i` on."""
    return x[..., i * size : (i + count) * size]


def plus(x: Any, y: Any) -> Any:
    """The sum of two tangents or cotangents, either of which may be `None`, a zero."""
    return y if x is None else x if y is None else x + y


def by(x: Any, factor: Any) -> Any:
    """`x * factor`, `None` for `None`."""
    return None if x is None else x * factor


class Kind(NamedTuple):
    """How a step of a recurrent network is made and differentiated.

    Of `gates` projections `[..., gates * hidden]` of the input (`a`) and of the hidden state (`b`), the state `h`, and the cell `c` where
    it `has_cell`: `forward(a, b, h, c)` is `(h', c', parts)` with `kept` parts; `push(parts, h, c, h', ta, tb, th, tc)` the tangents
    `(th', tc')`; `pull(parts, h, c, h', gh, gc)` the cotangents `(ga, gb, gh, gc)`. Where the gates see the sum of both projections
    (`sums`), `ga is gb`.
    """

    gates: int
    kept: int
    has_cell: bool
    sums: bool
    forward: Callable[..., tuple[Any, Any, Parts]]
    push: Callable[..., tuple[Any, Any]]
    pull: Callable[..., tuple[Any, Any, Any, Any]]


# plain


def _plain(act: Callable[[Any], Any], slope: Callable[[Any, Any], Any]) -> Kind:
    """`h' = act(a + b)`; `slope(t, h')` is `t` times the derivative, by the result."""

    def pull(parts: Parts, h: Any, c: Any, new: Any, gh: Any, gc: Any) -> Any:
        g = slope(gh, new)
        return g, g, None, None

    return Kind(
        1,
        0,
        False,
        True,
        lambda a, b, h, c: (act(a + b), None, ()),
        lambda parts, h, c, new, ta, tb, th, tc: (slope(plus(ta, tb), new), None),
        pull,
    )


# LSTM


def _lstm(z: Any, c: Any) -> tuple[Any, Parts]:
    size = c.shape[-1]
    opened = sigmoid(z)  # of the candidate too, which is less work than three calls
    i, f, o = block(opened, 0, size), block(opened, 1, size), block(opened, 3, size)
    g = tanh(block(z, 2, size))
    new = f * c + i * g
    return o * tanh(new), (i, f, g, o, new)


def _slopes(parts: Parts, c: Any) -> tuple[Any, ...]:
    """The derivative of `c'` in the projections i, f, g; of `h'` in that of o, and in `c'`."""
    i, f, g, o, new = parts
    shown = tanh(new)
    return g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), shown * o * (1 - o), o * (1 - shown * shown)


def _push_lstm(parts: Parts, c: Any, tz: Any, tc: Any) -> tuple[Any, Any]:
    size = parts[0].shape[-1]
    di, df, dg, do, dc = _slopes(parts, c)
    tc = by(tc, parts[1])
    if tz is None:
        return tc * dc, tc
    for k, slope in enumerate((di, df, dg)):
        term = block(tz, k, size) * slope
        tc = added(tc, term) if k else plus(tc, term)  # from the second on it is ours
    return added(tc * dc, block(tz, 3, size) * do), tc


def _pull_lstm(parts: Parts, c: Any, gh: Any, gc: Any) -> tuple[Any, Any]:
    di, df, dg, do, dc = _slopes(parts, c)
    gc = plus(gc, by(gh, dc))
    return concatenate(gc * di, gc * df, gc * dg, gh * do, axis=-1), gc * parts[1]


def _forward_lstm(a: Any, b: Any, h: Any, c: Any) -> Any:
    new, parts = _lstm(a + b, c)
    return new, parts[4], parts


def _pull_lstm_step(parts: Parts, h: Any, c: Any, new: Any, gh: Any, gc: Any) -> Any:
    gz, gc = _pull_lstm(parts, c, gh, gc)
    return gz, gz, None, gc


# GRU


def _gru(a: Any, b: Any, h: Any) -> tuple[Any, Parts]:
    size = h.shape[-1]
    opened = sigmoid(block(a, 0, size, 2) + block(b, 0, size, 2))
    r, z, q = block(opened, 0, size), block(opened, 1, size), block(b, 2, size)
    n = tanh(block(a, 2, size) + r * q)
    return n + z * (h - n), (r, z, n, q)


def _push_gru(parts: Parts, h: Any, ta: Any, tb: Any, th: Any) -> Any:
    r, z, n, q = parts
    size = r.shape[-1]
    th, tn = by(th, z), None
    if ta is not None or tb is not None:
        opened = plus(*(None if t is None else block(t, 0, size, 2) for t in (ta, tb)))
        tn = block(opened, 0, size) * (q * r * (1 - r))
        th = plus(th, block(opened, 1, size) * ((h - n) * z * (1 - z)))
    if ta is not None:
        tn = tn + block(ta, 2, size)
    if tb is not None:
        tn = tn + block(tb, 2, size) * r
    return plus(th, by(tn, (1 - z) * (1 - n * n)))


def _pull_gru(parts: Parts, h: Any, g: Any) -> tuple[Any, Any, Any]:
    r, z, n, q = parts
    gn, gz = g * ((1 - z) * (1 - n * n)), g * ((h - n) * z * (1 - z))
    gr = gn * (q * r * (1 - r))
    return concatenate(gr, gz, gn, axis=-1), concatenate(gr, gz, gn * r, axis=-1), g * z


def _forward_gru(a: Any, b: Any, h: Any, c: Any) -> Any:
    new, parts = _gru(a, b, h)
    return new, None, parts


KINDS = {
    "tanh": _plain(tanh, lambda t, h: t * (1 - h * h)),
    "relu": _plain(relu, lambda t, h: where(h > 0, t, 0)),
    "lstm": Kind(
        4,
        5,
        True,
        True,
        _forward_lstm,
        lambda parts, h, c, new, ta, tb, th, tc: _push_lstm(parts, c, plus(ta, tb), tc),
        _pull_lstm_step,
    ),
    "gru": Kind(
        3,
        4,
        False,
        False,
        _forward_gru,
        lambda parts, h, c, new, ta, tb, th, tc: (_push_gru(parts, h, ta, tb, th), None),
        lambda parts, h, c, new, gh, gc: (*_pull_gru(parts, h, gh), None),
    ),
}


# as kernels


def _batch_stays(axis: int, operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> int | None:
    return axis if axis < len(shape) - 1 else None


def _rows_stay(operand: int, shapes: tuple[Shape, ...], shape: Shape, params: dict[str, Any]) -> bool:
    return len(shape) > 1


def _fits(*operands: tuple[Any, int]) -> bool:
    """Whether operands, each with its number of gates, are of the same batch and hidden size; the last one is a state."""
    shape = operands[-1][0].shape
    return len(shape) > 0 and all(x.shape == (*shape[:-1], gates * shape[-1]) for x, gates in operands)


def _account(names: tuple[str, ...], gates: int) -> Callable[[tuple[Shape, ...], dict[str, Any]], str | None]:
    """What to say of operands `names`, the last of which is a state, that do not fit."""

    def explain(shapes: tuple[Shape, ...], params: dict[str, Any]) -> str | None:
        *projections, state = shapes
        if not state:
            return f"`{names[-1]}` must have a last axis of features, got a number"
        wanted = (*state[:-1], gates * state[-1])
        for name, got in zip(names, projections, strict=False):
            if got != wanted:
                return f"expected `{name}` of shape {wanted}, {gates} gates for `{names[-1]}` {state}, got {got}"
        return None

    return explain


def _lstm_opened(gates: Any, cell: Any) -> Any:
    """The gates i, f, g, o side by side."""
    size = cell.shape[-1]
    opened, g = sigmoid(gates), tanh(block(gates, 2, size))
    if is_mutable(opened):
        opened[..., 2 * size : 3 * size] = g
        return opened
    return concatenate(block(opened, 0, size, 2), g, block(opened, 3, size), axis=-1)


def _forward_lstm_cell(xp: Any, gates: Any, cell: Any) -> tuple[Any, tuple[Any]]:
    if not _fits((gates, 4), (cell, 1)):
        raise ValueError("gates and cell do not fit")
    size = cell.shape[-1]
    opened = _lstm_opened(gates, cell)
    i, f, g, o = (block(opened, k, size) for k in range(4))
    new = f * cell + i * g
    return xp.concatenate((o * xp.tanh(new), new), axis=-1), (opened,)


def _lstm_parts(call: Call) -> Parts:
    gates, cell = call.primals
    (opened,), size = call.aux, call.shapes[1][-1]
    opened = _lstm_opened(gates, cell) if opened is None else opened
    return (*(block(opened, k, size) for k in range(4)), block(call.out, 1, size))


def _push_lstm_cell(call: Call, tangents: Any) -> Any:
    return concatenate(*_push_lstm(_lstm_parts(call), call.primals[1], *tangents), axis=-1)


def _pull_lstm_cell(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    size = call.shapes[1][-1]
    gates, cell = _pull_lstm(_lstm_parts(call), call.primals[1], block(g, 0, size), block(g, 1, size))
    return gates if needs[0] else None, cell if needs[1] else None


lstm_cell = irregular(
    "lstm_cell",
    lambda xp, gates, cell: _forward_lstm_cell(xp, gates, cell)[0],
    forward=_forward_lstm_cell,
    aux={"opened": _lstm_opened},
    pushforward=_push_lstm_cell,
    pullback=_pull_lstm_cell,
    keeps=(frozenset(("gates", "cell", "out")),) * 2,
    examples=_rows_stay,
    carries_axis=_batch_stays,
    explain=_account(("gates", "cell"), 4),
)
"""`h'` and `c'` side by side, `[..., 2 * hidden]`: `c' = f c + i g`, `h' = o tanh(c')` for `gates` `[..., 4 * hidden]`, which are i, f, g,
o before their sigmoids (of g: tanh), and `cell` `c` `[..., hidden]`. Reverse mode keeps both and the result, and opens the gates again.
"""


def _gru_opened(projected: Any, recurrent: Any, hidden: Any) -> Any:
    """r, z, n and what r acts on, side by side."""
    return concatenate(*_gru(projected, recurrent, hidden)[1], axis=-1)


def _forward_gru_cell(xp: Any, projected: Any, recurrent: Any, hidden: Any) -> tuple[Any, tuple[Any]]:
    if not _fits((projected, 3), (recurrent, 3), (hidden, 1)):
        raise ValueError("projections and state do not fit")
    out, parts = _gru(projected, recurrent, hidden)
    return out, (xp.concatenate(parts, axis=-1),)


def _gru_parts(call: Call) -> Parts:
    (opened,), size = call.aux, call.shapes[2][-1]
    if opened is None:
        return _gru(*call.primals)[1]
    return tuple(block(opened, k, size) for k in range(4))


def _push_gru_cell(call: Call, tangents: Any) -> Any:
    return _push_gru(_gru_parts(call), call.primals[2], *tangents)


def _pull_gru_cell(call: Call, g: Any, needs: tuple[bool, ...]) -> Any:
    found = _pull_gru(_gru_parts(call), call.primals[2], g)
    return [x if need else None for x, need in zip(found, needs, strict=True)]


gru_cell = irregular(
    "gru_cell",
    lambda xp, projected, recurrent, hidden: _forward_gru_cell(xp, projected, recurrent, hidden)[0],
    forward=_forward_gru_cell,
    aux={"opened": _gru_opened},
    pushforward=_push_gru_cell,
    pullback=_pull_gru_cell,
    keeps=(frozenset(("projected", "recurrent", "hidden")),) * 3,
    examples=_rows_stay,
    carries_axis=_batch_stays,
    explain=_account(("projected", "recurrent", "hidden"), 3),
)
"""`h' = (1 - z) n + z h` with `r, z = sigmoid(...)` and `n = tanh(projected_n + r recurrent_n)` for `projected` and `recurrent`
`[..., 3 * hidden]`, which are r, z, n side by side, and `hidden` `h` `[..., hidden]`. Reverse mode keeps these and opens the gates again.
"""
