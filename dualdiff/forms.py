"""Tangent forms, from cheapest to dearest; a missing tangent is a symbolic zero and never materialised.

| form | direction `f` of example `b` | arises from |
|---|---|---|
| `Diagonal` | `scale[b, f]` at element `f`, 0 elsewhere | a seed, pushed through elementwise kernels |
| `Outer` | `left[b, f] * right[f, ...] * scale[b, ...]` | a diagonal, pushed through a product with a matrix or a convolution |
| `Rows` | `array[f, b, ...] * scale[b, ...]` | everything else: the directions of many seeds in one block |

The `scale` of the latter two is what elementwise kernels have done since. It is kept apart because it is as small as the tensor itself: an
elementwise kernel costs as much as for one direction, and the factor goes into the next product, a tile of directions at a time.
The examples that share the directions of a site lie along axis 0; where they have come to lie along another, the block has that `axis`.
"""

from __future__ import annotations

import math
from typing import Any

from diffcore.arrays import is_mutable
from diffcore.kernels.broadcast import fill
from diffcore.kernels.families import times
from diffcore.kernels.indexing import scatter_index
from diffcore.kernels.placed import Placed
from diffcore.ops import permute
from diffcore.seeds import array_under, concatenate, eye_of, ones_of, range_of
from dualdiff.seeding import Family, Seed, Site, Spread, Variable


class Diagonal:
    """A diagonal tangent. `scale` has the tensor's shape; `None` means ones, a seed on which nothing has been done yet."""

    __slots__ = ("scale",)

    def __init__(self, scale: Any = None) -> None:
        self.scale = scale


IDENTITY = Diagonal()


class Outer:
    """Tangents `left[b, f] * right[f, ...] * scale[b, ...]` of examples `b`, in the directions of `members` one after the other.

    `left` `[batch, k]` and `scale` may be `None` for ones.
    """

    __slots__ = ("left", "members", "right", "scale")

    def __init__(self, members: tuple[Any, ...], left: Any, right: Any, scale: Any = None) -> None:
        self.members = members
        self.left = left
        self.right = right
        self.scale = scale

    def scaled(self, scale: Any) -> Outer:
        return Outer(self.members, self.left, self.right, scale)

    def same_base(self, other: Any) -> bool:
        """Whether the forms differ in their scale alone."""
        return type(other) is Outer and self.left is other.left and self.right is other.right

    def part(self, start: int, stop: int) -> Outer:
        """Directions `start` to `stop`, without saying whose."""
        if stop - start == self.right.shape[0]:
            return self
        left = None if self.left is None else self.left[:, start:stop]
        return Outer((), left, self.right[start:stop], self.scale)

    def array(self, batch: int) -> Any:
        """The dense tangent `[k, batch, ...]`."""
        k, *features = self.right.shape
        out = self.right.reshape((k, 1, *features))
        if self.left is not None:
            out = self.left.mT.reshape((k, batch, *(1,) * len(features))) * out
        else:
            out = fill(out, (batch, *features), 1)
        return out if self.scale is None else times(out, self.scale)


class Rows:
    """A block of dense tangents `array * scale`, `[k, *shape]`, whose rows belong to `members` one after the other, in their order."""

    __slots__ = ("array", "members", "scale")

    def __init__(self, members: tuple[Any, ...], array: Any, scale: Any = None) -> None:
        self.members = members
        self.array = array
        self.scale = scale

    def scaled(self, scale: Any) -> Rows:
        return Rows(self.members, self.array, scale)

    def same_base(self, other: Any) -> bool:
        """Whether the forms differ in their scale alone."""
        return type(other) is Rows and self.array is other.array and self.members is other.members

    def part(self, start: int, stop: int) -> Rows:
        """Directions `start` to `stop`, without saying whose."""
        return self if stop - start == self.array.shape[0] else Rows((), self.array[start:stop], self.scale)

    def dense(self) -> Any:
        """The tangents as one array."""
        return self.array if self.scale is None else times(self.array, self.scale)


class Aside:
    """A dense tangent `[k, *shape]` of a site whose examples lie along `axis` of the tensor, which is not 0."""

    __slots__ = ("axis", "tangent")

    def __init__(self, tangent: Any, axis: int) -> None:
        self.tangent = tangent
        self.axis = axis


Form = Any
"""A `Diagonal`, an `Outer`, `Rows`, or an array: the tangents of directions given from outside."""

KINDS = (Diagonal, Rows, Outer)

Tangents = dict[Seed, Form]
"""What a tensor carries: by seed a `Diagonal`, by family an `Outer` or `Rows`, by directions given from outside an array or `Rows`.

At a tensor with one element, by variable the `Rows` of all its directions. By `ABSENT` the sites, a frozenset, of which this run carries no
directions and which it only follows to those that stand for them: all runs must take the same way.
"""

