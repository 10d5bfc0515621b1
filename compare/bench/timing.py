"""Timing in interleaved rounds: every contestant in every round, so that a slow moment of the machine hits them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

from compare.bench.contest import Absent, Contestant, Heard, Outcome, check
from compare.bench.records import Entrant
from compare.bench.wanted import Limits

ROUND = 0.02
"""Seconds that one contestant's part of a round is made to last, by repeating short work."""
SETTLED, LONGEST = 0.01, 0.4
"""Seconds in which threads must be still, and seconds after which they are not waited for any longer."""
SLOW = 5.0
"""Seconds of one evaluation from which it is neither warmed up nor repeated."""
PATIENCE = 5
"""How many times the time of a contest its least rounds may take; after that one round has to do."""


def race(entrants: Sequence[Contestant | Absent], limits: Limits, heard: Heard) -> list[Entrant]:
    """Seconds of every contestant in every round, once all are known to compute the same.

    Raises `DisagreementError` when one computes something else. The order turns round from round to round. Rounds end when `limits` say so.
    """
    contestants = [entrant for entrant in entrants if isinstance(entrant, Contestant)]
    spent_once = check(contestants)
    repeats = {each.name: 1 if spent_once[each.name] > SLOW else _repeats(each.work) for each in contestants}
    times: dict[str, list[float]] = {each.name: [] for each in contestants}
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        start, last = time.perf_counter(), ""
        for number in range(limits.rounds):
            spent = time.perf_counter() - start
            if spent > limits.seconds * (1 if number >= limits.least else PATIENCE) and number and limits.seconds:
                break
            heard(number / limits.rounds if not limits.seconds else max(number / limits.rounds, min(spent / limits.seconds, 0.99)))
            for each in contestants if number % 2 == 0 else contestants[::-1]:
                if each.library != last:
                    settle()
                    last = each.library
                count = repeats[each.name]
                if count > 1:  # the first one after other work finds caches cold and threads asleep
                    each.work()
                times[each.name].append(_time(each.work, count))
    finally:
        if enabled:
            gc.enable()
    return [
        Entrant(entrant.name, [], absent=entrant.reason)
        if isinstance(entrant, Absent)
        else Entrant(entrant.name, times[entrant.name], entrant.share, entrant.note)
        for entrant in entrants
    ]


def settle() -> None:
    """Wait until the threads of a library have gone to sleep: after their last work they wait for more, at full speed.

    OpenBLAS's do so for about 0.1 s, and would take a core from whoever comes next.
    """
    end = time.perf_counter() + LONGEST
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(SETTLED)
        if time.process_time() - before < SETTLED / 4:
            return


def seconds_of(work: Callable[[], Outcome]) -> float:
    """Seconds of the second evaluation."""
    work()
    return _time(work, 1)


def _repeats(work: Callable[[], Outcome]) -> int:
    """How often to do `work` in a round; finding out warms it up."""
    count = 1
    while (elapsed := _time(work, count) * count) < ROUND / 2:
        count *= 2
    return max(1, round(count * ROUND / elapsed))


def _time(work: Callable[[], Outcome], count: int) -> float:
    """Mean seconds of `count` repetitions."""
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count
