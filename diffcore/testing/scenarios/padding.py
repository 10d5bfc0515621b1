"""Borders of a constant and of the input's own elements, and folding them back."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import padding as k
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import normal

NUMPYS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def padded(case, shape, pad, mode="constant", value=0.0, *, outside=True, **options):
    """PyTorch pads at most the last axes of an input with batch axes in the modes other than constant; there numpy's is the only oracle."""
    pairs = [(0, 0)] * (len(shape) - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    constant = {"constant_values": value} if mode == "constant" else {}
    return Scenario(
        "pad",
        case if mode in case else f"{case} {mode}",
        lambda x: ops.pad(x, pad, mode, value),
        normal(shape),
        reference=(lambda jax, x: jax.numpy.pad(x, pairs, NUMPYS[mode], **constant)) if shape and min(pad, default=0) >= 0 else None,
        torch=(lambda torch, x: torch.nn.functional.pad(x, pad, mode, value)) if outside else None,
        **options,
    )


def unpadded(case, shape, widths, mode, **options):
    """The transpose, written out as a product with the matrix of the padding."""
    inner = (*shape[: len(shape) - len(widths)], *(n - a - b for n, (a, b) in zip(shape[len(shape) - len(widths) :], widths, strict=True)))
    pairs = [(0, 0)] * (len(shape) - len(widths)) + list(widths)
    count = int(np.prod(inner))
    source = np.pad(np.arange(count).reshape(inner), pairs, NUMPYS[mode]).reshape(-1) if count else np.zeros(0, int)
    return Scenario(
        "unpad",
        f"{case} {mode}",
        lambda g: k.unpad(g, widths=widths, mode=mode),
        normal(shape),
        reference=lambda jax, g: (g.reshape(-1) @ jax.nn.one_hot(source, count, dtype=g.dtype)).reshape(inner),
        **options,
    )


def around(x, w):
    return ops.add(ops.pad(x, (1, 1), "circular"), ops.pad(w, (1, 0)))


MODES = ("reflect", "replicate", "circular")

ROWS = [
    padded("last axis", (2, 3), (1, 2)),
    padded("all axes", (2, 3), (1, 0, 0, 2)),
    padded("with a value", (2, 3), (1, 0, 2, 1), value=-1.5),
    padded("cropped", (2, 4), (-1, -2)),
    padded("cropped and padded", (4, 3), (1, -1, -2, 1), value=0.5),
    padded("no widths", (2, 3), ()),
    padded("zero widths", (2, 3), (0, 0)),
    padded("0-d", (), ()),
    padded("size one", (1,), (2, 1)),
    padded("empty", (0, 2), (0, 1, 1, 1)),
    padded("cropped to nothing", (2, 2), (-1, -1)),
    padded("first axis of three", (2, 1, 2), (0, 0, 0, 0, 1, 0)),
    padded("strided", (2, 3), (1, 1, 0, 1), strided=True),
    *(
        row
        for mode in MODES
        for row in (
            padded("last axis", (2, 3), (1, 2), mode),
            padded("widest", (1, 3), (2, 2), mode),
            padded("two axes", (1, 3, 2), (1, 1, 2, 0), mode),
            padded("three axes", (1, 2, 2, 2), (1, 0, 0, 1, 1, 1), mode),
            padded("after only", (2, 3), (0, 1), mode),
            padded("one axis", (3,), (1, 1), mode, outside=False),
            padded("first axis", (3, 2), (0, 0, 1, 2), mode, outside=False),
            padded("cropped", (1, 4), (-1, 2), mode),
            padded("cropped behind", (1, 4), (2, -2), mode),
            padded("no examples", (0, 3), (1, 1), mode, outside=False),
            padded("strided", (2, 3), (1, 2), mode, strided=True),
            unpadded("last axis", (2, 6), ((1, 2),), mode),
            unpadded("two axes", (6, 4), ((2, 1), (1, 1)), mode),
            unpadded("before only", (2, 5), ((2, 0),), mode),
            unpadded("no examples", (0, 5), ((1, 1),), mode),
            unpadded("strided", (2, 6), ((2, 1),), mode, strided=True),
        )
    ),
    padded("more than the size", (1, 2), (3, 5), "replicate"),
    Scenario(
        "pad",
        "repeated operand",
        lambda x: ops.mul(ops.pad(x, (1, 0)), ops.pad(x, (0, 1), "replicate")),
        normal((2, 2)),
        reference=lambda jax, x: jax.numpy.pad(x, ((0, 0), (1, 0))) * jax.numpy.pad(x, ((0, 0), (0, 1)), "edge"),
    ),
    Scenario("pad", "two views", lambda x: around(ops.getitem(x, slice(0, 3)), ops.getitem(x, slice(1, None))), normal((5,))),
]


def misused(kernel, case, function, error, match, shape=(2, 3)):
    return Misuse(kernel, case, function, normal(shape), error, match)


MISUSES = [
    misused("pad", "odd", lambda x: ops.pad(x, (1, 2, 3)), ShapeError, r"pad: padding length must be divisible by 2.*\(1, 2, 3\)"),
    misused("pad", "too many", lambda x: ops.pad(x, (1,) * 6), ShapeError, r"pad: .* has 3 pairs, but `input` \(2, 3\) has only 2 axes"),
    misused("pad", "mode", lambda x: ops.pad(x, (1, 1), "banana"), ValueError, "pad: `mode` \\(='banana'\\) must be 'constant', 'reflect'"),
    misused("pad", "fraction", lambda x: ops.pad(x, (1.5, 1)), DTypeError, "pad: `pad` .*must be a sequence of whole numbers"),
    misused("pad", "cropped too far", lambda x: ops.pad(x, (-2, -2)), ShapeError, "pad: .* an axis of size 3 cannot lose 4"),
    misused("pad", "reflected too far", lambda x: ops.pad(x, (3, 0), "reflect"), ShapeError, r"pad: .* 3 at axis -1, but got \(3, 0\)"),
    misused("pad", "around twice", lambda x: ops.pad(x, (0, 4), "circular"), ShapeError, r"wrapping around more than once: \(0, 4\)"),
    misused("pad", "nothing there", lambda x: ops.pad(x, (1, 0), "replicate"), ShapeError, r"no element to replicate: axis -1", (2, 0)),
    misused("pad", "no pairs", lambda x: ops.pad(x, 1), DTypeError, "pad: `pad` \\(=1\\) must be a sequence of whole numbers"),
    misused("pad", "value", lambda x: ops.pad(x, (1, 0), "reflect", 2.0), ValueError, "reflect.* doesn't take in value argument"),
    *(
        misused("unpad", case, lambda g, o=options: k.unpad(g, **o), error, match)
        for case, options, error, match in (
            ("mode", {"widths": ((1, 1),), "mode": "banana"}, ShapeError, "unpad: padding mode 'banana' is none of reflect, replicate"),
            ("reflected too far", {"widths": ((1, 1),), "mode": "reflect"}, ShapeError, r"unpad: .* 1 at axis -1, but got \(1, 1\)"),
            ("around twice", {"widths": ((2, 0),), "mode": "circular"}, ShapeError, r"unpad: .*wrapping around more than once: \(2, 0\)"),
            ("nothing left", {"widths": ((2, 1),), "mode": "replicate"}, ShapeError, "unpad: there is no element to replicate"),
            ("too many", {"widths": ((1, 1), (0, 0), (0, 0)), "mode": "replicate"}, IndexError, "unpad: .*out of range"),
        )
    ),
]
