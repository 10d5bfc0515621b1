"""What is planned: a network that can be made at any size, on any engine, from shapes alone, with its loss and the shapes of a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from compare import optimizers
from compare.errors import InputError
from compare.networks.kit import Kit
from compare.planning.sizes import Example, Sizes
from compare.settings import Settings
from compare.tasks import TASKS
from diffcore.arrays.abstract import AbstractArray
from diffcore.ledger import unbooked
from diffcore.nn.module import Module
from diffcore.recalled import Recalled

FLOATS = {"float32": 4, "float64": 8}


class Made(NamedTuple):
    """A network of one engine on shapes, a batch for it, its loss `(net, inputs, targets)` and its optimizer."""

    engine: Any
    net: Any
    inputs: Any
    targets: Any
    loss: Callable[..., Any]
    optimizer: Any


class Recipe:
    """How a network is made; subclasses say where it comes from.

    `varies` are the knobs of `Sizes` beside `batch` that it can be made with; `training` is the optimizer in words.
    """

    name: str
    example: Example
    dtype: str
    training: str
    varies: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.counts: dict[tuple[str, Sizes], int] = {}
        """Numbers put out for an example and directions, by name and by the sizes at which they were asked for."""
        self.recalled = Recalled()
        """Calls that any program on its networks has made."""

    def shape(self, sizes: Sizes) -> str:
        """The architecture in a few characters."""
        raise NotImplementedError

    def depth_of(self, sizes: Sizes) -> int | None:
        """The depth that the network has at `sizes`, where that is a knob."""
        return None

    def can_be(self, sizes: Sizes) -> bool:
        """Whether there is such a network; asked of depths, without building one."""
        return True

    def net(self, engine: Any, sizes: Sizes) -> Any:
        """The network, of `engine` where it can be, on abstract arrays."""
        raise NotImplementedError

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        """The scalar that is differentiated."""
        raise NotImplementedError

    def targets(self, sizes: Sizes, net: Any, inputs: Any) -> AbstractArray:
        """The targets of a batch."""
        raise NotImplementedError

    def optimizer(self, engine: Any, net: Any) -> Any:
        """The optimizer of the network's parameters; None where it has none to train."""
        raise NotImplementedError

    def make(self, engine: Any, sizes: Sizes, role: Callable[[str], Any]) -> Made:
        """Everything that a step needs; `role(name)` is the context in which arrays of a role are made."""
        with role("parameter"):
            net = self.net(engine, sizes)
        with role("input"):
            inputs = engine.Tensor(AbstractArray((sizes.batch, *self.example.shape), "int64" if self.example.tokens else self.dtype))
            targets = engine.Tensor(self.targets(sizes, net, inputs))
        functional = engine.nn.functional
        loss = self.loss
        return Made(
            engine, net, inputs, targets, lambda net, inputs, targets: loss(functional, net, inputs, targets), self.optimizer(engine, net)
        )


class Preset(Recipe):
    """One of the networks that `compare` has, as `settings` say, on a batch of any size."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._model = settings.model
        self.name, self.dtype, self.training = settings.network, settings.dtype, settings.training
        data = settings.dataset
        self.example = Example(settings.inputs, data.form == "tokens")
        self.varies = frozenset({"outputs", *self._model.knobs}) - (set() if self._model.task != "language" else {"outputs"})

    def _numbers(self, sizes: Sizes) -> tuple[tuple[int, ...], int, dict[str, int]]:
        settings = self._settings
        knobs = {"width": sizes.width or settings.width, "depth": sizes.depth or settings.depth}
        return settings.inputs, sizes.outputs or settings.outputs, knobs

    def shape(self, sizes: Sizes) -> str:
        inputs, outputs, knobs = self._numbers(sizes)
        return self._model.shape(inputs, outputs, **knobs)

    def depth_of(self, sizes: Sizes) -> int | None:
        return self._numbers(sizes)[2]["depth"] if "depth" in self._model.knobs else None

    def can_be(self, sizes: Sizes) -> bool:
        try:
            self.shape(sizes)
        except InputError:
            return False
        return True

    def net(self, engine: Any, sizes: Sizes) -> Any:
        inputs, outputs, knobs = self._numbers(sizes)
        engine.manual_seed(self._settings.seed)
        return self._model.build(Kit(engine, device="meta", dtype=self.dtype), inputs, outputs, **knobs)

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        return self._model.loss(functional, net, inputs, targets)

    def targets(self, sizes: Sizes, net: Any, inputs: Any) -> AbstractArray:
        data = self._settings.dataset
        shape = (sizes.outputs,) if data.task == "regression" and sizes.outputs else data.targets
        return AbstractArray((sizes.batch, *shape), "int64" if data.task in ("classification", "language") else self.dtype)

    def optimizer(self, engine: Any, net: Any) -> Any:
        settings = self._settings
        return optimizers.make(engine, settings.optimizer, net.parameters(), lr=settings.lr, momentum=settings.momentum)


LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "cross_entropy": lambda f, outputs, targets: f.cross_entropy(outputs, targets),
    "mse": TASKS["regression"].loss,
    "l1": lambda f, outputs, targets: f.l1_loss(outputs, targets),
    "bce": lambda f, outputs, targets: f.binary_cross_entropy_with_logits(outputs, targets),
}
"""The losses that a network of the user's own can be given by name, and what they are of outputs `[n, m]`; the first has class numbers
for targets, the others numbers of the outputs' shape."""


