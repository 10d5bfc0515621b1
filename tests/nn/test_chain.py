"""Runs of layers taken in one step do what the layers do one by one: values, derivatives, graphs, errors, and changes of mind."""

from __future__ import annotations

import copy
import gc
import tracemalloc

import numpy as np
import pytest

import dualdiff
import revdiff
from diffcore.nn.chain import Chain, parts
from revdiff.chains import CHAIN
from revdiff.nn import functional as F
from tests.nn.stacks import one_by_one, stack

SMOOTH = ("Tanh", "Sigmoid", "SiLU", "Mish", "Softsign", "LogSigmoid")


def _x(rows=5, dtype=np.float64):
    return np.random.default_rng(0).standard_normal((rows, 4)).astype(dtype)


def _array(x):
    return x.detach().numpy() if isinstance(x, revdiff.Tensor) else x


def _grads(net, call, x):
    x = revdiff.tensor(x, requires_grad=True)
    (call(x) ** 2).sum().backward()
    grads = [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]
    net.zero_grad()
    return grads


def test_what_comes_to_one_kernel_is_one_part():
    net = stack("Tanh", "ReLU")
    (chain,) = parts(net)
    assert isinstance(chain, Chain)
    assert [step.kernel.name for step in chain.steps] == ["linear", "tanh", "linear", "relu", "linear"]
    kinds = parts([*net, revdiff.nn.Dropout(), revdiff.nn.Linear(3, 3), revdiff.nn.Softmax(1), net[0], net[1]])
    assert [type(part).__name__ for part in kinds] == ["Chain", "Dropout", "Linear", "Softmax", "Chain"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("names", [("Tanh",), ("ReLU", "Sigmoid"), SMOOTH], ids="-".join)
def test_values_and_gradients_are_those_of_the_layers(names, bias):
    net = stack(*names, bias=bias)
    x = _x()
    assert net(revdiff.tensor(x, requires_grad=True)).carried.kernel is CHAIN
    np.testing.assert_array_equal(net(revdiff.tensor(x)).detach().numpy(), one_by_one(net)(revdiff.tensor(x)).detach().numpy())
    for ours, theirs in zip(_grads(net, net, x), _grads(net, one_by_one(net), x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_transforms_of_a_chain():
    net, other = stack("Tanh", "Sigmoid"), stack("Tanh", "Sigmoid", engine=dualdiff)
    x, calls = _x(), one_by_one(net)
    for function in (revdiff.grad, revdiff.hessian, revdiff.jacobian):
        ours, theirs = function(lambda z: net(z).sum())(x), function(lambda z: calls(z).sum())(x)
        np.testing.assert_array_equal(_array(ours), _array(theirs))
    for name, g in revdiff.grad(lambda net, z: (net(z) ** 2).sum())(net, x).items():
        expected = dualdiff.grad(lambda net, z: (net(z) ** 2).sum())(other, x)[name]
        np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-13)
    v = np.ones_like(x)
    _, forward_over_reverse = dualdiff.jvp(revdiff.grad(lambda z: (net(z) ** 2).sum()), (x,), (v,))
    expected = revdiff.hvp(lambda z: (calls(z) ** 2).sum(), x, v)
    np.testing.assert_allclose(_array(forward_over_reverse), _array(expected), rtol=1e-12)


def test_the_graph_shows_every_layer():
    net = stack("Tanh")
    y = net(revdiff.tensor(_x(), requires_grad=True))
    assert "grad_fn=<LinearBackward0>" in repr(y)
    assert [op.name for op in revdiff.graph(y)] == ["linear", "tanh", "linear"]
    names, node = [], y.grad_fn
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    assert names == ["LinearBackward0", "TanhBackward0", "LinearBackward0", "AccumulateGrad"]
    orders = [n.order for n in (y.grad_fn, y.grad_fn.next_functions[0][0], y.grad_fn.next_functions[0][0].next_functions[0][0])]
    assert orders == sorted(orders, reverse=True)
    y.square().sum().backward()  # an opened chain is differentiated like any graph
    opened = [p.grad.numpy().copy() for p in net.parameters()]
    net.zero_grad()
    for ours, theirs in zip(opened, _grads(net, one_by_one(net), _x())[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_graph_is_freed_once_or_kept():
    net, x = stack("Tanh"), revdiff.tensor(_x(), requires_grad=True)
    y = net(x).sum()
    y.backward(retain_graph=True)
    once = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * once)
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()
    closed = net(x)
    closed.sum().backward()
    assert closed.carried.name() == "LinearBackward0"
    with pytest.raises(RuntimeError, match="a second time"):
        closed.sum().backward()


def test_a_residual_changed_in_place_is_found():
    net, x = stack("Tanh"), revdiff.tensor(_x(), requires_grad=True)
    y = net(x)
    with revdiff.no_grad():
        net[2].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: linear saved its operand `weight`"):
        y.sum().backward()


def test_hooks_of_the_result_and_retained_gradients():
    net, x, seen = stack("Tanh"), revdiff.tensor(_x(), requires_grad=True), []
    y = net(x)
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.shape) or g * 2)
    y.sum().backward()
    assert seen == [(5, 3)]
    assert (y.grad.numpy() == 2).all()
    plain = revdiff.tensor(_x(), requires_grad=True)
    net(plain).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * plain.grad.numpy(), rtol=1e-15)


