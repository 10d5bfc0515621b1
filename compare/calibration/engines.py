"""What the engines' own work takes: a kernel's rules beside the numpy calls that they make, and an operation of each engine."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from compare.calibration.stopwatch import Stopwatch
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels.record import Call, Kernel
from diffcore.ledger import Ledger, Work, state

Price = Callable[[Work], float]
"""Seconds of a call of which they are known already."""


ROWS = 3
"""Rows of the table of scenarios that a kernel's rules are timed on; the median counts."""


def examples(dtype: str) -> dict[str, list[Call]]:
    """Calls of every kernel, tiny ones."""
    from diffcore.testing import calls_of
    from diffcore.testing.scenarios import SCENARIOS

    rows: dict[str, list[Any]] = {}
    for scenario in SCENARIOS:
        rows.setdefault(scenario.kernel, []).append(scenario)
    found: dict[str, list[Call]] = {}
    with np.errstate(all="ignore"):
        for kernel, given in rows.items():
            calls: list[Call] = []
            for i in range(2 * ROWS):  # some of them are without elements, or of another dtype
                row = given[(2 * i + 1) * len(given) // (4 * ROWS)]
                own = [call for call in calls_of(row, np.dtype(dtype)) if call.kernel.name == kernel]
                calls += [call for call in own[:1] if call.out.size > 1 or i >= ROWS]
            found[kernel] = calls[:ROWS]
    return found


def _abstract(x: Any) -> Any:
    return AbstractArray(x.shape, x.dtype, strides=x.strides) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def worked(kernel: Kernel, program: Callable[[], object]) -> Iterable[tuple[Work, int]]:
    """The numpy calls and nested kernels of a rule on abstract arrays."""
    with Ledger(works=True) as ledger:
        state.kernel = kernel.name
        program()
    return ledger.work.items()


def rules(watch: Stopwatch, calls: dict[str, list[Call]], price: Price) -> dict[str, float]:
    """Seconds of `"kernel NAME"`, `"pullback NAME"` and `"pushforward NAME"` beside what `price` knows."""
    found: dict[str, float] = {}

    def known(work: Work) -> float:
        own = found.get(f"{work.function} {work.of}") if work.function == "kernel" else None
        return price(work) if own is None else own

    for rule, program in (("kernel", _value), ("pullback", _pulled), ("pushforward", _pushed)):
        for name, given in calls.items():
            beside = [each for call in given if (each := _beside(watch, call, program, known)) is not None]
            if beside:
                found[f"{rule} {name}"] = max(statistics.median(beside), 0.0)
    return found


def _beside(watch: Stopwatch, call: Call, program: Any, known: Price) -> float | None:
    """Seconds of a rule less those of what it calls; None where the kernel has none, or not for this call."""
    shade = Call(
        call.kernel,
        [_abstract(x) for x in call.primals],
        _abstract(call.out),
        call.params,
        call.shapes,
        call.shape,
        tuple(_abstract(x) for x in call.aux),
    )
    try:
        with np.errstate(all="ignore"):
            rule = program(call)
            rule()
            works = worked(call.kernel, program(shade))
            return watch.seconds(rule) - sum(count * known(work) for work, count in works)
    except Exception:  # what a rule comes to that is given what its kernel never is
        return None


def _value(call: Call) -> Callable[[], object]:
    return lambda: call.kernel(*call.primals, **call.params)


def _ones(x: Any, shape: tuple[int, ...]) -> Any:
    return np.ones_like(x, shape=shape)


def _active(call: Call) -> list[int]:
    return [i for i, x in enumerate(call.primals) if getattr(x, "dtype", None) is not None and x.dtype.kind == "f"]


def _pulled(call: Call) -> Callable[[], object]:
    active = _active(call)
    g, needs = _ones(call.out, call.shape), tuple(i in active for i in range(len(call.primals)))
    return lambda: call.kernel.pullback(call, g, needs)  # type: ignore[misc]


def _pushed(call: Call) -> Callable[[], object]:
    active = _active(call)
    tangents = tuple(_ones(x, (1, *x.shape)) if i in active else None for i, x in enumerate(call.primals))
    return lambda: call.kernel.pushforward(call, tangents)  # type: ignore[misc]
