"""What is measured: every sample of the rounds, the ledger's account of a step, and its peak memory."""

import gc
import itertools
import time

import pytest

from compare import measure
from compare.agreement import agreement, disagreement
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.subject import Subject

SETTINGS = Settings(width=8, batch=32)


def test_samples_stop_at_their_number():
    done = []
    taken = measure.timed(lambda *batch: done.append(batch), itertools.repeat((1, 2)), samples=7, least=1, seconds=60)
    assert len(taken) == len(done) == 7
    assert all(sample >= 0 for sample in taken)


def test_samples_stop_at_the_time_but_not_below_the_least():
    taken = measure.timed(lambda *_: time.sleep(0.002), itertools.repeat((1, 2)), samples=100, least=3, seconds=0.0)
    assert len(taken) == 3
    assert min(taken) >= 0.002


def test_the_collector_rests_during_a_round_and_works_again_after_it():
    seen = []
    measure.timed(lambda *_: seen.append(gc.isenabled()), itertools.repeat((1, 2)), samples=2, least=1, seconds=1)
    assert seen == [False, False]
    assert gc.isenabled()


def test_the_collector_works_again_after_a_failure():
    def failing(*_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        measure.timed(failing, itertools.repeat((1, 2)), samples=2, least=1, seconds=1)
    assert gc.isenabled()


@pytest.fixture(scope="module")
def counts():
    return {name: measure.counted(SETTINGS, strategy, "float32") for name, strategy in STRATEGIES.items()}


def test_parameters_are_counted(counts):
    assert {count.parameters for count in counts.values()} == {64 * 8 + 8 + 8 * 10 + 10}


def test_arithmetic_is_that_of_a_step(counts):
    matmuls = 2 * 32 * (64 * 8 + 8 * 10)
    for count in counts.values():
        assert matmuls <= count.flops["primal"] <= 1.5 * matmuls
        assert count.flops["update"] >= 2 * count.parameters
        assert count.convention
    # Reverse: the weights' gradients of both layers and the cotangent of the hidden layer, two products' worth and a bit.
    assert matmuls <= counts["reverse"].flops["adjoint"] <= 2.5 * matmuls
    assert "tangent" not in counts["reverse"].flops
    totals = {name: sum(count.flops.values()) for name, count in counts.items()}
    assert totals["reverse"] < totals["forward-activations"] < totals["forward-parameters"]


def test_the_plan_is_the_largest_moment_and_holds_the_parameters(counts):
    for count in counts.values():
        assert count.planned_peak == max(sum(moment.bytes.values()) for moment in count.timeline)
        assert all(moment.bytes["parameter"] >= 4 * count.parameters for moment in count.timeline)
        assert all(value > 0 for moment in count.timeline for value in moment.bytes.values())
    assert counts["reverse"].planned_peak < counts["forward-parameters"].planned_peak


@pytest.fixture(params=STRATEGIES)
def subject(request):
    return Subject(SETTINGS, request.param)


def test_memory_is_measured_above_the_state_at_rest(subject):
    subject.warm(2)
    weighed = subject.weigh()
    least = 4 * subject.prepare().parameters
    assert weighed.peak is not None
    assert least <= weighed.peak <= 50e6
    assert "tracemalloc" in weighed.measured_by


def test_training_begins_afresh_each_time(subject):
    heard = []
    first = subject.train(3, "float64", heard.append)
    subject.warm(2)
    assert subject.train(3, "float64", heard.append) == first
    assert {array.dtype for array in first.parameters.values()} == {"float64"}


def test_jax_measures_in_float32_and_trains_in_float64():
    """What `run --backend jax` asks of its workers: the compiled step timed, weighed by XLA, and an agreement in double precision."""
    settings = Settings(width=4, batch=16, backend="jax")
    trained = []
    for name in ("reverse", "forward-activations"):
        subject = Subject(settings, name)
        subject.warm(1)
        assert len(subject.time(3, 1, 5.0).samples) == 3
        weighed = subject.weigh()
        assert weighed.peak is not None
        assert weighed.peak >= 4 * subject.prepare().parameters
        assert "XLA" in weighed.measured_by
        trained.append(subject.train(4, "float64", lambda done: None))
    assert {array.dtype for array in trained[0].parameters.values()} == {"float64"}
    compared = agreement("forward-activations", trained[1], "reverse", trained[0])
    assert max(compared.differences.values()) <= 1e-12
    assert disagreement([compared]) is None
