"""Sequences of layers under schedules: the same training, within the memory, with as many further runs as promised."""

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
        inner = lambda x: checkpoint(list(net)[1:4], x, schedule="revolve", snapshots=1)  # noqa: E731
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
    # The schedule counts a value that shares memory with the one before it, and what is left over between layers, a little too high.
    assert 0.8 * schedule.peak <= highest <= schedule.peak
    whole = sum(step.flops for step in schedule.sizes.steps)
    assert flops["primal"] == whole
    # A further run ends early, where the last operation of a step has nothing to keep.
    assert 0.9 * schedule.flops <= flops["recompute"] <= schedule.flops
    if not schedule.recomputed:
        assert highest == booked(build, shape)[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_budget_is_kept_from_the_least_that_will_do_on(name):
    build, shape = NETWORKS[name]
    net, x = build(dtype="float64", device="meta"), revdiff.zeros(shape, dtype="float64", device="meta", requires_grad=True)
    plain = booked(build, shape)[1]
    low = least(net, x)
    costs = []
    for share in (0, 0.02, 0.1, 0.3, 0.6, 1):
        budget = int(low + share * (plain - low))
        schedule, highest, _ = booked(build, shape, memory=budget)
        assert highest <= schedule.peak <= budget
        costs.append(schedule.cost)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 0
