"""What an operation, a parameter, a step and a checkpointed segment take of each engine, told apart by growing small programs.

The programs are stacks of layers of a few numbers, so that what they take beside their kernels is the engine's. They are none of the
networks that are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compare.calibration.engines import Price
from compare.calibration.stopwatch import Stopwatch
from compare.optimizers import OPTIMIZERS
from compare.strategies import STRATEGIES, Strategy
from diffcore.ledger import Ledger, Work

FEW, MANY, SIZE = 2, 14, 4
"""Layers of the programs that are held against each other, and examples and features of each."""

Build = Callable[..., Any]
"""A network over an engine, of so many layers."""


def operations(watch: Stopwatch, price: Price) -> dict[str, float]:
    """Seconds of `"record"`, `"push"`, `"turn"`, `"update OPTIMIZER"`, `"step ENGINE"` and `"segment"` beside what `price` knows."""
    found: dict[str, float] = dict.fromkeys(("record", "push", "turn", "update", "segment", "step"), 0.0)
    reverse, checkpoints, forward = (STRATEGIES[name] for name in ("reverse", "reverse-checkpoint", "forward-activations"))

    def known(work: Work) -> float:
        own = found.get(f"{work.function} {work.of}", found.get(work.function))
        return price(work) if own is None else own * (work.dims[0] if work.dims else 1)

    def beside(strategy: Strategy, build: Build, count: int, optimizer: str = "SGD") -> tuple[float, Counter[str]]:
        """Seconds of a step of a program beside what is known of it, and how often it does what."""
        taken, works = _timed(watch, strategy, build, count, optimizer)
        calls = Counter[str]()
        for work, n in works.items():
            calls[work.function] += n * (work.dims[0] if work.function == "turn" else 1)
        return taken - sum(n * known(work) for work, n in works.items()), calls

    def grown(function: str, strategy: Strategy, build: Build, optimizer: str = "SGD") -> float:
        """What a call of `function` takes, by what the larger of two programs takes more."""
        (few, before), (many, after) = (beside(strategy, build, count, optimizer) for count in (FEW, MANY))
        return max((many - few) / max(after[function] - before[function], 1), 0.0)

    found["record"] = grown("record", reverse, _curved)
    for optimizer in dict.fromkeys(OPTIMIZERS.values()):
        found[f"update {optimizer}"] = grown("update", reverse, _linear, optimizer)
    found["update"] = found["update SGD"]
    found["turn"] = grown("turn", reverse, _recurrent)
    found["step revdiff"] = max(beside(reverse, _linear, FEW)[0], 0.0)
    found["push"] = grown("push", forward, _curved)
    found["step dualdiff"] = max(beside(forward, _linear, FEW)[0], 0.0)
    more, calls = beside(checkpoints, _curved, MANY)
    found["segment"] = max(more / max(calls["segment"], 1), 0.0)
    return found


def _curved(engine: Any, count: int, **options: Any) -> Any:
    """One layer with parameters, and so many without."""
    return engine.nn.Sequential(engine.nn.Linear(SIZE, SIZE, **options), *(engine.nn.Tanh() for _ in range(count)))


def _linear(engine: Any, count: int, **options: Any) -> Any:
    """So many layers with parameters."""
    return engine.nn.Sequential(*(engine.nn.Linear(SIZE, SIZE, **options) for _ in range(count)))


def _recurrent(engine: Any, count: int, **options: Any) -> Any:
    """A recurrent layer over so many steps."""
    return _Sequence(engine.nn.RNN(SIZE, SIZE, **options), count)


class _Sequence:
    """A recurrent layer and the number of steps that it is given."""

    def __init__(self, layer: Any, steps: int) -> None:
        self.layer, self.steps = layer, steps


def _timed(watch: Stopwatch, strategy: Strategy, build: Build, count: int, optimizer: str) -> tuple[float, Mapping[Work, int]]:
    """Seconds of a step of a program, and what it does."""
    engine = strategy.engine()
    net, shadow = build(engine, count, dtype="float32"), build(engine, count, dtype="float32", device="meta")
    shape: tuple[int, ...] = (SIZE, SIZE)
    if isinstance(net, _Sequence):
        net, shadow, shape = net.layer, shadow.layer, (net.steps, SIZE, SIZE)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with Ledger(works=True) as ledger:
        rehearse, shade = _step(strategy, shadow, optimizer), engine.tensor(x, device="meta")
        rehearse(shade)
        before = ledger.work.copy()
        rehearse(shade)
    step = _step(strategy, net, optimizer)
    return watch.seconds(lambda: step(x)), ledger.work - before


def _loss(net: Any, x: Any) -> Any:
    out = net(x)
    return ((out[0] if isinstance(out, tuple) else out) ** 2).mean()


def _step(strategy: Strategy, net: Any, optimizer: str) -> Callable[[Any], object]:
    """A step of training as `compare` makes it."""
    updates = getattr(strategy.engine().optim, optimizer)(net.parameters(), lr=1e-6, **({"momentum": 0.9} if optimizer == "SGD" else {}))
    differentiated = strategy.value_and_grad(_loss)

    def step(x: Any) -> None:
        _, gradients = differentiated(net, x)
        for name, parameter in net.named_parameters():
            parameter.grad = gradients[name]
        updates.step()
        updates.zero_grad()

    return step
