"""A run's records hold everything that was asked for, and say it where something was cut short."""

import msgspec
import pytest

from compare import agreement, environment, experiment, records
from compare.errors import MemoryLimitError
from compare.settings import Settings
from compare.strategies import STRATEGIES

from .conftest import SMALL


def by_strategy(lines, kind):
    return {line.strategy: line for line in lines if isinstance(line, kind)}


def test_every_strategy_has_every_record(small_run, small_settings):
    assert isinstance(small_run[0], records.Header)
    assert [line.name for line in small_run if isinstance(line, records.Strategy)] == list(STRATEGIES)
    for kind in (records.Training, records.Timing, records.Memory, records.Arithmetic):
        assert list(by_strategy(small_run, kind)) == list(STRATEGIES)
    for timing in by_strategy(small_run, records.Timing).values():
        assert len(timing.rounds) == small_settings.rounds
        assert all(experiment.LEAST <= len(samples) <= experiment.SAMPLES for samples in timing.rounds)
        assert all(sample > 0 for samples in timing.rounds for sample in samples)
    for training in by_strategy(small_run, records.Training).values():
        assert len(training.losses) == small_settings.steps
        assert 0 <= training.score_test <= 1


def test_the_strategies_agree(small_run, small_settings):
    agreements = by_strategy(small_run, records.Agreement)
    assert list(agreements) == [name for name in STRATEGIES if name != "reverse"]
    for line in agreements.values():
        assert line.reference == "reverse"
        assert line.dtype == "float64"
        assert line.steps == len(line.losses) == len(line.loss_differences) == small_settings.agreement_steps
        assert max(line.differences.values()) <= line.tolerance == 1e-10
    assert agreement.disagreement(small_run) is None


def test_directions_are_those_of_the_seeding(small_run):
    directions = {line.name: line.directions for line in small_run if isinstance(line, records.Strategy)}
    reverse = dict.fromkeys(("reverse", "reverse-checkpoint"))
    assert directions == {**reverse, "forward-activations": 8 + 10, "forward-parameters": 64 * 8 + 8 + 8 * 10 + 10}


def test_the_header_and_environment_tell_what_was_run(small_run, small_settings):
    header = small_run[0]
    assert header.command == small_settings.command
    assert header.parameters == 64 * 8 + 8 + 8 * 10 + 10
    assert header.shape == "64-8-10"
    entries = next(line.entries for line in small_run if isinstance(line, records.Environment))
    assert "OPENBLAS_NUM_THREADS=2" in entries["threads"]
    assert entries["numpy"]


def test_a_disagreement_is_told(small_run):
    line = by_strategy(small_run, records.Agreement)["forward-activations"]
    wrong = msgspec.structs.replace(line, differences={**line.differences, "0.bias": 1e-3})
    told = agreement.disagreement([*small_run, wrong])
    assert "forward-activations and reverse disagree: parameter 0.bias differs by 0.001 after 10 steps in float64" in told


def test_dear_steps_are_fewer_and_it_is_said(monkeypatch):
    monkeypatch.setattr(experiment, "TRAINING_FLOPS", 10e6)
    monkeypatch.setattr(experiment, "AGREEMENT_FLOPS", 1e6)
    settings = Settings(steps=40, rounds=1, agreement_steps=8, width=4, batch=16, engines=("reverse", "forward-parameters"))
    lines = experiment.run(settings)
    steps = {name: len(line.losses) for name, line in by_strategy(lines, records.Training).items()}
    assert steps["reverse"] == 40
    assert 1 <= steps["forward-parameters"] < 40
    note = next(line.note for line in lines if isinstance(line, records.Strategy) and line.name == "forward-parameters")
    assert f"trained for {steps['forward-parameters']} of 40 steps" in note
    assert "--full" in note
    line = by_strategy(lines, records.Agreement)["forward-parameters"]
    assert 1 <= line.steps < 8
    assert max(line.differences.values()) <= 1e-10


def test_full_lifts_the_limit(monkeypatch):
    monkeypatch.setattr(experiment, "TRAINING_FLOPS", 1.0)
    monkeypatch.setattr(experiment, "AGREEMENT_FLOPS", 1.0)
    lines = experiment.run(Settings(steps=4, rounds=1, agreement_steps=3, width=4, batch=16, engines=("reverse",), full=True))
    assert [len(line.losses) for line in by_strategy(lines, records.Training).values()] == [4]
    assert not by_strategy(lines, records.Agreement)


def test_progress_is_told_of_every_phase():
    told = {}

    class Phase:
        def __init__(self, title, total):
            self.title, self.total = title, total

        def advance(self, done):
            told[self.title] = (done, self.total)

    class Told:
        def phase(self, title, total):
            return Phase(title, total)

    experiment.run(Settings(steps=4, rounds=1, agreement_steps=3, width=4, batch=16, engines=("reverse", "forward-activations")), Told())
    assert all(done == total for done, total in told.values())
    assert {"prepare", "time", "train reverse", "memory", "agree forward-activations"} <= set(told)


def test_more_memory_than_there_is_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(environment, "available_memory", lambda: 2 * 10**6)
    told = r"'forward-parameters' is planned to need .* GiB for one step of 64-8-10 .* may take 80% of the"
    with pytest.raises(MemoryLimitError, match=told) as caught:
        experiment.run(msgspec.structs.replace(SMALL, engines=("forward-parameters",)))
    assert caught.value.exit_code == 4
    forced = experiment.run(msgspec.structs.replace(SMALL, engines=("forward-parameters",), force=True))
    assert any(isinstance(line, records.Training) for line in forced)


def test_four_fifths_of_the_memory_are_enough_and_less_is_not(monkeypatch):
    lines = experiment.run(msgspec.structs.replace(SMALL, engines=("reverse",)))
    (memory,) = (line for line in lines if isinstance(line, records.Memory))
    needed = 2 * memory.planned_peak  # the comparison repeats it in float64
    monkeypatch.setattr(environment, "available_memory", lambda: needed * 5 // 4 - 5)
    with pytest.raises(MemoryLimitError):
        experiment.run(msgspec.structs.replace(SMALL, engines=("reverse",)))
    monkeypatch.setattr(environment, "available_memory", lambda: needed * 5 // 4 + 5)
    experiment.run(msgspec.structs.replace(SMALL, engines=("reverse",)))
