"""The ways of differentiating that are planned: what each computes, and the program that it runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import dualdiff
import revdiff
from compare.planning.booking import Book
from compare.planning.recipe import FLOATS, Made, Recipe
from compare.planning.sizes import Sizes
from compare.strategies import STRATEGIES, Strategy
from compare.training import stepping
from diffcore.arrays.abstract import AbstractArray
from diffcore.recalled import Unbooked

GRADIENT, ESTIMATE, PRODUCT, JACOBIAN = "gradient", "estimate", "product", "Jacobian"
"""What ways compute: the gradient of the loss by all parameters, with the step that it is for; an unbiased estimate of it, with that step;
the product of the loss's Hessian with a vector; the Jacobian of each example's outputs by its inputs."""


class Task(NamedTuple):
    """What is asked of a way: the recipe at its sizes, `directions` of the forward gradient, and `rows`, the outputs of the Jacobian."""

    recipe: Recipe
    sizes: Sizes
    directions: int = 1
    rows: int | None = None


Work = tuple[Any, Callable[[], object]]
"""A network, and the program on it whose cost is asked for."""


class Way:
    """One way. `prepare(task, memory, book)` makes all that is there before, and returns the work.

    `memory` are the bytes that the engine is to keep to, or a schedule of checkpoints that keeps to some, None for none: only a way that
    `chunks` is told any.
    """

    name: str
    title: str
    computes: str
    chunks = False

    def prepare(self, task: Task, memory: Any, book: Book) -> Work:
        """The network and the work on it, booked in `book`."""
        raise NotImplementedError

    def directions(self, task: Task) -> int | None:
        """Tangents or cotangents that are carried in all, whatever the batch; None for the one cotangent of a scalar."""
        return None

    def values(self, task: Task, book: Book) -> Work:
        """The network, and the work of computing what is differentiated, without its derivative."""
        made = self._made(task, revdiff, book)

        def loss() -> object:
            with revdiff.no_grad():
                return made.loss(made.net, made.inputs, made.targets)

        return made.net, loss

    def _made(self, task: Task, engine: Any, book: Book) -> Made:
        return task.recipe.make(engine, task.sizes, book.role)


class Step(Way):
    """A training step by one of the strategies of `compare run`: gradient, then the optimizer's update."""

    computes = GRADIENT

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.name, self.title, self.chunks = strategy.name, strategy.title, strategy.bounded

    def prepare(self, task: Task, memory: Any, book: Book) -> Work:
        made = self._made(task, self.strategy.engine(), book)
        differentiated = self.strategy.value_and_grad(made.loss, memory)
        if self.strategy.seeding == "auto" and memory is None:
            differentiated(made.net, made.inputs, made.targets)  # the choice by cost is made when arguments are met again
        return _training(made, differentiated)

    def directions(self, task: Task) -> int | None:
        return None if self.strategy.seeding is None else directions_of(task, self.strategy)


class ForwardGradient(Way):
    """A training step on the gradient that random directions estimate."""

    name, title, computes = "forward-gradient", "forward gradient", ESTIMATE

    def prepare(self, task: Task, memory: Any, book: Book) -> Work:
        made = self._made(task, dualdiff, book)
        estimate = dualdiff.forward_gradient(made.loss, directions=task.directions)

        def differentiated(*args: Any) -> tuple[Any, Any]:
            found = estimate(*args)
            return found.value, found.gradient

        return _training(made, differentiated)

    def directions(self, task: Task) -> int | None:
        return task.directions


def _training(made: Made, differentiated: Callable[..., Any]) -> Work:
    """A step as in the middle of training: the optimizer has its state, of a first update with gradients that are thrown away."""
    for parameter in made.net.parameters():
        if parameter.requires_grad:
            parameter.grad = AbstractArray(tuple(parameter.shape), parameter.dtype)
    made.optimizer.step()
    made.optimizer.zero_grad()
    step = stepping(made.net, differentiated, made.optimizer)
    return made.net, lambda: step(made.inputs, made.targets)


Gradient = Callable[[Callable[..., Any]], Callable[..., Any]]
Product = Callable[[Callable[..., Any], Any, Any], Any]


def _pushed(gradient: Callable[..., Any], net: Any, vector: Any) -> Any:
    return dualdiff.jvp(gradient, (net,), (vector,))[1]


def _pulled(gradient: Callable[..., Any], net: Any, vector: Any) -> Any:
    return revdiff.vjp(gradient, net)[1](vector)


class HessianProduct(Way):
    """The Hessian of the loss times a vector: the gradient by one engine, differentiated along the vector by the other or the same."""

    computes = PRODUCT

    def __init__(self, outer: str, inner: str) -> None:
        self.name = f"hvp-{outer}-over-{inner}"
        self.title = f"product, {outer} over {inner}"
        self._product: Product = _pushed if outer == "forward" else _pulled
        self._gradient: Gradient = dualdiff.grad if inner == "forward" else revdiff.grad
        self._inner = inner

    def directions(self, task: Task) -> int | None:
        return directions_of(task, AUTO) if self._inner == "forward" else None

    def prepare(self, task: Task, memory: Any, book: Book) -> Work:
        made = self._made(task, revdiff, book)
        with book.role("input"):
            vector = {name: AbstractArray(tuple(p.shape), p.dtype) for name, p in made.net.named_parameters() if p.requires_grad}
        gradient = self._gradient(lambda net: made.loss(net, made.inputs, made.targets))
        return made.net, lambda: self._product(gradient, made.net, vector)


