"""Dropout: elements, or whole channels, set to zero at random (Srivastava et al., 2014).

In training the expectation is that of the input; in evaluation, or for `p=0`, the result is `input` itself.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from diffcore.arrays import is_traced, namespace, random
from diffcore.arrays.abstract import AbstractArray
from diffcore.arrays.observed import observed_beside
from diffcore.errors import DTypeError, GradientError, ShapeError
from diffcore.kernels import elementwise as _e
from diffcore.ledger import did
from diffcore.ops.activation import SELU_ALPHA, SELU_SCALE, number
from diffcore.ops.axes import Tensor
from diffcore.ops.comparison import array_of
from diffcore.ops.out import into

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d"]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Any = None) -> Tensor:
    """Each element 0 with probability `p`, the others divided by `1 - p`; in evaluation (or for `p=0`) `input` itself.

    **Arguments:** `generator`: a numpy generator (by default the shared one that `manual_seed` restarts, so that both engines draw the same
    numbers), or a key of jax's. Under `jax.jit` one must be given, here or by `random.keyed`; a mask drawn by numpy is then the same in
    every call. Raises `ValueError` for `p` outside [0, 1], `DTypeError` for integers, `GradientError` under `jax.jit` without a key.
    """
    if not _drops("dropout", input, p, training):
        return input
    return into(_dropped, input, p, input.ndim, generator) if inplace else _dropped(input, p, input.ndim, generator)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of `input` `[n, c, l]` or `[c, l]` 0 with probability `p`, the others divided by `1 - p`."""
    return _channels("dropout1d", 1, input, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of `input` `[n, c, h, w]` 0 with probability `p`, the others divided by `1 - p` (Tompson et al., 2015).

    An input with 3 axes is taken for `[n, c, l]`, as in PyTorch, with a warning.
    """
    return _channels("dropout2d", 2, input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of `input` `[n, c, d, h, w]` or `[c, d, h, w]` 0 with probability `p`, the others divided by `1 - p`."""
    return _channels("dropout3d", 3, input, p, training, inplace)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Each element at the least value of `selu` with probability `p`, then scaled and shifted so that mean 0 and variance 1 stay.

    For networks of `selu` (Klambauer et al., 2017). Raises as `dropout` does.
    """
    if not _drops("alpha_dropout", input, p, training):
        return input
    return into(_saturated, input, p) if inplace else _saturated(input, p)


def _drops(op: str, input: Tensor, p: float, training: bool) -> bool:
    """Whether anything is dropped, after the checks."""
    if not 0 <= number(op, "p", p) <= 1:
        raise ValueError(f"{op}: `p` (={p!r}) must be a probability between 0 and 1")
    if not training or p == 0:
        return False
    if np.dtype(input.dtype).kind in "biu":
        raise DTypeError(f"{op}: expected a floating-point tensor, got {input.dtype}")
    return True


def _dropped(input: Tensor, p: float, axes: int, generator: Any = None) -> Tensor:
    """`input` with a mask that has its first `axes` axes and is constant along the others."""
    return _e.dropout(_kept(input, p, axes, generator), input, factor=1.0 if p == 1 else 1 / (1 - p))


def _saturated(input: Tensor, p: float) -> Tensor:
    least = -SELU_SCALE * SELU_ALPHA
    if p == 1:
        return _e.mul(input, 0)
    a = 1 / math.sqrt((1 - p) * (1 + p * least**2))
    return _e.add(_e.mul(_e.where(_kept(input, p, input.ndim), input, least), a), -a * p * least)


def _channels(op: str, rank: int, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    allowed = (3, 4) if rank == 2 else (rank + 1, rank + 2)
    if input.ndim not in allowed:
        raise ShapeError(f"{op}: expected `input` with {allowed[0]} or {allowed[1]} axes, got {tuple(input.shape)}")
    if rank == 2 and input.ndim == 3:
        warnings.warn(
            f"{op}: `input` {tuple(input.shape)} has 3 axes and is taken for [n, c, l]: use dropout1d for it, "
            f"or give one image [c, h, w] a batch axis",
            stacklevel=3,
        )
    if not _drops(op, input, p, training):
        return input
    axes = 1 if rank != 2 and input.ndim == rank + 1 else 2
    return into(_dropped, input, p, axes) if inplace else _dropped(input, p, axes)


def _kept(input: Tensor, p: float, axes: int, generator: Any = None) -> Any:
    """A mask of booleans, false with probability `p`, that `input` is met by at every level."""
    x = array_of(input)
    shape = (*x.shape[:axes], *(1,) * (len(x.shape) - axes))
    if isinstance(x, AbstractArray):
        did("draw", "float32", math.prod(shape))
        return AbstractArray(shape, np.float32) >= p  # as it is drawn
    if generator is None and is_traced(x) and not random.is_keyed():
        raise GradientError(
            "dropout: under `jax.jit` the mask needs a key that changes from call to call: give a function a `generator=key`, or draw "
            "everything from one (`with random.keyed(key):`)"
        )
    mask = random.kept(p, shape, generator, x)
    return observed_beside(x, np.asanyarray(mask)) if namespace((x,)) is np and not is_traced(mask) else mask
