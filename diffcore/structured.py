"""Jacobians whose structure is known beforehand: what both engines ask of the options, of the arguments and of the function.

- `per_example=True`: the function maps a batch `[B, *in]` to `[B, *out]`, each example on its own. Of the Jacobian `[B, *out, B, *in]` only
  the `B` blocks where both examples are the same are not zero, and these are what is computed: `[B, *out, *in]`.
- `structure="diagonal"`: the function acts element by element. Its derivative is one number per element.
- `sparsity=`: the pattern of what is not zero (see `diffcore.sparsity`).

A function that has not the structure it is said to have would give wrong numbers, so what the kernels declare is held against it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from diffcore.errors import GradientError, ShapeError
from diffcore.kernels.record import Kernel
from diffcore.nn.registry import Slots
from diffcore.transforms import Arguments

STRUCTURES = ("dense", "diagonal")


def check_options(per_example: Any, structure: Any, sparsity: Any, check: Any) -> None:
    """Raise `ValueError` for options of `jacobian` that are none, or that exclude each other."""
    if structure not in STRUCTURES:
        raise ValueError(f"jacobian: `structure` (={structure!r}) must be one of {', '.join(map(repr, STRUCTURES))}")
    for name, value in (("per_example", per_example), ("check", check)):
        if not isinstance(value, bool):
            raise ValueError(f"jacobian: `{name}` (={value!r}) must be True or False")
    given = [
        text
        for text, chosen in (
            ("per_example=True", per_example),
            ('structure="diagonal"', structure == "diagonal"),
            ("sparsity=...", sparsity is not None),
        )
        if chosen
    ]
    if len(given) > 1:
        raise ValueError(f"jacobian: {' and '.join(given)} exclude each other: each says what the Jacobian looks like; give one")
    if check and sparsity is None:
        raise ValueError("jacobian: `check` (=True) holds a result against `sparsity`, which is not given")


def shared_by_examples(arguments: Arguments) -> list[bool]:
    """Per variable whether all examples share it: parameters of a `Module` are shared, arrays have an example per row."""
    return [type(build) is Slots for count, build in arguments._builds for _ in range(count)]


def batch_size(arguments: Arguments) -> int:
    """The number of examples that the differentiated arrays hold. Raises `ShapeError` where they have no first axis, or not the same."""
    shapes = [tuple(p.shape) for p, shared in zip(arguments.primals, shared_by_examples(arguments), strict=True) if not shared]
    if not shapes:
        raise ValueError(
            "jacobian: with per_example=True a differentiated argument must hold examples along its first axis; "
            f"`argnums` {arguments.argnums} names parameters alone, whose plain Jacobian is [B, *out, *parameter] already"
        )
    if any(not shape for shape in shapes):
        raise ShapeError("jacobian: with per_example=True every differentiated array needs a first axis of examples, got one of shape ()")
    if len({shape[0] for shape in shapes}) > 1:
        raise ShapeError(
            f"jacobian: with per_example=True all differentiated arrays must hold as many examples along their first axis, got shapes "
            f"{' and '.join(map(str, dict.fromkeys(shapes)))}"
        )
    return shapes[0][0]


def check_rows(shape: Sequence[int], batch: int) -> None:
    """Raise `ShapeError` unless a result of `shape` has one row per example."""
    if tuple(shape[:1]) != (batch,):
        raise ShapeError(
            f"jacobian: with per_example=True the function must return one row for each of the {batch} examples, got shape {tuple(shape)}"
        )


def check_elements(shape: Sequence[int], variable: Sequence[int]) -> None:
    """Raise `ShapeError` unless a result of `shape` has one element per element of the variable."""
    if math.prod(shape) != math.prod(variable):
        raise ShapeError(
            f'jacobian: with structure="diagonal" the function must return as many elements as its argument has, got shape {tuple(shape)} '
            f"for {tuple(variable)}"
        )


def mixes_examples(kernel: Kernel) -> GradientError:
    """The error for a kernel that examples meet in, or may."""
    return GradientError(
        f"jacobian: per_example=True, but `{kernel.name}` mixes the examples along axis 0, or does not declare that it keeps them apart: "
        f"leave `per_example` out to get the whole Jacobian"
    )


def examples_moved(axis: int) -> GradientError:
    """The error for a result in which the examples do not lie along the first axis."""
    return GradientError(
        f"jacobian: per_example=True, but in the result the examples lie along axis {axis}, not along axis 0: "
        f"move them back, e.g. `y.movedim({axis}, 0)`"
    )


def examples_out_of_order(row: int, example: int) -> GradientError:
    """The error for a result of which a row depends on another example than its own."""
    return GradientError(
        f"jacobian: per_example=True, but row {row} of the result depends on example {example}: the function must return the examples in "
        f"the order in which it got them; leave `per_example` out to get the whole Jacobian"
    )


def mixes_elements(kernel: Kernel) -> GradientError:
    """The error for a kernel that does not act element by element."""
    return GradientError(
        f'jacobian: structure="diagonal", but `{kernel.name}` does not act element by element on what depends on the variable: '
        f"leave `structure` out to get the whole Jacobian"
    )


def as_rows(flat: Any, shape: tuple[int, ...]) -> Any:
    """Rows `[k, n]` of `n` elements as `[k, *shape]`, also where there are none."""
    return flat.reshape((flat.shape[0], *shape))
