"""Pooling: maxima and means of windows, and the gathering and scattering by winning taps in their derivatives."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import pooling as k
from diffcore.kernels.windows import Window
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import distinct, exactly, normal

INF = float("inf")
TIED = [[[1.0, 3.0, 3.0, 2.0], [2.0, 2.0, 2.0, 2.0], [0.0, 3.0, -1.0, 3.0], [1.0, 0.0, 3.0, 3.0]]]


def pool(kernel, case, name, shape, *args, draw=distinct, reference=None, **more):
    """A function of the library under the same name in torch, with the same arguments."""
    options = {key: more.pop(key) for key in tuple(more) if key not in ("smooth", "strided")}
    return Scenario(
        kernel,
        case,
        lambda x: getattr(ops, name)(x, *args, **options),
        draw(shape) if isinstance(shape, tuple) else exactly(shape),
        reference=reference,
        torch=lambda torch, x: getattr(torch.nn.functional, name)(x, *args, **options),
        **more,
    )


def reduced(name, start, size, stride, padding, dilation=None):
    """`jax.lax.reduce_window` over the last axes."""

    def reference(jax, x):
        ones = (1,) * (x.ndim - len(size))
        edges, gaps = ((0, 0),) * len(ones) + tuple((p, p) for p in padding), None if dilation is None else ones + dilation
        initial = np.asarray(start, x.dtype)
        return jax.lax.reduce_window(x, initial, getattr(jax.lax, name), ones + size, ones + stride, edges, window_dilation=gaps)

    return reference


def outside(case, shape, size, stride, padding, dilation):
    """Windows that lie in the padding alone, where PyTorch reads and writes past the input."""
    name = f"max_pool{len(size)}d"
    return Scenario(
        "max_pool",
        f"in the padding alone, {case}",
        lambda x: getattr(ops, name)(x, size, stride, padding, dilation),
        distinct(shape),
        smooth=False,
        reference=reduced("max", -INF, size, stride, padding, dilation),
    )


MAXIMA = [
    pool("max_pool", "line", "max_pool1d", (2, 1, 6), 2, reference=reduced("max", -INF, (2,), (2,), (0,))),
    pool("max_pool", "overlapping", "max_pool1d", (1, 2, 5), 3, 1, reference=reduced("max", -INF, (3,), (1,), (0,))),
    pool("max_pool", "apart", "max_pool1d", (1, 2, 7), 2, 3),
    pool("max_pool", "padded", "max_pool1d", (2, 1, 5), 3, 2, 1, reference=reduced("max", -INF, (3,), (2,), (1,))),
    pool("max_pool", "dilated", "max_pool1d", (2, 1, 6), 2, 1, 1, 2),
    pool("max_pool", "over the end", "max_pool1d", (1, 2, 5), 2, ceil_mode=True),
    pool("max_pool", "windows of one", "max_pool1d", (1, 1, 3), 1),
    pool("max_pool", "one element", "max_pool1d", (1, 1, 1), 1),
    pool("max_pool", "plane", "max_pool2d", (1, 2, 4, 4), 2, reference=reduced("max", -INF, (2, 2), (2, 2), (0, 0))),
    pool("max_pool", "plane, overlapping and padded", "max_pool2d", (1, 1, 4, 3), (3, 2), (2, 1), (1, 0)),
    pool("max_pool", "plane, over the end", "max_pool2d", (1, 1, 5, 4), 3, 2, 1, ceil_mode=True),
    pool("max_pool", "unbatched plane", "max_pool2d", (2, 3, 4), (3, 2)),
    pool("max_pool", "unbatched line", "max_pool1d", (2, 5), 2, 1),
    pool("max_pool", "no examples", "max_pool2d", (0, 2, 2, 2), 2),
    pool("max_pool", "strided", "max_pool2d", (1, 2, 4, 3), 2, 1, strided=True),
    pool("max_pool", "ties", "max_pool2d", [TIED], 2, smooth=False),
    pool("max_pool", "ties, overlapping", "max_pool2d", [TIED], 3, 1, 1, smooth=False),
    pool("max_pool", "less than padding", "max_pool1d", [[[-INF, -INF, 1.0, -INF, -INF]]], 3, 2, 1, smooth=False),
    outside("line", (2, 1, 2), (2,), (1,), (1,), (3,)),
    outside("apart", (2, 1, 9), (2,), (11,), (1,), (10,)),
    outside("plane", (1, 2, 3, 4), (2, 2), (1, 2), (1, 1), (4, 2)),
    pool("max_pool", "adaptive, even", "adaptive_max_pool2d", (1, 1, 4, 4), (2, 1)),
    pool("max_pool", "adaptive, uneven", "adaptive_max_pool2d", (1, 1, 3, 5), (2, 3), smooth=False),  # elements are repeated
    pool("max_pool", "adaptive, line", "adaptive_max_pool1d", (2, 1, 5), 2),
    pool("max_pool", "adaptive, ties", "adaptive_max_pool1d", [[[1.0, 2.0, 2.0, 2.0, 1.0]]], 3, smooth=False),
    Scenario(
        "max_pool",
        "between convolutions",
        lambda x, v, w: ops.conv1d(ops.max_pool1d(ops.tanh(ops.conv1d(x, v)), 2), w),
        normal((2, 1, 5), (2, 1, 2), (2, 2, 2)),
        torch=lambda torch, x, v, w: torch.nn.functional.conv1d(
            torch.nn.functional.max_pool1d(torch.nn.functional.conv1d(x, v).tanh(), 2), w
        ),
    ),
    Scenario(
        "max_pool",
        "between convolutions of planes, overlapping",
        lambda x, v, w: ops.conv2d(ops.max_pool2d(ops.conv2d(x, v), 2, 1, 1), w),
        normal((2, 1, 3, 3), (2, 1, 2, 2), (1, 2, 2, 3)),
        torch=lambda torch, x, v, w: torch.nn.functional.conv2d(
            torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(x, v), 2, 1, 1), w
        ),
    ),
    Scenario(
        "max_pool",
        "overlapping operands",
        lambda x: ops.mul(ops.max_pool1d(ops.getitem(x, (..., slice(0, 4))), 2), ops.getitem(x, (..., slice(2, 4)))),
        distinct((1, 2, 5)),
        torch=lambda torch, x: torch.nn.functional.max_pool1d(x[..., :4], 2) * x[..., 2:4],
    ),
]


def indices(case, name, shape, *args, **more):
    return Scenario(
        "pool_argmax",
        case,
        lambda x: getattr(ops, name)(x, *args, return_indices=True)[1],
        distinct(shape) if isinstance(shape, tuple) else exactly(shape),
        smooth=False,
        torch=lambda torch, x: getattr(torch.nn.functional, name)(x, *args, return_indices=True)[1],
        **more,
    )


POSITIONS = [
    indices("line", "max_pool1d", (2, 1, 6), 2),
    indices("padded", "max_pool1d", (1, 2, 5), 3, 2, 1),
    indices("plane", "max_pool2d", (1, 2, 4, 4), 2),
    indices("plane, everything", "max_pool2d", (1, 1, 6, 5), (3, 2), (2, 1), (1, 0), (1, 2)),
    indices("many taps", "max_pool1d", (1, 1, 300), 290, 3),
    indices("ties", "max_pool2d", [TIED], 3, 1, 1),
    indices("NaN", "max_pool1d", [[[1.0, np.nan, 2.0, np.nan, 3.0, np.nan]]], 4, 1),
    indices("less than padding", "max_pool1d", [[[-INF, -INF, -INF, -INF]]], 2, 2, 1),
    indices("strided", "max_pool2d", (1, 2, 4, 3), 2, strided=True),
]


LINES = {
    "plain": ((2, 1, 4), Window((2,), (2,), (1,), (0,), (2,))),
    "overlapping": ((1, 2, 4), Window((2,), (1,), (1,), (0,), (3,))),
    "apart": ((1, 2, 6), Window((2,), (4,), (1,), (0,), (2,))),
    "dilated": ((1, 2, 5), Window((3,), (1,), (2,), (0,), (1,))),
    "dilated and overlapping": ((1, 1, 6), Window((2,), (1,), (2,), (0,), (4,))),
    "padded": ((1, 2, 4), Window((3,), (2,), (1,), (1,), (2,))),
    "over the end": ((2, 1, 3), Window((2,), (2,), (1,), (0,), (2,))),
    "one": ((1, 1, 1), Window((1,), (1,), (1,), (0,), (1,))),
    "no examples": ((0, 2, 4), Window((2,), (2,), (1,), (0,), (2,))),
    "no other axes": ((5,), Window((2,), (2,), (1,), (1,), (3,))),
    "plane": ((1, 2, 2, 4), Window((2, 2), (2, 2), (1, 1), (0, 0), (1, 2))),
    "plane, overlapping": ((1, 1, 3, 3), Window((2, 2), (1, 1), (1, 1), (0, 0), (2, 2))),
    "plane, padded": ((2, 1, 3, 2), Window((3, 2), (1, 2), (1, 1), (1, 1), (3, 2))),
    "strided": ((2, 2, 4), Window((2,), (2,), (1,), (0,), (2,))),
    "in the padding alone": ((2, 1, 2), Window((2,), (1,), (3,), (1,), (2,))),
    "in the padding alone, apart": ((1, 2, 3), Window((2,), (5,), (4,), (1,), (2,))),
    "in the padding alone, plane": ((1, 2, 2, 3), Window((2, 2), (4, 1), (3, 2), (1, 1), (2, 3))),
}


def met(window, shape):
    """Per window (and tap) the flat positions of the elements that it meets, -1 outside: `[*count, taps]`. By loops over all of them."""
    found = np.full((*window.counts, window.taps), -1)
    for p in np.ndindex(*window.counts):
        for t, tap in enumerate(np.ndindex(*window.size)):
            at = [i * s + j * d - b for i, j, s, d, b in zip(p, tap, window.stride, window.dilation, window.before, strict=True)]
            if all(0 <= i < n for i, n in zip(at, shape, strict=True)):
                found[*p, t] = np.ravel_multi_index(at, shape)
    return found


def linear(case, shape, window):
    rank = len(window.size)
    rest, spatial = shape[:-rank], shape[-rank:]
    positions, strided = met(window, spatial), case == "strided"
    places = positions.reshape(-1, window.taps)
    sums = np.zeros((len(places), int(np.prod(spatial))))
    for p, row in enumerate(places):
        for at in row[row >= 0]:
            sums[p, at] += 1
    rng = np.random.default_rng(len(case))
    inside = positions >= 0
    tap = (rng.random((*rest, *inside.shape)) * inside).argmax(-1).astype(np.uint8)
    chosen = np.take_along_axis(np.broadcast_to(positions, (*rest, *positions.shape)), tap[..., None].astype(int), -1)[..., 0]
    picks = (chosen.reshape(*rest, len(places), 1) == np.arange(sums.shape[1])).astype(float)
    result = (*rest, *window.counts)

    def row(kernel, function, draw, matrix, out):
        return Scenario(
            kernel,
            case,
            function,
            normal(draw),
            strided=strided,
            reference=lambda jax, x: (matrix @ x.reshape((*rest, matrix.shape[-1], 1))).reshape(out),
        )

    yield row("window_sum", lambda x: k.window_sum(x, window=window), shape, sums, result)
    yield row("window_spread", lambda g: k.window_spread(g, window=window, shape=spatial), result, sums.T, shape)
    yield row("pool_gather", lambda x: k.pool_gather(x, tap=tap, window=window), shape, picks, result)
    yield row("pool_scatter", lambda g: k.pool_scatter(g, tap=tap, window=window, shape=spatial), result, np.swapaxes(picks, -1, -2), shape)


MEANS = [
    pool("window_sum", "mean of a line", "avg_pool1d", (2, 1, 6), 2, draw=normal),
    pool("window_sum", "mean, padded", "avg_pool1d", (1, 2, 5), 3, 2, 1, draw=normal),
    pool("window_sum", "mean without padding", "avg_pool1d", (1, 2, 5), 3, 2, 1, False, False, draw=normal),
    pool("window_sum", "mean over the end", "avg_pool1d", (1, 2, 5), 2, ceil_mode=True, draw=normal),
    pool("window_sum", "mean of a plane", "avg_pool2d", (1, 2, 4, 3), (2, 3), draw=normal),
    pool("window_sum", "mean of a plane, everything", "avg_pool2d", (1, 1, 5, 4), (3, 2), (2, 3), (1, 1), True, False, draw=normal),
    pool("window_sum", "mean by another divisor", "avg_pool2d", (1, 1, 4, 4), 2, divisor_override=3, draw=normal),
    pool("window_sum", "mean, unbatched", "avg_pool2d", (2, 3, 2), 2, draw=normal),
    pool("window_sum", "adaptive", "adaptive_avg_pool2d", (1, 2, 4, 2), (2, None), draw=normal),
    pool("window_sum", "adaptive to one", "adaptive_avg_pool2d", (2, 1, 3, 2), 1, draw=normal),
    pool("matmul", "adaptive mean, uneven", "adaptive_avg_pool2d", (1, 1, 3, 5), (2, 3), draw=normal),
    pool("matmul", "adaptive mean, more windows than elements", "adaptive_avg_pool1d", (1, 2, 2), 3, draw=normal),
]

ROWS = [*MAXIMA, *POSITIONS, *MEANS, *(row for case, parts in LINES.items() for row in linear(case, *parts))]


def refused(kernel, case, function, shape, error, match):
    return Misuse(kernel, case, function, normal(shape), error, match)


WINDOW = Window((2,), (2,), (1,), (0,), (2,))
TAPS = np.zeros((1, 1, 2), np.uint8)

MISUSES = [
    refused(
        "max_pool",
        "padding",
        lambda x: ops.max_pool2d(x, 2, padding=2),
        (1, 1, 4, 4),
        ValueError,
        r"max_pool2d: `padding` \(=2\) .* half of",
    ),
    refused(
        "max_pool",
        "kernel size",
        lambda x: ops.max_pool1d(x, 5),
        (1, 1, 4),
        ShapeError,
        r"calculated output size \(0,\): output size is too",
    ),
    refused("max_pool", "no kernel", lambda x: ops.max_pool1d(x, 0), (1, 1, 4), ValueError, r"`kernel_size` \(=0\) must be at least 1"),
    refused("max_pool", "stride", lambda x: ops.max_pool1d(x, 2, 0), (1, 1, 4), ValueError, r"`stride` \(=0\) must be at least 1"),
    refused("max_pool", "axes", lambda x: ops.max_pool2d(x, 2), (4, 4), ShapeError, r"expected 3D \(unbatched\) or 4D \(batched\) `input`"),
    refused("max_pool", "entries", lambda x: ops.max_pool2d(x, (2, 2, 2)), (1, 1, 4, 4), ValueError, "a sequence of 2 to match"),
    refused("max_pool", "empty plane", lambda x: ops.max_pool2d(x, 2), (1, 2, 0, 4), ShapeError, "empty along its first axis at most"),
    Misuse(
        "max_pool", "dtype", lambda x: ops.max_pool1d(x > 0, 2), lambda rng: (np.ones((1, 1, 2)),), DTypeError, "not implemented for bool"
    ),
    refused("max_pool", "adaptive size", lambda x: ops.adaptive_max_pool1d(x, -1), (1, 1, 4), ValueError, r"`output_size` \(=-1\)"),
    refused("pool_argmax", "padding", lambda x: ops.max_pool1d(x, 2, 2, 2, 1, False, True), (1, 1, 4), ValueError, "at most half of"),
    refused(
        "pool_argmax", "kernel size", lambda x: ops.max_pool1d(x, 5, return_indices=True), (1, 1, 4), ShapeError, "output size is too small"
    ),
    refused("pool_argmax", "dilation", lambda x: ops.max_pool1d(x, 2, 1, 0, 0, False, True), (1, 1, 4), ValueError, r"`dilation` \(=0\)"),
    refused(
        "pool_argmax", "axes", lambda x: ops.max_pool1d(x, 2, return_indices=True), (4,), ShapeError, r"expected 2D \(unbatched\) or 3D"
    ),
    refused("window_sum", "padding", lambda x: ops.avg_pool1d(x, 3, padding=2), (1, 1, 4), ValueError, r"avg_pool1d: `padding` \(=2\)"),
    refused("window_sum", "kernel size", lambda x: ops.avg_pool2d(x, 5), (1, 1, 4, 5), ShapeError, r"calculated output size \(0, 1\)"),
    refused("window_sum", "divisor", lambda x: ops.avg_pool2d(x, 2, divisor_override=0), (1, 1, 4, 4), ValueError, "must not be zero"),
    refused("window_sum", "axes", lambda x: ops.avg_pool1d(x, 2), (4,), ShapeError, r"expected 2D \(unbatched\) or 3D \(batched\)"),
    Misuse(
        "window_sum",
        "dtype",
        lambda x: ops.avg_pool1d(x, 2),
        lambda rng: (np.ones((1, 1, 4), int),),
        DTypeError,
        r"Did you mean `input.float\(\)`",
    ),
    refused(
        "window_sum", "adaptive sizes", lambda x: ops.adaptive_avg_pool2d(x, (1, 1, 1)), (1, 1, 4, 4), ValueError, "must have 2 entries"
    ),
    *(
        Misuse(name, case, lambda x, f=f, shape=shape: f(x, shape), normal(drawn), ShapeError, match)
        for name, f, out in (
            ("window_spread", lambda g, shape: k.window_spread(g, window=WINDOW, shape=shape), (1, 1, 2)),
            ("pool_scatter", lambda g, shape: k.pool_scatter(g, tap=TAPS, window=WINDOW, shape=shape), (1, 1, 2)),
        )
        for case, drawn, shape, match in (
            ("windows", (1, 1, 3), (4,), r"expected windows \(2,\) in the last axes, got \(1, 1, 3\)"),
            ("axes", (), (4,), r"expected windows \(2,\) in the last axes, got \(\)"),
            ("shape", out, (4, 4), r"expected 1 axes to slide over, got \(4, 4\)"),
            ("no shape", out, (), "expected 1 axes to slide over"),
        )
    ),
    *(
        Misuse("pool_gather", case, lambda x, tap=tap: k.pool_gather(x, tap=tap, window=WINDOW), normal(drawn), ShapeError, match)
        for case, drawn, tap, match in (
            ("axes", (), TAPS, "expected 1 axes to slide over"),
            ("other axes", (1, 2, 4), TAPS, r"`tap` \(1, 1, 2\) does not fit \(1, 2, 4\)"),
            ("windows", (1, 1, 4), np.zeros((1, 1, 3), np.uint8), r"expected windows \(2,\) in the last axes, got \(1, 1, 3\)"),
            ("too few axes", (4,), TAPS, r"`tap` \(1, 1, 2\) does not fit \(4,\)"),
        )
    ),
]
