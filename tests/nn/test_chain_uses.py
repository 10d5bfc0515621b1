"""Chains in all that is done with networks: whatever the input, the parameters and the backward pass, as if called one by one."""

from __future__ import annotations

import copy
import gc
import linecache
import pickle
import threading
import traceback

import numpy as np
import pytest

import revdiff
from revdiff.chains import CHAIN
from revdiff.nn import functional as F
from revdiff.straight import straight
from tests.nn.stacks import ACTIVATIONS, gradients, linear, numbers, one_by_one, stack


def _closed(y):
    """Whether `y` came out of a chain in one."""
    return y.carried is not None and y.carried.kernel is CHAIN


def _same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("shape", [(4,), (5, 4), (1, 4), (0, 4), (2, 3, 4), (2, 1, 3, 4)], ids=str)
def test_inputs_of_any_axes(shape, needed, dtype):
    net = stack("Tanh", "ReLU", dtype=dtype)
    x = numbers(*shape, dtype=dtype)
    assert _closed(net(revdiff.tensor(x))) == (len(shape) > 1)
    _same(gradients(net, net, x, needed=needed), gradients(net, one_by_one(net), x, needed=needed))


@pytest.mark.parametrize("take", [lambda a: a[::2], lambda a: a[::-1], lambda a: np.asfortranarray(a), lambda a: a[:, ::2]], ids=range(4))
def test_inputs_that_are_not_contiguous(take):
    net, x = stack("Tanh", "SiLU"), take(numbers(6, 8))[:, :4]
    assert not x.flags.c_contiguous
    _same(gradients(net, net, x), gradients(net, one_by_one(net), x))
    base = revdiff.tensor(np.ascontiguousarray(numbers(4, 6)))
    assert _closed(net(base.T))
    np.testing.assert_array_equal(net(base.T).detach().numpy(), one_by_one(net)(base.T).detach().numpy())
    with revdiff.no_grad():
        net[0].weight.data = revdiff.tensor(numbers(4, 4)).T
    _same(gradients(net, net, x), gradients(net, one_by_one(net), x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("names", [("Tanh", "Sigmoid"), ("ReLU", "ReLU"), ACTIVATIONS], ids="-".join)
def test_activations_alone(names, shape, dtype):
    net = revdiff.nn.Sequential(*[getattr(revdiff.nn, name)() for name in names])
    x = numbers(*shape, dtype=dtype)
    assert _closed(net(revdiff.tensor(x, requires_grad=True)))
    _same(gradients(net, net, x), gradients(net, one_by_one(net), x))
    plain = net(revdiff.tensor(x))
    assert not plain.requires_grad
    np.testing.assert_array_equal(plain.numpy(), one_by_one(net)(revdiff.tensor(x)).numpy())


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("first", ACTIVATIONS)
def test_a_chain_may_begin_and_end_with_any_activation(first, needed):
    for last in ACTIVATIONS:
        net = revdiff.nn.Sequential(getattr(revdiff.nn, first)(), linear(4, 4), getattr(revdiff.nn, last)())
        for x in (revdiff.tensor(numbers()), revdiff.tensor(numbers()).requires_grad_(needed) * 2):  # as it is, and as a result
            assert _closed(net(x))
        _same(gradients(net, net, numbers(), needed=needed), gradients(net, one_by_one(net), numbers(), needed=needed))


def test_arrays_of_a_kind_of_their_own_go_one_by_one():
    class Mine(np.ndarray):
        pass

    net, x = stack("Tanh"), numbers().view(Mine)
    given = revdiff.tensor(numbers())
    given.primal = x
    y = net(given)
    assert not _closed(y)
    np.testing.assert_array_equal(np.asarray(y.detach().numpy()), net(revdiff.tensor(numbers())).detach().numpy())


def test_parameters_shared_within_a_chain():
    shared = linear(4, 4)
    net = revdiff.nn.Sequential(shared, revdiff.nn.Tanh(), shared, revdiff.nn.ReLU(), linear(4, 4))
    net[4].weight = shared.weight  # a whole layer twice, and a parameter of one in another
    for retain in (True, False):
        ours, theirs = gradients(net, net, numbers(), retain_graph=retain), gradients(net, one_by_one(net), numbers(), retain_graph=retain)
        for one, other in zip(ours, theirs, strict=True):  # sums of three cotangents, in another order
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("frozen", [(0,), (2,), (0, 2), (0, 2, 4)], ids=str)
@pytest.mark.parametrize("needed", [True, False])
def test_frozen_layers(frozen, needed):
    net = stack("Tanh", "ReLU")
    for i in frozen:
        net[i].requires_grad_(False)
    if not needed and len(frozen) == 3:
        assert not net(revdiff.tensor(numbers())).requires_grad
        return
    _same(gradients(net, net, numbers(), needed=needed), gradients(net, one_by_one(net), numbers(), needed=needed))
    net.requires_grad_(True)
    assert _closed(net(revdiff.tensor(numbers())))


def test_parameters_of_more_axes_are_refused_as_by_the_layer():
    """A stack of weights makes results of three axes, for which the lines of `linear` are not."""
    for i, shape in ((0, (2, 4, 4)), (2, (2, 3, 4))):
        net = stack("Tanh")
        net[i].weight = revdiff.nn.Parameter(revdiff.tensor(numbers(*shape)))
        assert not _closed(net(revdiff.tensor(numbers())))
        messages = []
        for call in (net, one_by_one(net)):
            y = call(revdiff.tensor(numbers()))
            with pytest.raises(ValueError, match="disagree") as error:
                y.sum().backward()
            messages.append(str(error.value))
        assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("shape", "dtype"), [((5, 3), np.float64), ((5, 5, 3), np.float64), ((3,), np.float64), ((5, 4), np.int64), ((), np.float64)], ids=str
)
def test_errors_are_those_of_the_layer(shape, dtype):
    net, x, found = stack("Tanh"), np.ones(shape, dtype), []
    for call in (net, one_by_one(net)):
        try:
            found.append(str(call(revdiff.tensor(x)).dtype))
        except (RuntimeError, ValueError, TypeError) as error:
            found.append((type(error), str(error)))
    assert found[0] == found[1]
    inner = revdiff.nn.Sequential(linear(4, 4), revdiff.nn.Tanh(), linear(3, 3))
    with pytest.raises(RuntimeError, match=r"linear: `input` \(5, 4\) and `weight` \(3, 3\) disagree"):
        inner(revdiff.tensor(numbers()))


def test_tracebacks_show_the_written_lines():
    net = revdiff.nn.Sequential(linear(4, 4), revdiff.nn.Tanh(), linear(4, 3))
    y = net(revdiff.tensor(numbers()))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError) as back:
        y.backward(revdiff.tensor(np.full((5, 3), 1e308)))
    with revdiff.no_grad():
        net[0].weight.fill_(1e308 / 4)
        net[0].bias.fill_(1e308)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError) as forward:
        net(revdiff.tensor(np.ones((5, 4))))
    for error, line in ((forward, "v1 += a1"), (back, "g3 = np.add.reduce(g, axis=0)")):
        frames = traceback.extract_tb(error.tb)
        written = [frame for frame in frames if frame.filename.startswith("<chain linear tanh linear #")]
        assert [line in (frame.line or "") for frame in written] == [True]
        assert written[0].name in ("forward", "pullback")


