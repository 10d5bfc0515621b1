"""A process that repeats something and ends: `python -m compare.truth.repeat JSON`, a list of one of two forms.

`[settings, strategy, memory, steps]`: training steps; `[backend, function, dtype, elements, times]`: a transcendental function of an array.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import msgspec

from compare.backends import BACKENDS
from compare.measure import example
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer


def main(told: str) -> None:
    """Do what `told` asks for."""
    first, *rest = msgspec.json.decode(told)
    if isinstance(first, str):
        elementwise(first, *rest)
    else:
        steps(msgspec.convert(first, Settings), *rest)


def steps(settings: Settings, strategy: str, memory: int | None, count: int) -> None:
    """Make `count` training steps."""
    backend = BACKENDS[settings.backend]
    backend.use(settings.dtype)
    trainer = Trainer(settings, STRATEGIES[strategy], device=backend.device, dtype=settings.dtype, compiled=True, memory=memory)
    inputs, targets = example(settings, settings.dtype)
    for _ in range(count):
        trainer.step(inputs, targets)
    backend.wait(trainer.net)


def elementwise(backend: str, name: str, dtype: str, elements: int, times: int) -> None:
    """Compute a function of so many elements so many times, as the backend does it."""
    BACKENDS[backend].use(dtype)
    xp: Any = importlib.import_module("numpy" if backend == "numpy" else "jax.numpy")
    function = getattr(xp, name, None) or getattr(importlib.import_module("scipy.special"), name)
    x = xp.linspace(0.25, 0.75, elements, dtype=dtype)
    operands = (x, x) if getattr(function, "nin", 1) == 2 else (x,)
    for _ in range(times):
        y = function(*operands)
        getattr(y, "block_until_ready", lambda: None)()


if __name__ == "__main__":
    main(sys.argv[1])
