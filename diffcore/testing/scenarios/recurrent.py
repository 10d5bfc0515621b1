"""Steps of recurrent networks, and layers of them over sequences."""

from diffcore import ops
from diffcore.errors import ShapeError
from diffcore.kernels.cells import KINDS, gru_cell, lstm_cell
from diffcore.kernels.recurrent import recurrent
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import exactly, normal, within


def steps(xp, sigmoid):
    """One step of each kind, gate by gate, by the functions of a module."""

    def lstm(z, c, axis=-1):
        size = c.shape[-1]
        i, f, g, o = (z[..., k * size : (k + 1) * size] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * xp.tanh(g)
        return sigmoid(o) * xp.tanh(c), c

    def gru(a, b, h):
        size = h.shape[-1]
        (ar, az, an), (br, bz, bn) = ([x[..., k * size : (k + 1) * size] for k in range(3)] for x in (a, b))
        z = sigmoid(az + bz)
        return (1 - z) * xp.tanh(an + sigmoid(ar + br) * bn) + z * h

    return lstm, gru


def of_jax(jax):
    return steps(jax.numpy, jax.nn.sigmoid)


def of_torch(torch):
    return steps(torch, torch.sigmoid)


# cells


def lstm(case, *shape, draw=normal, **options):
    return Scenario(
        "lstm_cell",
        case,
        lstm_cell,
        draw((*shape[:-1], 4 * shape[-1]), shape),
        reference=(lambda jax, z, c: jax.numpy.concatenate(of_jax(jax)[0](z, c), -1)) if shape == (3, 2) else None,
        torch=lambda torch, z, c: torch.cat(of_torch(torch)[0](z, c), -1),
        **options,
    )


def gru(case, *shape, draw=normal, **options):
    return Scenario(
        "gru_cell",
        case,
        gru_cell,
        draw(*((*shape[:-1], 3 * shape[-1]),) * 2, shape),
        reference=(lambda jax, *xs: of_jax(jax)[1](*xs)) if shape == (3, 2) else None,
        torch=lambda torch, *xs: of_torch(torch)[1](*xs),
        **options,
    )


def two_steps(z, c):
    after = lstm_cell(z, c)
    size = c.shape[-1]
    return lstm_cell(ops.mul(z, 0.5), ops.getitem(after, (..., slice(size, None))))


def first_rows(x, n):
    return ops.getitem(x, (slice(None), slice(0, n)))


CELLS = [
    row
    for make in (lstm, gru)
    for row in (
        make("batch", 3, 2),
        make("one example", 2),
        make("one element", 1, 1),
        make("one feature", 3, 1),
        make("three axes", 2, 1, 2),
        make("no examples", 0, 2),
        make("no features", 2, 0),
        make("strided", 2, 2, strided=True),
        make("open and shut", 2, 2, draw=within(-4, 4)),
        make("small", 2, 1, draw=within(-0.1, 0.1)),
    )
]
CELLS += [
    Scenario("lstm_cell", "two steps", two_steps, normal((2, 4), (2, 1))),
    Scenario("lstm_cell", "overlapping operands", lambda x: lstm_cell(x, first_rows(x, 1)), normal((2, 4))),
    Scenario(
        "lstm_cell",
        "shut tight",
        lstm_cell,
        exactly([[-800.0, 800.0, 1.0, -800.0], [800.0, -800.0, -800.0, 800.0]], [[0.5], [2.0]]),
        smooth=False,
        torch=lambda torch, z, c: torch.cat(of_torch(torch)[0](z, c), -1),
    ),
    Scenario("gru_cell", "repeated operand", lambda a, h: gru_cell(a, a, h), normal((2, 3), (2, 1))),
    Scenario("gru_cell", "overlapping operands", lambda a: gru_cell(a, a, first_rows(a, 1)), normal((2, 3))),
    Scenario(
        "gru_cell",
        "shut tight",
        gru_cell,
        exactly([[-800.0, 800.0, 1.0], [800.0, -800.0, -800.0]], [[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]], [[0.5], [2.0]]),
        smooth=False,
        torch=lambda torch, *xs: of_torch(torch)[1](*xs),
    ),
]


# layers


def layer(case, kind, times=2, batch=2, features=1, hidden=1, reverse=False, biases="ih", draw=normal, by_jax=False, **options):
    """`biases` names which there are: of the input's projection, of the hidden state's. One row of a kind is enough for jax to compile."""
    step = KINDS[kind]
    rows = step.gates * hidden
    shapes = [(times, batch, features), (batch, hidden), *((batch, hidden),) * step.has_cell, (rows, features), (rows, hidden)]

    def arguments(xs):
        """The kernel's seven operands, with 0 for those that are absent."""
        xs = list(xs)
        state = [xs.pop(0), xs.pop(0), xs.pop(0) if step.has_cell else 0]
        weights, given = [xs.pop(0), xs.pop(0)], dict(zip(biases, xs, strict=True))
        return (*state, *weights, given.get("i", 0), given.get("h", 0))

    def function(*xs):
        return recurrent(*arguments(xs), kind=kind, reverse=reverse)

    def plainly(made, xp, act, xs):
        one_lstm, one_gru = made
        x, h, c, w_ih, w_hh, b_ih, b_hh = arguments(xs)
        states = {}
        for t in reversed(range(times)) if reverse else range(times):
            a, b = x[t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
            if kind == "lstm":
                h, c = one_lstm(a + b, c)
            else:
                h = one_gru(a, b, h) if kind == "gru" else act(a + b)
            states[t] = h
        return xp.stack([*(states[t] for t in range(times)), *([c] if step.has_cell else [])])

    return Scenario(
        "recurrent",
        f"{kind}, {case}",
        function,
        draw(*shapes, *((rows,),) * len(biases)),
        reference=(lambda jax, *xs: plainly(of_jax(jax), jax.numpy, jax.numpy.tanh, xs)) if by_jax else None,
        torch=lambda torch, *xs: plainly(of_torch(torch), torch, torch.relu if kind == "relu" else torch.tanh, xs),
        **options,
    )


def one_bias(x, h, w, u, b):
    return recurrent(x, h, 0, w, u, b, b, kind="gru", reverse=False)


def one_buffer(x, h, w):
    return recurrent(x, h, 0, w, ops.getitem(w, (slice(None), slice(0, 1))), 0, 0, kind="tanh", reverse=False)


LAYERS = [
    layer("two steps", "tanh", features=2, batch=1),
    layer("backwards", "tanh", times=3, batch=1, reverse=True),
    layer("two steps", "relu", hidden=2, draw=within(0.2, 1)),  # away from the kink
    layer("two steps", "lstm"),
    layer("backwards", "lstm", batch=1, reverse=True, by_jax=True),
    layer("without biases", "lstm", batch=1, biases=""),
    layer("no examples", "lstm", batch=0, hidden=2),
    layer("strided", "lstm", batch=1, hidden=2, strided=True),
    layer("two steps", "gru"),
    layer("backwards", "gru", batch=1, reverse=True),
    layer("bias of the input", "gru", biases="i", batch=1),
    layer("one step", "gru", times=1, batch=1, hidden=2, biases="h"),
    Scenario("recurrent", "one bias for both", one_bias, normal((2, 1, 1), (1, 1), (3, 1), (3, 1), (3,))),
    Scenario("recurrent", "weights that share memory", one_buffer, normal((2, 1, 2), (1, 1), (1, 2))),
]

ROWS = [*CELLS, *LAYERS]


def refused(kernel, case, function, shapes, match):
    return Misuse(kernel, case, function, normal(*shapes), ShapeError, match)


def a_gru(*xs):
    return recurrent(xs[0], xs[1], 0, *xs[2:], kind="gru", reverse=False)


def an_lstm(*xs):
    return recurrent(*xs, 0, 0, kind="lstm", reverse=False)


MISUSES = [
    refused("lstm_cell", "given a number", lstm_cell, ((4,), ()), "lstm_cell: `cell` must have a last axis of features, got a number"),
    refused("lstm_cell", "too few gates", lstm_cell, ((2, 3), (2, 1)), r"expected `gates` of shape \(2, 4\), 4 gates for `cell` \(2, 1\)"),
    refused("lstm_cell", "another batch", lstm_cell, ((3, 4), (2, 1)), r"expected `gates` of shape \(2, 4\).* got \(3, 4\)"),
    refused("lstm_cell", "gates for a cell", lambda z: lstm_cell(z, z), ((2, 4),), r"expected `gates` of shape \(2, 16\)"),
    refused("gru_cell", "given a number", gru_cell, ((3,), (3,), ()), "`hidden` must have a last axis of features, got a number"),
    refused("gru_cell", "too few gates", gru_cell, ((2, 2), (2, 3), (2, 1)), r"expected `projected` of shape \(2, 3\), 3 gates"),
    refused("gru_cell", "another batch", gru_cell, ((2, 3), (3, 3), (2, 1)), r"expected `recurrent` of shape \(2, 3\).* got \(3, 3\)"),
    refused("gru_cell", "state without a batch", gru_cell, ((2, 3), (2, 3), (1,)), r"expected `projected` of shape \(3,\)"),
    refused("recurrent", "given a number", a_gru, ((), (1, 1), (3, 1), (3, 1), (3,), (3,)), r"expected `x` \[time, batch, features\]"),
    refused("recurrent", "no times", a_gru, ((0, 1, 1), (1, 1), (3, 1), (3, 1), (3,), (3,)), r"a time or more, got \(0, 1, 1\)"),
    refused("recurrent", "another batch", a_gru, ((2, 3, 1), (1, 1), (3, 1), (3, 1), (3,), (3,)), r"`hidden` of shape \(3, hidden\)"),
    refused("recurrent", "another weight", a_gru, ((2, 1, 1), (1, 1), (3, 2), (3, 1), (3,), (3,)), r"`weight_ih` of shape \(3, 1\)"),
    refused("recurrent", "another bias", a_gru, ((2, 1, 1), (1, 1), (3, 1), (3, 1), (4,), (3,)), r"expected `bias_ih` of shape \(3,\)"),
    refused("recurrent", "another cell", an_lstm, ((2, 1, 1), (1, 1), (1, 2), (4, 1), (4, 1)), r"expected `cell` of shape \(1, 1\)"),
]