def test_lines_are_forgotten_with_their_functions():
    net = stack("Softsign", "Mish", "Softsign")
    net(revdiff.tensor(numbers()))
    file = net(revdiff.tensor(numbers())).carried.aux[0].forward.__code__.co_filename
    assert "".join(linecache.getlines(file)).startswith("def forward(")
    linecache.checkcache(file)
    assert linecache.getlines(file)
    del net
    straight.cache_clear()
    gc.collect()
    assert file not in linecache.cache


@pytest.mark.parametrize("needed", [True, False])
def test_graphs_that_are_kept_and_derivatives_of_derivatives(needed):
    net = stack("Tanh", "Sigmoid")

    def second(call):
        x = revdiff.tensor(numbers()).requires_grad_(needed)
        of = ([x] if needed else []) + list(net.parameters())
        first = revdiff.autograd.grad((call(x) ** 2).sum(), of, create_graph=True)
        again = revdiff.autograd.grad(sum((g**2).sum() for g in first), of, allow_unused=True)
        return [None if g is None else g.detach().numpy() for g in (*first, *again)]

    _same(second(net), second(one_by_one(net)))
    _same(gradients(net, net, numbers(), needed=needed, retain_graph=True), gradients(net, net, numbers(), needed=needed))
    x = revdiff.tensor(numbers()).requires_grad_(needed)
    net.zero_grad()
    y = net(x)
    for _ in range(3):  # a chain that is kept is differentiated again and again
        y.sum().backward(retain_graph=True)
    thrice = net[0].weight.grad.numpy().copy()
    net.zero_grad()
    net(x).sum().backward()
    np.testing.assert_allclose(thrice, 3 * net[0].weight.grad.numpy(), rtol=1e-14)


