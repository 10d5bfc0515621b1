"""Tangent forms: a dense tangent is an array `[k, *shape]` (or `shape`, for a single direction); a diagonal one is a `Diagonal`.

A missing tangent is a symbolic zero and never materialised. A diagonal says that direction `f` touches only element `f` (of a variable) or
only feature `f` of every example (of a site): its scale has the tensor's own shape, and elementwise kernels push it as
if it were one direction.
"""

from __future__ import annotations

import math
from typing import Any

from diffcore.kernels.broadcast import fill
from diffcore.ops import permute
from diffcore.seeds import eye_of
from dualdiff.seeding import Seed, Site, Variable


class Diagonal:
    """A diagonal tangent. `scale` has the tensor's shape; `None` means ones, a seed on which nothing has been done yet."""

    __slots__ = ("scale",)

    def __init__(self, scale: Any = None) -> None:
        self.scale = scale


IDENTITY = Diagonal()

Form = Any
"""A `Diagonal` or a dense array."""


def dense(form: Form, seed: Seed, primal: Any, shape: tuple[int, ...]) -> Any:
    """`form` of a tensor (`primal`, of `shape`) as a dense tangent `[k, *shape]`."""
    if not isinstance(form, Diagonal):
        return form
    assert isinstance(seed, Site | Variable)
    scale = form.scale
    if seed.examples:
        batch, features = shape[0], math.prod(shape[1:])
        eye = eye_of(primal, features, seed.rows)
        eye = eye.reshape((eye.shape[0], 1, *shape[1:]))
        return fill(eye, shape, 1) if scale is None else eye * scale.reshape((1, batch, *shape[1:]))
    eye = eye_of(primal, math.prod(shape), seed.rows)
    eye = eye.reshape((eye.shape[0], *shape))
    return eye if scale is None else eye * scale


def contract(form: Form, seed: Seed, row: Any, shape: tuple[int, ...]) -> Any:
    """The derivative of `<row, x>` for a tensor `x` of `shape` with tangent `form`, where `row` has that shape.

    `[k]` for directions and variables. For a site with examples `[batch, k]`, because its directions are shared by all examples
    and each example's own derivative is wanted.
    """
    if seed.examples:
        batch = shape[0]
        if isinstance(form, Diagonal):
            scaled = row if form.scale is None else form.scale * row
            return scaled.reshape((batch, math.prod(shape[1:])))[:, seed.rows]  # type: ignore[attr-defined]
        k = form.shape[0]
        if len(shape) == 1:
            return (form * row).T
        features = math.prod(shape[1:])
        of_example = permute(form.reshape((k, batch, features)), (1, 0, 2))
        return (of_example @ row.reshape((batch, features, 1))).reshape((batch, k))
    if isinstance(form, Diagonal):
        scaled = row if form.scale is None else form.scale * row
        return scaled.reshape(-1)[seed.rows]  # type: ignore[attr-defined]
    if seed.lead == 0:
        return (form * row).sum(axis=tuple(range(-len(shape), 0))) if shape else form * row
    return form.reshape((form.shape[0], math.prod(shape))) @ row.reshape(-1)
