"""PyTorch's names give what PyTorch gives."""

import numpy as np
import pytest

import revdiff
from revdiff.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential

torch = pytest.importorskip("torch")
theirs = torch.utils.checkpoint


def networks():
    torch.manual_seed(0)
    other = torch.nn.Sequential(*(part for _ in range(3) for part in (torch.nn.Linear(4, 4), torch.nn.Tanh()))).double()
    own = revdiff.nn.Sequential(*(part for _ in range(3) for part in (revdiff.nn.Linear(4, 4, dtype="float64"), revdiff.nn.Tanh())))
    own.load_state_dict({name: value.numpy() for name, value in other.state_dict().items()})
    return own, other


def test_both_functions_do_the_same():
    own, other = networks()
    data = np.random.default_rng(0).normal(size=(5, 4))
    calls = [
        lambda ours, net, x: (checkpoint if ours else theirs.checkpoint)(net, x, use_reentrant=False),
        lambda ours, net, x: (checkpoint_sequential if ours else theirs.checkpoint_sequential)(net, 2, x, use_reentrant=False),
        lambda ours, net, x: (checkpoint_sequential if ours else theirs.checkpoint_sequential)(list(net), 4, x, use_reentrant=False),
    ]
    for call in calls:
        x, y = revdiff.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
        (call(True, own, x) ** 2).sum().backward()
        (call(False, other, y) ** 2).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-12, atol=1e-12)
    for a, b in zip(own.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_both_raise_where_a_further_run_does_something_else():
    for lib, call, error in ((revdiff, checkpoint, CheckpointError), (torch, theirs.checkpoint, theirs.CheckpointError)):
        sizes = iter((3, 4))
        x = lib.ones(5, requires_grad=True)
        with pytest.raises(error, match="different metadata"):
            call(lambda x, sizes=sizes: (x[: next(sizes)] * 2).sin().sum(), x, use_reentrant=False).backward()


def test_both_divide_into_segments_alike():
    layers = [revdiff.sin] * 7
    assert revdiff.checkpoint_schedule(layers, revdiff.ones(2), segments=3).groups == (2, 2, 3)
    assert revdiff.checkpoint_schedule(layers, revdiff.ones(2), segments=7).groups == (1,) * 7
