"""A checkpointed function is the function, keeps only its inputs, and says so when it cannot be run again."""

import gc
import weakref
from functools import partial

import numpy as np
import pytest

import revdiff
from diffcore import seeds
from diffcore.errors import CheckpointError, GradientError
from diffcore.ledger import Ledger
from revdiff import checkpoint, nn
from revdiff.nn import functional as F

from .networks import NETWORKS, trained


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def variable(*shape, seed=0):
    return revdiff.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


@pytest.fixture(scope="module")
def plain():
    return {name: trained(name, lambda net, x: net(x)) for name in NETWORKS}


def in_two(net, x):
    return checkpoint(net[2:], checkpoint(net[:2], x))


def nested(net, x):
    return checkpoint(lambda x: checkpoint(net[1:], checkpoint(lambda x: checkpoint(net[:1], x), x)), x)


CALLS = {"whole": checkpoint, "two": in_two, "nested": nested, "late": partial(checkpoint, early_stop=False)}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_that_of_the_plain_network(plain, name, call):
    close(trained(name, call), plain[name])


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_imperative_training_is_too(name):
    build, shape = NETWORKS[name]
    found = []
    for call in (lambda net, x: net(x), in_two, nested):
        revdiff.manual_seed(0)
        net, x = build(dtype="float64"), variable(*shape)
        for _ in range(2):  # gradients add up
            (call(net, x) ** 2).sum().backward()
        found.append([p.grad.numpy() for p in net.parameters()] + [x.grad.numpy()])
    close(found[1], found[0])
    close(found[2], found[0])


