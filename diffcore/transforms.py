"""What the functional transforms of both engines share: arguments taken apart, results looked at and put together.

A transform differentiates with respect to some positional arguments of a function. Each is a `Module` (its parameters), or a nested
structure of arrays (its leaves). The function is called with tensors of a fresh level in their places and gets constants for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import copy
from functools import cached_property, partial
from typing import Any

import numpy as np

from diffcore import tree
from diffcore.arrays import is_array, is_float
from diffcore.dispatch import Boxed, unboxed
from diffcore.errors import GradientError
from diffcore.nn.module import Module
from diffcore.nn.registry import Slots, standing
from diffcore.replay import within
from diffcore.whole import whole


def as_primal(value: Any) -> Any:
    """What lies under a tensor without history, or a number as an array: the input of a functional transform."""
    value = unboxed(value)
    return value if isinstance(value, Boxed) or is_array(value) else np.asarray(value)


def variable_primal(value: Any, transform: str) -> Any:
    """`as_primal` of something to differentiate by. Raises `GradientError` unless it is floating point."""
    if isinstance(value, Module):
        raise GradientError(f"{transform}: a Module ({type(value).__name__}) must be an argument of its own, not part of a structure")
    primal = as_primal(value)
    if not is_float(primal.dtype):
        raise GradientError(
            f"{transform}: can only differentiate with respect to floating point inputs, got {primal.dtype} of shape {tuple(primal.shape)}"
        )
    return primal


def check_function(transform: str, name: str, value: Any, wanted: str) -> None:
    """Raise `TypeError` for what cannot be called, and for the class of a layer in place of a layer."""
    if isinstance(value, type) and issubclass(value, Module):
        raise TypeError(f"{transform}: `{name}` is the class {value.__name__}, not a layer of it: give `{value.__name__}(...)`")
    if not callable(value):
        raise TypeError(f"{transform}: `{name}` must be {wanted}, not {type(value).__name__}")


class Arguments:
    """The arguments of one call of a `transform`: `primals` are the variables of those at `argnums` (see `positions`), flattened."""

    def __init__(self, transform: str, args: tuple[Any, ...], argnums: int | tuple[int, ...]) -> None:
        self.transform, self.args = transform, args
        self.single = isinstance(argnums, int)
        self.argnums = (argnums,) if isinstance(argnums, int) else argnums
        self.primals: list[Any] = []
        self._builds: list[tuple[int, Any]] = []
        self._lifted: list[Any] | None = None
        for number in self.argnums:
            if not -len(args) <= number < len(args):
                raise ValueError(f"{transform}: argnums {number} is out of range for a call with {len(args)} positional arguments")
            argument = args[number]
            if isinstance(argument, Module):
                build: Any = argument._variables()
                leaves = [p if p.level else p.primal for p in build.values]
            else:
                values, build = tree.flatten(argument)
                leaves = [variable_primal(v, transform) for v in values]
            self.primals += leaves
            self._builds.append((len(leaves), build))
        if not self.single and len({n % len(args) for n in self.argnums}) < len(self.argnums):
            raise ValueError(f"{transform}: argnums {self.argnums} name an argument more than once")

    def at(self, primals: list[Any]) -> Arguments:
        """The same arguments with other values of the variables."""
        other = copy(self)
        other.primals = primals
        return other

    def call(self, function: Callable[..., Any], variables: Sequence[Any], constant: Callable[[Any], Any]) -> Any:
        """`function` with `variables` in the places of the primals; other arrays are passed through `constant`."""
        args = [constant(x) if type(x) is np.ndarray else _constants(x, constant) for x in self.args]
        if variables is self._lifted:  # these are in their places already
            return function(*args)
        with ExitStack() as stack:
            for number, build, own in self._parts(variables):
                if type(build) is Slots:
                    surroundings = partial(standing, build, own)
                    stack.enter_context(surroundings())
                    stack.enter_context(within(surroundings))
                else:
                    args[number] = build(own)
            return function(*args)

    def lifted(self, kind: type[Boxed]) -> list[Any] | None:
        """The parameters of the one net to differentiate by, if all are at level 0 and of class `kind`.

        Then an engine may raise the parameters themselves to its level for the time of the call, which is cheaper than stand-ins.
        """
        slots = self._builds[0][1]
        if self.single and type(slots) is Slots and (slots.box is kind or all(not p.level and p.box is kind for p in slots.values)):
            self._lifted = slots.values
        return self._lifted

    def _parts(self, values: Sequence[Any]) -> Iterator[tuple[int, Any, Sequence[Any]]]:
        """Per differentiated argument: its position, how it is built, and its share of `values`."""
        if self.single:
            yield self.argnums[0], self._builds[0][1], values
            return
        start = 0
        for number, (count, build) in zip(self.argnums, self._builds, strict=True):
            yield number, build, values[start : start + count]
            start += count

    def unpack(self, values: Any, what: str, *, missing: bool = False) -> list[Any]:
        """One value per primal from `values`, which has the structure that `pack` gives. Raises `GradientError` where it has not.

        With `missing`, a `None` in `values` stands for `None` for all primals there.
        """
        arguments = (values,) if self.single else values
        patterns = tuple(dict.fromkeys(b.names, 0) if isinstance(b, Slots) else b([0] * count) for count, b in self._builds)
        return tree.leaves_as(arguments, patterns, what, missing=missing)

    def pack(self, values: Sequence[Any]) -> Any:
        """One value per primal, in the structure of the arguments: a dict by name for a module, else the argument's own."""
        if self.single:
            return _packed(self._builds[0][1], values)
        return tuple(_packed(build, own) for _, build, own in self._parts(values))


