"""Predictions and recommendations are held against what is measured."""

import pytest

import compare
from compare.bench.groups import prediction
from compare.bench.records import AT_LEAST, Measured, Target
from compare.bench.summary import rows_of
from compare.bench.wanted import Limits, Wanted
from compare.calibration import save
from compare.cli import _main
from compare.planning import seconds, ways
from compare.planning.fitting import Fitting
from compare.planning.recipe import Preset
from compare.planning.sizes import Sizes
from compare.planning.ways import Task
from compare.settings import Settings
from tests.compare.calibration.prices import made


def test_cells_hold_within_the_tolerance_of_what_is_measured():
    tally = prediction.Tally([prediction.Cell(f"cell {i}", p, 2.0, 1.0) for i, p in enumerate((0.69, 0.71, 1.0, 1.29, 1.31))])
    held, cells = tally.predicted(Limits(1, 1, 0.0), lambda part: None)
    assert (held.values, cells.values) == ([3.0], [5.0])
    assert "1.31" in held.note
    assert "cell 0 0.69" in held.note
    measured = Measured("prediction", "all", "cells", [held, cells], [Target(prediction.WITHIN, prediction.CELLS, 0.9, AT_LEAST)])
    (row,) = rows_of(measured)
    assert row.ratio == 0.6
    assert row.state == "missed"


def test_recommendations_hold_that_take_a_tenth_longer_than_the_fastest_at_most():
    advices = [prediction.Advised(f"cell {i}", "reverse", "forward", slowdown) for i, slowdown in enumerate((1.0, 1.09, 1.11))]
    held, all_of_them = prediction.Tally(advices=advices).recommended(Limits(1, 1, 0.0), lambda part: None)
    assert (held.values, all_of_them.values) == ([2.0], [3.0])
    assert held.note == "worst: cell 2: reverse takes 1.11 of forward"


def test_steps_count_at_the_pace_of_the_calibration():
    step = prediction._Step("x", 10.0, 5.0, None, None)
    step.gauges, step.taken = [1.0, 2.0, 3.0], [12.0, 18.0, 20.0]  # of which 10, 15 and 20 are told
    assert step.paced(1.0) == pytest.approx(12.0)
    assert step.cell("net", 1.0) == prediction.Cell("net, x", 10.0, 18.0, pytest.approx(12.0))
    step.gauges, step.taken = [2.0] * 3, [15.0, 16.0, 17.0]
    assert step.paced(2.0) == 16.0  # as it was calibrated
    assert step.paced(1.0) == pytest.approx(16 * 10 / 15)


def test_steps_are_planned_timed_and_judged(kept):
    save(made())
    seconds.calibration.cache_clear()
    tally = prediction.Tally()
    settings = Settings(network="mlp", batch=64, width=16, depth=2)
    entrants = tally.measuring("mlp", settings)(Limits(1, 1, 0.0), lambda part: None)
    names = [entrant.name for entrant in entrants]
    assert names[0] == prediction.GAUGE
    assert {"reverse, predicted", "reverse, measured", "forward-activations, measured"} <= {*names}
    assert any(name.startswith("reverse-checkpoint in ") for name in names)
    assert [cell.title for cell in tally.cells] == [f"mlp, {name[: -len(', measured')]}" for name in names if name.endswith("measured")]
    planned = compare.plan("mlp", 64, width=16, depth=2, flips=False)
    assert tally.cells[0].predicted == planned.ways["reverse"].seconds
    assert all(cell.clocked > 0 and cell.paced > 0 for cell in tally.cells)
    free, *_ = tally.advices
    assert (free.title.partition(",")[0], free.way) == ("mlp", planned.best.name)
    assert all(each.slowdown >= 1 for each in tally.advices)
    seconds.calibration.cache_clear()


def test_what_is_booked_goes_with_the_pace(kept):
    task, found = Task(Preset(Settings(network="mlp", batch=16)), Sizes(16)), []
    for pace in (1.0, 2.0):
        save(made(pace=pace))
        seconds.calibration.cache_clear()
        found.append(Fitting().run(ways.REVERSE, task))
    seconds.calibration.cache_clear()
    calm, slow = found
    assert calm.seconds + calm.going == pytest.approx(slow.seconds)
    assert 0 < calm.going < calm.seconds


def test_the_grid_is_measured_and_shown(kept, monkeypatch, tmp_path, capsys):
    save(made())
    seconds.calibration.cache_clear()
    monkeypatch.setattr(prediction, "QUICK", (0,))
    monkeypatch.setattr(prediction, "BATCHES", (16,))
    assert _main(["bench", "--only", "prediction", "--quick", "--output", str(tmp_path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "at least 0.9×" in told
    assert "at least 0.95×" in told
    page = (tmp_path / "bench.html").read_text()
    assert prediction.WITHIN in page
    assert prediction.HOLDS in page
    seconds.calibration.cache_clear()
    full = [len(prediction.contests(wanted)) for wanted in (Wanted(quick=True), Wanted())]
    assert full == [1 + 2, len(prediction.NETWORKS) + 2]