def test_what_replaces_forward_is_called():
    net, x = stack("Tanh"), revdiff.tensor(_x())
    before = net(x).detach().numpy()
    handle = net[1].register_forward_hook(lambda module, args, out: out * 0)
    np.testing.assert_array_equal(net(x).detach().numpy(), np.broadcast_to(net[2].bias.detach().numpy(), (5, 3)))
    handle.remove()
    np.testing.assert_array_equal(net(x).detach().numpy(), before)
    net[1].forward = lambda z: z
    linear = net(x).detach().numpy()
    assert not np.allclose(linear, before)
    del net[1].forward
    np.testing.assert_array_equal(net(x).detach().numpy(), before)

    class Negated(revdiff.nn.Linear):
        def forward(self, z):
            return -super().forward(z)

    last = Negated(4, 3, dtype=np.float64)
    last.load_state_dict(net[2].state_dict())
    net[2] = last
    np.testing.assert_array_equal(net(x).detach().numpy(), -before)


def test_what_replaces_forward_of_a_class_is_called(monkeypatch):
    net, x = stack("Tanh"), revdiff.tensor(_x())
    before = net(x).detach().numpy()
    monkeypatch.setattr(revdiff.nn.Tanh, "forward", lambda self, z: z * 0)
    assert not np.allclose(net(x).detach().numpy(), before)
    monkeypatch.undo()
    np.testing.assert_array_equal(net(x).detach().numpy(), before)


def test_a_layer_that_works_in_place_is_called_by_itself():
    net, x = revdiff.nn.Sequential(revdiff.nn.ReLU(), revdiff.nn.ReLU()), revdiff.tensor(_x())
    net(x)
    assert (x.numpy() < 0).any()
    net[0].inplace = True
    net(x)
    assert not (x.numpy() < 0).any()


