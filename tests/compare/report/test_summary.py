from __future__ import annotations

import statistics

import pytest

from compare.records import RecordsError, Strategy
from compare.report import summary


def test_spread_is_the_interquartile_range_of_all_samples(synthetic):
    timing = synthetic.timing(synthetic.REVERSE)
    run = summary.summarize(synthetic.run())
    samples = [sample for samples in timing.rounds for sample in samples]
    quartiles = statistics.quantiles(samples, n=4, method="inclusive")
    spread = run.costs[0].time
    assert (spread.lower, spread.median, spread.upper) == tuple(quartiles)
    assert spread.interquartile == quartiles[2] - quartiles[0]
    assert (spread.count, spread.minimum, spread.maximum) == (len(samples), min(samples), max(samples))


def test_spread_of_few_samples():
    assert summary.spread([]) is None
    assert summary.spread([2.0]) == summary.Spread(1, 2.0, 2.0, 2.0, 2.0, 2.0)


def test_ratios_are_to_the_reverse_engine_wherever_it_stands(synthetic):
    run = summary.summarize(synthetic.run((synthetic.ACTIVATIONS, synthetic.REVERSE)))
    forward, reverse = run.costs
    assert run.reference is reverse
    assert summary.time_ratio(forward, reverse) == pytest.approx(forward.time.median / reverse.time.median)
    assert summary.flops_ratio(forward, reverse) == pytest.approx(forward.flops / reverse.flops)
    assert summary.peak_ratio(forward, reverse) == pytest.approx(201_600 / 112_000)


def test_a_planned_peak_is_never_held_against_a_measured_one(synthetic):
    records = synthetic.run()
    forward = synthetic.ACTIVATIONS
    records = [synthetic.memory(forward, measured_peak=None) if line == synthetic.memory(forward) else line for line in records]
    run = summary.summarize(records)
    reverse, forward = run.costs[:2]
    assert forward.peak_kind == "planned"
    assert summary.peak_ratio(forward, reverse) == summary.planned(forward.memory) / summary.planned(reverse.memory)


def test_a_planned_peak_leaves_out_what_rests(synthetic):
    memory = synthetic.memory(synthetic.REVERSE)
    assert summary.resting(memory) == 9640 + 64 * 64 * 4
    assert summary.planned(memory) == memory.planned_peak - summary.resting(memory)
    above = synthetic.memory(synthetic.REVERSE, planned_peak=1000)
    assert summary.planned(above) == 1000


def test_no_reverse_no_ratios(synthetic):
    run = summary.summarize(synthetic.run((synthetic.ACTIVATIONS,)))
    assert run.reference is None
    assert summary.time_ratio(run.costs[0], run.reference) is None


@pytest.mark.parametrize("broken", ["no header", "no strategy", "unknown strategy", "strategy twice", "timing twice"])
def test_records_that_do_not_make_a_run_are_refused_in_one_line(synthetic, broken):
    records = synthetic.run()
    records = {
        "no header": records[1:],
        "no strategy": records[:2],
        "unknown strategy": [line for line in records if line != synthetic.strategy(synthetic.ACTIVATIONS)],
        "strategy twice": [*records, synthetic.strategy(synthetic.REVERSE)],
        "timing twice": [*records, synthetic.timing(synthetic.REVERSE)],
    }[broken]
    with pytest.raises(RecordsError) as raised:
        summary.summarize(records)
    assert "\n" not in str(raised.value)


def test_strategies_that_would_read_alike_are_told_by_title(synthetic):
    second = Strategy("other", "dualdiff", "activations", "forward in chunks", 42)
    run = summary.summarize([*synthetic.run(), second])
    assert run.phrase("other") == "forward in chunks"
    assert run.phrase(synthetic.PARAMETERS) == "forward by parameters"
