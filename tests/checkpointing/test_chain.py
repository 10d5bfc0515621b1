"""Sequences of layers under schedules: the same training, within the memory, with as many further runs as promised."""

from itertools import pairwise
from math import comb

import numpy as np
import pytest

import revdiff
from diffcore.arrays.abstract import AbstractArray
from diffcore.errors import GradientError, MemoryBudgetError
from revdiff import checkpoint, checkpoint_schedule, nn, tape
from revdiff.checkpointing import Schedule, Verb
from revdiff.checkpointing.sizes import Meter

from .networks import NETWORKS, loss_of, made, trained


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def plain():
    return {name: trained(name, lambda net, x: net(x)) for name in NETWORKS}


WISHES = [
    {"segments": 1},
    {"segments": 3},
    {"schedule": "sqrt"},
    {"schedule": "revolve", "snapshots": 1},
    {"snapshots": 2},
    {"schedule": "mixed", "snapshots": 2},
    {"memory": "1GB"},
    {"memory": None},  # the least that will do
]


def least(net, x, **wishes):
    with pytest.raises(MemoryBudgetError) as error:
        checkpoint_schedule(net, x, memory=1, **wishes)
    return error.value.least


@pytest.mark.parametrize("wishes", WISHES, ids=lambda wishes: "-".join(map(str, wishes.values())))
@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_that_of_the_plain_network(plain, name, wishes):
    if wishes == {"memory": None}:
        net, x = made(name)
        wishes = {"memory": least(net, revdiff.tensor(x, requires_grad=True))}
    close(trained(name, lambda net, x: checkpoint(net, x, **wishes)), plain[name])


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_chains_nest_in_segments_and_in_each_other(plain, name):
    def nested(net, x):
        inner = lambda x: checkpoint(list(net)[1:4], x, schedule="revolve", snapshots=1)
        return checkpoint([net[0], inner, *list(net)[4:]], x, segments=2)

    close(trained(name, nested), plain[name])
    close(trained(name, lambda net, x: checkpoint(lambda x: checkpoint(net, x, snapshots=2), x)), plain[name])


def test_a_kept_graph_can_be_gone_over_again():
    net, x = made("conv")
    for wishes in ({"snapshots": 2}, {"schedule": "mixed", "snapshots": 2}, {"segments": 3}):
        y = loss_of(checkpoint(net, x := revdiff.tensor(x, requires_grad=True), **wishes))
        y.backward(retain_graph=True)
        first = x.grad.numpy().copy()
        y.backward()
        np.testing.assert_allclose(x.grad.numpy(), 2 * first, rtol=1e-13)


def test_lists_of_functions_and_one_layer_are_chains_too():
    x = revdiff.tensor([0.5, 1.0], requires_grad=True)
    checkpoint([revdiff.sin, lambda x: x * x, revdiff.exp], x, snapshots=1).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [2 * np.sin(v) * np.cos(v) * np.exp(np.sin(v) ** 2) for v in (0.5, 1.0)], rtol=1e-6)
    assert checkpoint((revdiff.sin,), x, segments=1).tolist() == revdiff.sin(x).tolist()
    with revdiff.no_grad():
        assert not checkpoint([revdiff.sin, revdiff.cos], x, snapshots=1).requires_grad


# as many further runs as promised


def griewank(steps, snapshots):
    """The fewest further steps, `t(l, s) = r l - beta(s + 1, r - 1)` with `beta(s, r - 1) < l <= beta(s, r)`: Griewank and Walther 2000."""
    r = 0
    while comb(snapshots + r, r) < steps:
        r += 1
    return r * steps - (comb(snapshots + r, r - 1) if r else 0)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16, 31])
