"""Broadcasting undone and redone, once for all kernels, with leading direction axes left in place."""

from __future__ import annotations

from typing import Any

Shape = tuple[int, ...]


def align(t: Any, ndim: int, target: int) -> Any:
    """A tangent `[*lead, *s]` of an operand with `ndim` axes, reshaped so that `s` counts `target` axes."""
    if ndim == target:
        return t
    lead = t.ndim - ndim
    return t.reshape((*t.shape[:lead], *(1,) * (target - ndim), *t.shape[lead:]))


def fill(t: Any, shape: Shape, lead: int) -> Any:
    """`t` broadcast to `[*lead, *shape]`."""
    if tuple(t.shape[lead:]) == shape:
        return t
    from diffcore.kernels.shape import broadcast_to

    return broadcast_to(t, shape=(*t.shape[:lead], *shape))


def unbroadcast(g: Any, ndim: int, shape: Shape) -> Any:
    """The cotangent `[*lead, *r]` of a result with `ndim` axes, summed over the axes along which `shape` was broadcast."""
    if g.shape == shape:
        return g
    lead = g.ndim - ndim
    added = ndim - len(shape)
    axes = [axis - ndim for axis in range(added)]
    axes += [axis - ndim for axis in range(added, ndim) if shape[axis - added] == 1 != g.shape[lead + axis]]
    if not axes:
        return g
    return g.sum(axis=tuple(axes), keepdims=True).reshape((*g.shape[:lead], *shape))
