"""What is planned of a training step is what the ledger observes of it on real arrays, and what `tracemalloc` measures."""

import gc

import numpy as np
import pytest

from compare import measure
from compare.measure import counted, observed, traced
from compare.networks import NETWORKS
from compare.settings import Settings
from compare.strategies import STRATEGIES
from compare.training import Trainer
from compare.truth.source import RESTING
from diffcore.arrays.observed import observe_tensors
from diffcore.errors import MemoryBudgetError
from diffcore.ledger import Ledger

SMALL = [name for name, network in NETWORKS.items() if not network.family]
LOOPS = ("yolo",)
"""Networks whose images are so many blocks that some stand for others in the plan: there the timelines differ in length."""


def tiny(name, **options):
    """The smallest network of a family, with two examples."""
    knobs = NETWORKS[name].knobs
    small = {"width": {"small-vit": 8, "small-resnet": 3}.get(name, 4), "depth": 1}
    return Settings(network=name, batch=2, **{knob: small[knob] for knob in knobs}, **options)


def moments(prepared):
    return [(moment.label, moment.bytes) for moment in prepared.timeline]


def compare(planned, seen, *, whole=True):
    """Everything: bytes alive at every moment by role, the peak and what there is after the step, and all operations by phase."""
    assert planned.planned_peak == seen.planned_peak
    if whole:
        assert moments(planned) == moments(seen)
    else:
        assert max(map(total, moments(planned))) == max(map(total, moments(seen)))
        assert moments(planned)[-1] == moments(seen)[-1]
    for field in set(planned.__struct_fields__) - {"timeline"}:
        assert getattr(planned, field) == getattr(seen, field), field


def growth(prepared):
    """Bytes at the peak above those before the step."""
    return prepared.planned_peak - sum(prepared.timeline[0].bytes.get(role, 0) for role in RESTING)


def total(moment):
    return sum(moment[1].values()), sorted(moment[1].items())


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("name", SMALL)
def test_plans_are_observed_to_the_byte(name, strategy):
    settings = tiny(name)
    compare(counted(settings, strategy, "float32"), observed(settings, strategy, "float32"), whole=name not in LOOPS)


@pytest.mark.parametrize("observing", [False, True], ids=["planned", "observed"])
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_roles_after_a_step(strategy, observing):
    """What is alive then: parameters, the batch, as many bytes of momenta; with the gradients, one more of these."""
    with Ledger() as ledger:
        with ledger.role("parameter"):
            settings = tiny("lenet")
            trainer = Trainer(settings, strategy, device="cpu" if observing else "meta", dtype="float32", compiled=False)
            if observing:
                observe_tensors(trainer.net.parameters())
        with ledger.role("input"):
            tensor = strategy.engine().tensor
            batch = [tensor(array, device="cpu" if observing else "meta") for array in measure.example(settings, "float32")]
            if observing:
                observe_tensors(batch)
        own = {"parameter": sum(4 * p.numel() for p in trainer.net.parameters()), "input": 2 * (4 * 64 + 8)}
        loss, gradients = trainer.value_and_grad(trainer.net, *batch)
        assert alive(ledger) == {**own, "activation": 4, "gradient": own["parameter"]}
        del loss, gradients
        trainer.step(*batch)
        gc.collect()
        assert alive(ledger) == {**own, "optimizer state": own["parameter"]}


def alive(ledger):
    return {role: count for role, count in ledger.live.items() if count}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_in_double_precision_and_with_another_optimizer(strategy):
    settings = tiny("lenet", optimizer="adam", lr=0.01)
    compare(counted(settings, strategy, "float64"), observed(settings, strategy, "float64"))


@pytest.mark.parametrize("strategy", [each for each in STRATEGIES.values() if each.bounded], ids=lambda each: each.name)
@pytest.mark.parametrize("name", ["softmax", "mlp", "kernel-svm", "lenet", "small-vgg"])
def test_within_a_budget(name, strategy):
    """Two thirds of the way from the least that would do to what it takes without one."""
    settings = tiny(name)
    whole = growth(counted(settings, strategy, "float32"))
    with pytest.raises(MemoryBudgetError) as caught:
        observed(settings, strategy, "float32", 1)
    budget = (caught.value.least + 2 * max(whole, caught.value.least)) // 3
    planned = measure._counted(settings, strategy, "float32", budget)
    seen = observed(settings, strategy, "float32", budget)
    compare(planned, seen, whole=len(planned.timeline) == len(seen.timeline))


STEPS = {
    "mlp": {"width": 256, "depth": 3, "batch": 512},
    "lenet": {"width": 6, "batch": 256},
    "small-alexnet": {"width": 16, "batch": 256},
    "small-vgg": {"width": 16, "batch": 256},
    "small-nin": {"width": 16, "batch": 256},
    "small-googlenet": {"width": 8, "batch": 256},
    "small-resnet": {"width": 8, "batch": 256},
    "small-densenet": {"width": 8, "batch": 256},
    "rnn": {"width": 64, "batch": 512},
    "lstm": {"width": 64, "batch": 256},
    "gru": {"width": 64, "batch": 256},
    "gru-language": {"width": 32, "batch": 256},
    "small-vit": {"width": 24, "batch": 128},
    "yolo": {"width": 8, "batch": 64},
}
"""Sizes at which arrays, not the objects of Python that stand for them (some 1 to 2 KB per operation), are nearly all of the peak."""


def measured(settings, strategy, memory):
    """Bytes at the peak of a step on plain arrays, no ledger open, above those before it."""
    trainer = Trainer(settings, strategy, device="cpu", dtype="float32", compiled=False, memory=memory)
    rng = np.random.default_rng(0)
    tensor = strategy.engine().tensor
    arrays = measure.example(settings, "float32")
    batch = [tensor(rng.random(array.shape, np.float32) if array.dtype.kind == "f" else array) for array in arrays]
    return traced(lambda: trainer.step(*batch))


def agree(settings, strategy, memory=None):
    planned = growth(measure._counted(settings, STRATEGIES[strategy], "float32", memory))
    taken = measured(settings, STRATEGIES[strategy], memory)
    assert taken > 2**20
    assert planned == pytest.approx(taken, rel=0.03)


@pytest.mark.parametrize("strategy", ["reverse", "reverse-checkpoint"])
@pytest.mark.parametrize("name", STEPS)
def test_plans_of_reverse_mode_are_what_numpy_takes(name, strategy):
    agree(Settings(network=name, **STEPS[name]), strategy)


FORWARD = (
    ("forward-activations", "mlp", {"width": 128, "batch": 512}, None),
    ("forward-activations", "lenet", {"batch": 512}, None),
    ("forward-activations", "small-vgg", {"batch": 64}, None),
    ("forward-activations", "rnn", {"width": 8, "batch": 128}, None),
    ("forward-activations", "small-vit", {"width": 8, "batch": 4}, None),
    ("forward-parameters", "mlp", {"width": 32, "batch": 64}, 24 * 10**6),
    ("forward-parameters", "softmax", {"batch": 256}, None),
    ("forward-parameters", "lenet", {"batch": 32}, None),
    ("forward-parameters", "gru", {"width": 8, "batch": 16}, None),
)


@pytest.mark.parametrize(("strategy", "name", "options", "memory"), FORWARD, ids=lambda value: value if isinstance(value, str) else "")
def test_plans_of_forward_mode_are_what_numpy_takes(strategy, name, options, memory):
    agree(Settings(network=name, **options), strategy, memory)
