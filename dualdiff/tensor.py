"""The forward-mode tensor: a value, and its tangents."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from diffcore.dispatch import unboxed
from diffcore.errors import GradientError
from diffcore.seeds import ones_of, zeros_of
from diffcore.tensor import TensorSurface, check_cotangent, own_memory, tensor_of
from dualdiff import collecting, pushing
from dualdiff.forms import IDENTITY, Tangents, dense
from dualdiff.seeding import IMPERATIVE, Seed, Variable


class Tensor(TensorSurface):
    """A value at one level with its tangents per seed; without any it is a constant. A variable carries the identity."""

    __slots__ = ("_variable",)
    engine = "dualdiff"
    carried: Tangents | None
    follow = staticmethod(pushing.record)
    _mode = pushing.mode

    @classmethod
    def _seeded(cls, primal: Any, level: int, seed: Variable) -> Tensor:
        """A variable of `level`."""
        made = cls(primal, level, {seed: IDENTITY})
        made._variable = seed
        return made

    @property
    def variable(self) -> Variable | None:
        """The seed of a variable; `None` for other tensors, on which nothing is set."""
        return getattr(self, "_variable", None)

    @property
    def tangents(self) -> Tangents:
        """The tangents per seed, none for a constant; those of one block are taken apart."""
        carried = self.carried if self.requires_grad else None
        return {own: form for seed, part in (carried or {}).items() for own, form in collecting.split(seed, part, self.primal)}

    def _like(self, primal: Any) -> Tensor:
        return Tensor(primal, self.level)

    def _leaf(self) -> Variable | None:
        return self.variable

    def _become(self, variable: bool) -> None:
        seed = Variable(tuple(self.shape), IMPERATIVE, ("variable", 0), dtype=self.dtype) if variable else None
        self._variable = seed
        self.carried = None if seed is None else {seed: IDENTITY}

    def _hooks(self) -> dict[int, Callable[[Any], Any]]:
        if self.variable is None:
            raise GradientError(
                "register_hook: in forward mode no gradient reaches a tensor that is not a leaf, since tangents are carried forward: "
                "hook the leaf, or take the derivative with respect to this tensor with `dualdiff.grad`"
            )
        return self.variable.hooks

    def retain_grad(self) -> None:
        """Nothing to do for a leaf. Raises `GradientError` for other tensors, which no gradient reaches in forward mode."""
        if not self.requires_grad:
            raise GradientError("can't retain_grad on Tensor that has requires_grad=False")
        self._hooks()

    @property
    def grad_fn(self) -> None:
        """Forward mode keeps no graph."""
        return None

    def jacobian(self, variable: Tensor) -> Any:
        """The derivative of this tensor with respect to `variable`, carried already: an array `[*self.shape, *variable.shape]`.

        Raises `GradientError` unless `variable` is a leaf that requires a gradient.
        """
        seed = variable.variable if isinstance(variable, Tensor) else None
        if seed is None:
            raise GradientError("jacobian: the variable must be a leaf tensor that requires grad")
        blocks = collecting.by_variable(self.carried or {}, self.primal)
        block = blocks.get(seed)
        if block is None:
            return zeros_of(self.primal, (*self.shape, *variable.shape))
        return directions_last(block, self.shape, variable.shape)

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Deliver the derivative of this scalar (or of `<gradient, self>`), which is carried already, into `.grad` of every variable.

        **Arguments:** `gradient`: a cotangent of this tensor's shape, optional for one element; `retain_graph` is accepted and changes
        nothing, since forward mode keeps no graph. Raises `GradientError` for a tensor without derivatives, a missing or misshapen
        cotangent, and for `create_graph`, whose job `dualdiff.jacobian(dualdiff.grad(f))` and `dualdiff.hvp` do.
        """
        for variable, value in delivered(self, gradient, create_graph).items():
            variable.receive(value)

    def _repr_suffix(self) -> str:
        """For a result, `tangents=<2 seeds>`: how many groups of directions (here, variables) it carries the derivative in."""
        n = len(self.tangents)
        return super()._repr_suffix() if self.is_leaf else f"tangents=<{n} seed{'s' if n > 1 else ''}>"


Tensor.box = Tensor  # results are plain tensors, also those of parameters


def delivered(y: Tensor, gradient: Any, create_graph: bool, position: int = 0) -> dict[Variable, Tensor]:
    """The derivative of `<gradient, y>`, which `y` carries already, per variable, as tensors of their own. Errors as for `backward`."""
    if create_graph:
        raise GradientError(
            "create_graph=True has no meaning in forward mode, where derivatives are carried, not recorded: "
            "for higher derivatives nest the functional transforms, e.g. `dualdiff.hvp(f, x, v)` or `dualdiff.hessian(f)(x)`"
        )
    if not y.requires_grad:
        raise GradientError(f"element {position} of tensors does not require grad and carries no tangent")
    check_cotangent(y.primal, gradient)
    row = ones_of(y.primal) if gradient is None else unboxed(gradient.detach() if isinstance(gradient, TensorSurface) else gradient)
    if row.dtype != y.dtype:
        row = row.astype(y.dtype)
    taken = {id(row)}
    found = {}
    for variable, value in collecting.by_variable(y.carried or {}, y.primal, cotangent=row).items():
        if value.dtype != variable.dtype:
            value = value.astype(variable.dtype)
        found[variable] = Tensor(own_memory(value.reshape(variable.shape), taken))
    return found


def directions_last(block: Any, shape: tuple[int, ...], variable: tuple[int, ...]) -> Any:
    """Tangents `[n, *shape]` of the elements of a variable as a Jacobian `[*shape, *variable]`."""
    flat = block.reshape((math.prod(variable), math.prod(shape))).mT
    return flat.reshape((*shape, *variable))


def tangent_of(out: Tensor, seed: Seed) -> Any:
    """The dense tangent of `out` for `seed`, zeros where it carries none."""
    form = out.tangents.get(seed)
    return zeros_of(out.primal) if form is None else dense(form, seed, out.primal, out.shape)


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor holding a copy of `data`; arguments and errors as for `revdiff.tensor`."""
    return tensor_of(Tensor, data, dtype, device, requires_grad)
