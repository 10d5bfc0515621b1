"""A run as a measurement would record it, made up but realistic: what the tests of the report read."""

from __future__ import annotations

import math
import random
from typing import Any

from compare.records import Agreement, Arithmetic, Environment, Header, Line, Memory, Moment, Strategy, Timing, Training

REVERSE, ACTIVATIONS, PARAMETERS = "reverse", "forward-activations", "forward-parameters"
TITLES = {REVERSE: "reverse", ACTIVATIONS: "forward, activation directions", PARAMETERS: "forward, parameter directions"}
MEDIANS = {REVERSE: 0.092e-3, ACTIVATIONS: 0.268e-3, PARAMETERS: 19.3e-3}
PEAKS = {REVERSE: 112_000, ACTIVATIONS: 201_600, PARAMETERS: 9_870_000}


def header(**changes: Any) -> Header:
    fields: dict[str, Any] = {
        "version": 2,
        "name": "digits-mlp",
        "command": "python -m compare run --network mlp --batch 64 --seed 0",
        "created": "2026-01-31T12:00:00Z",
        "network": "mlp",
        "shape": "64-32-10, tanh",
        "parameters": 2410,
        "data": "digits",
        "task": "classification",
        "score": "accuracy",
        "unit": "%",
        "examples": 1797,
        "inputs": (64,),
        "outputs": 10,
        "batch": 64,
        "seed": 0,
        "dtype": "float32",
        "backend": "numpy",
        "optimizer": "SGD, learning rate 0.1, momentum 0.9",
    }
    return Header(**fields | changes)


def environment() -> Environment:
    entries = {
        "processor": "Example CPU @ 2.6 GHz, 2 cores",
        "memory": "7.8 GiB",
        "system": "Linux 6.8 x86_64",
        "python": "3.12.3",
        "numpy": "2.4.6, OpenBLAS 0.3.30",
        "threads": "OMP_NUM_THREADS=1",
        "diffmodes": "0.1.0",
    }
    return Environment(entries)


def strategy(name: str, **changes: Any) -> Strategy:
    engine, seeding = {REVERSE: ("revdiff", None), ACTIVATIONS: ("dualdiff", "activations"), PARAMETERS: ("dualdiff", "parameters")}[name]
    directions = {REVERSE: None, ACTIVATIONS: 42, PARAMETERS: 2410}[name]
    note = {
        REVERSE: "a tape is kept and one cotangent runs back over it",
        ACTIVATIONS: "one tangent direction per output feature of each layer, shared by the batch",
        PARAMETERS: "the textbook: one tangent direction per scalar parameter; trained for 60 of 440 steps, because one of its steps "
        "costs 271 MFLOP and a strategy is given 20 GFLOP (--full lifts this)",
    }[name]
    fields = {"name": name, "engine": engine, "seeding": seeding, "title": TITLES[name], "directions": directions, "note": note}
    return Strategy(**fields | changes)


def training(name: str, steps: int | None = None, seed: int = 0) -> Training:
    draw = random.Random(seed)
    steps = (60 if name == PARAMETERS else 440) if steps is None else steps
    losses = [2.35 * math.exp(-step / 60) + 0.06 + 0.25 * draw.random() * math.exp(-step / 150) for step in range(steps)]
    reached = 0.914 if name == PARAMETERS else 0.972
    return Training(name, losses, score_train=reached + 0.021, score_test=reached)


def timing(name: str, rounds: int = 5, each: int | None = None, scale: float = 1.0) -> Timing:
    draw = random.Random(TITLES[name])
    each = (12 if name == PARAMETERS else 100) if each is None else each
    median = MEDIANS[name] * scale
    samples = [
        [median * (1 + 0.02 * place) * math.exp(draw.gauss(0, 0.03) + (draw.random() > 0.97) * draw.random()) for _ in range(each)]
        for place in range(rounds)
    ]
    return Timing(name, samples, steps_warmup=3)


def timeline(name: str) -> list[Moment]:
    """Bytes by role as the step goes: reverse climbs and falls, forward carries tangents that grow with every layer."""
    batch, sizes = 64 * 4, [64, 32, 32, 10, 10]
    moments = [Moment("primal", {"parameter": 9640, "input": batch * 64})]
    live = dict(moments[0].bytes)
    directions = {REVERSE: 0, ACTIVATIONS: 42, PARAMETERS: 2410}[name]
    for place, width in enumerate(sizes):
        live["activation"] = batch * width
        moments.append(Moment(f"primal kernel{place}", dict(live)))
        if directions:
            live["tangent"] = batch * width * directions // 9 + 3_000 * place
            live["workspace"] = batch * width * directions // 19
            moments.append(Moment(f"tangent kernel{place}", dict(live)))
            live.pop("workspace")
        else:
            live["residual"] = live.get("residual", 0) + batch * width
            moments.append(Moment(f"primal kernel{place}", dict(live)))
    if not directions:
        for place, width in enumerate(reversed(sizes)):
            live["cotangent"] = batch * width
            live["gradient"] = 2_000 * (place + 1)
            moments.append(Moment(f"adjoint kernel{place}", dict(live)))
            live["residual"] = max(live["residual"] - batch * width, 0)
    live.pop("tangent", None)
    live["gradient"] = 9640
    moments.append(Moment("update", dict(live)))
    return moments


def memory(name: str, **changes: Any) -> Memory:
    moments = timeline(name)
    planned = max(sum(moment.bytes.values()) for moment in moments)
    account = "tracemalloc: peak of one step above the state at rest, Python objects included"
    fields: dict[str, Any] = {"measured_peak": PEAKS[name], "measured_by": account, "planned_peak": planned, "timeline": moments}
    return Memory(name, **fields | changes)


def arithmetic(name: str) -> Arithmetic:
    primal = 64 * 2 * (64 * 32 + 32 * 10) + 64 * 42 * 3
    flops = {
        REVERSE: {"primal": primal, "adjoint": 2 * primal - 262_144, "update": 4 * 2410},
        ACTIVATIONS: {"primal": primal, "tangent": 5 * primal, "adjoint": 303_104, "update": 4 * 2410},
        PARAMETERS: {"primal": primal, "tangent": 870 * primal, "update": 4 * 2410},
    }[name]
    convention = "A multiply-add counts 2 operations; exp, log and tanh are transcendentals, counted apart."
    return Arithmetic(name, flops, {"primal": 64 * 42}, convention)


def agreement(name: str, largest: float = 2.6e-15, steps: int = 200) -> Agreement:
    draw = random.Random(name)
    losses = training(REVERSE, steps).losses
    differences = [0.0 if draw.random() < 0.3 else 10 ** draw.uniform(-16.5, -15.1) for _ in losses]
    parameters = {"0.weight": largest, "0.bias": largest / 3, "2.weight": largest / 2, "2.bias": 0.0}
    return Agreement(name, REVERSE, "float64", steps, 1e-10, parameters, losses, differences)


def run(names: tuple[str, ...] = (REVERSE, ACTIVATIONS, PARAMETERS), **changes: Any) -> list[Line]:
    """The records of a whole run of the strategies `names`; `changes` go to the header."""
    records: list[Line] = [header(**changes), environment()]
    for name in names:
        records += [strategy(name), training(name), timing(name), memory(name), arithmetic(name)]
    if REVERSE in names:
        records += [agreement(name) for name in names if name != REVERSE]
    return records
