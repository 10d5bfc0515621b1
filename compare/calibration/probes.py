"""Small networks whole, of layers of every kind: what they take over the sum of what they consist of.

A call within a step does not take what it takes over and over by itself: other code and other data have been in the caches. What that
comes to is told by factors, one for each kind of price, that bring the sums nearest to what the probes take. The probes are none of the
networks that are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from compare.calibration.model import Calibration
from compare.calibration.pace import KINDS
from compare.calibration.programs import Timed, evaluated
from compare.calibration.stopwatch import Stopwatch, Taken
from compare.strategies import STRATEGIES

STIFF = 5.0
"""How many probes it takes to outweigh that a factor is 1: what they do not tell apart stays there."""
BOUNDS = (0.4, 2.5)
"""Between which factors are kept."""


def _rows(engine: Any, **options: Any) -> Any:
    nn = engine.nn
    layers = [nn.Linear(20, 40, **options), nn.Tanh(), nn.Linear(40, 24, **options), nn.ReLU(), nn.Linear(24, 24, **options), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(24, 7, **options))


def _images(engine: Any, **options: Any) -> Any:
    nn = engine.nn
    layers = [nn.Conv2d(2, 5, 3, padding=1, **options), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 10, 3, **options)]
    layers += [nn.BatchNorm2d(10, **options), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(40, 7, **options))


def _series(engine: Any, **options: Any) -> Any:
    return engine.nn.GRU(6, 18, **options)


def _attention(engine: Any, **options: Any) -> Any:
    nn = engine.nn
    block = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, batch_first=True, **options)
    return nn.Sequential(nn.LayerNorm(16, **options), block, nn.Linear(16, 7, **options))


PROBES: tuple[tuple[Callable[..., Any], tuple[tuple[int, ...], ...]], ...] = (
    (_rows, ((24, 20), (96, 20), (512, 20))),
    (_images, ((12, 2, 12, 12), (48, 2, 12, 12))),
    (_series, ((10, 8, 6), (10, 48, 6))),
    (_attention, ((6, 9, 16), (24, 9, 16))),
)
"""Networks, and the shapes of their inputs."""
LARGE = 12_000
"""Numbers of an input from which a probe takes too long to be differentiated by parameter directions."""


ROUNDS = 3
"""How often every probe is timed, in turn with the others."""


def factors(watch: Stopwatch, calibration: Calibration) -> dict[str, float]:
    """One for each of `KINDS`: the ones that bring what `calibration` predicts of the probes nearest to what they take."""
    programs = [
        evaluated(strategy, build, shape)
        for build, shapes in PROBES
        for shape in shapes
        for strategy in STRATEGIES.values()
        if strategy.name != "forward-parameters" or math.prod(shape) <= LARGE
    ]
    rounds = [[parts(calibration, program, watch.taken(program.run, calm=False)) for program in programs] for _ in range(ROUNDS)]
    told = [sorted(found, key=lambda pair: sum(pair[0]) + pair[1])[ROUNDS // 2] for found in zip(*rounds, strict=True)]
    return fitted([row for row, _ in told], [rest for _, rest in told])


def parts(calibration: Calibration, program: Timed, taken: Taken) -> tuple[list[float], float]:
    """What is predicted of each kind at that pace, as far as its factor counts, and the rest, in parts of what the program has taken."""
    then = msgspec.structs.replace(calibration, pace=taken.pace)
    found, part = then.kinds(program.work), then.share(program.work)
    return [part[kind] * found[kind] / taken.clock for kind in KINDS], sum((1 - part[kind]) * found[kind] / taken.clock for kind in KINDS)


def fitted(rows: Sequence[Sequence[float]], rest: Sequence[float] | None = None) -> dict[str, float]:
    """The factors by which the numbers in each of the `rows`, with its `rest`, add up to 1 as nearly as can be: by least squares, and half
    of them to more.

    Least squares alone lean to what is too little, since that is never off by more than all.
    """
    given, stiff = np.array(rows, dtype=float), STIFF**0.5 * np.eye(len(KINDS))
    left = 1 - (np.zeros(len(given)) if rest is None else np.array(rest, dtype=float))
    wanted = np.concatenate([left, np.diag(stiff)])
    found = np.linalg.lstsq(np.concatenate([given, stiff]), wanted)[0]
    found *= np.median(left / (given @ found))
    return dict(zip(KINDS, np.clip(found, *BOUNDS).tolist(), strict=True))
