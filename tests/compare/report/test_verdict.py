from __future__ import annotations

import pytest

from compare.records import Agreement, Memory, Strategy, Timing, Training
from compare.report.summary import summarize
from compare.report.verdict import agrees, verdict


@pytest.fixture
def build(synthetic):
    """A run with times (seconds) and peaks (bytes) given for each strategy, each time with a spread of 2 percent."""

    def make(times, peaks, agreement=2.6e-15):
        names = list(times)
        records = [synthetic.header()]
        for name in names:
            records.append(synthetic.strategy(name))
            if times[name] is not None:
                records.append(Timing(name, [[times[name] * factor for factor in (0.98, 0.99, 1.0, 1.01, 1.02)]], 3))
            if peaks.get(name) is not None:
                records.append(synthetic.memory(name, measured_peak=peaks[name]))
        if agreement is not None and synthetic.REVERSE in names:
            records += [synthetic.agreement(name, agreement) for name in names if name != synthetic.REVERSE]
        return summarize(records)

    return make


R, A, P = "reverse", "forward-activations", "forward-parameters"
SUBJECT = "For this network (2,410 parameters, one loss) "


def test_reverse_is_cheapest(build):
    run = build({R: 1e-4, A: 2.9e-4, P: 210e-4}, {R: 1000, A: 1800, P: 95_000})
    assert verdict(run) == (
        SUBJECT + "reverse mode is cheapest: forward by activations costs 2.9× the time and 1.8× the peak memory, "
        "forward by parameters 210× and 95×; all reach the same parameters to 3e-15."
    )


def test_forward_is_cheapest(build):
    run = build({R: 4e-4, A: 2e-4}, {R: 3000, A: 1000})
    assert verdict(run) == (
        SUBJECT + "forward by activations is cheapest: reverse mode costs 2.0× the time and 3.0× the peak memory; "
        "both reach the same parameters to 3e-15."
    )


def test_no_difference_measured(build):
    run = build({R: 1e-4, A: 1.005e-4}, {R: 1000, A: 1005})
    assert "no difference was measured between reverse mode and forward by activations in time or peak memory" in verdict(run)


def test_the_same_time_but_more_memory(build):
    run = build({R: 1e-4, A: 1.005e-4}, {R: 1000, A: 2000})
    assert (
        "reverse mode is cheapest: forward by activations shows no measurable difference in time but 2.0× the peak memory;" in verdict(run)
    )


def test_the_same_memory_but_more_time(build):
    run = build({R: 1e-4, A: 3e-4}, {R: 1000, A: 1000})
    assert "forward by activations costs 3.0× the time but the same peak memory;" in verdict(run)


def test_fastest_is_not_lightest(build):
    run = build({R: 1e-4, A: 3e-4}, {R: 1000, A: 500})
    assert (
        "no way is cheapest in both: reverse mode is fastest and forward by activations needs the least memory: "
        "forward by activations costs 3.0× the time and 0.5× the peak memory of reverse mode;" in verdict(run)
    )


def test_a_tie_of_two_leaves_the_third(build):
    run = build({R: 1e-4, A: 1e-4, P: 1e-2}, {R: 1000, A: 1000, P: 90_000})
    text = verdict(run)
    assert "no difference was measured between reverse mode and forward by activations, while forward by parameters costs 100×" in text


def test_one_strategy_alone(build):
    run = build({A: 2.6e-4}, {A: 2048})
    assert verdict(run) == SUBJECT + (
        "only forward by activations was run (260 µs a step, a measured peak of 2 KiB), so there is nothing to compare it with."
    )


def test_two_forwards_without_reverse(build):
    text = verdict(build({A: 2e-4, P: 2e-2}, {A: 1000, P: 50_000}))
    assert "forward by activations is cheapest: forward by parameters costs 100× the time and 50× the peak memory;" in text
    assert "no run checked that they compute the same" in text


def test_without_memory(build):
    text = verdict(build({R: 1e-4, A: 3e-4}, {}))
    assert "reverse mode is fastest: forward by activations costs 3.0× the time (memory was not recorded);" in text


def test_without_time(build):
    text = verdict(build({R: None, A: None}, {R: 1000, A: 3000}))
    assert "reverse mode needs the least memory: forward by activations costs 3.0× the peak memory (time was not recorded);" in text


def test_without_anything(build):
    assert "neither time nor memory was recorded" in verdict(build({R: None, A: None}, {}))


def test_a_disagreement_is_said_loudly(build):
    text = verdict(build({R: 1e-4, A: 3e-4}, {R: 1000, A: 3000}, agreement=2.5e-3))
    assert text.endswith("but forward by activations and reverse mode DISAGREE: their parameters differ by 0.003, allowed is 1e-10.")


def test_exact_agreement(build):
    assert verdict(build({R: 1e-4, A: 3e-4}, {R: 1, A: 3}, agreement=0.0)).endswith("both reach exactly the same parameters.")


def test_only_those_checked_are_said_to_agree(build, synthetic):
    run = build({R: 1e-4, A: 3e-4, P: 1e-2}, {R: 1000, A: 3000, P: 9000})
    partial = type(run)(run.header, run.environment, run.costs, run.agreements[:1])
    assert verdict(partial).endswith("; reverse mode and forward by activations reach the same parameters to 3e-15.")


def test_a_difference_that_is_not_a_number_disagrees():
    pair = Agreement("a", "b", "float64", 1, 1e-10, {"w": 1e-16, "v": float("nan")}, [], [])
    assert not agrees(pair)


def test_planned_peaks_are_compared_when_one_was_not_measured(synthetic):
    records = synthetic.run((R, A))
    records = [synthetic.memory(A, measured_peak=None) if isinstance(line, Memory) and line.strategy == A else line for line in records]
    assert "reverse mode is cheapest" in verdict(summarize(records))


def test_other_engines_go_by_their_title(synthetic):
    records = [synthetic.header(), Strategy("x", "jax", None, "jax.grad", None), Training("x", [1.0], 0.5, 0.5)]
    assert "only jax.grad was run, so there is nothing to compare it with." in verdict(summarize(records))
