"""Normalisation: one kernel over various axes, and what is composed of others."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import exactly, normal, positive


def standardised(jax, x, axis, weight=1, bias=0, eps=1e-5):
    return (x - x.mean(axis, keepdims=True)) / jax.numpy.sqrt(x.var(axis, keepdims=True) + eps) * weight + bias


def far(x, *parameters):
    return lambda rng: (100 + rng.standard_normal(x), *normal(*parameters)(rng))


def small(x, *parameters):
    return lambda rng: (1e-3 * rng.standard_normal(x), *normal(*parameters)(rng))


def channels(x, *parameters):
    return [p.reshape(-1, *(1,) * (x.ndim - 2)) for p in parameters]


def batch(case, shape, affine="wb", draw=normal, **options):
    """Batch norm in training; `affine` names which of weight and bias there are."""
    c = shape[1:2]

    def arguments(parameters):
        named = dict(zip(affine, parameters, strict=True))
        return named.get("w"), named.get("b")

    return Scenario(
        "normalise",
        f"batch, {case}",
        lambda x, *p: ops.batch_norm(x, None, None, *arguments(p), training=True),
        draw(shape, *(c,) * len(affine)),
        reference=lambda jax, x, *p: standardised(
            jax, x, (0, *range(2, x.ndim)), **dict(zip(({"w": "weight", "b": "bias"}[a] for a in affine), channels(x, *p), strict=True))
        ),
        torch=None  # whose second derivative forgets a bias without a weight
        if affine == "b"
        else lambda torch, x, *p: torch.nn.functional.batch_norm(x, None, None, *arguments(p), training=True),
        **options,
    )


def evaluated(case, shape, *, affine=True, kernel="mul", **options):
    mean, variance = np.linspace(-0.5, 1, shape[1]), np.linspace(0.4, 2, shape[1])

    def function(x, *p):
        return ops.batch_norm(x, mean.astype(x.dtype), variance.astype(x.dtype), *p)

    return Scenario(
        kernel,
        f"batch norm in evaluation, {case}",
        function,
        normal(shape, *((shape[1],), (shape[1],)) * affine),
        torch=lambda torch, x, *p: torch.nn.functional.batch_norm(x, torch.tensor(mean), torch.tensor(variance), *p),
        **options,
    )


def layer(case, shape, last, affine=2, draw=normal, **options):
    return Scenario(
        "normalise",
        f"layer, {case}",
        lambda x, *p: ops.layer_norm(x, last, *p),
        draw(shape, *(last,) * affine),
        reference=lambda jax, x, *p: standardised(jax, x, tuple(range(-len(last), 0)), *p),
        torch=lambda torch, x, *p: torch.nn.functional.layer_norm(x, last, *p),
        **options,
    )


def group(case, shape, groups, affine=2, **options):
    return Scenario(
        "normalise",
        f"group, {case}",
        lambda x, *p: ops.group_norm(x, groups, *p),
        normal(shape, *(shape[1:2],) * affine),
        torch=lambda torch, x, *p: torch.nn.functional.group_norm(x, groups, *p),
        **options,
    )


def mean_square(case, shape, last, affine=1, **options):
    return Scenario(
        "normalise",
        f"root mean square, {case}",
        lambda x, *p: ops.rms_norm(x, last, *p, eps=1e-3),
        normal(shape, *(last,) * affine),
        torch=lambda torch, x, *p: torch.nn.functional.rms_norm(x, last, *p, eps=1e-3),
        **options,
    )


ROWS = [
    batch("features", (4, 2)),
    batch("lines", (2, 2, 3)),
    batch("planes", (2, 2, 2, 2)),
    batch("without parameters", (3, 2, 2), ""),
    batch("weight alone", (3, 2), "w"),
    batch("bias alone", (3, 2), "b"),
    batch("one channel", (3, 1)),
    batch("one example", (1, 2, 3)),
    batch("no examples", (0, 2)),
    batch("far from 0", (4, 2), "wb", far),
    batch("strided", (2, 2, 3), strided=True),
    layer("last axis", (3, 4), (4,)),
    layer("two axes", (2, 2, 3), (2, 3)),
    layer("sequence", (2, 2, 3), (3,)),
    layer("all axes", (4,), (4,)),
    layer("without parameters", (3, 4), (4,), 0),
    layer("weight alone", (2, 3), (3,), 1),
    layer("no examples", (0, 3), (3,)),
    layer("strided", (3, 4), (4,), strided=True),
    layer("small", (2, 3), (3,), draw=small, smooth=False),  # next to the step of finite differences
    Scenario(
        "normalise",
        "layer, bias alone",
        lambda x, b: ops.layer_norm(x, (3,), None, b),
        normal((2, 3), (3,)),
        reference=lambda jax, x, b: standardised(jax, x, (-1,), bias=b),
    ),
    Scenario(
        "normalise",
        "layer, equal elements",
        lambda x: ops.layer_norm(x, (3,), eps=0.5),
        exactly([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]]),
        torch=lambda torch, x: torch.nn.functional.layer_norm(x, (3,), eps=0.5),
    ),
    Scenario(
        "normalise",
        "layer, repeated operand",
        lambda x: ops.layer_norm(x, (3,), x, x),
        normal((3,)),
        torch=lambda torch, x: torch.nn.functional.layer_norm(x, (3,), x, x),
    ),
    Scenario(
        "normalise",
        "layer, overlapping operands",
        lambda x: ops.layer_norm(ops.getitem(x, (slice(0, 2), slice(None))), (3,), ops.getitem(x, 1), ops.getitem(x, 2)),
        normal((3, 3)),
        torch=lambda torch, x: torch.nn.functional.layer_norm(x[:2], (3,), x[1], x[2]),
    ),
    group("two groups", (2, 4, 2), 2),
    group("one group", (2, 2, 3), 1),
    group("as many as channels", (1, 2, 4), 2),
    group("features", (2, 4), 2),
    group("without parameters", (2, 4), 2, 0),
    Scenario(
        "normalise",
        "instance",
        lambda x, w, b: ops.instance_norm(x, None, None, w, b),
        normal((2, 2, 3), (2,), (2,)),
        torch=lambda torch, x, w, b: torch.nn.functional.instance_norm(x, None, None, w, b),
    ),
    mean_square("last axis", (3, 4), (4,)),
    mean_square("two axes", (2, 2, 2), (2, 2)),
    mean_square("without weight", (2, 3), (3,), 0),
    mean_square("strided", (2, 3), (3,), strided=True),
    evaluated("features", (3, 2)),
    evaluated("planes", (1, 2, 2, 2)),
    evaluated("without parameters", (2, 2, 2), affine=False),
    Scenario(
        "window_sum",
        "local response norm",
        lambda x: ops.local_response_norm(x, 3, 0.5, 0.75, 1.5),
        positive((1, 4, 2)),
        torch=lambda torch, x: torch.nn.functional.local_response_norm(x, 3, 0.5, 0.75, 1.5),
    ),
    Scenario(
        "window_sum",
        "local response norm of planes",
        lambda x: ops.local_response_norm(x, 2, 0.5),
        normal((2, 3, 1, 2)),
        torch=lambda torch, x: torch.nn.functional.local_response_norm(x, 2, 0.5),
    ),
]


def refused(case, function, shapes, error, match, kernel="normalise"):
    return Misuse(kernel, case, function, normal(*shapes), error, match)


def training(x, *parameters, running=(None, None)):
    return ops.batch_norm(x, *running, *parameters, training=True)


MISUSES = [
    refused(
        "one value per channel", training, ((1, 3),), ValueError, r"more than 1 value per channel when training, got input size \(1, 3\)"
    ),
    refused("weight", training, ((2, 3), (2,)), ShapeError, r"batch_norm: expected `weight` of shape \(3,\)"),
    refused("bias", lambda x, b: training(x, None, b), ((2, 3), (2,)), ShapeError, r"batch_norm: expected `bias` of shape \(3,\)"),
    refused("no channels", training, ((3,),), ShapeError, "at least 2 axes"),
    refused(
        "running statistics",
        lambda x: training(x, running=(np.zeros(2), np.ones(3))),
        ((2, 3),),
        ShapeError,
        "`running_mean` should contain 3 elements",
    ),
    refused(
        "no running statistics",
        lambda x: ops.batch_norm(x, None, None),
        ((2, 3),),
        ValueError,
        "`running_mean` must be defined in evaluation",
    ),
    Misuse(
        "normalise",
        "whole numbers",
        training,
        lambda rng: (np.ones((2, 3), int),),
        DTypeError,
        "expected a floating-point tensor, got int64",
    ),
    Misuse(
        "normalise",
        "dtype of the weight",
        lambda x: training(x, np.ones(3, np.float32)),
        normal((2, 3)),
        DTypeError,
        "`input` has dtype float64, but `weight` has float32",
    ),
    refused(
        "normalized shape", lambda x: ops.layer_norm(x, (2,)), ((2, 3),), ShapeError, r"expected `input` of shape \[\*, 2\], got \(2, 3\)"
    ),
    refused("no normalized shape", lambda x: ops.layer_norm(x, ()), ((2, 3),), ValueError, "`normalized_shape`"),
    refused("shape of the weight", lambda x, w: ops.layer_norm(x, 3, w), ((2, 3), (2,)), ShapeError, r"expected `weight` of shape \(3,\)"),
    refused("groups", lambda x: ops.group_norm(x, 2), ((2, 3),), ValueError, r"divisible by `num_groups` \(=2\)"),
    refused("one value per group", lambda x: ops.group_norm(x, 2), ((1, 2),), ValueError, "more than 1 value per channel"),
    refused("one value per instance", lambda x: ops.instance_norm(x), ((2, 3, 1),), ValueError, "more than 1 spatial element"),
    refused("channels without neighbours", lambda x: ops.local_response_norm(x, 2), ((2, 3),), ValueError, "3D or higher", "window_sum"),
    refused("size of the neighbourhood", lambda x: ops.local_response_norm(x, 0), ((2, 3, 1),), ValueError, r"`size` \(=0\)", "window_sum"),
]