def test_second_order_is_that_of_finite_differences():
    net, x, v = stack("Tanh", "SiLU"), numbers(), numbers(5, 4)[::-1].copy()
    step = 1e-6

    def loss(z):
        return (net(z) ** 2).sum()

    ahead, behind = (revdiff.grad(loss)(x + side * v).detach().numpy() for side in (step, -step))
    np.testing.assert_allclose(revdiff.hvp(loss, x, v).detach().numpy(), (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


def test_hooks_on_the_input_the_parameters_and_the_result():
    net = stack("Tanh")

    def seen(call):
        x, found = revdiff.tensor(numbers(), requires_grad=True), []
        leaves = [x, *net.parameters()]
        handles = [p.register_hook(lambda g, i=i: found.append((i, g.numpy().copy())) or g * 2) for i, p in enumerate(leaves)]
        inner = x * 2
        inner.register_hook(lambda g: found.append((9, g.numpy().copy())))
        y = call(inner)
        y.register_hook(lambda g: g * 3)
        net.zero_grad()
        y.sum().backward()
        for handle in handles:
            handle.remove()
        found.sort(key=lambda pair: pair[0])
        assert [i for i, _ in found] == [0, 1, 2, 3, 4, 9]
        return [*(g for _, g in found), x.grad.numpy(), *(p.grad.numpy().copy() for p in net.parameters())]

    _same(seen(net), seen(one_by_one(net)))


def test_nothing_is_recorded_under_no_grad():
    net, x = stack("Tanh", "ReLU"), revdiff.tensor(numbers(), requires_grad=True)
    with revdiff.no_grad():
        y = net(x)
        assert not y.requires_grad
        np.testing.assert_array_equal(y.numpy(), one_by_one(net)(x).numpy())
    np.testing.assert_array_equal(y.numpy(), net(x).detach().numpy())
    with revdiff.no_grad():
        prefix = net[:2](x)
    assert _closed(net[2:](prefix))


@pytest.mark.parametrize("what", ["input", "weight", "bias", "result"])
def test_changes_between_forward_and_backward(what):
    """Found where the backward pass reads what has been changed, and without consequence elsewhere, as for the layers one by one."""

    def outcome(run):
        net = stack("Tanh", "Sigmoid")
        x = revdiff.tensor(numbers(), requires_grad=True) * 1
        y = run(net)(x)
        with revdiff.no_grad():
            {"input": x, "weight": net[2].weight, "bias": net[2].bias, "result": y}[what].add_(1)
        try:
            y.sum().backward()
        except RuntimeError as error:
            return str(error)
        return [p.grad.numpy().tolist() for p in net.parameters()]

    ours, theirs = outcome(lambda net: net), outcome(one_by_one)
    assert ours == theirs
    assert isinstance(ours, str) == (what in ("input", "weight"))


def test_changed_parameters_are_those_of_the_next_pass():
    net, twin = stack("Tanh", "ReLU"), stack("Tanh", "ReLU")
    for _ in range(3):
        for one, call in ((net, net), (twin, one_by_one(twin))):
            one.zero_grad()
            F.mse_loss(call(revdiff.tensor(numbers())), revdiff.tensor(np.ones((5, 3)))).backward()
            with revdiff.no_grad():
                for p in one.parameters():
                    p.sub_(p.grad * 0.1)
    _same([p.detach().numpy() for p in net.parameters()], [p.detach().numpy() for p in twin.parameters()])


def test_threads_write_and_run_chains_at_once():
    straight.cache_clear()
    net = stack("Tanh", "Mish")
    expected = gradients(net, one_by_one(net), numbers())
    nets, found, start = [copy.deepcopy(net) for _ in range(4)], {}, threading.Barrier(4)

    def work(i):
        start.wait()
        for _ in range(5):
            found[i] = gradients(nets[i], nets[i], numbers())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for one in found.values():
        _same(one, expected)


def _pickled(net):
    return pickle.loads(pickle.dumps(net))


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, _pickled])
def test_copies_of_networks_whose_chains_have_run(make):
    net = stack("Tanh", "ReLU")
    expected = gradients(net, net, numbers())
    net.zero_grad()
    twin = make(net)
    _same(gradients(twin, twin, numbers()), expected)
    assert _closed(twin(revdiff.tensor(numbers())))
    with revdiff.no_grad():
        twin[4].bias.add_(1)
    shared = make is copy.copy
    assert (net(revdiff.tensor(numbers())).detach().numpy() == twin(revdiff.tensor(numbers())).detach().numpy()).all() == shared
