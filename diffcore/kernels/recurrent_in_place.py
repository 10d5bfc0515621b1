"""`recurrent` on numpy: steps that write into arrays made beforehand, and products over blocks of times.

A block is as many times as make about `ROWS` rows: enough for a product at full speed, while what a block needs beside the result and the
trace (projections, their cotangents) stays small, and in the cache. Within a step the gates lie one behind the other `[gate, batch,
hidden]`, so that each is one stretch of memory; the sum of the projections, `[batch, gate * hidden]`, is written there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from diffcore.kernels.cells import KINDS
from diffcore.ledger import did

ROWS = 512


def _blocks(times: int, batch: int) -> Iterator[tuple[int, int]]:
    size = max(1, ROWS // max(batch, 1))
    return ((start, min(start + size, times)) for start in range(0, times, size))


def _new(like: Any, dtype: Any, *shape: int) -> Any:
    return np.empty_like(like, dtype=dtype, shape=shape, order="C")


def _rows(x: Any) -> Any:
    """Time and batch merged."""
    return x.reshape((x.shape[0] * x.shape[1], x.shape[2]))


def _gates(x: Any, gates: int) -> Any:
    """`[..., batch, gates * hidden]` seen as `[..., gate, batch, hidden]`."""
    return x.reshape((*x.shape[:-1], gates, x.shape[-1] // gates)).swapaxes(-2, -3)


def _sigmoid(x: Any) -> None:
    """In place; what overflows is infinite, and comes out as 0."""
    np.negative(x, out=x)
    np.exp(x, out=x)
    np.add(x, 1, out=x)
    np.reciprocal(x, out=x)


def run(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, kind: str, reverse: bool) -> tuple[Any, Any]:
    """The result and the trace (see `diffcore.kernels.recurrent`)."""
    step, advance = KINDS[kind], _FORWARD[kind]
    (times, batch, _), size = x.shape, h.shape[-1]
    did("turn", kind, times)
    dtype = np.result_type(*(a.dtype for a in (x, h, c, w_ih, w_hh, b_ih, b_hh) if hasattr(a, "dtype")))
    out = _new(x, dtype, times + step.has_cell, batch, size)
    trace = _new(x, dtype, times, step.kept, batch, size) if step.kept else None
    hs = out[:times]
    if reverse:
        x, hs, trace = x[::-1], hs[::-1], trace if trace is None else trace[::-1]
    inner, outer = w_ih.T, w_hh.T.copy()  # the product at each step is faster by rows
    recurring = _new(x, dtype, batch, step.gates * size)
    bias, apart = _biases(b_ih, b_hh, size, step.sums)
    spare = _new(x, dtype, 2, batch, size)
    with np.errstate(over="ignore"):
        for start, stop in _blocks(times, batch):
            given = np.matmul(_rows(x[start:stop]), inner, dtype=dtype)
            if bias is not None:
                given += bias
            given = _gates(given.reshape((stop - start, batch, step.gates * size)), step.gates)
            for t in range(start, stop):
                np.matmul(h, outer, out=recurring)
                new, kept = hs[t], None if trace is None else trace[t]
                c = advance(given[t - start], _gates(recurring, step.gates), h, c, new, kept, apart, spare)
                h = new
    if step.has_cell:
        out[times] = c
    return out, trace if not reverse or trace is None else trace[::-1]


def _biases(b_ih: Any, b_hh: Any, size: int, sums: bool) -> tuple[Any, Any]:
    """What is added to the input's projection, and what to the last gate of the state's, where that is kept apart."""
    given = [b for b in (b_ih, b_hh) if hasattr(b, "shape")]
    if sums or not hasattr(b_hh, "shape"):
        return (given[0] if len(given) == 1 else given[0] + given[1]) if given else None, None
    bias, apart = b_hh.copy(), b_hh[-size:]
    bias[-size:] = 0
    return bias + b_ih if hasattr(b_ih, "shape") else bias, apart


def _forward_tanh(a: Any, b: Any, h: Any, c: Any, new: Any, trace: Any, apart: Any, spare: Any) -> None:
    np.add(a[0], b[0], out=new)
    np.tanh(new, out=new)


def _forward_relu(a: Any, b: Any, h: Any, c: Any, new: Any, trace: Any, apart: Any, spare: Any) -> None:
    np.add(a[0], b[0], out=new)
    np.maximum(new, 0, out=new)


def _forward_lstm(a: Any, b: Any, h: Any, c: Any, new: Any, trace: Any, apart: Any, spare: Any) -> Any:
    opened, g, cell, other = trace[:4], trace[2], trace[4], spare[0]
    np.add(a, b, out=opened)
    np.tanh(g, out=cell)
    _sigmoid(opened)  # of g too: one call is less work than two
    np.copyto(g, cell)
    np.multiply(opened[0], g, out=cell)
    np.multiply(opened[1], c, out=other)
    cell += other
    np.tanh(cell, out=other)
    np.multiply(opened[3], other, out=new)
    return cell


def _forward_gru(a: Any, b: Any, h: Any, c: Any, new: Any, trace: Any, apart: Any, spare: Any) -> None:
    opened, n, q = trace[:2], trace[2], trace[3]
    np.add(a[:2], b[:2], out=opened)
    _sigmoid(opened)
    if apart is None:
        np.copyto(q, b[2])
    else:
        np.add(b[2], apart, out=q)
    np.multiply(opened[0], q, out=n)
    n += a[2]
    np.tanh(n, out=n)
    np.subtract(h, n, out=new)
    new *= opened[1]
    new += n


_FORWARD: dict[str, Callable[..., Any]] = {
    "tanh": _forward_tanh,
    "relu": _forward_relu,
    "lstm": _forward_lstm,
    "gru": _forward_gru,
}
"""Kind -> a step: the gates' projections of input and state `[gate, batch, hidden]`, the state, where the new hidden state goes and what is
kept of the step, the bias of the last gate where that is apart, and two spare arrays. Returns the new cell.
"""


def pull(
    operands: Any, shape: Any, out: Any, trace: Any, g: Any, needs: tuple[bool, ...], *, kind: str, reverse: bool
) -> list[Any]:
    """The cotangents of the operands that are needed, for one cotangent `g` of the result; `shape` is that of the input."""
    x, hidden, cell, w_ih, w_hh, *_ = operands
    step, retreat = KINDS[kind], _BACKWARD[kind]
    (times, batch, features), size, dtype = shape, hidden.shape[-1], out.dtype
    did("turn", kind, times)
    found: list[Any] = [None] * len(operands)
    hs, gs, gx = out[:times], g[:times], _new(out, dtype, *shape) if needs[0] else None
    found[0] = gx
    if reverse:
        hs, gs = hs[::-1], gs[::-1]
        x, trace, gx = (None if a is None else a[::-1] for a in (x, trace, gx))
    gh, gc = gs[-1].copy(), g[times].copy() if step.has_cell else None
    spare, width = _new(out, dtype, step.kept + 1, batch, size), step.gates * size
    for start, stop in reversed(list(_blocks(times, batch))):
        gb = _new(out, dtype, stop - start, batch, width)
        last = None if step.sums else _new(out, dtype, stop - start, batch, size)
        for t in range(stop - 1, start - 1, -1):
            before = hs[t - 1] if t else hidden
            cells = None if not step.has_cell else trace[t - 1, 4] if t else cell
            into = _gates(gb[t - start], step.gates)
            kept, beside = None if trace is None else trace[t], None if last is None else last[t - start]
            direct = retreat(hs[t], kept, before, cells, gh, gc, into, beside, spare)
            if t or needs[1]:  # nobody asks what the state before the first one was, where it is no variable
                np.matmul(gb[t - start], w_hh, out=gh)
                if direct is not None:
                    gh += direct
            if t:
                gh += gs[t - 1]
        h_before = hs[start - 1 : stop - 1] if start else np.concatenate((hidden[None], hs[: stop - 1]))
        _add_products(found, needs, (4, 6), _rows(gb), h_before)
        if last is not None:
            gb[..., -size:] = last
        _add_products(found, needs, (3, 5), _rows(gb), None if x is None else x[start:stop])
        if gx is not None:
            gx[start:stop] = (_rows(gb) @ w_ih).reshape((stop - start, batch, features))
    found[1], found[2] = gh if needs[1] else None, gc if needs[2] else None
    return found


def _add_products(found: list[Any], needs: tuple[bool, ...], operands: tuple[int, int], g: Any, source: Any) -> None:
    """Add what a block of times gives the cotangents of a weight and of a bias, where these are needed.

    **Arguments:** `operands`: their positions; `g`: the cotangents of the projections `[rows, ...]`; `source`: what was projected.
    """
    weight, bias = operands
    if needs[weight]:
        found[weight] = _sum(found[weight], g.T @ _rows(source))
    if needs[bias]:
        found[bias] = _sum(found[bias], np.add.reduce(g, axis=0))


def _sum(total: Any, part: Any) -> Any:
    if total is None:
        return part
    total += part
    return total


def _backward_tanh(new: Any, trace: Any, h: Any, c: Any, gh: Any, gc: Any, into: Any, last: Any, spare: Any) -> None:
    slope = spare[0]
    np.multiply(new, new, out=slope)
    np.subtract(1, slope, out=slope)
    np.multiply(slope, gh, out=into[0])


def _backward_relu(new: Any, trace: Any, h: Any, c: Any, gh: Any, gc: Any, into: Any, last: Any, spare: Any) -> None:
    np.multiply(gh, new > 0, out=into[0])


def _backward_lstm(new: Any, trace: Any, h: Any, c: Any, gh: Any, gc: Any, into: Any, last: Any, spare: Any) -> None:
    opened, i, f, g, o, cell = trace[:4], trace[0], trace[1], trace[2], trace[3], trace[4]
    slopes, shown, other = spare[:4], spare[4], spare[5]
    np.subtract(1, opened, out=slopes)
    slopes *= opened
    np.multiply(g, g, out=slopes[2])
    np.subtract(1, slopes[2], out=slopes[2])
    np.tanh(cell, out=shown)
    slopes[0] *= g
    slopes[1] *= c
    slopes[2] *= i
    slopes[3] *= shown
    np.multiply(shown, shown, out=other)
    np.subtract(1, other, out=other)
    other *= o
    other *= gh
    gc += other
    np.multiply(slopes[:3], gc, out=into[:3])
    np.multiply(slopes[3], gh, out=into[3])
    gc *= f


def _backward_gru(new: Any, trace: Any, h: Any, c: Any, gh: Any, gc: Any, into: Any, last: Any, spare: Any) -> Any:
    r, z, n, q = trace[0], trace[1], trace[2], trace[3]
    opened, slopes, gn, other = trace[:2], spare[:2], spare[2], spare[3]
    np.subtract(1, opened, out=slopes)
    np.multiply(gh, slopes[1], out=gn)
    slopes *= opened
    np.multiply(n, n, out=other)
    np.subtract(1, other, out=other)
    np.multiply(gn, other, out=last)
    np.multiply(last, r, out=into[2])
    np.multiply(last, q, out=other)
    np.multiply(other, slopes[0], out=into[0])
    np.subtract(h, n, out=other)
    other *= gh
    np.multiply(other, slopes[1], out=into[1])
    np.multiply(gh, z, out=other)
    return other


_BACKWARD: dict[str, Callable[..., Any]] = {
    "tanh": _backward_tanh,
    "relu": _backward_relu,
    "lstm": _backward_lstm,
    "gru": _backward_gru,
}
"""Kind -> a step back: the new hidden state and what was kept of the step, the state before it, the cotangents of the new state (that of
the cell becomes that of the cell before), where the cotangents of the projections go (of the last gate that of the state's, and that of
the input's beside it where they differ), and spare arrays. Returns what of the state's cotangent does not come through the product.
"""
