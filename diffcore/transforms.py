"""What the functional transforms of both engines share: arguments taken apart, results put together.

A transform differentiates with respect to some positional arguments of a function. Each is a `Module` (its parameters), or a nested
structure of arrays (its leaves). The function is called with tensors of a fresh level in their places and gets constants for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diffcore import tree
from diffcore.arrays import is_array, is_float
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import GradientError
from diffcore.nn.module import Module


def as_primal(value: Any) -> Any:
    """What lies under a tensor without history, or a number as an array: the input of a functional transform."""
    value = unboxed(value)
    return value if isinstance(value, Boxed) or is_array(value) else np.asarray(value)


def variable_primal(value: Any, transform: str) -> Any:
    """`as_primal` of something to differentiate by. Raises `GradientError` unless it is floating point."""
    primal = as_primal(value)
    if not is_float(primal.dtype):
        raise GradientError(
            f"{transform}: can only differentiate with respect to floating point inputs, got {primal.dtype} of shape {tuple(primal.shape)}"
        )
    return primal


class Arguments:
    """The arguments of one call: `primals` are the variables of the arguments at `argnums`, flattened."""

    def __init__(self, transform: str, args: tuple[Any, ...], argnums: int | Sequence[int]) -> None:
        self.args = args
        self.single = isinstance(argnums, int)
        self.argnums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self.primals: list[Any] = []
        self._builds: list[tuple[int, Any]] = []
        for number in self.argnums:
            if not -len(args) <= number < len(args):
                raise ValueError(f"{transform}: argnums {number} is out of range for a call with {len(args)} positional arguments")
            argument = args[number]
            if isinstance(argument, Module):
                names, parameters = argument._variables()
                leaves: list[Any] = [p.primal if p.level == 0 else p for p in parameters]
                build: Any = names
            else:
                values, build = tree.flatten(argument)
                leaves = [variable_primal(v, transform) for v in values]
            self.primals += leaves
            self._builds.append((len(leaves), build))

    def call(self, function: Callable[..., Any], variables: Sequence[Any], constant: Callable[[Any], Any]) -> Any:
        """`function` with `variables` in the places of the primals; other arrays are passed through `constant`."""
        args = [argument if isinstance(argument, Module) else tree.map(_constants(constant), argument) for argument in self.args]
        nets: list[tuple[Module, list[Any]]] = []
        start = 0
        for number, (count, build) in zip(self.argnums, self._builds, strict=True):
            own = list(variables[start : start + count])
            start += count
            if isinstance(self.args[number], Module):
                nets.append((self.args[number], own))
            else:
                args[number] = build(own)
        undo = [net._swap(own) for net, own in nets]
        try:
            return function(*args)
        finally:
            for (net, _), old in zip(reversed(nets), reversed(undo), strict=True):
                net._swap(old)

    def pack(self, values: Sequence[Any]) -> Any:
        """One value per primal, in the structure of the arguments: a dict by name for a module, else the argument's own."""
        packed = []
        start = 0
        for count, build in self._builds:
            own = list(values[start : start + count])
            start += count
            packed.append(dict(zip(build, own, strict=True)) if isinstance(build, tuple) else build(own))
        return packed[0] if self.single else tuple(packed)


def _constants(constant: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda leaf: constant(unboxed(leaf)) if isinstance(leaf, Boxed) or is_array(leaf) else leaf


def scalar_of(transform: str, out: Any) -> Any:
    """`out`, checked to be a single value. Raises `GradientError` worded like JAX's."""
    shape = tuple(getattr(out, "shape", ()))
    if not isinstance(out, Boxed) and not is_array(out) and not isinstance(out, int | float):
        raise GradientError(f"{transform} requires a function that returns one scalar, got {type(out).__name__}")
    if shape != () and int(np.prod(shape)) != 1:
        raise GradientError(f"{transform} is only defined for scalar-output functions, got an output of shape {shape}: use `jacobian`")
    return out
