"""Convolutions: the three kernels of one trilinear form, and `conv` with a bias."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.kernels import convolution as k
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import normal

OPTIONS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def pairs(options, rank, taps):
    """The options as `jax.lax` takes them: one entry per axis, padding at both ends."""
    full = {name: (value,) * rank if isinstance(value, int) else value for name, value in (OPTIONS | options).items()}
    padding = full["padding"]
    if padding == "valid":
        padding = (0,) * rank
    if padding == "same":
        totals = [d * (t - 1) for d, t in zip(full["dilation"], taps, strict=True)]
        padding = [(n // 2, n - n // 2) for n in totals]
    full["padding"] = tuple(p if isinstance(p, tuple) else (p, p) for p in padding)
    return {**full, "groups": (OPTIONS | options)["groups"]}


def reference(jax, x, weight, options):
    p = pairs(options, weight.ndim - 2, weight.shape[2:])
    if x.ndim < weight.ndim:
        return reference(jax, x[None], weight, options)[0]
    return jax.lax.conv_general_dilated(x, weight, p["stride"], p["padding"], rhs_dilation=p["dilation"], feature_group_count=p["groups"])


CASES = {
    "batch": ((2, 2, 4), (2, 2, 3), {}),
    "sizes one": ((1, 1, 1), (1, 1, 1), {}),
    "stride": ((2, 1, 5), (2, 1, 2), {"stride": 2}),
    "stride beyond the kernel": ((1, 2, 7), (1, 2, 2), {"stride": 3}),
    "unused end": ((1, 1, 6), (2, 1, 3), {"stride": 2}),
    "padding": ((1, 2, 4), (2, 2, 3), {"padding": 1}),
    "padding beyond the kernel": ((1, 1, 3), (2, 1, 2), {"padding": 2}),
    "dilation": ((2, 1, 5), (2, 1, 2), {"dilation": 2}),
    "same": ((1, 1, 4), (2, 1, 3), {"padding": "same"}),
    "same with one more at the end": ((1, 1, 4), (2, 1, 2), {"padding": "same"}),
    "same with dilation": ((1, 1, 5), (1, 1, 2), {"padding": "same", "dilation": 2}),
    "groups": ((1, 4, 3), (4, 2, 2), {"groups": 2}),
    "groups of several rows": ((2, 2, 3), (4, 1, 2), {"groups": 2, "padding": 1}),
    "depthwise": ((2, 3, 3), (3, 1, 2), {"groups": 3}),
    "pointwise": ((2, 3, 2), (2, 3, 1), {}),
    "pointwise with stride": ((1, 2, 5), (2, 2, 1), {"stride": 2}),
    "more rows than windows": ((2, 1, 3), (5, 1, 2), {}),
    "plane": ((1, 2, 3, 3), (2, 2, 2, 2), {}),
    "plane with everything": ((1, 2, 5, 4), (2, 1, 2, 3), {"stride": (2, 1), "padding": (1, 0), "dilation": (2, 1), "groups": 2}),
    "volume": ((1, 1, 2, 3, 2), (2, 1, 2, 2, 1), {"padding": (0, 1, 0)}),
    "no examples": ((0, 2, 4), (2, 2, 3), {}),
    "strided": ((2, 2, 4), (2, 2, 3), {"padding": 1}),
}


def convolutions(case, x, weight, options):
    name = f"conv{len(weight) - 2}d"
    strided = case == "strided"
    ones = (1,) * (len(weight) - 2)
    in_torch = "one more" not in case  # of which torch warns that it may be slow
    yield Scenario(
        "conv",
        case,
        lambda x, w, b: getattr(ops, name)(x, w, b, **options),
        normal(x, weight, weight[:1]),
        strided=strided,
        reference=lambda jax, x, w, b: reference(jax, x, w, options) + b.reshape(-1, *ones),
        torch=(lambda torch, x, w, b: getattr(torch.nn.functional, name)(x, w, b, **options)) if in_torch else None,
    )
    yield Scenario(
        "conv_unbiased",
        case,
        lambda x, w: getattr(ops, name)(x, w, **options),
        normal(x, weight),
        strided=strided,
        reference=lambda jax, x, w: reference(jax, x, w, options),
        torch=(lambda torch, x, w: getattr(torch.nn.functional, name)(x, w, **options)) if in_torch else None,
    )


def results(x, weight, options):
    """The shape of the convolution's result."""
    p = pairs(options, len(weight) - 2, weight[2:])
    window = k.window_of(x[2:], weight[2:], p["stride"], p["padding"], p["dilation"])
    return (x[0], weight[0], *window.counts)


