"""What the engines' own work takes: an operation, a parameter's update, a step, a checkpointed segment, a step of a recurrent layer.

It is told from small programs, stacks of layers of a few numbers, by what they take beside their numpy calls and their kernels' rules, and
by what longer stacks take more. Each is run over and over, as a step of training is. They are none of the networks that are compared.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.calibration.stopwatch import Stopwatch
from compare.optimizers import OPTIMIZERS
from compare.strategies import STRATEGIES, Strategy
from diffcore.ledger import Ledger, Work

FEW, MANY, SIZE = 2, 12, 4
"""Turns of recurrent layers that are held against each other, and examples and features of each."""
LAYERS = ("Linear", "Tanh", "Sigmoid", "Linear", "Softplus", "ELU", "Linear", "ReLU")
"""Layers of stacks. Each comes to one kernel."""
STACKS: tuple[tuple[str, ...], ...] = (
    ("Linear",),
    ("Linear", "Tanh", "Sigmoid", "Softplus", "ELU", "ReLU", "Tanh"),
    ("Linear",) * 4,
    LAYERS[:4],
    LAYERS,
    LAYERS + LAYERS[:4],
)
"""Stacks that differ in how many layers there are, in how many of them directions are planted, and how far these are carried."""
LONGER = STACKS[3:]
"""Those that checkpoints run again and again."""
ROUNDS = 5
"""How often every program is timed, in turn with the others."""

Program = Callable[[Any], object]


@dataclass
class Timed:
    """A program on an array, and what it does."""

    run: Callable[[], object]
    work: Counter[Work]
    seconds: float = 0.0

    def deeds(self) -> Iterator[tuple[Work, int, str, int]]:
        """What it does: how often, by which name that is priced, and how much each time, of what has sizes."""
        for work, n in self.work.items():
            name = f"{work.function} {work.of}" if work.function == "step" or work.of == "again" else work.function
            yield work, n, name, work.dims[0] if work.dims else 1

    def count(self, name: str) -> int:
        """How often it does what is priced by that name: of what has sizes, how much."""
        return sum(n * size for _, n, of, size in self.deeds() if of == name)


def operations(watch: Stopwatch, price: Callable[[Mapping[Work, int]], float]) -> dict[str, float]:
    """Seconds of what the engines do beside rules, by name: operations, directions planted, steps, checkpoints, segments, updates."""
    from scipy.optimize import lsq_linear  # takes half a second, which whoever only reads a calibration need not wait

    reverse, checkpoints, forward = (STRATEGIES[name] for name in ("reverse", "reverse-checkpoint", "forward-activations"))
    apart, chained, checkpointed, pushed = (
        [evaluated(strategy, _layers(names), apart=one_by_one) for names in STACKS]
        for strategy, one_by_one in ((reverse, True), (reverse, False), (checkpoints, False), (forward, False))
    )
    checkpointed += [evaluated(checkpoints, _layers(names), schedule=_thrifty) for names in LONGER]
    turns = [evaluated(reverse, _recurrent, (count, SIZE, SIZE)) for count in (FEW, MANY)]
    updates = {name: _updated(reverse, name) for name in dict.fromkeys(OPTIMIZERS.values())}
    programs = [*apart, *chained, *checkpointed, *pushed, *turns, *updates.values()]
    rounds = [[watch.seconds(program.run) for program in programs] for _ in range(ROUNDS)]
    for program, seconds in zip(programs, zip(*rounds, strict=True), strict=True):
        program.seconds = statistics.median(seconds)
    found = dict.fromkeys(("record", "chain", "turn", "push", "site", "update", "checkpoint", "segment", "segment again"), 0.0)
    found |= {"step revdiff": 0.0, "step dualdiff": 0.0}

    def beside(program: Timed) -> float:
        """Seconds that are not known yet."""
        told = sum(n * size * found[of] for _, n, of, size in program.deeds() if of in found)
        return program.seconds - told - price({work: n for work, n, of, _ in program.deeds() if of not in found})

    def told(names: Sequence[str], among: Sequence[Timed], least: float = -math.inf, most: float = math.inf) -> None:
        """What each of `names` takes, by what the programs take beside all else; what is off counts in parts of what each takes."""
        taken = np.array([each.seconds for each in among])
        counts = np.array([[each.count(name) for name in names] for each in among]) / taken[:, None]
        rest = np.array([beside(each) for each in among]) / taken
        found.update(zip(names, lsq_linear(counts, rest, (least, most)).x.tolist(), strict=True))

    # What is told of rules by themselves may be more than they take in a step: then what is an operation's own, or a step's, is below 0.
    told(("record", "step revdiff"), apart)
    told(("chain",), chained, most=0.0)  # what it saves
    told(("checkpoint", "segment", "segment again"), checkpointed, least=0.0)
    told(("push", "site", "step dualdiff"), pushed, least=0.0)
    few, many = turns
    found["turn"] = (beside(many) - beside(few)) / max(many.count("turn") - few.count("turn"), 1)
    found |= {f"update {name}": max(beside(each) / max(each.count("update"), 1), 0.0) for name, each in updates.items()}
    found["update"] = found["update SGD"]
    return found


def _layers(names: Sequence[str]) -> Callable[..., Any]:
    def build(engine: Any, **options: Any) -> Any:
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


def _thrifty(engine: Any, net: Any, x: Any) -> Any:
    """The schedule that keeps one value at a time, and runs layers from there again and again."""
    return engine.checkpoint_schedule(net, x, schedule="revolve", snapshots=1)


def evaluated(
    strategy: Strategy,
    build: Callable[..., Any],
    shape: tuple[int, ...] = (SIZE, SIZE),
    *,
    apart: bool = False,
    schedule: Callable[..., Any] = lambda engine, net, x: None,
) -> Timed:
    """The loss of a network on inputs of a shape, and its gradient; with its layers called one by one if `apart`, or by a `schedule`."""
    engine = strategy.engine()
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    net, shadow = (build(engine, dtype="float32", device=device) for device in (None, "meta"))
    differentiated = strategy.value_and_grad(_loss_of_layers if apart else _loss, schedule(engine, net, x))
    shade = engine.tensor(x, device="meta")
    return Timed(lambda: differentiated(net, x), _worked(lambda: differentiated(shadow, shade)))


def _updated(strategy: Strategy, optimizer: str) -> Timed:
    """The update of a stack by an optimizer."""
    engine = strategy.engine()

    def program(**options: Any) -> Callable[[], object]:
        net = _layers(LAYERS)(engine, dtype="float32", **options)
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
