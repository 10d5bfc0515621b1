"""What Newton's methods share: the loss as a function of all parameters, one vector of them, and the search along a direction.

They differentiate the loss themselves, twice, by the transforms of the engine that a subclass belongs to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from diffcore.aliasing import changes
from diffcore.arrays import is_mutable, namespace
from diffcore.dispatch import Boxed
from diffcore.errors import DiffError, GradientError
from diffcore.ledger import state
from diffcore.optim.optimizer import Optimizer
from diffcore.replay import Moment
from diffcore.seeds import array_under

SUFFICIENT = 1e-4
"""The part of the decrease promised by the slope that a step must bring (Armijo; Nocedal and Wright 2006, section 3.1)."""
HALVINGS = 40
"""How often a step is halved before the search ends without one."""


class Taken(NamedTuple):
    """What a step did: `loss` and `gradient_norm` before it, the `length` of the step along its direction, the `damping` it took.

    `iterations` counts Hessian-vector products (of `NewtonCG`); `negative_curvature` says that one of them met a direction along which
    the loss bends down.
    """

    loss: float
    gradient_norm: float
    length: float
    damping: float
    iterations: int = 0
    negative_curvature: bool = False


class SecondOrder(Optimizer):
    """Base of `Newton` and `NewtonCG`.

    **Arguments:** `params`: tensors, or the network that has them. There is one group. `last` tells of the last step.
    """

    scalars = ()
    last: Taken | None = None

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        given: Iterable[Any] = params.parameters() if callable(getattr(params, "parameters", None)) else params
        super().__init__(given, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """The one group. Raises `ValueError` for a second: all parameters are solved for together."""
        if self.param_groups:
            raise ValueError(f"{type(self).__name__} doesn't support per-parameter options (parameter groups)")
        super().add_param_group(param_group)

    # what an engine's class defines
    @property
    def _engine(self) -> Any:
        """The engine, for its `value_and_grad`, `hessian`, `hvp` and `no_grad`."""
        raise DiffError(f"{type(self).__name__} belongs to no engine: use the class of that name in revdiff.optim or dualdiff.optim")

    @property
    def _variables(self) -> list[Any]:
        """The parameters to solve for: those that require a gradient."""
        return [parameter for parameter in self.param_groups[0]["params"] if parameter.requires_grad]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step; returns the loss before it, a constant.

        **Arguments:** `closure`: computes the loss, one floating-point number, of the parameters, and does nothing else: it needs no
        `zero_grad` and no `backward`. It is called several times, with the same random numbers, and layers move their statistics once.
        """
        if closure is None:
            raise TypeError(f"{type(self).__name__}.step: needs a closure that computes the loss, whose second derivatives it takes")
        parameters = self._variables
        if not parameters:
            raise GradientError(f"{type(self).__name__}.step: no parameter requires a gradient")
        closure = _repeatable(closure)
        loss = _of_values(closure, parameters)
        values = [parameter.array for parameter in parameters]
        value, gradients = self._engine.value_and_grad(loss)(values)
        value = array_under(value)
        outer, state.phase = state.phase, "update"
        try:
            self._move(closure, loss, parameters, value, _vector(gradients))
        finally:
            state.phase = outer
        self.has_stepped = True
        return parameters[0]._like(value)

    def _move(self, closure: Callable[[], Any], loss: Callable[..., Any], parameters: list[Any], value: Any, gradient: Any) -> None:
        """Make the step, from the loss as a function of a list of values, its value, and its gradient as one vector."""
        raise NotImplementedError

    def _shifted(self, parameters: list[Any], before: Sequence[Any], direction: Any, length: Any) -> None:
        """Set the parameters to `before + length * direction`."""
        name = f"{type(self).__name__}.step"
        for parameter, old, part in zip(parameters, before, _parts(direction, before), strict=True):
            new = old + length * part
            array = parameter.array
            if is_mutable(array):
                array[...] = new
                changes.note(array, name)
            else:
                parameter.data = new if new.dtype == array.dtype else new.astype(array.dtype)

    def _searched(self, closure: Callable[[], Any], parameters: list[Any], value: float, slope: float, direction: Any) -> float:
        """Step along a direction of descent, half as far until the loss is low enough; returns how far, 0 where it nowhere is.

        The loss may be above by as much as it is uncertain, so that the last digits of the parameters can still be found.
        """
        length = self.param_groups[0]["lr"]
        before = [parameter.array.copy() for parameter in parameters]
        slack = 4 * float(np.finfo(direction.dtype).eps) * abs(value)
        for _ in range(HALVINGS):
            self._shifted(parameters, before, direction, length)
            with self._engine.no_grad():
                found = float(closure())
            if found <= value + SUFFICIENT * length * slope + slack:  # not so where it is NaN
                return length
            length /= 2
        self._shifted(parameters, before, direction, 0.0)
        return 0.0


def _repeatable(closure: Callable[[], Any]) -> Callable[[], Any]:
    """`closure`, whose further calls are further runs of the same evaluation."""
    moment, calls = Moment(), itertools.count()

    def evaluate() -> Any:
        if not next(calls):
            return closure()
        with moment.again():
            return closure()

    return evaluate


def _of_values(closure: Callable[[], Any], parameters: list[Any]) -> Callable[[list[Any]], Any]:
    """`closure` as a function of the values of `parameters`."""

    def loss(values: list[Any]) -> Any:
        with _standing_in(parameters, values):
            return closure()

    return loss


_PARTS = ("primal", "level", "carried", "_variable")
"""What makes a tensor what it is; the last in forward mode alone, where it may be unset."""


@contextmanager
def _standing_in(parameters: list[Any], values: list[Boxed]) -> Iterator[None]:
    """While parameters are the tensors `values` of a transform: the objects stay, so that whoever holds them need not know."""
    parts = [name for name in _PARTS if hasattr(type(parameters[0]), name)]
    before = [[getattr(parameter, name, None) for name in parts] for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            for name in parts:
                setattr(parameter, name, getattr(value, name, None))
        yield
    finally:
        for parameter, held in zip(parameters, before, strict=True):
            for name, part in zip(parts, held, strict=True):
                setattr(parameter, name, part)


def _vector(parts: Sequence[Any]) -> Any:
    """Arrays as one vector; they are in tensors where the loss depends on further variables."""
    arrays = [array_under(part) for part in parts]
    return namespace(arrays).concatenate([array.reshape((-1,)) for array in arrays])


def _parts(vector: Any, like: Sequence[Any]) -> list[Any]:
    """A vector as arrays of the shapes of `like`."""
    parts, start = [], 0
    for array in like:
        stop = start + array.size
        parts.append(vector[start:stop].reshape(tuple(array.shape)))
        start = stop
    return parts