def adjoints(case, x, weight, options):
    """The weight's adjoint of the same convolutions, and the input's where `conv_transpose` does not reach (an unused end)."""
    p, size, taps = pairs(options, len(weight) - 2, weight[2:]), x[2:], weight[2:]
    g, strided = results(x, weight, options), case == "strided"
    yield Scenario(
        "conv_weight",
        case,
        lambda x, g: k.conv_weight(x, g, **p, taps=taps),
        normal(x, g),
        strided=strided,
        reference=lambda jax, x, g: jax.vjp(lambda w: reference(jax, x, w, options), jax.numpy.zeros(weight, x.dtype))[1](g)[0],
    )
    yield Scenario(
        "conv_transpose",
        f"adjoint, {case}",
        lambda g, w: k.conv_transpose(g, w, **p, size=size),
        normal(g, weight),
        strided=strided,
        reference=lambda jax, g, w: jax.vjp(lambda x: reference(jax, x, w, options), jax.numpy.zeros(x, w.dtype))[1](g)[0],
    )


def transposed(case, x, weight, **options):
    """With a bias, which is another kernel's."""
    name = f"conv_transpose{len(weight) - 2}d"
    return Scenario(
        "conv_transpose",
        case,
        lambda x, w, b: getattr(ops, name)(x, w, b, **options),
        normal(x, weight, (weight[1] * options.get("groups", 1),)),
        torch=lambda torch, x, w, b: getattr(torch.nn.functional, name)(x, w, b, **options),
    )


UNBATCHED = {"unbatched": ((2, 3), (2, 2, 2), {}), "unbatched plane": ((1, 3, 2), (2, 1, 2, 2), {"padding": "valid"})}

ROWS = [
    *(row for case, parts in (CASES | UNBATCHED).items() for row in convolutions(case, *parts)),
    *(row for case, parts in CASES.items() for row in adjoints(case, *parts)),
    Scenario(
        "conv_unbiased",
        "repeated operand",
        lambda x: ops.conv1d(x, x, padding=1),
        normal((2, 2, 3)),
        reference=lambda jax, x: reference(jax, x, x, {"padding": 1}),
    ),
    Scenario(
        "conv_unbiased",
        "overlapping operands",
        lambda x: ops.conv1d(ops.getitem(x, (..., slice(0, 3))), ops.getitem(x, (..., slice(2, None)))),
        normal((2, 2, 4)),
        reference=lambda jax, x: reference(jax, x[..., :3], x[..., 2:], {}),
    ),
    Scenario(
        "conv",
        "two layers",
        lambda x, v, a, w, b: ops.conv1d(ops.relu(ops.conv1d(x, v, a)), w, b, stride=2),
        normal((2, 1, 5), (2, 1, 2), (2,), (2, 2, 2), (2,)),
        torch=lambda torch, x, v, a, w, b: torch.nn.functional.conv1d(torch.nn.functional.conv1d(x, v, a).relu(), w, b, stride=2),
    ),
    Scenario(
        "conv",
        "shared weight",
        lambda x, w, b: ops.conv1d(ops.tanh(ops.conv1d(x, w, b, padding=1)), w, b),
        normal((1, 2, 3), (2, 2, 3), (2,)),
        torch=lambda torch, x, w, b: torch.nn.functional.conv1d(torch.nn.functional.conv1d(x, w, b, padding=1).tanh(), w, b),
    ),
    transposed("batch", (2, 2, 2), (2, 2, 2)),
    transposed("stride", (1, 2, 3), (2, 1, 2), stride=2),
    transposed("stride beyond the kernel", (1, 1, 2), (1, 2, 2), stride=3, output_padding=1),
    transposed("padding", (1, 2, 3), (2, 1, 3), padding=1),
    transposed("output padding beyond the stride", (1, 1, 2), (1, 2, 2), dilation=3, output_padding=2),
    transposed("groups", (1, 4, 2), (4, 1, 2), groups=2, stride=2),
    transposed("plane with everything", (1, 2, 2, 2), (2, 1, 2, 3), stride=(2, 1), padding=(0, 1), output_padding=(1, 0), groups=2),
    transposed("volume", (1, 1, 1, 2, 1), (1, 1, 2, 1, 2), stride=2),
    transposed("unbatched", (2, 2), (2, 1, 2)),
]


def refused(kernel, case, function, shapes, error, match):
    return Misuse(kernel, case, function, normal(*shapes), error, match)