class Groups(dict[Seed, dict[int, Form]]):
    """Forms by seed or family, then by operand. `absent` are the sites that would be in a block if this run carried their directions."""

    __slots__ = ("absent",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.absent: frozenset[Seed] = frozenset()


class _Given:
    """Stands for directions given from outside as the only member of their block."""

    count, order = 0, 0


GIVEN = _Given()


def in_front(x: Any, axis: int, lead: int = 0) -> Any:
    """`x` with the examples, which lie along `axis` (after `lead` axes), as its first axis (after those)."""
    return x if axis == 0 else permute(x, _moved(x.ndim, axis + lead, lead))


def in_place(x: Any, axis: int, lead: int = 0) -> Any:
    """What `in_front` has moved, back again."""
    return x if axis == 0 else permute(x, _moved(x.ndim, lead, axis + lead))


def _moved(ndim: int, start: int, stop: int) -> tuple[int, ...]:
    """The order of axes in which axis `start` comes to lie at `stop`."""
    axes = [i for i in range(ndim) if i != start]
    axes.insert(stop, start)
    return tuple(axes)


def arrays_in(form: Form) -> list[Any]:
    """The arrays that make up `form`; none for a seed on which nothing has been done yet."""
    if isinstance(form, Diagonal):
        return [] if form.scale is None else [form.scale]
    if isinstance(form, Outer):
        return [x for x in (form.right, form.left, form.scale) if hasattr(x, "dtype")]
    if isinstance(form, Rows):
        return [form.array, form.scale] if hasattr(form.scale, "dtype") else [form.array]
    if isinstance(form, Placed):
        return [form.values]
    return [] if isinstance(form, frozenset) else [form]


def cast(form: Form, dtype: Any) -> Form:
    """Factors or a block in another dtype."""
    scale = form.scale.astype(dtype) if hasattr(form.scale, "dtype") else form.scale
    if type(form) is Rows:
        return Rows(form.members, form.array.astype(dtype), scale)
    return Outer(form.members, None if form.left is None else form.left.astype(dtype), form.right.astype(dtype), scale)


def dense(form: Form, seed: Seed, primal: Any, shape: tuple[int, ...]) -> Any:
    """`form` of a tensor (`primal`, of `shape`) as a dense tangent `[k, *shape]`."""
    if isinstance(form, Rows):
        return form.dense()
    if isinstance(form, Outer):
        return form.array(shape[0])
    if isinstance(form, Aside):
        return form.tangent
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
    k, start = on_diagonal.shape[0], seed.rows.start or 0
    at = range_of(primal, 0, k), range_of(primal, start, start + k)
    return scatter_index(on_diagonal, index=at, shape=(k, size), unique=True).reshape((k, *shape))


def together(diagonals: list[tuple[Site | Variable, Any]], primal: Any, shape: tuple[int, ...]) -> list[tuple[tuple[Any, ...], Any]]:
    """Diagonals (their scales by seed) of a tensor as dense tangents, of as many seeds at once as can be."""
    first = diagonals[0][0]
    if len(diagonals) == 1 or not first.examples or is_mutable(array_under(primal)):
        return [((seed,), dense(Diagonal(scale), seed, primal, shape)) for seed, scale in diagonals]
    features = math.prod(shape[1:])
    whole = [(seed, scale) for seed, scale in diagonals if seed.count == features and scale is not None]
    rest = [(seed, scale) for seed, scale in diagonals if seed.count != features or scale is None]
    found: list[tuple[tuple[Any, ...], Any]] = [((seed,), dense(Diagonal(scale), seed, primal, shape)) for seed, scale in rest]
    if whole:
        scales = concatenate([scale.reshape((1, *shape)) for _, scale in whole]).reshape((len(whole), 1, *shape))
        eye = eye_of(primal, features).reshape((features, 1, *shape[1:]))
        found.append((tuple([seed for seed, _ in whole]), (scales * eye).reshape((len(whole) * features, *shape))))
    return found


def joined(factors: list[Outer], batch: int) -> Outer:
    """Factors without a scale as one."""
    if len(factors) == 1:
        return factors[0]
    lefts = [form.left for form in factors]
    if all(left is None for left in lefts):
        left = None
    else:
        shapes = [(form.right.shape[0], batch) for form in factors]
        left = concatenate(
            [ones_of(form.right, shape) if form.left is None else form.left.mT for form, shape in zip(factors, shapes, strict=True)]
        ).mT
    return Outer(tuple([seed for form in factors for seed in form.members]), left, concatenate([form.right for form in factors]))


def contract(form: Form, seed: Seed, row: Any, shape: tuple[int, ...]) -> Any:
    """The derivative of `<row, x>` for a tensor `x` of `shape` with tangent `form`, where `row` has that shape.

    `[k]` for directions and variables. For sites with examples `[batch, k]`, because their directions are shared by all examples
    and each example's own derivative is wanted.
    """
    if isinstance(form, Diagonal):
        scaled = row if form.scale is None else form.scale * row
        if seed.examples:
            return scaled.reshape((shape[0], math.prod(shape[1:])))[:, seed.rows]  # type: ignore[attr-defined]
        return scaled.reshape(-1)[seed.rows]  # type: ignore[attr-defined]
    if isinstance(form, Outer):
        row = row if form.scale is None else times(row, form.scale)
        k = form.right.shape[0]
        found = row.reshape((shape[0], math.prod(shape[1:]))) @ form.right.reshape((k, math.prod(shape[1:]))).mT
        return found if form.left is None else found * form.left
    if isinstance(form, Rows):
        if form.scale is not None:
            row = times(row, form.scale)
        form = form.array
    if seed.examples:
        axis = seed.axis if isinstance(seed, Family) else 0
        row, form = in_front(row, axis), in_front(form, axis, 1)
        batch, *rest = row.shape
        k, features = form.shape[0], math.prod(rest)
        if len(shape) == 1:
            return (form * row).T
        of_example = permute(form.reshape((k, batch, features)), (1, 0, 2))
        return (of_example @ row.reshape((batch, features, 1))).reshape((batch, k))
    if seed.lead == 0:
        return (form * row).sum(axis=tuple(range(-len(shape), 0))) if shape else form * row
    return form.reshape((form.shape[0], math.prod(shape))) @ row.reshape(-1)
