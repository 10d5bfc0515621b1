"""What the engines' own work takes: a kernel's rules beside the numpy calls that they make, and an operation of each engine."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from compare.calibration.model import TOGETHER
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


HURRIED = 0.006
"""Seconds in which a rule is timed over and over: there are many."""


def rules(watch: Stopwatch, calls: dict[str, list[Call]], price: Price) -> dict[str, float]:
    """Seconds of `"kernel NAME"`, `"pullback NAME"` and `"pushforward NAME"` beside what `price` knows, and of each the `"first ..."`.

    A rule that is called over and over finds its code in the caches. Called in turn with others it takes longer, by what is `"first"`.
    """
    ready: list[tuple[str, Callable[[], object], list[tuple[Work, int]]]] = []
    for rule, program in (("kernel", _value), ("pullback", _pulled), ("pushforward", _pushed)):
        for name, given in calls.items():
            ready += [(f"{rule} {name}", *made) for call in given if (made := _programmed(call, program)) is not None]
    order = np.random.default_rng(0).permutation(len(ready))
    over: dict[int, float] = {}
    in_turn: dict[int, float] = {}
    with np.errstate(all="ignore"):
        for start in range(0, len(order), TOGETHER):
            places = [int(i) for i in order[start : start + TOGETHER]]
            in_turn |= zip(places, watch.together([ready[i][1] for i in places]), strict=True)
            over |= {i: watch.seconds(ready[i][1], patience=HURRIED) for i in places}
    found: dict[str, float] = {}
    for rule in ("kernel", "pullback", "pushforward"):  # the values first, which the others call
        beside: dict[str, list[float]] = {}
        more: dict[str, list[float]] = {}
        for i, (key, _, works) in enumerate(ready):
            if key.startswith(f"{rule} "):
                known = sum(n * found.get(f"{work.function} {work.of}", price(work)) for work, n in works)
                beside.setdefault(key, []).append(over[i] - known)
                more.setdefault(f"first {key}", []).append(in_turn[i] - over[i])
        found |= {key: max(statistics.median(values), 0.0) for key, values in (beside | more).items()}
    return found


def _programmed(call: Call, program: Any) -> tuple[Callable[[], object], list[tuple[Work, int]]] | None:
    """A rule and what it calls; None where the kernel has none, or not for this call."""
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
        return rule, [(work, n) for work, n in worked(call.kernel, program(shade)) if not _itself(work, call, program)]
    except Exception:  # what a rule comes to that is given what its kernel never is
        return None


def _itself(work: Work, call: Call, program: Any) -> bool:
    """Whether this is the kernel that is applied, and not one that it applies."""
    return program is _value and work.function in ("kernel", "apply") and work.of == call.kernel.name


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
