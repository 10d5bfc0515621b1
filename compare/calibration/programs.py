"""What an operation, a parameter, a step and a checkpointed segment take of each engine, told apart by growing small programs.

The programs are stacks of layers of a few numbers, so that what they take beside their kernels is the engine's. They are none of the
networks that are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compare.calibration.engines import Price
from compare.calibration.stopwatch import Stopwatch
from compare.strategies import STRATEGIES, Strategy
from diffcore.ledger import Ledger, Work

FEW, MANY, SIZE = 2, 10, 4
"""Layers of the programs that are held against each other, and examples and features of each."""


def operations(watch: Stopwatch, price: Price) -> dict[str, float]:
    """Seconds of `"record"`, `"push STRATEGY"`, `"update"`, `"step"` and `"segment"` beside what `price` knows."""
    found: dict[str, float] = {}
    reverse, checkpoints = STRATEGIES["reverse"], STRATEGIES["reverse-checkpoint"]

    def known(work: Work) -> float:
        return found.get(f"{work.function} {work.of}", found.get(work.function, price(work)))

    def grown(strategy: Strategy, build: Callable[..., Any], *functions: str) -> float:
        """What a call of one of `functions` takes, by what the larger program takes more."""
        sides = [_beside(watch, known, strategy, build, count) for count in (FEW, MANY)]
        calls = [sum(count for work, count in works.items() if work.function in functions) for _, works in sides]
        return max((sides[1][0] - sides[0][0]) / max(calls[1] - calls[0], 1), 0.0)

    found |= dict.fromkeys(("record", "push", "update", "segment", "step"), 0.0)
    found["record"] = grown(reverse, _curved, "record")
    found["update"] = grown(reverse, _linear, "update")
    found["step revdiff"] = max(_beside(watch, known, reverse, _linear, FEW)[0], 0.0)
    found["push"] = grown(STRATEGIES["forward-activations"], _curved, "push")
    found["step dualdiff"] = max(_beside(watch, known, STRATEGIES["forward-activations"], _linear, FEW)[0], 0.0)
    found["segment"] = grown(checkpoints, _curved, "segment")
    return found


def _curved(engine: Any, count: int, **options: Any) -> Any:
    """One layer with parameters, and so many without."""
    return engine.nn.Sequential(engine.nn.Linear(SIZE, SIZE, **options), *(engine.nn.Tanh() for _ in range(count)))


def _linear(engine: Any, count: int, **options: Any) -> Any:
    """So many layers with parameters."""
    return engine.nn.Sequential(*(engine.nn.Linear(SIZE, SIZE, **options) for _ in range(count)))


def _beside(watch: Stopwatch, known: Price, strategy: Strategy, build: Callable[..., Any], count: int) -> tuple[float, Mapping[Work, int]]:
    """Seconds of a step of a program beside what is known of it, and what it does."""
    engine = strategy.engine()
    x = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype(np.float32)
    real = _step(strategy, build(engine, count, dtype="float32"))
    with Ledger(works=True) as ledger:
        shadow = _step(strategy, build(engine, count, dtype="float32", device="meta"))
        shade = engine.tensor(x, device="meta")
        shadow(shade)
        before = ledger.work.copy()
        shadow(shade)
    works = ledger.work - before
    return watch.seconds(lambda: real(x)) - sum(n * known(work) for work, n in works.items()), works


def _step(strategy: Strategy, net: Any) -> Callable[[Any], object]:
    """A step of training as `compare` makes it."""
    engine = strategy.engine()
    optimizer = engine.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9)
    differentiated = strategy.value_and_grad(lambda net, x: (net(x) ** 2).mean())

    def step(x: Any) -> None:
        _, gradients = differentiated(net, x)
        for name, parameter in net.named_parameters():
            parameter.grad = gradients[name]
        optimizer.step()
        optimizer.zero_grad()

    return step