class _OneNet(Arguments):
    """The arguments of a training step: a net, whose parameters are all the variables, and data. The same in a fraction of the time."""

    single = True
    argnums = (0,)

    def __init__(self, transform: str, args: tuple[Any, ...], slots: Slots) -> None:
        self.transform, self.args = transform, args
        self.slots = slots
        self._lifted = None

    @cached_property
    def primals(self) -> list[Any]:  # type: ignore[override]  # not all transforms look at them
        return [p.primal for p in self.slots.values]

    @cached_property
    def _builds(self) -> list[tuple[int, Any]]:  # type: ignore[override]
        return [(len(self.slots.values), self.slots)]

    def call(self, function: Callable[..., Any], variables: Sequence[Any], constant: Callable[[Any], Any]) -> Any:
        if variables is not self.slots.values:
            return super().call(function, variables, constant)
        net, *data = self.args
        return function(net, *[constant(x) if type(x) is np.ndarray else _constants(x, constant) for x in data])

    def lifted(self, kind: type[Boxed]) -> list[Any] | None:
        return self.slots.values if self.slots.box is kind else None

    def pack(self, values: Sequence[Any]) -> Any:
        return dict(zip(self.slots.names, values, strict=True))


def arguments_of(transform: str, args: tuple[Any, ...], argnums: int | tuple[int, ...]) -> Arguments:
    """The arguments of one call of a transform."""
    if argnums == 0 and args and isinstance(args[0], Module):
        slots = args[0]._variables()
        if slots.box is not None:
            return _OneNet(transform, args, slots)
    return Arguments(transform, args, argnums)


def positions(transform: str, argnums: Any) -> int | tuple[int, ...]:
    """`argnums` as the position of an argument, or as those of several. Raises `TypeError` for what names none."""
    found = whole(argnums)
    if found is not None:
        return found
    if isinstance(argnums, tuple | list | range) or isinstance(argnums, np.ndarray) and argnums.ndim == 1:
        several = [whole(number) for number in argnums]
        if several and None not in several:
            return tuple(several)  # type: ignore[arg-type]  # none of them is `None`
    raise TypeError(f"{transform}: `argnums` (={argnums!r}) must be the position of an argument, or a sequence of one or more positions")


def _packed(build: Any, values: Sequence[Any]) -> Any:
    return dict(zip(build.names, values, strict=True)) if type(build) is Slots else build(values)


def _constants(argument: Any, constant: Callable[[Any], Any]) -> Any:
    """`argument` with constants of the transform's level for the arrays and tensors in it."""
    if is_array(argument):
        return constant(argument)
    if isinstance(argument, Module):
        return argument
    if isinstance(argument, Boxed):
        return constant(unboxed(argument))
    if isinstance(argument, dict | list | tuple):
        return tree.map(lambda leaf: _constants(leaf, constant), argument)
    return argument