def test_frozen_shared_and_missing_parameters():
    x = _x()
    frozen = stack("Tanh")
    frozen[0].requires_grad_(False)
    (frozen(revdiff.tensor(x)) ** 2).sum().backward()
    assert frozen[0].weight.grad is None
    assert frozen[2].weight.grad is not None
    shared = revdiff.nn.Sequential(revdiff.nn.Linear(4, 4, dtype=np.float64), revdiff.nn.Tanh())
    shared.append(shared[0])
    for ours, theirs in zip(_grads(shared, shared, x), _grads(shared, one_by_one(shared), x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    net = stack("Tanh")
    net[2].bias = None
    assert [op.name for op in revdiff.graph(net(revdiff.tensor(x)))] == ["linear", "tanh", "linear_unbiased"]


def test_nothing_is_recorded_without_variables_or_under_no_grad():
    net, x = stack("Tanh"), revdiff.tensor(_x(), requires_grad=True)
    with revdiff.no_grad():
        assert not net(x).requires_grad
    net.requires_grad_(False)
    assert not net(revdiff.tensor(_x())).requires_grad
    assert net(x).requires_grad


def test_inputs_that_need_the_layers_one_by_one():
    net = stack("Tanh", dtype=np.float32)
    assert net(revdiff.tensor(_x()[0].astype(np.float32))).shape == (3,)
    assert net(revdiff.tensor(_x(2).astype(np.float32).reshape(1, 2, 4))).shape == (1, 2, 3)
    assert net(revdiff.tensor(_x())).dtype == np.float64  # as of the layers one by one
    with pytest.raises(RuntimeError, match=r"linear: `input` \(5, 3\) and `weight` \(4, 4\) disagree"):
        net(revdiff.tensor(np.zeros((5, 3), np.float32)))
    meta = revdiff.nn.Sequential(revdiff.nn.Linear(4, 4, device="meta"), revdiff.nn.Tanh())
    assert meta(revdiff.tensor(np.zeros((2, 4), np.float32), device="meta")).shape == (2, 4)


def test_an_unneeded_prefix_keeps_nothing():
    net = revdiff.nn.Sequential(revdiff.nn.Tanh(), revdiff.nn.Sigmoid(), revdiff.nn.Linear(4, 3, dtype=np.float64))
    y = net(revdiff.tensor(_x()))
    assert [op.name for op in revdiff.graph(y)] == ["linear"]
    y = net(revdiff.tensor(_x()))
    y.sum().backward()
    np.testing.assert_allclose(net[2].bias.grad.numpy(), [5, 5, 5], rtol=1e-15)


def test_copies_follow_their_own_parameters():
    net = stack("Tanh")
    net(revdiff.tensor(_x()))
    twin = copy.deepcopy(net)
    with revdiff.no_grad():
        twin[0].weight.zero_()
    assert not np.allclose(net(revdiff.tensor(_x())).detach().numpy(), twin(revdiff.tensor(_x())).detach().numpy())


def test_residuals_are_freed_as_the_backward_pass_consumes_them():
    net = revdiff.nn.Sequential(*[layer for _ in range(20) for layer in (revdiff.nn.Linear(64, 64), revdiff.nn.Tanh())])
    images, labels = np.zeros((512, 64), np.float32), np.zeros(512, int)
    step = revdiff.value_and_grad(lambda net, x, y: F.cross_entropy(net(x), y))
    step(net, images, labels)
    gc.collect()
    tracemalloc.start()
    step(net, images, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    activation = 512 * 64 * 4
    assert peak < 20 * activation + 8 * activation  # one residual a layer, and a few arrays at work


@pytest.mark.parametrize("names", [("ReLU",), ("Tanh", "ReLU")], ids="-".join)
def test_inputs_of_more_axes(names):
    net, x = stack(*names), np.random.default_rng(0).standard_normal((2, 3, 4))
    assert net(revdiff.tensor(x)).carried.kernel is CHAIN
    for ours, theirs in zip(_grads(net, net, x), _grads(net, one_by_one(net), x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_parameter_used_before_and_in_a_chain_and_after():
    net = stack("Tanh")

    def loss(call):
        net.zero_grad()
        (net[0].weight.sum() * (call(revdiff.tensor(_x()) * net[2].bias.sum()) ** 2).sum() + (net[2].weight ** 2).sum()).backward()
        return [p.grad.numpy().copy() for p in net.parameters()]

    for ours, theirs in zip(loss(net), loss(one_by_one(net)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_abstract_arrays_go_through_a_chain_and_back():
    net = revdiff.nn.Sequential(revdiff.nn.Linear(4, 6, device="meta"), revdiff.nn.Tanh(), revdiff.nn.Linear(6, 2, device="meta"))
    x = revdiff.tensor(np.zeros((3, 4), np.float32), device="meta", requires_grad=True)
    y = net(x)
    assert y.carried.kernel is CHAIN
    y.sum().backward()
    assert [p.grad.shape for p in (x, *net.parameters())] == [(3, 4), (6, 4), (6,), (2, 6), (2,)]
