"""What the engines' own work takes: a kernel's rules beside the numpy calls that they make, and an operation of each engine."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from compare.calibration.model import TOGETHER
from compare.calibration.stopwatch import Stopwatch
from diffcore.arrays.abstract import AbstractArray
from diffcore.kernels.record import Call, Kernel, registered
from diffcore.ledger import Ledger, Work, state

if TYPE_CHECKING:  # what tests are made of is imported when something is measured
    from diffcore.testing import Scenario

Price = Callable[[Work], float]
"""Seconds of a call of which they are known already."""


ROWS = 3
"""Rows of the table of scenarios that a kernel's rules are timed on; the median counts."""


def examples(dtype: str) -> dict[str, list[Call]]:
    """Calls of every kernel, tiny ones, by its name and case."""
    found: dict[str, list[Call]] = {}
    with np.errstate(all="ignore"):
        for name, given in _table().items():
            if registered()[name].case is None:
                found[name] = _some(given, dtype)
                continue
            cases: dict[str, list[Scenario]] = {}
            for row in given:
                for call in _own(row, dtype):
                    cases.setdefault(call.kernel.cased(call.primals, call.params), []).append(row)
            found |= {case: _some(those, dtype) for case, those in cases.items()}
    return found


def _table() -> dict[str, list[Scenario]]:
    """The rows of the table of scenarios, by kernel."""
    from diffcore.testing.scenarios import SCENARIOS

    rows: dict[str, list[Scenario]] = {}
    for scenario in SCENARIOS:
        rows.setdefault(scenario.kernel, []).append(scenario)
    return rows


def _some(rows: Sequence[Scenario], dtype: str) -> list[Call]:
    """Calls of some of the rows, from all over the table."""
    calls: list[Call] = []
    for i in range(2 * ROWS):  # some of them are without elements, or of another dtype
        own = _own(rows[(2 * i + 1) * len(rows) // (4 * ROWS)], dtype)
        calls += [call for call in own if call.out.size > 1 or i >= ROWS]
    return calls[:ROWS]


def _own(row: Scenario, dtype: str) -> list[Call]:
    """The first call of the row's own kernel, if there is one."""
    from diffcore.testing import calls_of

    return [call for call in calls_of(row, np.dtype(dtype)) if call.kernel.name == row.kernel][:1]


def wrappers(watch: Stopwatch, dtype: str, price: Callable[[Work | Mapping[Work, int]], float]) -> dict[str, float]:
    """Seconds of `"op NAME"`: what operations take to check their arguments and find the kernel's, beside what `price` knows."""
    found: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for name, rows in _table().items():
            beside = []
            for i in range(ROWS):
                row = rows[(2 * i + 1) * len(rows) // (2 * ROWS)]
                operands = row.operands(np.dtype(dtype))
                try:
                    row.function(*operands)
                    with Ledger(works=True) as ledger:
                        row.function(*map(_abstract, operands))
                except Exception:  # a program of tensors alone, or one that reads values
                    ledger = Ledger()
                times = sum(n for work, n in ledger.work.items() if work.function == "apply" and work.of.partition(" ")[0] == name)
                if times:
                    taken = watch.seconds(partial(row.function, *operands), patience=HURRIED)
                    beside.append((taken - price(ledger.work)) / times)
            found[f"op {name}"] = max(statistics.median(beside), 0.0) if beside else 0.0
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
            key = f"{rule} {name if rule == 'kernel' else given[0].kernel.name}"  # the value alone is computed by cases
            ready += [(key, *made) for call in given if (made := _programmed(call, program)) is not None]
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
    return program is _value and work.function in ("kernel", "apply") and work.of == call.kernel.cased(call.primals, call.params)


def _value(call: Call) -> Callable[[], object]:
    return lambda: call.kernel(*call.primals, **call.params)


def _ones(x: Any, shape: tuple[int, ...]) -> Any:
    return np.ones_like(x, shape=shape)


def _active(call: Call) -> list[int]:
    return [i for i, x in enumerate(call.primals) if getattr(x, "dtype", None) is not None and x.dtype.kind == "f"]


def _pulled(call: Call) -> Callable[[], object]:
    active = _active(call)
    g, needs = _ones(call.out, call.shape), tuple(i in active for i in range(len(call.primals)))
    return lambda: call.kernel.pullback(call, g, needs)  # type: ignore[misc]  # where there is none, it fails when it is tried


def _pushed(call: Call) -> Callable[[], object]:
    active = _active(call)
    tangents = tuple(_ones(x, (1, *x.shape)) if i in active else None for i, x in enumerate(call.primals))
    return lambda: call.kernel.pushforward(call, tangents)  # type: ignore[misc]  # likewise
