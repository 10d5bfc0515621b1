"""Rounds are interleaved, as many as they may be, and what is measured is told apart from what is missing."""

import gc

import numpy as np
import pytest

from compare.bench import timing
from compare.bench.contest import Absent, Contestant
from compare.bench.wanted import Limits


@pytest.fixture
def calls():
    return []


@pytest.fixture
def contestants(calls, monkeypatch):
    monkeypatch.setattr(timing, "ROUND", 0.0)
    monkeypatch.setattr(timing, "settle", lambda: calls.append("settle"))

    def make(name, library):
        def work():
            calls.append(name)
            return 1.0, {"w": np.ones(2)}

        return Contestant(name, work, library)

    return [make("a", "numpy"), make("b", "numpy"), make("c", "torch")]


def test_every_round_has_everyone_and_turns_the_order_round(contestants, calls):
    entrants = timing.race([*contestants, Absent("d", "not installed")], Limits(3, 1, 0.0), lambda part: None)
    assert [(entrant.name, len(entrant.values), entrant.absent) for entrant in entrants] == [
        ("a", 3, ""), ("b", 3, ""), ("c", 3, ""), ("d", 0, "not installed"),
    ]  # fmt: skip
    # Once to be checked, once to find out how often to repeat; threads of another library are waited for.
    assert calls == [*"abcabc", "settle", *"ab", "settle", *"cc", "settle", *"ba", *"ab", "settle", "c"]


def test_rounds_end_when_time_is_up(contestants):
    assert len(timing.race(contestants, Limits(50, 4, 1e-9), lambda part: None)[0].values) < 4, "the least is not waited for without end"
    assert len(timing.race(contestants, Limits(50, 4, 1e3), lambda part: None)[0].values) == 50
    assert len(timing.race(contestants, Limits(5, 4, 0.0), lambda part: None)[0].values) == 5


def test_progress_rises(contestants):
    heard = []
    timing.race(contestants, Limits(4, 1, 0.0), heard.append)
    assert heard == [0, 0.25, 0.5, 0.75]


def test_short_work_is_repeated_until_it_fills_its_part_of_a_round(monkeypatch):
    now = [0.0]

    def work():
        now[0] += 1e-3

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    assert timing._repeats(work) == round(timing.ROUND / 1e-3)
    assert timing._time(work, 7) == pytest.approx(1e-3)


def test_the_collector_is_left_as_it_was(contestants):
    assert gc.isenabled()
    timing.race(contestants, Limits(1, 1, 0.0), lambda part: None)
    assert gc.isenabled()
    gc.disable()
    try:
        timing.race(contestants, Limits(1, 1, 0.0), lambda part: None)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_still_threads_are_not_waited_for_long():
    timing.settle()