def test_structures_and_other_values_go_in_and_out():
    def function(pair, *, scale, table):
        a, b = pair
        return {"sum": a + b * scale, "rest": [table["c"] * a, "text", 3, None]}

    a, b, c = variable(3), variable(3, seed=1), variable(3, seed=2)
    out = checkpoint(function, (a, b), scale=2.0, table={"c": c})
    assert out["rest"][1:] == ["text", 3, None]
    (out["sum"] * out["rest"][0]).sum().backward()
    np.testing.assert_allclose(c.grad.numpy(), ((a + 2 * b) * a).detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(b.grad.numpy(), (2 * c * a).detach().numpy(), rtol=1e-12)


def test_closures_get_their_gradients():
    w, x = variable(4), revdiff.tensor(np.arange(4.0))
    checkpoint(lambda x: (x * w).sin().sum(), x).backward()
    np.testing.assert_allclose(w.grad.numpy(), np.arange(4.0) * np.cos(np.arange(4.0) * w.detach().numpy()), rtol=1e-12)


def test_without_recording_it_only_calls():
    x = variable(3)
    with revdiff.no_grad():
        out = checkpoint(lambda x: x * 2, x)
    assert not out.requires_grad
    assert not checkpoint(lambda x: x * 2, revdiff.ones(3)).requires_grad


def test_nothing_inside_is_kept():
    inside = []

    def function(x):
        for _ in range(3):
            x = x.tanh()
            inside.append(weakref.ref(seeds.array_under(x)))
        return x * 2

    x = variable(5)
    gc.disable()
    try:
        out = checkpoint(function, x)
        assert [ref() for ref in inside] == [None] * 3
        out.sum().backward()
        assert len(inside) == 6
        assert [ref() for ref in inside] == [None] * 6
        out = checkpoint(lambda x: checkpoint(function, x * 3), x)
        assert [ref() for ref in inside[6:]] == [None] * 3
        kept = weakref.ref(out.grad_fn)
        del out
        assert kept() is None  # without the garbage collector: there are no cycles
    finally:
        gc.enable()


def test_the_ledger_books_inputs_alone_and_the_recomputation_as_such():
    with Ledger() as ledger:
        x = revdiff.zeros(10, 10, dtype="float64", device="meta", requires_grad=True)
        out = checkpoint(lambda x: (x.sin().cos().exp() * 3).sin(), x)
        assert ledger.live["residual"] == 0
        assert ledger.transcendentals == {"primal": 400}
        out.sum().backward()
    assert ledger.transcendentals["recompute"] == 400
    assert ledger.flops["recompute"] == 100
    assert not ledger.flops["tangent"]


def test_a_further_run_ends_when_all_is_there():
    calls = []

    def function(x):
        y = x.sin() * x
        calls.append("after")
        return y + 1, calls.append("last")

    checkpoint(function, variable(3))[0].sum().backward()
    assert calls == ["after", "last", "after"]  # `y + 1` keeps nothing but its node, which is the last that was asked for
    calls.clear()
    checkpoint(function, variable(3), early_stop=False)[0].sum().backward()
    assert calls == ["after", "last"] * 2


def test_every_pass_over_a_kept_graph_recomputes_once():
    runs = []

    def function(x):
        runs.append(1)
        return (x.sin() * x).exp()

    x = variable(3)
    y = checkpoint(function, x).sum()
    (first,) = revdiff.autograd.grad(y, x, retain_graph=True)
    (second,) = revdiff.autograd.grad(y, x)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert len(runs) == 3
    with pytest.raises(GradientError, match="second time"):
        y.backward()


def test_values_that_leak_out_have_derivatives():
    """As attributes that a layer leaves for an auxiliary loss; and gradients of what lies inside are whole."""
    found = []
    for call in (lambda f, x: f(x), checkpoint):
        left = {}

        def function(x, left=left):
            left["h"] = h = x.sin()
            h.retain_grad()
            h.register_hook(lambda g: g * 2)
            return (h * h).exp()

        x = variable(4)
        y = call(function, x)
        (y.sum() + (left["h"] ** 3).sum()).backward()
        found.append((x.grad.numpy(), left["h"].grad.numpy()))
    close(found[1], found[0])


def test_the_gradient_of_one_output_goes_through_the_other():
    def function(x):
        h = x.sin()
        return h, h * h

    x = variable(4)
    h, y = checkpoint(function, x)
    (g,) = revdiff.autograd.grad(h.sum() + y.sum(), h)
    np.testing.assert_allclose(g.numpy(), 1 + 2 * h.detach().numpy(), rtol=1e-12)


def test_derivatives_may_be_taken_inside():
    def force(x, w):
        (g,) = revdiff.autograd.grad((x * w).tanh().sum(), x, create_graph=True)
        return g

    def moved(x, w):
        (g,) = revdiff.autograd.grad((x * w).tanh().sum(), x)
        return x * w - 0.1 * g

    def transformed(x, w):
        return revdiff.grad(lambda y: (y * w).tanh().sum() * (x * y).sum())(x * 2)

    for function in (force, moved, transformed):
        found = []
        for call in (lambda f, *args: f(*args), checkpoint):
            x, w = variable(3), variable(3, seed=1)
            (call(function, x, w) ** 2).sum().backward()
            found.append((x.grad.numpy(), w.grad.numpy()))
        close(found[1], found[0])


def test_a_function_of_the_users_own_is_recomputed():
    class Cube(revdiff.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, x * x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            _, square = ctx.saved_tensors
            return 3 * square * g

    x = variable(4)
    checkpoint(lambda x: Cube.apply(x.sin()).cos().sum(), x).backward()
    expected = revdiff.grad(lambda x: (x.sin() ** 3).cos().sum())(x.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)


def test_in_place_operations_inside_are_repeated():
    def function(x):
        y = x * 2
        y.mul_(x)
        z = y.view(2, 2)
        z[0] = x[:2] * 3
        return (y * y).sum()

    x = variable(4)
    checkpoint(function, x).backward()
    (g,) = revdiff.autograd.grad(function(y := variable(4)), y)
    np.testing.assert_allclose(x.grad.numpy(), g.numpy(), rtol=1e-12)


@pytest.mark.parametrize("what", ["input", "weight", "bias", "inside"])
def test_what_was_changed_in_place_is_found(what):
    layer, x = nn.Linear(3, 3, dtype="float64"), revdiff.tensor(np.ones((2, 3)))
    y = (x + 0).requires_grad_()
    out = checkpoint((lambda x: layer(x.detach().mul_(2)).tanh()) if what == "inside" else (lambda x: layer(x).tanh()), y)
    if what == "input":
        y.data.mul_(2)
    elif what != "inside":
        with revdiff.no_grad():
            getattr(layer, what).add_(1)
    with pytest.raises(GradientError, match=r"modified by an inplace operation: checkpoint has to recompute from .* `(mul|add)_`"):
        out.sum().backward()


def test_a_further_run_that_does_something_else_is_found():
    size = [3]
    x = variable(5)

    def grown(x):
        size[0] += 1
        return (x[: size[0]] * 2).sin().sum()

    with pytest.raises(CheckpointError, match=r"different metadata.*getitem with a result of shape \(4,\).*now getitem with one of"):
        checkpoint(grown, x).backward()
    calls = []

    def shorter(x):
        calls.append(1)
        return x.sin().cos().exp().sum() if len(calls) == 1 else x.sin().cos()

    with pytest.raises(CheckpointError, match=r"a different number of tensors was saved.*4 operations were recorded then, fewer now"):
        checkpoint(shorter, x).backward()
    calls.clear()

    def other(x):
        calls.append(1)
        return (x.sin() if len(calls) == 1 else x.cos()).sum()

    with pytest.raises(CheckpointError, match=r"operation 0 was sin .* is now cos"):
        checkpoint(other, x).backward()
    calls.clear()
    checkpoint(other, x, determinism_check="none").backward()


def test_an_exception_in_a_further_run_leaves_everything_as_it_was():
    calls = []

    def failing(x):
        calls.append(1)
        if len(calls) == 2:
            raise OSError("gone")
        return F.dropout(x.sin(), 0.5)

    x = variable(6)
    revdiff.manual_seed(0)
    y = checkpoint(failing, x).sum()
    position = revdiff.rand(1).item()
    with pytest.raises(OSError, match="gone"):
        y.backward(retain_graph=True)
    y.backward()  # and the third run is as good as the second would have been
    revdiff.manual_seed(0)
    (g,) = revdiff.autograd.grad(F.dropout((z := variable(6)).sin(), 0.5).sum(), z)
    np.testing.assert_array_equal(x.grad.numpy(), g.numpy())
    assert revdiff.rand(1).item() == position


def test_random_numbers_are_drawn_anew_only_if_wanted():
    x = revdiff.ones(200, requires_grad=True)
    same, other = (checkpoint(lambda x: F.dropout(x, 0.5), x, preserve_rng_state=keep) for keep in (True, False))
    for out, equal in ((same, True), (other, False)):
        x.grad = None
        out.sum().backward()
        assert np.array_equal(x.grad.numpy() > 0, out.detach().numpy() > 0) == equal


def test_context_managers_stand_around_the_runs():
    from contextlib import contextmanager

    entered = []

    @contextmanager
    def note(name):
        entered.append(name)
        yield

    checkpoint(lambda x: x.sin(), variable(2), context_fn=lambda: (note("first"), note("further"))).sum().backward()
    assert entered == ["first", "further"]


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"`determinism_check` \(='some'\)"):
        checkpoint(lambda x: x, variable(2), determinism_check="some")
    with pytest.raises(TypeError, match="segments"):  # which is one of the function's own, which it has not
        checkpoint(lambda x: x, variable(2), segments=2)


def test_keywords_of_a_plain_function_are_its_own():
    assert checkpoint(lambda x, memory: x * memory, revdiff.ones(2), memory=3).tolist() == [3, 3]
