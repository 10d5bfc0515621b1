"""What is measured: every sample of the rounds, the ledger's account of a step, and its peak memory."""

import gc
import itertools
import time

import msgspec
import numpy as np
import pytest

from compare import measure
from compare import settings as settings_module
from compare.agreement import agreement, disagreement
from compare.errors import InputError
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
    # With one hidden layer its tangents are factors up to the loss, and contracted as such: the same products.
    assert totals["reverse"] <= totals["forward-activations"] < totals["forward-parameters"]


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


def test_directions_are_measured(counts):
    assert {name: count.directions for name, count in counts.items()} == {
        "reverse": None,
        "reverse-checkpoint": None,
        "forward-activations": 8 + 10,
        "forward-parameters": 64 * 8 + 8 + 8 * 10 + 10,
    }
    assert {count.memory for count in counts.values()} == {None}


def test_tangents_beyond_the_budget_go_in_chunks(counts):
    settings = msgspec.structs.replace(SETTINGS, memory="200KB")
    whole, chunked = counts["forward-parameters"], measure.counted(settings, STRATEGIES["forward-parameters"], "float32")
    assert chunked.memory == 200_000
    assert chunked.planned_peak < whole.planned_peak / 2
    assert chunked.flops["primal"] > 2 * whole.flops["primal"]
    assert chunked.directions == whole.directions
    assert len(chunked.timeline) <= measure.MOMENTS
    assert max(sum(moment.bytes.values()) for moment in chunked.timeline) == chunked.planned_peak
    subject = Subject(settings, "forward-parameters")
    plain = Subject(SETTINGS, "forward-parameters")
    prepared = subject.prepare()
    assert prepared.objects > 0
    assert msgspec.structs.replace(prepared, objects=0) == chunked
    for name, array in plain.train(3, "float64", lambda done: None).parameters.items():
        found = np.frombuffer(subject.train(3, "float64", lambda done: None).parameters[name].data)
        np.testing.assert_allclose(found, np.frombuffer(array.data), rtol=1e-12, atol=1e-15)


def test_a_step_goes_whole_where_its_peak_above_the_state_at_rest_fits(counts):
    """What is there before the step is parameters, the optimizer's state and the batch; the first array of the step is not of it."""
    whole = counts["forward-parameters"]
    data = SETTINGS.batch * (64 * 4 + 8)
    assert whole.resting == 2 * 4 * whole.parameters + data
    above = whole.planned_peak - whole.resting
    for memory in (above, above - 1):
        found = measure.counted(msgspec.structs.replace(SETTINGS, memory=memory), STRATEGIES["forward-parameters"], "float32")
        assert found.memory == (None if memory == above else memory)


def test_a_budget_that_cannot_be_kept_is_refused_and_the_default_gives_way(monkeypatch):
    strategy = STRATEGIES["forward-parameters"]
    with pytest.raises(InputError, match=r"`memory` \(=100 bytes\) is below what one direction of forward-par.* at least \d+ would"):
        measure.counted(msgspec.structs.replace(SETTINGS, memory=100), strategy, "float32")
    monkeypatch.setitem(settings_module.AUTO_BYTES, "numpy", 100)
    assert measure.counted(SETTINGS, strategy, "float32").memory > 100


@pytest.mark.parametrize("name", ["forward-activations", "forward-parameters"])
def test_a_network_of_full_size_is_refused_from_shapes_alone(name):
    start = time.monotonic()
    with pytest.raises(InputError, match=rf"engine '{name}' is planned to need more than 2,000 GFLOP .* \(11,689,512 parameters\)"):
        measure.counted(Settings(network="resnet18"), STRATEGIES[name], "float32")
    assert time.monotonic() - start < 60


def test_a_step_of_full_size_is_counted_in_reverse():
    counted = measure.counted(Settings(network="resnet18"), STRATEGIES["reverse"], "float32")
    assert counted.parameters == 11_689_512
    assert counted.flops["primal"] == pytest.approx(2 * 3.65e9, rel=0.05)  # two images; 1.8 G multiply-adds each, as published
    assert len(counted.timeline) <= measure.MOMENTS