class Jacobian(Way):
    """The Jacobian of every example's outputs by its inputs, the parameters constant and the network in evaluation mode."""

    computes = JACOBIAN
    chunks = True

    def _function(self, task: Task, book: Book) -> tuple[Made, Callable[[Any], Any]]:
        made = self._made(task, self._engine, book)
        made.net.requires_grad_(False)
        made.net.eval()
        rows = task.rows
        return made, made.net if rows is None else lambda x: made.net(x)[:, :rows]

    def values(self, task: Task, book: Book) -> Work:
        made, function = self._function(task, book)
        return made.net, lambda: function(made.inputs)

    _engine: Any


class JacobianByRows(Jacobian):
    """Row by row: a cotangent for every output, shared by the examples."""

    name, title, _engine = "jacobian-reverse", "Jacobian by reverse rows", revdiff

    def prepare(self, task: Task, memory: Any, book: Book) -> Work:
        """`memory` is here the number of cotangents that go back together."""
        made, function = self._function(task, book)
        jacobian = revdiff.jacobian(function, per_example=True, chunk_size=memory)
        return made.net, lambda: jacobian(made.inputs)

    def directions(self, task: Task) -> int | None:
        return outputs_of(task)


class JacobianByColumns(Jacobian):
    """Column by column: a tangent for every input, shared by the examples."""

    name, title, _engine = "jacobian-forward", "Jacobian by forward columns", dualdiff

    def prepare(self, task: Task, memory: Any, book: Book) -> Work:
        made, function = self._function(task, book)
        jacobian = dualdiff.jacobian(function, per_example=True, memory=memory)
        return made.net, lambda: jacobian(made.inputs)

    def directions(self, task: Task) -> int | None:
        return math.prod(task.recipe.example.shape)


def outputs_of(task: Task) -> int:
    """The numbers that the network puts out for one example, or those of them that the Jacobian is of."""
    if task.rows is not None:
        return task.rows

    def count(made: Made) -> int:
        made.net.requires_grad_(False)
        made.net.eval()
        return math.prod(made.net(made.inputs).shape[1:])

    return _counted(task, ("outputs", task.sizes._replace(batch=0)), revdiff, count)  # of any batch


def result_of(task: Task) -> int:
    """Bytes of the Jacobian."""
    return task.sizes.batch * outputs_of(task) * math.prod(task.recipe.example.shape) * FLOATS[task.recipe.dtype]


def directions_of(task: Task, strategy: Strategy) -> int:
    """The directions that `strategy` carries for the gradient."""

    def count(made: Made) -> int:
        found = strategy.directions(made.loss, made.net, made.inputs, made.targets)
        assert found is not None
        return found

    return _counted(task, (strategy.name, task.sizes), strategy.engine(), count)


def _counted(task: Task, key: tuple[str, Sizes], engine: Any, count: Callable[[Made], int]) -> int:
    """What `count` finds of the network of `task`, remembered under `key`."""
    found = task.recipe.counts
    if key not in found:
        task.recipe.recalled.work = None
        with Unbooked(task.recipe.recalled):
            found[key] = count(task.recipe.make(engine, task.sizes, lambda role: nullcontext()))
    return found[key]


AUTO = Strategy("forward-auto", "dualdiff", "auto", "forward, auto directions", "whichever of both is cheaper, for each variable")
REVERSE, CHECKPOINTS = Step(STRATEGIES["reverse"]), Step(STRATEGIES["reverse-checkpoint"])
BY_ACTIVATIONS, BY_PARAMETERS, BY_CHOICE = Step(STRATEGIES["forward-activations"]), Step(STRATEGIES["forward-parameters"]), Step(AUTO)
BY_ROWS, BY_COLUMNS = JacobianByRows(), JacobianByColumns()
GRADIENTS = (REVERSE, CHECKPOINTS, BY_ACTIVATIONS, BY_PARAMETERS, BY_CHOICE)
ALONG = ForwardGradient()
OTHERS: tuple[Way, ...] = (
    ALONG,
    HessianProduct("forward", "reverse"),
    HessianProduct("reverse", "reverse"),
    HessianProduct("reverse", "forward"),
    HessianProduct("forward", "forward"),
)
WAYS: dict[str, Way] = {way.name: way for way in (*GRADIENTS, *OTHERS, BY_ROWS, BY_COLUMNS)}
"""Every way, by name, in the order in which they are shown."""


def auto_differs(task: Task) -> bool:
    """Whether choosing the directions of each variable comes to something else than one of the two pure ways."""
    counts = [way.directions(task) for way in (BY_CHOICE, BY_ACTIVATIONS, BY_PARAMETERS)]
    return counts[0] not in counts[1:]
