"""What the engines' own work takes: an operation, a parameter's update, a step, a checkpointed segment, a step of a recurrent layer.

It is told from small programs, stacks of layers of a few numbers, by what they take beside their numpy calls and their kernels' rules, and
by what longer stacks take more. Each is run over and over, as a step of training is. They are none of the networks that are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.calibration.engines import Price
from compare.calibration.stopwatch import Stopwatch
from compare.optimizers import OPTIMIZERS
from compare.strategies import STRATEGIES, Strategy
from diffcore.ledger import Ledger, Work

FEW, MANY, SIZE = 2, 12, 4
"""Layers of the programs that are held against each other, and examples and features of each."""
LAYERS = ("Linear", "Tanh", "Sigmoid", "Linear", "Softplus", "ELU", "Linear", "ReLU")
"""Layers of a stack, over and over. Each comes to one kernel."""

Program = Callable[[Any], object]


@dataclass
class Timed:
    """A program on an array, and what it does."""

    run: Callable[[], object]
    work: Counter[Work]
    seconds: float = 0.0

    def count(self, function: str) -> int:
        """How often it does `function`: of what has sizes, how much."""
        return sum(n * (work.dims[0] if work.dims else 1) for work, n in self.work.items() if work.function == function)


def operations(watch: Stopwatch, price: Price) -> dict[str, float]:
    """Seconds of `"record"`, `"chain"`, `"push"`, `"turn"`, `"update OPTIMIZER"`, `"step ENGINE"` and `"segment"`."""
    reverse, checkpoints, forward = (STRATEGIES[name] for name in ("reverse", "reverse-checkpoint", "forward-activations"))
    pairs = {
        "record": [evaluated(reverse, _stack(count), apart=True) for count in (FEW, MANY)],
        "chain": [evaluated(reverse, _stack(count)) for count in (FEW, MANY)],
        "push": [evaluated(forward, _stack(count)) for count in (FEW, MANY)],
        "turn": [evaluated(reverse, _recurrent, (count, SIZE, SIZE)) for count in (FEW, MANY)],
    }
    segments = evaluated(checkpoints, _stack(MANY))
    updates = {name: _updated(reverse, name) for name in dict.fromkeys(OPTIMIZERS.values())}
    programs = [*(each for pair in pairs.values() for each in pair), segments, *updates.values()]
    for program in programs:
        program.seconds = watch.seconds(program.run)
    found: dict[str, float] = dict.fromkeys(("record", "chain", "push", "turn", "update", "segment", "step"), 0.0)

    def beside(program: Timed) -> float:
        """Seconds that are not known yet."""
        return program.seconds - sum(
            n * (found[work.function] * (work.dims[0] if work.dims else 1) if work.function in found else price(work))
            for work, n in program.work.items()
        )

    def grown(function: str) -> float:
        few, many = pairs[function]
        return (beside(many) - beside(few)) / max(many.count(function) - few.count(function), 1)

    # What is told of rules by themselves may be more than they take in a step: then what is an operation's own, or a step's, is below 0.
    found["record"] = grown("record")
    found["chain"] = min(grown("chain"), 0.0)  # what it saves
    found["turn"], found["push"] = grown("turn"), grown("push")
    found["step revdiff"] = beside(pairs["record"][0])
    found["step dualdiff"] = beside(pairs["push"][0])
    found["segment"] = (beside(segments) - found["step revdiff"]) / max(segments.count("segment"), 1)
    found |= {f"update {name}": max(beside(each) / max(each.count("update"), 1), 0.0) for name, each in updates.items()}
    found["update"] = found["update SGD"]
    return found


def _stack(count: int) -> Callable[..., Any]:
    def build(engine: Any, **options: Any) -> Any:
        names = [LAYERS[i % len(LAYERS)] for i in range(count)]
        layers = [engine.nn.Linear(SIZE, SIZE, **options) if name == "Linear" else getattr(engine.nn, name)() for name in names]
        return engine.nn.Sequential(*layers)

    return build


def _recurrent(engine: Any, **options: Any) -> Any:
    return engine.nn.RNN(SIZE, SIZE, **options)


def _loss(net: Any, x: Any) -> Any:
    out = net(x)
    return ((out[0] if isinstance(out, tuple) else out) ** 2).mean()


def _loss_of_layers(net: Any, x: Any) -> Any:
    """The same of a stack whose layers are called one by one."""
    for layer in net:
        x = layer(x)
    return (x**2).mean()


def evaluated(strategy: Strategy, build: Callable[..., Any], shape: tuple[int, ...] = (SIZE, SIZE), *, apart: bool = False) -> Timed:
    """The loss of a network on inputs of a shape, and its gradient; with its layers called one by one if `apart`."""
    engine = strategy.engine()
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    differentiated = strategy.value_and_grad(_loss_of_layers if apart else _loss)
    net, shadow = (build(engine, dtype="float32", device=device) for device in (None, "meta"))
    shade = engine.tensor(x, device="meta")
    return Timed(lambda: differentiated(net, x), _worked(lambda: differentiated(shadow, shade)))


def _updated(strategy: Strategy, optimizer: str) -> Timed:
    """The update of a stack by an optimizer."""
    engine = strategy.engine()

    def program(**options: Any) -> Callable[[], object]:
        net = _stack(MANY)(engine, dtype="float32", **options)
        gradients = {name: (parameter * 0).detach().array for name, parameter in net.named_parameters()}
        updates = getattr(engine.optim, optimizer)(net.parameters(), lr=1e-6, **({"momentum": 0.9} if optimizer == "SGD" else {}))

        def update() -> None:
            for name, parameter in net.named_parameters():
                parameter.grad = gradients[name]
            updates.step()
            updates.zero_grad()

        return update

    return Timed(program(), _worked(program(device="meta")))


def _worked(program: Callable[[], object]) -> Counter[Work]:
    """The calls of a second run."""
    with Ledger(works=True) as ledger:
        program()
        ledger.work.clear()
        program()
    return ledger.work