@pytest.mark.parametrize("snapshots", [1, 2, 3, 5])
def test_revolve_runs_as_few_steps_again_as_was_published(steps, snapshots):
    calls = []

    def layer(x):
        calls.append(1)
        return (x * 1.01).sin()

    x = revdiff.ones(2, requires_grad=True)
    schedule = checkpoint_schedule([layer] * steps, x, schedule="revolve", snapshots=snapshots)
    calls.clear()
    checkpoint([layer] * steps, x, schedule=schedule).sum().backward()
    assert schedule.recomputed == len(calls) - steps == griewank(steps, snapshots)
    assert schedule.snapshots <= snapshots


def booked(build, shape, **wishes):
    """The schedule of a network on abstract arrays; by the ledger the most bytes that the call makes, and operations by phase."""
    with Meter() as meter:
        net, x = build(dtype="float64", device="meta"), revdiff.zeros(shape, dtype="float64", device="meta", requires_grad=True)
        schedule = checkpoint_schedule(net, x, **wishes) if wishes else None
        before = meter.total
        meter.start()
        out = net(x) if schedule is None else checkpoint(net, x, schedule=schedule)
        cotangent, root = [AbstractArray(out.shape, out.dtype)], out.carried
        del out
        gradients = tape.backward([root], [cotangent.pop()])
        own = [g.storage for node, g in gradients.items() if node is not x.carried]
        return schedule, meter.highest(own) - before, meter.flops


