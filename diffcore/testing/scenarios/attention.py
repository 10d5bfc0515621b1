"""Attention: one kernel, or a composition, which is counted under the softmax in it."""

import numpy as np

from diffcore import ops
from diffcore.errors import DTypeError, ShapeError
from diffcore.testing import Misuse, Scenario
from diffcore.testing.scenarios.samples import normal

MASK = np.array([[True, False, True], [False, False, False]])
BIAS = np.array([[0.5, -np.inf, -0.25], [-np.inf, 1.0, -np.inf]])


def attention(case, query, key, value, mask=None, kernel="attention", strided=False, **options):
    return Scenario(
        kernel,
        f"attention, {case}",
        lambda q, k, v: ops.scaled_dot_product_attention(q, k, v, None if mask is None else mask.astype(_kind(mask, q)), **options),
        normal(query, key, value),
        smooth=mask is None and not options.get("is_causal"),  # scores of minus infinity have no finite differences
        strided=strided,
        torch=lambda torch, q, k, v: torch.nn.functional.scaled_dot_product_attention(
            q, k, v, None if mask is None else torch.tensor(mask), **options
        ),
    )


def _kind(mask, query):
    return query.dtype if mask.dtype.kind == "f" else mask.dtype


ROWS = [
    attention("one sequence", (2, 2), (3, 2), (3, 1)),
    attention("batch", (2, 2, 1), (2, 2, 1), (2, 2, 2)),
    attention("causal", (3, 1), (3, 1), (3, 2), is_causal=True),
    attention("scale", (2, 2), (2, 2), (2, 1), scale=0.3),
    attention("mask, one row of it empty", (2, 2), (3, 2), (3, 1), MASK),
    attention("mask for a batch", (2, 2, 1), (2, 3, 1), (2, 3, 2), MASK),
    attention("mask of each example", (2, 1, 2), (2, 3, 2), (2, 3, 1), MASK[:, None]),
    attention("heads", (1, 2, 2, 1), (1, 2, 3, 1), (1, 2, 3, 2)),
    attention("one position", (1, 1), (1, 1), (1, 1)),
    attention("no examples", (0, 2, 1), (0, 3, 1), (0, 3, 2)),
    attention("no queries", (0, 2), (3, 2), (3, 1)),
    attention("strided", (2, 2), (2, 2), (2, 2), strided=True),
    attention("mask of numbers", (2, 2), (3, 2), (3, 1), BIAS, "softmax"),
    attention("keys for all examples", (2, 2, 1), (2, 1), (2, 1), kernel="softmax"),
    Scenario(
        "attention",
        "overlapping operands",
        lambda x: ops.scaled_dot_product_attention(ops.getitem(x, slice(0, 2)), ops.getitem(x, slice(1, 3)), ops.getitem(x, slice(0, 2))),
        normal((3, 2)),
        torch=lambda torch, x: torch.nn.functional.scaled_dot_product_attention(x[:2], x[1:], x[:2]),
    ),
    Scenario(
        "attention",
        "attention to itself",
        lambda x: ops.scaled_dot_product_attention(x, x, x),
        normal((3, 2)),
        torch=lambda torch, x: torch.nn.functional.scaled_dot_product_attention(x, x, x),
    ),
]


def refused(case, shapes, error, match, *args, **options):
    return Misuse(
        "attention",
        f"attention, {case}",
        lambda *xs: ops.scaled_dot_product_attention(*xs, *args, **options),
        normal(*shapes),
        error,
        match,
    )


FITTING = ((2, 2), (3, 2), (3, 1))

MISUSES = [
    refused("a number", ((), (3, 2), (3, 1)), ShapeError, r"expected `query` \[..., l, e\]"),
    refused("features", ((2, 2), (3, 1), (3, 1)), ShapeError, r"expected `query` \[..., l, e\]"),
    refused("keys and values", ((2, 2), (3, 2), (2, 1)), ShapeError, r"`value` \[..., s, v\]"),
    refused("dropout", FITTING, ValueError, r"`p` \(=1.5\) must be a probability", dropout_p=1.5),
    refused("two masks", FITTING, ValueError, "`attn_mask` must not be set", MASK, is_causal=True),
    refused("mask of whole numbers", FITTING, DTypeError, "expected `attn_mask` of dtype bool", np.ones((2, 3), int)),
    refused("shape of the mask", FITTING, ShapeError, "does not broadcast to the scores", np.ones((4, 3), bool)),
]
