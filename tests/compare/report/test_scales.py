from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")
from compare.report.charts.scales import decades, extremes, highest_of_bins, log_ticks


@pytest.mark.parametrize(("lowest", "highest"), [(8e-5, 3e-2), (1e-4, 1.3e-4), (1e-9, 1e3), (9.1e-5, 9.9e-5), (1e-3, 1e-2), (1e-3, 2.9e-3)])
def test_log_ticks_are_few_and_within(lowest, highest):
    ticks = log_ticks(lowest, highest)
    assert len(ticks) <= 6
    assert ticks == sorted(ticks)
    assert all(lowest <= tick <= highest for tick in ticks)
    assert len(ticks) >= 2


def test_decades_are_few():
    assert decades(-17, -15) == [-17, -16, -15]
    assert len(decades(-40, 0)) <= 6


def test_thinning_keeps_the_extremes():
    values = [((7 * index) % 1000) / 10 for index in range(10_000)]
    kept = extremes(values)
    assert len(kept) <= 600
    assert [step for step, _ in kept] == sorted(step for step, _ in kept)
    assert {value for _, value in kept} >= {min(values), max(values)}
    assert all(values[step] == value for step, value in kept)
    assert extremes([3.0, 1.0]) == [(0, 3.0), (1, 1.0)]


def test_thinning_loses_no_peak():
    totals = [1.0] * 5000
    totals[3210] = 9.0
    kept = highest_of_bins(totals)
    assert len(kept) == 300
    assert 3210 in kept
    assert kept == sorted(kept)