@pytest.mark.parametrize("wishes", WISHES[:-1], ids=lambda wishes: "-".join(map(str, wishes.values())))
@pytest.mark.parametrize("name", NETWORKS)
def test_the_ledger_books_what_the_schedule_promises(name, wishes):
    build, shape = NETWORKS[name]
    schedule, highest, flops = booked(build, shape, **wishes)
    # Counted too high are a result that its step keeps, where the next one has it packed, and cotangents of parts that nothing depends on.
    assert 0.8 * schedule.peak <= highest <= schedule.peak
    whole = sum(step.advancing.flops for step in schedule.sizes.steps)
    assert whole <= flops["primal"] <= 1.02 * whole  # residuals are packed, running statistics move
    # A further run ends early, where the last operation of a step has nothing to keep.
    assert 0.9 * schedule.flops <= flops["recompute"] <= schedule.flops
    if not schedule.recomputed:
        assert highest == booked(build, shape)[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_budget_is_kept_from_the_least_that_will_do_on(name):
    build, shape = NETWORKS[name]
    net, x = build(dtype="float64", device="meta"), revdiff.zeros(shape, dtype="float64", device="meta", requires_grad=True)
    plain = checkpoint_schedule(net, x, memory="1GB").peak
    low = least(net, x)
    costs = []
    for share in (0, 0.02, 0.1, 0.3, 0.6, 1):
        budget = int(low + share * (plain - low))
        schedule, highest, _ = booked(build, shape, memory=budget)
        assert highest <= schedule.peak <= budget
        costs.append(schedule.cost)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 0


def test_the_cheapest_schedule_is_no_dearer_than_any_of_the_others():
    """Layers of very different sizes: the widest needs 16 times what the narrowest does."""
    widths = [4, 64, 8, 32, 4, 64, 4, 16, 4]
    where = {"dtype": "float64", "device": "meta"}
    net = nn.Sequential(*(part for a, b in pairwise(widths) for part in (nn.Linear(a, b, **where), nn.Tanh())))
    x = revdiff.zeros(32, 4, **where, requires_grad=True)
    for wishes in ({"segments": 3}, {"segments": 5}, {"schedule": "sqrt"}, {"snapshots": 2}, {"snapshots": 5}, {"schedule": "mixed"}):
        other = checkpoint_schedule(net, x, **wishes)
        best = checkpoint_schedule(net, x, memory=other.peak)
        assert best.peak <= other.peak
        assert best.cost <= other.cost
    for name in ("segments", "revolve", "mixed"):
        budget = int(1.2 * least(net, x, schedule=name))
        other = checkpoint_schedule(net, x, schedule=name, memory=budget)
        assert other.name == name
        assert other.peak <= budget
        assert checkpoint_schedule(net, x, memory=budget).cost <= other.cost


def test_binomial_memory_grows_as_the_logarithm_of_the_depth():
    """Depths 8 to 128: to double the depth adds one snapshot, and each step is run again at most so often."""

    def deep(depth, **where):
        return nn.Sequential(*(part for _ in range(depth // 2) for part in (nn.Linear(8, 8, **where), nn.Tanh())))

    depths = [8, 16, 32, 64, 128]
    found = [booked(lambda depth=depth, **where: deep(depth, **where), (16, 8), schedule="revolve")[:2] for depth in depths]
    highest = [nbytes for _, nbytes in found]
    value = 16 * 8 * 8
    assert [b - a for a, b in pairwise(highest)] == [value] * 4
    for depth, (schedule, nbytes) in zip(depths, found, strict=True):
        assert schedule.snapshots == int(np.log2(depth)) + 1
        assert schedule.runs.most_common(1)[0][1] <= np.log2(depth) + 1
        assert nbytes == schedule.peak
    assert booked(lambda **where: deep(128, **where), (16, 8))[1] > 6 * highest[-1]


def test_long_chains_are_searched_in_groups():
    where = {"device": "meta"}
    net = nn.Sequential(*(nn.Linear(2, 2, **where) for _ in range(60)))
    schedule = checkpoint_schedule(net, revdiff.zeros(4, 2, **where), memory="1KB")
    assert schedule.steps <= 48
    assert sum(schedule.groups) == 60
    assert schedule.peak <= 1000


# what is refused


def test_layers_that_work_in_place_go_with_the_one_before():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 2), nn.Dropout(0.5, inplace=True))
    assert checkpoint_schedule(net, revdiff.zeros(3, 2), snapshots=1).groups == (2, 2)
    hidden = nn.Sequential(nn.Linear(2, 2), lambda_layer(lambda x: x.mul_(2)), nn.Linear(2, 2))
    x = revdiff.ones(3, 2, requires_grad=True)
    with pytest.raises(GradientError, match=r"modified by an inplace operation: checkpoint has to recompute from value 1 of the chain"):
        checkpoint(hidden, x, segments=3).sum().backward()


def lambda_layer(function):
    class Layer(nn.Module):
        def forward(self, x):
            return function(x)

    return Layer()


def test_a_budget_below_the_least_says_what_would_do():
    net, x = made("mlp")
    with pytest.raises(MemoryBudgetError, match=r"`memory` \(=100 bytes\) is below what one segment needs: at least (\d+) bytes would do"):
        checkpoint(net, revdiff.tensor(x), memory=100)
    lowest = least(net, revdiff.tensor(x))
    checkpoint(net, revdiff.tensor(x), memory=lowest).sum().backward()
    with pytest.raises(MemoryBudgetError):
        checkpoint(net, revdiff.tensor(x), memory=lowest - 1)


@pytest.mark.parametrize("wishes", [{"schedule": "segments"}, {"schedule": "revolve"}, {"schedule": "mixed"}, {"segments": 3}], ids=str)
def test_what_is_told_to_do_does(wishes):
    net, x = made("mlp")
    with pytest.raises(MemoryBudgetError) as told:
        checkpoint(net, revdiff.tensor(x), memory=1, **wishes)
    assert checkpoint_schedule(net, revdiff.tensor(x), memory=told.value.least, **wishes).peak == told.value.least
    with pytest.raises(MemoryBudgetError, match=f"at least {told.value.least} bytes would do"):
        checkpoint(net, revdiff.tensor(x), memory=told.value.least - 1, **wishes)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"segments": 0}, r"`segments` \(=0\) must be a positive integer"),
        ({"snapshots": 1.5}, r"`snapshots` \(=1.5\) must be a positive integer"),
        ({"schedule": "binomial"}, r"`schedule` \(='binomial'\) must be one of 'optimal', 'segments', 'sqrt', 'mixed', 'revolve'"),
        ({"segments": 2, "snapshots": 1}, r"`segments` \(=2\) does not go with `schedule` \(='revolve'\)"),
        ({"schedule": "sqrt", "memory": 100}, r"`memory` \(=100\) does not go with `schedule` \(='sqrt'\)"),
        ({"schedule": "optimal"}, r"`schedule` \(='optimal'\) needs `memory`"),
        ({"schedule": "segments"}, r"`schedule` \(='segments'\) needs `segments` or `memory`"),
        ({"segments": 9}, r"`segments` \(=9\) must be at most 8, the layers that can be parted"),
        ({"segments": 9, "memory": "1GB"}, r"`segments` \(=9\) must be at most 8, the layers that can be parted"),
        ({"segments": True}, r"`segments` \(=True\) must be a positive integer"),
        ({"memory": "much"}, r"memory` \(='much'\)"),
    ],
)
def test_options_that_cannot_be_are_refused(wishes, message):
    net, x = made("mlp")
    with pytest.raises(ValueError, match=message):
        checkpoint(net, revdiff.tensor(x), **wishes)