MISUSES = [
    refused(
        "conv", "bias", ops.conv2d, ((1, 2, 3, 3), (2, 2, 2, 2), (3,)), ShapeError, r"conv2d: .*expected `bias` of shape \(2,\), got \(3,\)"
    ),
    refused("conv", "padding", lambda *xs: ops.conv1d(*xs, padding=-1), ((1, 1, 3), (1, 1, 2), (1,)), ValueError, r"`padding` \(=-1\)"),
    refused(
        "conv", "other padding", lambda *xs: ops.conv1d(*xs, padding="full"), ((1, 1, 3), (1, 1, 2), (1,)), ValueError, "'same' or 'valid'"
    ),
    refused(
        "conv",
        "same with stride",
        lambda *xs: ops.conv1d(*xs, 2, "same"),
        ((1, 1, 3), (1, 1, 2), (1,)),
        ValueError,
        "not supported for strided",
    ),
    Misuse(
        "conv",
        "dtype of the bias",
        lambda x, w: ops.conv1d(x, w, np.zeros(1, np.float32)),
        normal((1, 1, 3), (1, 1, 2)),
        DTypeError,
        "`input` has dtype float64, but `bias` has float32",
    ),
    refused("conv_unbiased", "channels", ops.conv1d, ((1, 3, 4), (2, 2, 2)), ShapeError, "to have 2 channels, but got 3 channels instead"),
    refused(
        "conv_unbiased", "axes", ops.conv2d, ((3, 4), (2, 2, 2, 2)), ShapeError, r"expected 3D \(unbatched\) or 4D \(batched\) `input`"
    ),
    refused("conv_unbiased", "axes of the weight", ops.conv2d, ((1, 1, 3, 4), (2, 2, 2)), ShapeError, "expected `weight` with 4 axes"),
    refused(
        "conv_unbiased", "kernel size", ops.conv1d, ((1, 1, 2), (1, 1, 3)), ShapeError, "kernel size can't be greater than the input's"
    ),
    refused(
        "conv_unbiased",
        "groups",
        lambda *xs: ops.conv1d(*xs, groups=2),
        ((1, 2, 2), (3, 1, 1)),
        ShapeError,
        r"divisible by `groups` \(=2\)",
    ),
    refused("conv_unbiased", "no groups", lambda *xs: ops.conv1d(*xs, groups=0), ((1, 2, 2), (3, 1, 1)), ValueError, r"`groups` \(=0\)"),
    refused("conv_unbiased", "stride", lambda *xs: ops.conv1d(*xs, stride=0), ((1, 1, 2), (1, 1, 1)), ValueError, r"`stride` \(=0\)"),
    refused(
        "conv_unbiased",
        "strides",
        lambda *xs: ops.conv1d(*xs, stride=(1, 1)),
        ((1, 1, 2), (1, 1, 1)),
        ValueError,
        "a sequence of 1 to match",
    ),
    refused(
        "conv_unbiased", "dilation", lambda *xs: ops.conv1d(*xs, dilation=1.5), ((1, 1, 2), (1, 1, 1)), TypeError, r"`dilation` \(=1.5\)"
    ),
    Misuse(
        "conv_unbiased",
        "dtype",
        lambda w: ops.conv1d(np.ones((1, 1, 3), bool), w),
        normal((1, 1, 2)),
        DTypeError,
        "not implemented for bool",
    ),
    refused("conv_transpose", "channels", ops.conv_transpose1d, ((1, 3, 4), (2, 2, 2)), ShapeError, "to have 2 channels, but got 3"),
    refused("conv_transpose", "bias", ops.conv_transpose1d, ((1, 2, 4), (2, 3, 2), (2,)), ShapeError, r"expected `bias` of shape \(3,\)"),
    refused(
        "conv_transpose",
        "output padding",
        lambda *xs: ops.conv_transpose1d(*xs, output_padding=1),
        ((1, 1, 2), (1, 1, 2)),
        ValueError,
        r"`output_padding` \(=1\) must be smaller than either `stride`",
    ),
    refused(
        "conv_transpose",
        "padding",
        lambda *xs: ops.conv_transpose1d(*xs, padding=2),
        ((1, 1, 2), (1, 1, 2)),
        ShapeError,
        "output size is too small",
    ),
    refused(
        "conv_transpose",
        "padding by name",
        lambda *xs: ops.conv_transpose1d(*xs, padding="same"),
        ((1, 1, 2), (1, 1, 2)),
        TypeError,
        "`padding`",
    ),
    *(
        refused("conv_weight", case, lambda x, g, o=o: k.conv_weight(x, g, **pairs(o, 1, (2,)), taps=(2,)), shapes, ShapeError, match)
        for case, shapes, o, match in (
            ("examples", ((2, 1, 3), (1, 1, 2)), {}, "2 examples of `x` and 1 of `g`"),
            ("axes", ((1, 3), (1, 2)), {}, "3 axes each"),
            ("channels of the input", ((1, 3, 3), (1, 2, 2)), {"groups": 2}, "divisible by `groups`"),
            ("channels of the result", ((1, 2, 3), (1, 3, 2)), {"groups": 2}, "divisible by `groups`"),
        )
    ),
]
