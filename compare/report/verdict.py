"""One honest sentence about a run, computed from its numbers: which strategy is cheapest, what the others cost, whether they agree."""

from __future__ import annotations

from collections.abc import Sequence

from compare.records import Agreement
from compare.report.summary import Cost, Summary, peak_ratio, planned, time_ratio
from compare.report.units import at_most, duration, ratio, size, whole

SAME_PEAK = 0.01
"""Relative difference of peak bytes up to which two strategies count as needing the same memory."""


def verdict(run: Summary, sign: str = "×") -> str:
    """The verdict. Times differ when interquartile ranges do not overlap; peaks differ by more than `SAME_PEAK`.

    `sign` follows a ratio (`x` where only ASCII may be printed).
    """
    subject = f"For this network ({whole(run.header.parameters)} parameters, one loss)"
    if len(run.costs) == 1:
        return f"{subject} only {run.phrase(run.costs[0].name)} was run{_alone(run.costs[0])}, so there is nothing to compare it with."
    return f"{subject} {'; '.join([_main_clause(run, sign), *agreement_clauses(run)])}."


def agreement_clauses(run: Summary) -> list[str]:
    """What the proof runs say, as clauses: who reaches the same parameters, who does not, and who was not checked."""
    pairs = [pair for pair in run.agreements if pair.strategy != pair.reference]
    if not pairs:
        return ["no run checked that they compute the same"]
    good = [pair for pair in pairs if agrees(pair)]
    clauses = []
    if good:
        checked = {name for pair in good for name in (pair.strategy, pair.reference)}
        if len(checked) == len(run.costs):
            who = "all" if len(checked) > 2 else "both"
        else:
            who = _listed([run.phrase(cost.name) for cost in run.costs if cost.name in checked])
        worst = max(largest(pair) for pair in good)
        verb = "reach" if worst else "reach exactly"
        clauses.append(f"{who} {verb} the same parameters" + (f" to {at_most(worst)}" if worst else ""))
    for pair in pairs:
        if not agrees(pair):
            names = f"{run.phrase(pair.strategy)} and {run.phrase(pair.reference)}"
            clauses.append(f"but {names} DISAGREE: their parameters differ by {at_most(largest(pair))}, allowed is {pair.tolerance:g}")
    return clauses


def largest(pair: Agreement) -> float:
    """The largest absolute difference of any parameter; NaN as soon as one is NaN."""
    values = list(pair.differences.values())
    return next((value for value in values if value != value), max(values, default=0.0))


def agrees(pair: Agreement) -> bool:
    """Whether every parameter is within the tolerance. A NaN is not."""
    return largest(pair) <= pair.tolerance


def same_time(one: Cost, other: Cost) -> bool:
    """Whether no difference in time was measured: the interquartile ranges share a value."""
    return one.time is not None and other.time is not None and one.time.overlaps(other.time)


def same_peak(one: Cost, other: Cost) -> bool:
    """Whether the peaks are within `SAME_PEAK` of each other."""
    factor = peak_ratio(one, other)
    return factor is not None and 1 - SAME_PEAK <= factor <= 1 + SAME_PEAK


def _main_clause(run: Summary, sign: str) -> str:
    timed, sized = run.having(lambda cost: cost.time), run.having(lambda cost: cost.memory)
    fast, light = _fastest(timed), _lightest(sized)
    if not timed and not sized:
        return "neither time nor memory was recorded"
    if not timed or not sized:
        return _one_measure(run, fast or light, "time" if timed else "peak memory", "memory" if timed else "time", sign)
    best = [cost for cost in fast if cost in light]
    if not best:
        base = run.reference or fast[0]
        names = f"{_listed([run.phrase(c.name) for c in fast])} {_is(fast)} fastest"
        names += f" and {_listed([run.phrase(c.name) for c in light])} {_needs(light)} the least memory"
        return f"no way is cheapest in both: {names}: {_others(run, base, [base], sign, against=True)}"
    if len(best) > 1:
        head = f"no difference was measured between {_listed([run.phrase(cost.name) for cost in best])}"
        rest = _others(run, best[0], best, sign)
        return head + (f", while {rest}" if rest else " in time or peak memory")
    return f"{run.phrase(best[0].name)} is cheapest: {_others(run, best[0], best, sign)}"


def _one_measure(run: Summary, best: Sequence[Cost], measure: str, absent: str, sign: str) -> str:
    """The clause of a run that recorded only time or only memory."""
    rest = _others(run, best[0], best, sign)
    if len(best) > 1:
        head = f"no difference in {measure} was measured between {_listed([run.phrase(cost.name) for cost in best])}"
    else:
        head = f"{run.phrase(best[0].name)} {'is fastest' if measure == 'time' else 'needs the least memory'}"
    return head + (f": {rest}" if rest else "") + f" ({absent} was not recorded)"


def _fastest(costs: Sequence[Cost]) -> list[Cost]:
    best = min(costs, key=lambda cost: cost.time.median if cost.time else 0.0, default=None)
    return [cost for cost in costs if best is not None and (cost is best or same_time(cost, best))]


def _lightest(costs: Sequence[Cost]) -> list[Cost]:
    """The strategies with the smallest peak: measured when all were measured, else planned."""
    measured = all(cost.memory is not None and cost.memory.measured_peak is not None for cost in costs)
    best = min(costs, key=lambda cost: (cost.peak if measured else planned(cost.memory)) or 0 if cost.memory else 0, default=None)
    return [cost for cost in costs if best is not None and (cost is best or same_peak(cost, best))]


def _others(run: Summary, base: Cost, leave: Sequence[Cost], sign: str, *, against: bool = False) -> str:
    """What every strategy not in `leave` costs in units of `base`; the first in full words, the next in short where that is clear."""
    texts, full = [], False
    for cost in run.costs:
        if cost in leave:
            continue
        time, peak = time_ratio(cost, base), peak_ratio(cost, base)
        odd = same_time(cost, base) or same_peak(cost, base) or time is None or peak is None
        if full and not odd:
            texts.append(f"{run.phrase(cost.name)} {ratio(time, sign)} and {ratio(peak, sign)}")
            continue
        parts = []
        if time is not None:
            parts.append("no measurable difference in time" if same_time(cost, base) else f"{ratio(time, sign)} the time")
        if peak is not None:
            parts.append("the same peak memory" if same_peak(cost, base) else f"{ratio(peak, sign)} the peak memory")
        if parts:
            joint = " but " if same_time(cost, base) != same_peak(cost, base) else " and "
            texts.append(f"{run.phrase(cost.name)} {'shows' if parts[0].startswith('no ') else 'costs'} {joint.join(parts)}")
            full = full or not odd
    joined = ", ".join(texts)
    return f"{joined} of {run.phrase(base.name)}" if against and texts else joined


def _alone(cost: Cost) -> str:
    parts = [f"{duration(cost.time.median)} a step"] if cost.time else []
    parts += [f"a {cost.peak_kind} peak of {size(cost.peak)}"] if cost.peak is not None else []
    return f" ({', '.join(parts)})" if parts else ""


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _is(costs: Sequence[Cost]) -> str:
    return "is" if len(costs) == 1 else "are"


def _needs(costs: Sequence[Cost]) -> str:
    return "needs" if len(costs) == 1 else "need"