def along(primals: Any, tangents: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The arguments of a function and one tangent for each, from what `hvp` takes: one of both, or a tuple."""
    if not isinstance(primals, tuple):
        return (primals,), (tangents,)
    wanted = f"hvp: `tangents` must be a tuple with one tangent for each of the {len(primals)} `primals` (`None` for zeros)"
    if not isinstance(tangents, tuple | list):
        raise TypeError(f"{wanted}, got {type(tangents).__name__}")
    if len(tangents) != len(primals):
        raise GradientError(f"{wanted}, got {len(tangents)}")
    return primals, tuple(tangents)


def check_alike(transform: str, what: str, tangent: Any, primal: Any) -> None:
    """Raise `GradientError` worded like JAX's unless the shapes (or dtypes) of a tangent and its primal are equal."""
    if tangent != primal:
        raise GradientError(f"{transform}: primal and tangent {what} must be equal; got primal {primal} and tangent {tangent}")


def results(transform: str, out: Any, *, constants: bool = False) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of what a function returned, and how it is built of them: floating-point numbers, arrays of them, structures of both.

    With `constants` whole numbers and booleans may be among them, which have no derivative but a value. Raises `GradientError`.
    """
    if out is None:
        raise GradientError(f"{transform}: the function returned None. Is its `return` missing?")
    outs, build = tree.flatten(out)
    for y in outs:
        if isinstance(y, bool | int | float):
            y = np.asarray(y)
        elif not isinstance(y, Boxed) and not is_array(y):
            raise GradientError(f"{transform} requires a function that returns real numbers, arrays or structures of them, got {_shown(y)}")
        if not is_float(y.dtype) and not (constants and y.dtype.kind in "biu"):
            fix = "" if y.dtype.kind not in "biu" else ": leave it out of what the function returns, or make it floating point"
            raise GradientError(
                f"{transform} requires floating point outputs, got {y.dtype} of shape {tuple(y.shape)}, which has no derivative{fix}"
            )
    return outs, build


def _shown(value: Any) -> str:
    """A value that is no array, by its type; a text itself, where it is short."""
    return repr(value) if isinstance(value, str) and len(value) <= 20 else f"an object of type {type(value).__name__}"


def value_and_aux(transform: str, out: Any) -> tuple[Any, Any]:
    """The parts of what a function with `has_aux` returned. Raises `TypeError` worded like JAX's."""
    if not isinstance(out, tuple) or len(out) != 2:
        got = f"a tuple of {len(out)}" if isinstance(out, tuple) else type(out).__name__
        raise TypeError(f"{transform}: with has_aux=True the function must return a pair (scalar, aux), got {got}")
    return out


def aux_of(aux: Any, below: Callable[[Any], Any]) -> Any:
    """What a function with `has_aux` returned beside its value, with what lies `below` its tensors; the rest as it is."""
    return tree.map(lambda y: below(y) if isinstance(y, Boxed) else y, aux)


_OF_ARRAYS = {
    "hessian": "the `jacobian` of its `jacobian`",
    "hvp": "the `jacobian` of its `jacobian`",
    "hessian_sparsity": "`jacobian_sparsity`",
}
"""What differentiates a function of several results in place of a transform, where that is not `jacobian`."""


def scalar_of(transform: str, out: Any) -> Any:
    """`out`, checked to be a single floating-point value. Raises `GradientError` worded like JAX's."""
    if isinstance(out, Boxed) and out.primal.shape == () and out.primal.dtype.kind == "f":
        return out
    shape = tuple(getattr(out, "shape", ()))
    if not isinstance(out, Boxed) and not is_array(out) and not isinstance(out, int | float):
        raise GradientError(f"{transform} requires a function that returns one scalar, got {type(out).__name__}")
    if shape != () and int(np.prod(shape)) != 1:
        fix = _OF_ARRAYS.get(transform, "`jacobian`")
        raise GradientError(f"{transform} is only defined for scalar-output functions, got an output of shape {shape}: use {fix}")
    dtype = np.dtype(getattr(out, "dtype", type(out)))
    if not is_float(dtype):
        raise GradientError(f"{transform} requires a floating point output, got {dtype}, which has no derivative")
    return out