class Own(Recipe):
    """A network of the user's own: `build` returns it, or it is given as a `Module`, of which only the shapes are looked at.

    **Arguments:** `build(nn, **sizes)`: gets the layers of an engine (`nn.Linear`, `nn.Module`, `nn.functional`, ...), and those of
    `outputs`, `width` and `depth` that it has parameters for; `loss`: a name of `LOSSES` or a function `(functional, outputs, targets)`.
    """

    def __init__(
        self,
        name: str,
        build: Callable[..., Any],
        example: Example,
        *,
        loss: str | Callable[[Any, Any, Any], Any] = "cross_entropy",
        dtype: str = "float32",
        optimizer: str = "sgd",
        momentum: float = 0.9,
        takes: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.name, self.example, self.dtype, self.varies = name, example, dtype, takes
        self._build, self._loss = build, loss
        self._optimizer, self._momentum = optimizer, momentum if optimizer in optimizers.WITH_MOMENTUM else 0.0
        self.training = optimizers.described(optimizer, lr=0.1, momentum=self._momentum)

    def shape(self, sizes: Sizes) -> str:
        knobs = [f"{name} {value}" for name, value in sizes._asdict().items() if name in self.varies and value is not None]
        return " ".join([f"on {self.example}", *knobs])

    def depth_of(self, sizes: Sizes) -> int | None:
        return sizes.depth if "depth" in self.varies else None

    def net(self, engine: Any, sizes: Sizes) -> Any:
        given = {name: value for name, value in sizes._asdict().items() if name in self.varies and value is not None}
        net = self._build(Kit(engine, device="meta", dtype=self.dtype), **given)
        if not isinstance(net, Module):
            kind = type(net).__name__
            if not hasattr(net, "named_parameters"):
                raise InputError(f"`build` of {self.name} returned {kind}, and a network (a Module) is needed")
            raise InputError(f"`build` of {self.name} returned {foreign(net)}")
        for name, parameter in net.named_parameters():
            if parameter.engine != engine.Tensor.engine:
                raise InputError(
                    f"`build` of {self.name} returned a network whose `{name}` is of {parameter.engine}: make it of the `nn` that `build` "
                    f"is given, which is now that of {engine.Tensor.engine}"
                )
        return net.to("meta")

    def loss(self, functional: Any, net: Any, inputs: Any, targets: Any) -> Any:
        loss = LOSSES[self._loss] if isinstance(self._loss, str) else self._loss
        return loss(functional, net(inputs), targets)

    def targets(self, sizes: Sizes, net: Any, inputs: Any) -> AbstractArray:
        outputs = shape_of(net, inputs)
        if not outputs or outputs[0] % sizes.batch:
            raise InputError(
                f"network {self.name!r} puts out a tensor of shape {outputs} for a batch of {sizes.batch}: its first axis must be that of "
                f"the examples, as in ({sizes.batch}, ...); leave means and sums over the batch to the loss"
            )
        if self._loss == "cross_entropy":
            return AbstractArray((outputs[0], *outputs[2:]), "int64")
        return AbstractArray(outputs, self.dtype)

    def optimizer(self, engine: Any, net: Any) -> Any:
        if not any(parameter.requires_grad for parameter in net.parameters()):
            return None
        return optimizers.make(engine, self._optimizer, net.parameters(), lr=0.1, momentum=self._momentum)


def foreign(net: Any) -> str:
    """What is wrong with a network of another library, in words."""
    kind = f"{type(net).__module__.partition('.')[0]}'s {type(net).__name__}"
    return f"{kind}, and a Module of `revdiff.nn` or `dualdiff.nn` is needed: make it of the `nn` that `build(nn)` is given"


def shadow(net: Any) -> Callable[..., Any]:
    """A `build` for `Own` that makes copies of `net` on shapes alone, with tensors of the engine asked for; its arrays are not copied."""
    arrays = {id(array): array for array in (t.array for t in (*net.parameters(), *net.buffers()))}

    def build(kit: Any) -> Any:
        made = copy.deepcopy(net, dict(arrays)).to("meta")
        own: dict[int, Any] = {}
        for module in made.modules():
            for registry in (module._parameters, module._buffers):
                for name, tensor in registry.items():
                    if tensor is not None and tensor.engine != kit.engine.Tensor.engine:
                        registry[name] = own.setdefault(id(tensor), _of(kit.engine, tensor, registry is module._parameters))
        return made

    return build


def _of(engine: Any, tensor: Any, is_parameter: bool) -> Any:
    """A tensor of `engine` like one of the other."""
    if is_parameter:
        return engine.nn.Parameter(engine.Tensor(tensor.array), requires_grad=tensor.requires_grad)
    return engine.Tensor(tensor.array)


def shape_of(net: Any, inputs: Any) -> tuple[int, ...]:
    """The shape of what `net` puts out for `inputs`, found by running it on abstract arrays outside of all ledgers. Raises `InputError`."""
    with unbooked():
        out = net(inputs)
    if not hasattr(out, "shape"):
        raise InputError(f"the network puts out a {type(out).__name__}, and one tensor is needed")
    return tuple(out.shape)
