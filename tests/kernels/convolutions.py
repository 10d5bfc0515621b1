"""Convolutions of all kinds, and their definition."""

import numpy as np

GEOMETRIES = {
    "runs": ((3, 4, 6, 5), (6, 4, 3, 2), {}),
    "padded": ((2, 3, 5, 6), (4, 3, 3, 3), {"padding": 1}),
    "wide padding": ((2, 2, 3, 4), (3, 2, 2, 3), {"padding": (3, 4)}),
    "dilated": ((2, 4, 8, 9), (2, 4, 3, 2), {"dilation": (2, 3), "padding": 1}),
    "classes": ((3, 2, 9, 8), (3, 2, 3, 3), {"stride": 2, "padding": 1}),
    "classes of dilated taps": ((2, 2, 14, 13), (2, 2, 4, 3), {"stride": (4, 3), "dilation": (6, 2), "padding": 5}),
    "one stride": ((2, 2, 7, 9), (2, 2, 3, 3), {"stride": (1, 3)}),
    "apart": ((3, 2, 8, 9), (5, 2, 2, 3), {"stride": (2, 3)}),
    "apart and padded": ((3, 2, 7, 7), (5, 2, 2, 2), {"stride": 3, "padding": 1}),
    "one tap": ((3, 4, 3, 3), (2, 4, 1, 1), {}),
    "one tap apart": ((3, 4, 5, 5), (2, 4, 1, 1), {"stride": 2}),
    "depthwise": ((2, 4, 5, 5), (8, 1, 3, 3), {"groups": 4, "padding": 1}),
    "groups": ((2, 6, 5, 4), (4, 3, 2, 2), {"groups": 2, "stride": 2, "padding": 1}),
    "one axis": ((3, 2, 11), (3, 2, 4), {"stride": 2, "padding": 2}),
    "three axes": ((2, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"padding": (1, 0, 1)}),
    "three axes with classes": ((2, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"stride": (1, 2, 3), "padding": (1, 0, 1)}),
}


def tap_by_tap(x, weight, g, *, stride=1, padding=0, dilation=1, groups=1):
    """The value, and for `g` the adjoints in `x` and `weight`, by the definition: one tap of one pair of channels at a time.

    What lies in the padding is left out of the sums, not multiplied by zero.
    """
    rank, (o, per_group, *taps) = x.ndim - 2, weight.shape
    stride, padding, dilation = ((a,) * rank if isinstance(a, int) else a for a in (stride, padding, dilation))
    border = [(0, 0), (0, 0), *((p, p) for p in padding)]
    padded, inside = np.pad(x, border), np.pad(np.ones_like(x, bool), border)
    extents = [d * (t - 1) + 1 for t, d in zip(taps, dilation, strict=True)]
    counts = [(n - e) // s + 1 for n, e, s in zip(padded.shape[2:], extents, stride, strict=True)]
    out, to_x, to_weight = np.zeros((len(x), o, *counts)), np.zeros_like(padded), np.zeros_like(weight)
    for i, j, *tap in np.ndindex(weight.shape):
        met = [slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, s, n in zip(tap, dilation, stride, counts, strict=True)]
        at = (slice(None), i // (o // groups) * per_group + j, *met)
        out[:, i] += np.where(inside[at], weight[i, j, *tap] * padded[at], 0)
        if g is not None:
            to_x[at] += weight[i, j, *tap] * g[:, i]
            to_weight[i, j, *tap] = np.where(inside[at], g[:, i] * padded[at], 0).sum()
    return out, to_x[:, :, *(slice(p, p + n) for p, n in zip(padding, x.shape[2:], strict=True))], to_weight