def test_other_misuse():
    net, x = made("mlp")
    with pytest.raises(TypeError, match="take one input, not 2 arguments"):
        checkpoint(net, x, x, segments=2)
    with pytest.raises(TypeError, match="take one input, and no argument 'mask'"):
        checkpoint(net, x, segments=2, mask=x)
    with pytest.raises(TypeError, match="must be a Sequential or a list of functions, not function"):
        checkpoint_schedule(lambda x: x, x, segments=2)
    with pytest.raises(ValueError, match="there is no layer"):
        checkpoint([], x, segments=1)
    with pytest.raises(ValueError, match="`schedule` is one for 9 layers, and there are 3"):
        checkpoint(list(net)[:3], x, schedule=checkpoint_schedule(net, x, segments=2))
    with pytest.raises(TypeError, match="`schedule` must be a name or a Schedule, not int"):
        checkpoint(net, x, schedule=3)


# how it is shown


def test_a_schedule_shows_itself():
    net, x = made("mlp")
    schedule = checkpoint_schedule(net, revdiff.tensor(x, requires_grad=True), snapshots=2)
    assert isinstance(schedule, Schedule)
    assert [action.verb for action in schedule][:3] == [Verb.STORE, Verb.ADVANCE, Verb.STORE]
    lines = str(schedule).splitlines()
    assert lines[0] == "revolve: 9 layers in 8 steps, 2 snapshots, 14 steps run again"
    assert lines[1].startswith("peak 1.7 kB, 5.0 kFLOP recomputed (203% of a forward pass)")
    assert len(lines) == 5 + len(schedule)
    assert max(map(len, lines)) <= 80
    marks = [line[:8] for line in lines[5:]]
    assert marks[:4] == ["o       ", ">>>>    ", "o   o   ", "o   >>> "]
    long = checkpoint_schedule([revdiff.sin] * 300, revdiff.ones(2, requires_grad=True), snapshots=9)
    assert max(map(len, str(long).splitlines())) <= 80
    assert "more actions" in str(long)
    assert "300 steps" in repr(long)


def test_what_is_kept_is_listed():
    net, x = made("mlp")
    x = revdiff.tensor(x, requires_grad=True)
    listed = revdiff.saved(lambda net, x: checkpoint(net, x, segments=4), net, x)
    rows = [(row.op, row.name, row.shape, row.role) for row in listed if row.op == "checkpoint"]
    assert rows == [("checkpoint", "input", (7, 5), "input"), *(("checkpoint", f"value {i}", (7, 6), "residual") for i in (1, 2))]
    whole = revdiff.saved(lambda net, x: checkpoint(net, x), net, x)
    assert [(row.op, row.role) for row in whole] == [("checkpoint", "input")]
    assert whole.total == 0
