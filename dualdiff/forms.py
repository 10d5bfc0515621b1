"""Tangent forms: a dense tangent is an array `[k, *shape]` (or `shape`, for a single direction); a diagonal one is a `Diagonal`.

A missing tangent is a symbolic zero and never materialised. A diagonal says that direction `f` touches only element `f` (of a variable) or
only feature `f` of every example (of a site): its scale has the tensor's own shape, and elementwise kernels push it as
if it were one direction. The examples that share the directions of a site lie along axis 0; where they have come to lie along another,
the tangent is a dense one in an `Aside`.
"""

from __future__ import annotations

import math
from typing import Any

from diffcore.kernels.broadcast import fill
from diffcore.kernels.indexing import scatter_index
from diffcore.ops import permute
from diffcore.seeds import eye_of, range_array
from dualdiff.seeding import Seed, Site, Spread, Variable


class Diagonal:
    """A diagonal tangent. `scale` has the tensor's shape; `None` means ones, a seed on which nothing has been done yet."""

    __slots__ = ("scale",)

    def __init__(self, scale: Any = None) -> None:
        self.scale = scale


IDENTITY = Diagonal()


class Aside:
    """A dense tangent `[k, *shape]` of a site whose examples lie along `axis` of the tensor, which is not 0."""

    __slots__ = ("axis", "tangent")

    def __init__(self, tangent: Any, axis: int) -> None:
        self.tangent = tangent
        self.axis = axis

    def in_front(self, x: Any) -> Any:
        """`x` (of the tensor's shape, or a tangent of it) with the examples as axis 0 of the tensor."""
        return permute(x, _moved(x.ndim, self._at(x), self._at(x) - self.axis))

    def in_place(self, x: Any) -> Any:
        """What `in_front` has moved, back again."""
        return permute(x, _moved(x.ndim, self._at(x) - self.axis, self._at(x)))

    def _at(self, x: Any) -> int:
        return self.axis + x.ndim - self.tangent.ndim + 1


def _moved(ndim: int, start: int, stop: int) -> tuple[int, ...]:
    """The order of axes in which axis `start` comes to lie at `stop`."""
    axes = [i for i in range(ndim) if i != start]
    axes.insert(stop, start)
    return tuple(axes)


Form = Any
"""A `Diagonal`, an `Aside` or a dense array."""


def array_of(form: Form) -> Any:
    """The array in `form`; `None` for a seed on which nothing has been done yet."""
    return form.scale if isinstance(form, Diagonal) else form.tangent if isinstance(form, Aside) else form


def dense(form: Form, seed: Seed, primal: Any, shape: tuple[int, ...]) -> Any:
    """`form` of a tensor (`primal`, of `shape`) as a dense tangent `[k, *shape]`."""
    if not isinstance(form, Diagonal):
        return form
    assert isinstance(seed, Site | Spread | Variable)
    scale = form.scale
    if seed.examples:
        batch, features = shape[0], math.prod(shape[1:])
        eye = eye_of(primal, features, seed.rows)
        eye = eye.reshape((eye.shape[0], 1, *shape[1:]))
        return fill(eye, shape, 1) if scale is None else eye * scale.reshape((1, batch, *shape[1:]))
    size = math.prod(shape)
    if scale is None:
        eye = eye_of(primal, size, seed.rows)
        return eye.reshape((eye.shape[0], *shape))
    on_diagonal = scale.reshape(-1)[seed.rows]
    k = on_diagonal.shape[0]
    at = range_array(k), range_array(k) + (seed.rows.start or 0)
    return scatter_index(on_diagonal, index=at, shape=(k, size)).reshape((k, *shape))


def contract(form: Form, seed: Seed, row: Any, shape: tuple[int, ...]) -> Any:
    """The derivative of `<row, x>` for a tensor `x` of `shape` with tangent `form`, where `row` has that shape.

    `[k]` for directions and variables. For a site with examples `[batch, k]`, because its directions are shared by all examples
    and each example's own derivative is wanted.
    """
    if isinstance(form, Aside):
        row = form.in_front(row)
        return contract(form.in_front(form.tangent), seed, row, tuple(row.shape))
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
