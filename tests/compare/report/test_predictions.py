"""Predicted beside measured: every pair there is, and the worst of them named."""

import msgspec
import pytest

from compare.records import Memory, Moment, Timing
from compare.report import page
from compare.report.predictions import account, predictions
from compare.report.summary import summarize


@pytest.fixture
def recorded(small_run):
    """The records of a run with peaks and seconds that are known."""

    def known(line):
        if isinstance(line, Memory):
            measured = {"reverse": 1000, "forward-activations": 3000}.get(line.strategy, 500)
            timeline = [Moment("", {"parameter": 500})]
            return msgspec.structs.replace(line, measured_peak=measured, planned_peak=1400, timeline=timeline, objects=100)
        if isinstance(line, Timing):
            return msgspec.structs.replace(line, rounds=[[0.01, 0.02, 0.03]], predicted=0.04 if line.strategy == "reverse" else None)
        return line

    return [known(line) for line in small_run]


def test_peaks_and_times_are_held_against_what_was_predicted(recorded):
    found = {(each.title, each.quantity): each for each in predictions(summarize(recorded))}
    reverse = found["reverse", "peak memory"]
    assert (reverse.predicted, reverse.measured, reverse.ratio, reverse.error) == (1000, 1000, 1, 1)
    forward = found["forward, activation directions", "peak memory"]
    assert (forward.predicted, forward.measured, forward.error) == (1000, 3000, 3)
    assert found["reverse", "time"].ratio == pytest.approx(2)
    assert ("forward, activation directions", "time") not in found


def test_the_worst_is_named(recorded):
    text = account(predictions(summarize(recorded)), "x")
    assert "worst forward, activation directions, peak memory: 1000 B predicted, 2.93 KiB measured" in text
    assert "calibrate" not in text


def test_without_a_calibration_it_is_said_how_to_get_one(recorded):
    lines = [msgspec.structs.replace(line, predicted=None) if isinstance(line, Timing) else line for line in recorded]
    assert account(predictions(summarize(lines))).endswith("python -m compare calibrate.")
    assert account([]) == ""


def test_the_page_has_them(recorded):
    html = page.render(recorded)
    assert "Was it foreseen?" in html
    assert html.count("<td>peak memory</td>") == sum(isinstance(line, Memory) for line in recorded)
